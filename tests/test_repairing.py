"""Tasks that repair photos: what they damage, and that a model of each works on photos of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from hashigo import color
from hashigo.apply import load
from hashigo.apply.jobs import run as run_jobs
from hashigo.apply.planning import plan
from hashigo.apply.record import Records
from hashigo.data import open_dataset
from hashigo.errors import PictureError, RecipeError
from hashigo.evaluation.measure import evaluate
from hashigo.image import photo_of, read
from hashigo.models import open_model, save_model
from hashigo.networks import UNet
from hashigo.randomness import PictureRng
from hashigo.tasks import make_task
from hashigo.tasks.damage import blurred, dusty, gaps, scratched
from hashigo.tasks.enlarging import enlarged, shrunk
from photos import batch

NAMES = ("inpaint", "super-resolve", "deblur", "restore")


def keys(count: int, epoch: int = 0) -> PictureRng:
    return PictureRng(0, epoch, np.arange(count))


@pytest.mark.parametrize("name", NAMES)
def test_damage_makes_pictures_worse_but_not_beyond_recognition(name: str) -> None:
    task, rgb = make_task(name), batch(64, 80)
    errors = [np.abs(task.degrade(rgb, keys(len(rgb), epoch)) - rgb).mean() for epoch in range(8)]
    assert 0.002 < np.mean(errors) < 0.3
    torch_too = task.degrade(torch.from_numpy(rgb), PictureRng(0, 0, torch.arange(len(rgb))))
    np.testing.assert_allclose(torch_too.numpy(), task.degrade(rgb, keys(len(rgb))), atol=2e-4)


def test_restoring_leaves_colours_and_good_photos_alone() -> None:
    rgb = batch(48, 48)
    task = make_task("restore", damaged=0.0, grey=0.0)
    np.testing.assert_allclose(task.degrade(rgb, keys(len(rgb))), rgb, atol=5e-5)
    aged = make_task("restore", damaged=1.0, grey=0.0).degrade(rgb, keys(len(rgb), 3))
    muted = np.abs(color.chroma(aged)) <= np.abs(color.chroma(rgb)) + 1e-5
    assert muted.all(), "a luma that leaves no room for a colour weakens it, and nothing else changes it"
    grey = make_task("restore", grey=1.0).degrade(rgb, keys(len(rgb)))
    assert np.ptp(grey, axis=1).max() < 1e-5


def test_marks_stand_out_where_they_are_and_nowhere_else() -> None:
    grey = np.full((64, 1, 48, 60), 0.5, np.float32)
    for marked in (scratched(grey, keys(64), np.ones((64, 1, 1, 1))), dusty(grey, keys(64), np.ones((64, 1, 1, 1)))):
        away = np.abs(marked - 0.5)
        assert away.max() > 0.45
        assert 0.002 < (away > 0.1).mean() < 0.3
    assert np.array_equal(scratched(grey, keys(64), np.zeros((64, 1, 1, 1))), grey)
    holes = gaps(np.repeat(grey, 3, axis=1), keys(64), 0.25)
    touched = (holes != 0.5).any(axis=1).mean(axis=(1, 2))
    assert touched.max() < 0.4
    assert touched.mean() > 0.03
    assert set(np.unique(holes[:, 0].round(3))) >= {0.0, 1.0}


def test_blur_is_gaussian() -> None:
    dot = np.zeros((2, 1, 31, 31), np.float32)
    dot[:, :, 15, 15] = 1
    spread = blurred(dot, np.array([1.0, 2.0]).reshape(2, 1, 1, 1), 6)
    np.testing.assert_allclose(spread.sum(axis=(1, 2, 3)), 1, atol=1e-5)
    place = np.arange(31) - 15
    for picture, sigma in zip(spread, (1.0, 2.0), strict=True):
        assert np.sqrt((picture.sum(axis=(0, 1)) * place**2).sum()) == pytest.approx(sigma, rel=0.03)
    still = blurred(dot, np.zeros((2, 1, 1, 1)), 6)
    np.testing.assert_allclose(still, dot, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(7, 9), (1, 1), (14, 18), (5, 18)])
def test_reducing_takes_means_over_areas(height: int, width: int) -> None:
    rgb = batch(14, 18)
    small = shrunk(rgb, height, width)
    assert small.shape == (4, 3, height, width)
    np.testing.assert_allclose(small.mean(axis=(2, 3)), rgb.mean(axis=(2, 3)), atol=1e-5)
    if (14 % height, 18 % width) == (0, 0):
        blocks = rgb.reshape(4, 3, height, 14 // height, width, 18 // width).mean(axis=(3, 5))
        np.testing.assert_allclose(small, blocks, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_training_has_areas_of_pure_white_and_black(name: str) -> None:
    rgb = np.repeat(batch(32, 32), 50, axis=0)
    task, rng = make_task(name), PictureRng(0, 0, np.arange(len(rgb)))
    made = task.drawn(rgb, rng)
    assert made.shape == rgb.shape
    assert 0 <= made.min() <= made.max() <= 1
    changed = (made != rgb).any(axis=(1, 2, 3)).mean()
    assert 0.3 < changed < 0.5
    assert (made == 1).all(axis=1).mean() > (rgb == 1).all(axis=1).mean() + 0.01
    assert (made == 0).all(axis=1).mean() > (rgb == 0).all(axis=1).mean() + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_each_works_on_photos_of_any_size(name: str, tmp_path: Path) -> None:
    folder = tiny.model(tmp_path, name, add_input=True, size=0)
    model = load(folder, engine="torch")
    factor = 2 if name == "super-resolve" else 1
    for height, width in ((23, 31), (64, 48)):
        picture = (batch(height, width)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
        assert model(picture).shape == (factor * height, factor * width, 3)
        photos = model.apply_many([photo_of(picture)] * 3)
        assert [photo.size for photo in photos] == [(factor * height, factor * width)] * 3
        assert np.array_equal(photos[0].pixels, model(photo_of(picture)).pixels)


def test_a_network_that_changes_nothing_enlarges_as_usual(tmp_path: Path) -> None:
    network = UNet(width=4, depth=2, in_channels=3, out_channels=3, output_activation="linear", add_input=True)
    torch.nn.init.zeros_(network.head.weight)
    save_model(tmp_path, network, make_task("super-resolve"), size=0, onnx=False)
    model = load(tmp_path, engine="torch")
    rgb = batch(20, 30)[0]
    result = model(photo_of(rgb))
    np.testing.assert_allclose(result.rgb(), enlarged(photo_of(rgb).rgb(), 40, 60), atol=0.004)


def test_alpha_and_metadata_come_along_when_a_photo_is_enlarged(tmp_path: Path) -> None:
    model = load(tiny.model(tmp_path, "super-resolve", add_input=True, size=0), engine="torch")
    pixels = np.dstack([(batch(20, 30)[0].transpose(1, 2, 0) * 255).astype(np.uint8), np.full((20, 30), 99, np.uint8)])
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png", dpi=(300, 300))
    result = model(tmp_path / "a.png")
    assert result.mode == "RGBA"
    assert result.size == (60, 40)
    assert result.info["dpi"][0] == pytest.approx(300, abs=1)
    assert set(np.asarray(result)[..., 3].ravel().tolist()) == {99}


def test_photos_can_be_restored_before_they_are_colorized(tmp_path: Path) -> None:
    restorer = tiny.model(tmp_path / "restorer", "restore", add_input=True, size=0)
    colorizer = tiny.model(tmp_path / "colorizer")
    both, first, then = (
        load(colorizer, engine="torch", restore=restorer),
        load(restorer, engine="torch"),
        load(colorizer, engine="torch"),
    )
    photo = photo_of((batch(40, 60)[0].transpose(1, 2, 0) * 255).astype(np.uint8))
    expected = then.apply(first.apply(photo))
    assert not np.array_equal(expected.pixels, then.apply(photo).pixels)
    assert np.array_equal(both.apply(photo).pixels, expected.pixels)
    assert all(np.array_equal(result.pixels, expected.pixels) for result in both.apply_many([photo] * 3))
    Image.fromarray(photo.pixels).save(tmp_path / "a.png")
    records = Records(tmp_path / "state")
    for model, again in ((then, "done"), (both, "done"), (both, "skipped")):
        (outcome,) = run_jobs(model, plan([tmp_path / "a.png"], tmp_path / "out", "color"), records=records)
        assert outcome.state == again
    assert np.array_equal(read(tmp_path / "out" / "a.color.png").pixels, expected.pixels)


def test_too_large_a_result_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashigo.apply.model.MAX_PIXELS", 1000)
    model = load(tiny.model(tmp_path, "super-resolve", add_input=True, size=0), engine="torch")
    with pytest.raises(PictureError, match="megapixels to enlarge by 2"):
        model(np.zeros((40, 40), np.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_compares_with_the_damaged_picture(name: str, tmp_path: Path) -> None:
    model = load(tiny.model(tmp_path / "model", name, add_input=True, size=0), engine="torch")
    pictures = open_dataset(tiny.album(tmp_path / "photos", 3, 40))
    result = evaluate(model, [pictures])
    assert len(result.scores) == 3
    assert np.isfinite([score.parts["result"]["psnr"] for score in result.scores]).all()


def test_the_input_is_added_to_the_answer() -> None:
    torch.manual_seed(0)
    network = UNet(width=2, depth=2, output_activation="linear", add_input=True).eval()
    plain = UNet(width=2, depth=2, output_activation="linear").eval()
    plain.load_state_dict(network.state_dict())
    x = torch.from_numpy(batch(13, 18))
    torch.testing.assert_close(network(x), plain(x) + x)
    torch.testing.assert_close(network.decode(*network.encode(x)), network(x))
    with pytest.raises(RecipeError, match="add_input"):
        UNet(in_channels=1, add_input=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [("inpaint", {"most": 2}), ("super-resolve", {"factor": 5}), ("super-resolve", {"compressed": "x"}), ("deblur", {"weakest": 3}),
     ("deblur", {"strongest": 99}), ("restore", {"damaged": -1}), ("restore", {"grey": True})],
)  # fmt: skip
def test_options_that_cannot_be(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=f"{name}: "):
        make_task(name, **options)


def test_tasks_are_kept_in_a_models_folder(tmp_path: Path) -> None:
    task = make_task("super-resolve", factor=3, compressed=0.25)
    network = UNet(width=2, depth=1, output_activation="linear", add_input=True)
    save_model(tmp_path, network, task, size=0, onnx=False)
    assert open_model(tmp_path).task == task
