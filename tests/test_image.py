"""hashigo.image: photos, pictures and sizes (files are in test_image_reading and test_image_writing)."""

from __future__ import annotations

import io
from pathlib import Path

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from hashigo.errors import PictureError
from hashigo.image import MAX_PIXELS, Photo, from_uint8, photo_of, resize, to_uint8
from hashigo.image import photo as image
from picture_files import encoded, png

RGB = data.astronaut()
SMALL = np.ascontiguousarray(data.coffee()[100:150, 200:270])
ALPHA = np.random.default_rng(0).integers(1, 256, (50, 70), dtype=np.uint8)
METHODS = ["bilinear", "bicubic", "lanczos"]


# --- uint8 and float ----------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(numpy_strategies.arrays(np.uint8, st.tuples(st.integers(1, 140), st.integers(1, 20), st.just(3))))
def test_uint8_round_trip(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(to_uint8(from_uint8(pixels)), pixels)


def test_every_value_round_trips_and_fills_the_range() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(2, 128)
    picture = from_uint8(ramp)
    assert picture.dtype == np.float32
    assert picture.shape == (3, 2, 128)
    assert (picture.min(), picture.max()) == (0, 1)
    np.testing.assert_array_equal(to_uint8(picture), np.dstack([ramp] * 3))


def test_from_uint8_is_channels_first() -> None:
    np.testing.assert_allclose(from_uint8(RGB), RGB.transpose(2, 0, 1) / 255, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_to_uint8_rounds_and_clips(dtype: type) -> None:
    values = np.array([-np.inf, -1, -0.001, 0, 0.499 / 255, 0.501 / 255, 0.5, 1, 1.001, 7, np.inf], dtype)
    expected = [0, 0, 0, 0, 0, 1, 128, 255, 255, 255, 255]
    np.testing.assert_array_equal(to_uint8(np.tile(values, (3, 1, 1)))[0, :, 2], expected)


def test_to_uint8_rounds_half_up() -> None:
    halves = (np.arange(255) + 0.5) / 255
    np.testing.assert_array_equal(to_uint8(np.tile(halves, (3, 1, 1)))[0, :, 0], np.arange(1, 256))


def test_to_uint8_into_rows() -> None:
    whole = np.zeros((512, 512, 3), np.uint8)
    picture = from_uint8(RGB)
    for top in range(0, 512, 100):
        rows = whole[top : top + 100]
        assert to_uint8(picture[:, top : top + 100], rows) is rows
    np.testing.assert_array_equal(whole, RGB)


def test_to_uint8_refuses() -> None:
    picture = np.zeros((3, 200, 4), np.float32)
    with pytest.raises(PictureError, match="uint8"):
        to_uint8(picture, np.zeros((4, 200, 3), np.uint8))
    with pytest.raises(PictureError, match=r"\(3, H, W\)"):
        to_uint8(np.zeros((200, 4, 3), np.float32))
    picture[1, 150, 2] = np.nan
    with pytest.raises(PictureError, match="NaN"):
        to_uint8(picture)
    with pytest.raises(PictureError, match="uint8"):
        from_uint8(picture)  # type: ignore[arg-type]


# --- sizes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(997, 1301), (512, 300), (60, 90), (100, 2000)])
def test_resize_by_strips_equals_the_whole(method: image.Method, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((2, 130, 171), np.float32)
    whole = resize(picture, *size, method=method)
    assert whole.shape == (2, *size)
    assert whole.dtype == np.float32
    tops = list(range(0, size[0], 37))
    strips = [resize(picture, *size, rows=(top, min(top + 37, size[0])), method=method) for top in tops]
    np.testing.assert_allclose(np.concatenate(strips, 1), whole, atol=2e-5, rtol=0)
    if method == "bilinear" and size[0] >= 130:
        np.testing.assert_array_equal(np.concatenate(strips, 1), whole)


@pytest.mark.parametrize("size", [(997, 1301), (513, 60), (131, 171), (64, 64)])
def test_resize_is_pillows(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).random((1, 130, 171), np.float32)
    expected = np.asarray(Image.fromarray(picture[0]).resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resize(picture, *size)[0], expected, atol=1e-6)


def test_resize_to_the_same_size_changes_nothing() -> None:
    picture = np.random.default_rng(2).random((5, 20, 30), np.float32)
    np.testing.assert_array_equal(resize(picture, 20, 30), picture)


def test_resize_takes_views_and_one_pixel() -> None:
    picture = np.random.default_rng(3).random((40, 30, 3), np.float32)
    np.testing.assert_array_equal(
        resize(picture.transpose(2, 0, 1), 80, 90), resize(np.ascontiguousarray(picture.transpose(2, 0, 1)), 80, 90)
    )
    np.testing.assert_array_equal(resize(np.full((1, 1, 1), 0.25, np.float32), 3, 4), np.full((1, 3, 4), 0.25))


@pytest.mark.parametrize(
    ("size", "rows"), [((0, 4), None), ((4, -1), None), ((4, 4), (2, 2)), ((4, 4), (0, 5)), ((4, 4), (-1, 2))]
)
def test_resize_refuses(size: tuple[int, int], rows: tuple[int, int] | None) -> None:
    with pytest.raises(PictureError, match="expected"):
        resize(np.zeros((3, 8, 8), np.float32), *size, rows=rows)


@pytest.mark.parametrize("size", [(96, 96), (37, 190), (300, 200), (700, 600), (1, 1)])
def test_resized_is_close_to_the_best_there_is(size: tuple[int, int]) -> None:
    made = Photo(RGB).resized(*size)
    assert made.shape == (3, *size)
    best = resize(from_uint8(RGB), *size, method="lanczos")
    assert np.abs(made - best).mean() < 0.006
    grey = Photo(RGB[..., 1]).resized(*size)
    np.testing.assert_allclose(grey[0], made[1], atol=1.1 / 255)
    np.testing.assert_array_equal(grey[0], grey[2])


def test_resized_does_not_shift() -> None:
    ramp = np.tile(np.linspace(0, 255, 2001).astype(np.uint8), (1003, 1))  # no multiple of the blocks
    made = Photo(ramp).resized(50, 101)[0]
    np.testing.assert_allclose(made[25], (np.arange(101) + 0.5) / 101, atol=0.01)


# --- Photo --------------------------------------------------------------------------------------------


def test_photo_strips() -> None:
    photo = Photo(RGB)
    assert (photo.height, photo.width, photo.size, photo.is_grey) == (512, 512, (512, 512), False)
    strips = [photo.rgb(top, top + 100) for top in range(0, 512, 100)]
    assert strips[-1].shape == (3, 12, 512)
    np.testing.assert_array_equal(np.concatenate(strips, 1), photo.rgb())


def test_photo_with_other_pixels_keeps_the_rest() -> None:
    photo = Photo(SMALL[..., 0], ALPHA, "PNG", {"dpi": (72.0, 72.0)}, ("odd",))
    assert photo.is_grey
    coloured = photo.with_rgb(from_uint8(SMALL))
    np.testing.assert_array_equal(coloured.pixels, SMALL)
    assert coloured.alpha is ALPHA
    assert (coloured.format, coloured.metadata, coloured.warnings) == ("PNG", {"dpi": (72.0, 72.0)}, ("odd",))
    larger = photo.with_pixels(np.zeros((100, 140, 3), np.uint8))
    assert larger.alpha is not None
    assert larger.alpha.shape == (100, 140)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_photo_and_pillow(mode: str) -> None:
    pixels = SMALL if "RGB" in mode else SMALL[..., 0].copy()
    photo = Photo(pixels, ALPHA if mode.endswith("A") else None)
    made = photo.to_pil()
    assert made.mode == mode
    back = photo_of(made)
    np.testing.assert_array_equal(back.pixels, pixels)
    if photo.alpha is not None:
        np.testing.assert_array_equal(back.alpha, ALPHA)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.float32), np.zeros(4, np.uint8)],
)
def test_photo_refuses(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match="expected uint8"):
        Photo(pixels)


def test_photo_refuses_alpha_of_another_size() -> None:
    with pytest.raises(PictureError, match="alpha"):
        Photo(SMALL, ALPHA[1:])


def test_photo_of(tmp_path: Path) -> None:
    source = png(SMALL)
    (tmp_path / "x.png").write_bytes(source)
    photo = Photo(SMALL)
    assert photo_of(photo) is photo
    whole = [tmp_path / "x.png", str(tmp_path / "x.png"), source, io.BytesIO(source), SMALL, Image.fromarray(SMALL)]
    whole += [from_uint8(SMALL), from_uint8(SMALL).astype(np.float64), Image.open(tmp_path / "x.png")]
    for picture in whole:
        np.testing.assert_array_equal(photo_of(picture).pixels, SMALL)
    np.testing.assert_array_equal(photo_of(SMALL[..., :1]).pixels, SMALL[..., 0])
    with_alpha = photo_of(np.dstack([SMALL, ALPHA]))
    np.testing.assert_array_equal(with_alpha.pixels, SMALL)
    np.testing.assert_array_equal(with_alpha.alpha, ALPHA)


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.zeros((3, 4, 4), np.float32) + 200, "divide"),
        (np.full((3, 4, 4), np.nan, np.float32), "nan"),
        (np.zeros((4, 4, 3), np.float32), r"\(3, H, W\)"),
        (np.zeros((4, 4), np.uint32), "uint32"),
        (np.zeros((4, 4, 2), np.uint8), "got uint8"),
        (np.zeros((3, 0, 4), np.float32), r"\(3, 0, 4\)"),
        (None, "NoneType"),
        ([1, 2], "list"),
        (b"nothing", "begins with"),
    ],
)
def test_photo_of_refuses(picture: object, told: str) -> None:
    with pytest.raises(PictureError, match=told):
        photo_of(picture)


def test_photo_of_a_damaged_pillow_picture() -> None:
    lazy = Image.open(io.BytesIO(encoded(Image.fromarray(RGB), "JPEG")[:5000]))
    with pytest.raises(PictureError, match="cut short"):
        photo_of(lazy)


def test_resize_names_the_methods() -> None:
    with pytest.raises(PictureError, match="did you mean 'bicubic'"):
        resize(np.zeros((3, 8, 8), np.float32), 4, 4, method="bicubik")  # type: ignore[arg-type]


def test_limit() -> None:
    assert MAX_PIXELS == 178_000_000
