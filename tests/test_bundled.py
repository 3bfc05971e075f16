"""The models that come with the package: their files, their cards, and what they do to real photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from hashigo import color
from hashigo.apply import Model, load
from hashigo.image import read
from hashigo.metrics import colourfulness
from hashigo.models import MODELS, open_model
from photos import picture, pixels

LIMITS = {"colorizer": 31e6, "fast": 12e6}
"""Most bytes of each of a model's two files."""


@pytest.fixture(scope="module", params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> Model:
    return load(name)


def test_files_are_small_and_half_precision(name: str) -> None:
    folder = open_model(name)
    for path in (folder.weights, folder.onnx):
        assert path.stat().st_size <= LIMITS[name]
    with safe_open(folder.weights, "np") as weights:
        kinds = {weights.get_slice(key).get_dtype() for key in weights.keys() if not key.endswith(".scale")}  # noqa: SIM118
    assert "F32" not in kinds, "except for the scales of 8-bit weights"


def test_the_card_says_what_people_ask(name: str) -> None:
    card = (open_model(name).path / "README.md").read_text(encoding="utf-8")
    for told in ("training pictures", "time", "CIEDE2000", "How good it is", "Strengths and weaknesses", "```yaml"):
        assert told in card


def test_photos_get_colours_and_keep_their_luma(model: Model) -> None:
    found = []
    for subject in ("astronaut", "chelsea", "coffee"):
        rgb = picture(subject)
        grey = np.repeat(color.luma(rgb), 3, axis=0)
        made = model(grey)
        assert np.abs(color.luma(made) - color.luma(rgb)).max() < 1.5 / 255
        found.append(float(colourfulness(made, made)))
    assert min(found) > 8
    assert np.mean(found) > 15, "slightly colourful is 15 (Hasler & Süsstrunk 2003)"


def test_skin_is_warm(model: Model) -> None:
    face = color.chroma(model(picture("astronaut")))[:, 100:200, 190:270].mean(axis=(1, 2))
    assert face[1] > 0.01 > face[0], "skin is redder than grey and less blue"


@pytest.mark.parametrize("size", [(299, 451), (300, 450), (301, 449)])
def test_odd_sizes_have_the_same_colours(model: Model, size: tuple[int, int]) -> None:
    photo = Image.fromarray(pixels("chelsea")).convert("L")
    usual = color.chroma(model(np.asarray(photo).astype(np.float32)[None].repeat(3, 0) / 255))
    other = np.asarray(photo.resize(size[::-1], Image.Resampling.LANCZOS)).astype(np.float32)[None].repeat(3, 0) / 255
    made = color.chroma(model(other))
    assert made.shape[1:] == size
    assert np.abs(made[:, ::20, ::20][:, :14, :21] - usual[:, ::20, ::20][:, :14, :21]).mean() < 0.02


@pytest.mark.parametrize("size", [(32, 64), (33, 50), (1, 7)])
def test_engines_agree_at_any_size(name: str, size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).random((1, open_model(name).task.in_channels, *size), np.float32)
    ours, theirs = (load(name, engine=engine, precision="fp32").engine(x) for engine in ("openvino", "torch"))
    assert ours.shape == theirs.shape
    # where weights are 8-bit integers, OpenVINO rounds what they are multiplied by, too
    assert np.abs(ours - theirs).max() < {"fast": 5e-3, "colorizer": 2e-2}[name] * np.abs(theirs).max()
    assert np.abs(ours - theirs).mean() < 5e-3 * np.abs(theirs).max()


def test_a_strip_of_one_pixel(model: Model) -> None:
    assert model(np.zeros((1, 60), np.uint8)).shape == (1, 60, 3)


def test_a_grey_border_leaves_the_colours(model: Model) -> None:
    grey = np.repeat(color.luma(picture("chelsea")), 3, axis=0)
    bordered = np.pad(grey, ((0, 0), (15, 15), (22, 22)), constant_values=0.9)
    plain, framed = color.chroma(model(grey)), color.chroma(model(bordered))[:, 15:-15, 22:-22]
    assert np.abs(framed - plain).mean() < 0.03
    assert np.corrcoef(framed.ravel(), plain.ravel())[0, 1] > 0.7


def test_a_hint_colours_its_place(model: Model) -> None:
    if model.task.in_channels == 1:
        pytest.skip("takes no hints")
    grey = np.repeat(color.luma(picture("chelsea")), 3, axis=0)
    for code, channel in (("#3050e0", 0), ("#e03030", 1)):
        before, after = (color.chroma(model(grey, hints))[channel] for hints in ((), [(120, 80, code)]))
        gained = after - before
        assert gained[75:85, 115:125].mean() > 0.1
        assert gained[75:85, 115:125].mean() > 3 * abs(gained[-60:, -60:].mean()), "more there than far away"


def test_a_hint_colours_the_whole_object_and_not_what_is_beside_it() -> None:
    """A cup on a table: the hint is inside it. Its rim, which is as bright as parts of the table, belongs to it."""
    photo = pixels("coffee")
    grey = np.asarray(Image.fromarray(photo).convert("L"))
    model = load("colorizer")
    plain, hinted = (
        color.chroma(model(grey, known).transpose(2, 0, 1) / 255.0) for known in ((), [(300, 150, "#206020")])
    )
    change = np.hypot(*(hinted - plain))
    cup, table = change[110:190, 240:350].mean(), change[330:390, 480:590].mean()
    assert cup > 0.08
    assert table < 0.25 * cup


@pytest.mark.parametrize("code", ["#3050e0", "#e03030", "#30a040", "#909090"])
def test_a_hints_place_has_its_colour(code: str, model: Model) -> None:
    if model.task.in_channels == 1:
        pytest.skip("takes no hints")
    y = color.luma(picture("chelsea"))
    made = color.chroma(model(np.repeat(y, 3, axis=0), [(120, 80, code)]))[:, 79:82, 119:122].mean(axis=(1, 2))
    rgb = np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)[:, None, None]
    wanted = color.chroma(color.merge(y[:, 79:82, 119:122].mean(axis=(1, 2), keepdims=True), color.chroma(rgb)))[
        :, 0, 0
    ]
    assert np.abs(made - wanted).max() < 0.04


def test_a_hints_place_is_that_of_the_upright_photo(model: Model, tmp_path: Path) -> None:
    if model.task.in_channels == 1:
        pytest.skip("takes no hints")
    upright = Image.fromarray(pixels("chelsea")).convert("L").convert("RGB")
    turned = upright.transpose(Image.Transpose.ROTATE_90)  # a camera held on its side: EXIF 6 turns it clockwise again
    exif = Image.Exif()
    exif[274] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    photo = read(tmp_path / "turned.png")
    assert photo.size == upright.size[::-1]
    hints = [(120, 80, "#3050e0")]
    expected = model(np.asarray(upright), hints)
    np.testing.assert_array_equal(model(photo, hints).pixels, expected)
