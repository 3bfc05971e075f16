"""Calling a model: every layout of arrays, options per call, many pictures at once, and what a photo carries."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import hashigo
from hashigo.apply import Model, load
from hashigo.errors import PictureError, RecipeError
from hashigo.image import photo_of
from hashigo.image.arrays import layout_of
from hashigo.tasks.hints import Hint
from photos import pixels
from tiny import model as tiny_model
from tiny import photo

CASES = Path(__file__).parents[1].parent / "shared" / "cases"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(tiny_model(tmp_path_factory.mktemp("model")), engine="torch", precision="fp32")


@pytest.fixture(scope="module")
def bins() -> Model:
    return load("fast", threads=1)


GREY = photo("coffee", 24, 40).mean(axis=2).astype(np.uint8)


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW", "HW1"])
def test_every_layout_comes_back_as_it_came(model: Model, layout: str, floats: bool) -> None:
    colour = np.repeat(GREY[..., None], 3, axis=2)
    axes = layout.removeprefix("N")
    one = {"HW": GREY, "HWC": colour, "CHW": np.moveaxis(colour, 2, 0), "HW1": GREY[..., None]}[axes]
    array = np.stack([one] * 5) if layout.startswith("N") else one
    expected = np.asarray(model(Image.fromarray(GREY)))
    expected = np.moveaxis(expected, 2, 0) if axes == "CHW" else expected
    result = model(array.astype(np.float32) / 255 if floats else array)
    assert result.dtype == (np.float32 if floats else np.uint8)
    assert result.shape == ((5, *expected.shape) if layout.startswith("N") else expected.shape)
    shown = np.rint(255 * result) if floats else result.astype(int)
    for part in shown if layout.startswith("N") else [shown]:
        assert np.abs(part - expected).max() <= 1


def test_shapes_that_could_be_two_layouts() -> None:
    assert layout_of(np.zeros((3, 8, 3), np.uint8)).axes == "HWC"
    assert layout_of(np.zeros((3, 8, 3), np.float32)).axes == "CHW"
    assert not layout_of(np.zeros((3, 8, 9), np.uint8)).several
    assert layout_of(np.zeros((4, 8, 9), np.uint8)).several


def test_alpha_stays(model: Model) -> None:
    array = np.dstack([photo("coffee", 24, 40), np.full((24, 40), 77, np.uint8)])
    assert (model(array)[..., 3] == 77).all()


def test_many_are_as_each_alone_in_their_order(model: Model) -> None:
    sizes = [(24, 40), (40, 24), (24, 40), (300, 200), (24, 40), (1, 9)]
    photos = [photo_of(np.ascontiguousarray(pixels("coffee")[:h, :w])) for h, w in sizes]
    results = model.apply_many(photos, batch_size=2)
    assert [result.size for result in results] == sizes
    for given, result in zip(photos, results, strict=True):
        assert np.abs(model(given).pixels.astype(int) - result.pixels).max() <= 1
    assert model.apply_many([]) == []
    assert model.apply_many([GREY])[0].shape == (*GREY.shape, 3)


def test_one_bad_picture_of_many_is_told(model: Model, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"missing\.png"):
        model.apply_many([tmp_path / "missing.png", tmp_path / "other.png"])
    with pytest.raises(PictureError, match="single pictures"):
        model.apply_many([np.zeros((5, 8, 9), np.uint8)])
    with pytest.raises(RecipeError, match="a list for each of 2"):
        model.apply_many([GREY, GREY], hints=[[(1, 1, "#ff0000")]])


def test_options_belong_to_the_call(bins: Model) -> None:
    given = photo_of(GREY)
    calm, own, strong = (bins(given, vivid=vivid).pixels for vivid in (0.0, None, 1.0))
    assert not np.array_equal(calm, strong)
    assert np.array_equal(own, bins(given).pixels)
    assert np.array_equal(load("fast", threads=1, vivid=0.0)(given).pixels, calm)
    hint = (20, 12, "#c03020")
    hinted = bins(given, [hint]).pixels
    assert not np.array_equal(hinted, own)
    (first, second) = bins.apply_many([given, given], hints=[[hint], []])
    assert np.array_equal(first.pixels, hinted)
    assert np.array_equal(second.pixels, own)
    assert bins(given, size=16).size == given.size


@pytest.mark.parametrize("hints", [[5], [(1, 2)], "abc", [None]])
def test_hints_of_another_form_are_told(bins: Model, hints: Any) -> None:
    with pytest.raises(PictureError, match=r"expected a (hint|list)"):
        bins(GREY, hints)


def test_a_model_without_vividness_or_hints_says_so(model: Model) -> None:
    with pytest.raises(RecipeError, match="more or less vivid"):
        model(GREY, vivid=0.5)
    with pytest.raises(RecipeError, match="takes no colour hints"):
        model(GREY, [Hint(1, 1, (1, 0, 0))])


# --- what a photo carries -------------------------------------------------------------------------------


def jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Leitz", 1
    stream = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo("coffee")).save(
        stream, "JPEG", exif=exif, dpi=(300, 300), xmp=b"<x:xmpmeta/>", icc_profile=profile
    )
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_saving_a_result_keeps_what_the_photo_carried(model: Model, suffix: str, tmp_path: Path) -> None:
    picture = model(jpeg())
    assert {"exif", "dpi", "xmp", "icc_profile"} <= set(picture.info)
    picture.save(tmp_path / f"new{suffix}")
    with Image.open(tmp_path / f"new{suffix}") as again:
        assert again.getexif()[0x010F] == "Leitz"
        assert again.info["icc_profile"] == picture.info["icc_profile"]
        if suffix in (".jpg", ".tif", ".png"):
            assert float(again.info["dpi"][0]) == pytest.approx(300, abs=0.1)
        if suffix in (".jpg", ".webp"):
            assert again.info["xmp"] == b"<x:xmpmeta/>"
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=20, exif=b"")  # what the caller asks for wins
    with Image.open(stream) as again:
        assert not again.getexif()
    assert len(stream.getvalue()) < (tmp_path / "new.jpg").stat().st_size if suffix == ".jpg" else True


def test_the_readmes_snippet_keeps_exif(tmp_path: Path) -> None:
    source = CASES / "02-python-loses-metadata" / "all.jpg"
    if not source.is_file():
        pytest.skip("the cases are not here")
    load("fast", threads=1)(source).save(tmp_path / "new.jpg")
    with Image.open(source) as before, Image.open(tmp_path / "new.jpg") as after:
        assert set(before.getexif()) - {0x0112} <= set(after.getexif())


def test_photos_are_shown_and_printed_without_their_pixels() -> None:
    read = hashigo.read(jpeg())
    assert Image.open(io.BytesIO(read._repr_png_())).size == (read.width, read.height)
    assert repr(read) == "Photo(60 × 40 pixels, sRGB, JPEG, dpi, exif, icc_profile, xmp)"


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_wrong_precision_lists_the_right_ones(engine: Any) -> None:
    with pytest.raises(RecipeError, match="auto, bf16, fp32"):
        load("fast", engine=engine, precision="f32")  # type: ignore[arg-type]
