"""hashigo.load and Model: every form of picture, luma kept, strips, tiles, engines, threads."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hashigo
from hashigo.apply import model as apply
from hashigo.apply import tiling
from hashigo.errors import ModelError, PictureError
from hashigo.image import Photo, photo_of
from photos import PHOTOS, batch, pixels
from tiny import model as tiny_model
from tiny import photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colorizer with ONNX."""
    return tiny_model(tmp_path_factory.mktemp("colorizer"), onnx=True)


@pytest.fixture(scope="module")
def model(folder: Path) -> apply.Model:
    return hashigo.load(folder, engine="torch", precision="fp32")


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory: pytest.TempPathFactory) -> apply.Model:
    """A network that works at the photo's own size."""
    return hashigo.load(tiny_model(tmp_path_factory.mktemp("denoiser"), "denoise"), precision="fp32")


def encoded(array: np.ndarray, kind: str = "PNG", **settings: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **settings)
    return stream.getvalue()


def levels(first: Any, second: Any) -> int:
    """The largest difference of two 8-bit pictures."""
    return int(np.abs(np.asarray(first).astype(int) - np.asarray(second).astype(int)).max())


# --- forms ----------------------------------------------------------------------------------------------


def test_files_and_pillow_pictures_come_back_as_pillow_pictures(model: apply.Model, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(encoded(photo()))
    given = [tmp_path / "cat.png", str(tmp_path / "cat.png"), encoded(photo()), Image.fromarray(photo())]
    results = [model(one) for one in given]
    assert all(isinstance(one, Image.Image) and one.mode == "RGB" and one.size == (60, 40) for one in results)
    assert all(levels(one, results[0]) == 0 for one in results)
    assert levels(results[0], photo()) > 5  # something has happened


def test_arrays_come_back_as_arrays(model: apply.Model) -> None:
    colour, grey = photo(), np.asarray(Image.fromarray(photo()).convert("L"))
    expected = np.asarray(model(Image.fromarray(colour)))
    result = model(colour)
    assert (result.dtype, result.shape) == (np.uint8, (40, 60, 3))
    assert np.array_equal(result, expected)
    for form in (grey, grey[..., None]):
        assert np.array_equal(model(form), np.asarray(model(Image.fromarray(grey))))
    alpha = np.arange(2400, dtype=np.uint32).astype(np.uint8).reshape(40, 60, 1)
    result = model(np.concatenate([colour, alpha], axis=2))
    assert np.array_equal(result[..., :3], expected)
    assert np.array_equal(result[..., 3:], alpha)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_pictures_and_batches_keep_their_shape(model: apply.Model, dtype: type) -> None:
    pictures = batch(24, 36, dtype)
    result = model(pictures)
    assert (result.dtype, result.shape) == (np.float32, pictures.shape)
    assert 0 <= result.min() <= result.max() <= 1
    for one, given in zip(result, pictures, strict=True):
        assert np.array_equal(one, model(given))
        array = np.round(given * 255).astype(np.uint8).transpose(1, 2, 0)
        assert np.array_equal(np.round(one * 255).astype(np.uint8).transpose(1, 2, 0), model(array))


def test_a_photo_comes_back_as_a_photo_with_its_metadata(model: apply.Model) -> None:
    given = Photo(photo(), format="PNG", metadata={"dpi": (300.0, 300.0)})
    result = model(given)
    assert isinstance(result, Photo)
    assert (result.format, result.metadata, result.size) == ("PNG", given.metadata, (40, 60))


@pytest.mark.parametrize("wrong", [
    [[0, 1], [1, 0]], None, np.zeros((3, 5, 4, 2), np.uint8), np.zeros(4, np.float32), np.zeros((0, 4), np.uint8),
    np.full((3, 4, 4), 200, np.float32), np.full((3, 4, 4), np.nan, np.float32), np.zeros((4, 4), np.int64), "missing.png",
])  # fmt: skip
def test_anything_else_is_a_picture_error(model: apply.Model, wrong: Any) -> None:
    with pytest.raises(PictureError, match="expected"):
        model(wrong)


def test_a_wrong_size_engine_or_name(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="-1"):
        hashigo.load(folder, engine="torch", size=-1)
    with pytest.raises(ModelError, match="tensorrt"):
        hashigo.load(folder, engine="tensorrt")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="did you mean 'colorizer'"):
        hashigo.load("colouriser")
    with pytest.raises(ModelError, match="hashigo export"):
        hashigo.load(tiny_model(tmp_path), engine="openvino")


# --- luma -----------------------------------------------------------------------------------------------

SIZES = [(1, 1), (3, 500), (500, 3), (129, 257), (40, 61), (300, 400)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_luma_of_a_grey_file_is_kept(model: apply.Model, kind: str, size: tuple[int, int]) -> None:
    for name in PHOTOS:
        grey = Image.fromarray(pixels(name)).convert("L").resize((size[1], size[0]))
        file = encoded(np.asarray(grey), kind)
        with Image.open(io.BytesIO(file)) as stored:
            before = np.asarray(stored)
        result = model(file)
        assert (result.mode, result.size) == ("RGB", (size[1], size[0]))
        assert levels(result.convert("L"), before) <= 1


@pytest.mark.parametrize("name", PHOTOS)
def test_luma_of_a_colour_photo_is_kept(model: apply.Model, name: str) -> None:
    before = Image.fromarray(pixels(name))
    assert levels(model(before).convert("L"), before.convert("L")) <= 1


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_and_luma_are_kept_together(model: apply.Model, mode: str) -> None:
    before = Image.fromarray(photo("coffee", 129, 257)).convert("L").convert(mode)
    before.putalpha(Image.linear_gradient("L").resize(before.size))
    result = model(before)
    assert result.mode == "RGBA"
    assert levels(result.getchannel("A"), before.getchannel("A")) == 0
    assert levels(result.convert("RGB").convert("L"), before.convert("L")) <= 1


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_flat_pictures_keep_their_luma(model: apply.Model, value: int) -> None:
    grey = np.full((17, 33), value, np.uint8)
    assert levels(Image.fromarray(model(grey)).convert("L"), grey) <= 1


# --- sizes, strips, tiles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strip", [1, 1000, 1 << 30])
def test_strips_do_not_show(model: apply.Model, monkeypatch: pytest.MonkeyPatch, strip: int) -> None:
    expected = model(pixels("coffee"))
    monkeypatch.setattr(apply, "STRIP_PIXELS", strip)
    assert np.array_equal(model(pixels("coffee")), expected)


def test_the_network_sees_a_reduced_photo(folder: Path) -> None:
    small, large = (hashigo.load(folder, engine="torch", size=size) for size in (0, 64))
    assert (small.size, large.size) == (32, 64)
    assert small.network_size((320, 640)) == (32, 64)
    assert large.network_size((640, 320)) == (128, 64)
    assert small.network_size((1, 1)) == (4, 4)  # at least what needs no padding
    assert small.network_size((20, 30)) == (20, 32)  # never enlarged, but to multiples
    assert small.network_size((5, 30)) == (5, 30)  # unless that would distort it
    assert small.network_size((100, 100_000)) == (1, 512)  # a strip is reduced further
    assert small.prepare(photo_of(pixels("rocket"))).x.shape[0] == 1


@pytest.mark.parametrize("size", [(200, 300), (129, 257), (64, 65)], ids=str)
def test_tiles_equal_the_whole(denoiser: apply.Model, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    whole = denoiser(photo("astronaut", *size))
    monkeypatch.setattr(apply, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(tiling, "TILE", 64)
    calls: list[tuple[int, ...]] = []
    engine = denoiser.engine
    monkeypatch.setattr(denoiser, "engine", lambda x: (calls.append(x.shape), engine(x))[1])
    tiled = denoiser(photo("astronaut", *size))
    assert len(calls) == -(-size[0] // 64) * -(-size[1] // 64) > 1
    assert levels(whole, tiled) <= 1  # the margin is more than this network can see
    assert np.mean(whole != tiled) < 0.01


def test_a_small_margin_shows_only_at_the_seams(denoiser: apply.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = denoiser(photo("astronaut", 128, 128))
    monkeypatch.setattr(apply, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(tiling, "TILE", 64)
    no_margin = replace(denoiser.folder, contract=replace(denoiser.folder.contract, context_pixels=0))
    monkeypatch.setattr(denoiser, "folder", no_margin)
    tiled = denoiser(photo("astronaut", 128, 128))
    assert levels(whole, tiled) > 1
    for part in (slice(0, 32), slice(96, 128)):
        assert levels(whole[part, part], tiled[part, part]) <= 1


def test_a_network_that_sees_the_whole_picture_is_never_tiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = apply.load(tiny_model(tmp_path, "denoise", context=True), engine="torch", precision="fp32")
    whole = model(photo("astronaut", 128, 128))
    monkeypatch.setattr(apply, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(tiling, "TILE", 64)
    assert np.array_equal(model(photo("astronaut", 128, 128)), whole)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_full_size_tasks_take_any_size(denoiser: apply.Model, size: tuple[int, int]) -> None:
    photo_of_size = np.asarray(Image.fromarray(pixels("coffee")).resize((size[1], size[0])))
    assert denoiser(photo_of_size).shape == (*size, 3)


@pytest.mark.parametrize("task", ["autoencode", "autoencode-grey", "colorize", "colorize-rgb"])
def test_a_network_of_fixed_size_takes_any_photo(task: str, tmp_path: Path) -> None:
    model = hashigo.load(fixed(tmp_path, task))
    for size in ((16, 24), (100, 150), (1, 1), (7, 90)):
        assert model.network_size(size) == (16, 24)
        result = model(np.asarray(Image.fromarray(pixels("rocket")).resize((size[1], size[0]))))
        assert result.shape == (*size, 3)
    if task == "autoencode-grey":
        assert np.array_equal(result[..., 0], result[..., 2])


def fixed(folder: Path, task: str) -> Path:
    """A model with a bottleneck, which works at 16 × 24 only."""
    import torch

    from hashigo.models import save_model
    from hashigo.networks import UNet
    from hashigo.tasks import make_task

    made = make_task(task)
    torch.manual_seed(3)
    network = UNet(in_channels=made.in_channels, out_channels=made.out_channels, width=2, depth=2, bottleneck=6, size=(16, 24))  # fmt: skip
    return save_model(folder, network.eval(), made, onnx=False).path


# --- engines and threads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
def test_openvino_and_torch_agree(folder: Path, model: apply.Model, name: str) -> None:
    other = hashigo.load(folder, engine="openvino", precision="fp32")
    assert levels(other(pixels(name)), model(pixels(name))) <= 1
    x = model.prepare(photo_of(pixels(name))).x[None]
    np.testing.assert_allclose(other.engine(x), model.engine(x), atol=1e-4)


def test_automatic_precision_is_near(folder: Path, model: apply.Model) -> None:
    for engine in ("openvino", "torch"):
        result = hashigo.load(folder, engine=engine)(photo("coffee", 200, 200))  # type: ignore[arg-type]
        difference = np.abs(result.astype(int) - model(photo("coffee", 200, 200)).astype(int))
        assert difference.mean() < 1.5, engine
        assert (
            levels(Image.fromarray(result).convert("L"), Image.fromarray(photo("coffee", 200, 200)).convert("L")) <= 1
        )


def test_auto_takes_openvino_where_there_is_onnx(folder: Path, tmp_path: Path) -> None:
    assert "OpenVINO" in repr(hashigo.load(folder, threads=1))
    assert "torch" in repr(hashigo.load(tiny_model(tmp_path)))
    assert "colorize" in repr(hashigo.load(folder))


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_many_threads_at_once(folder: Path, engine: Any) -> None:
    model = hashigo.load(folder, engine=engine, precision="fp32")
    given = [photo(PHOTOS[i % 4], 50 + i % 3, 70) for i in range(24)]
    expected = [model(one) for one in given]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(model, given))
    assert all(np.array_equal(one, other) for one, other in zip(results, expected, strict=True))
