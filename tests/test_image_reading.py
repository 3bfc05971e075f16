"""hashigo.image.read: pictures of every kind, odd ones too (hostile ones are in test_image_hostile)."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from hashigo.errors import PictureError
from hashigo.image import SUFFIXES, read
from picture_files import (
    DISPLAY_P3,
    SRGB,
    chunk,
    encoded,
    icc_cmyk,
    icc_grey,
    icc_profile,
    icc_rgb,
    png,
    tiff,
)

OLD_PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "oldphotos"
RGB = data.chelsea()  # (300, 451, 3)
GREY = data.camera()[:300, :451]
SMALL = np.ascontiguousarray(RGB[100:150, 100:170])
KINDS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"]
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}


def noisy(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), dtype=np.uint8)


# --- ordinary pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_of_colour(kind: str) -> None:
    photo = read(encoded(Image.fromarray(RGB), kind))
    assert photo.format == kind
    assert photo.size == (300, 451)
    assert not photo.is_grey
    assert photo.alpha is None
    assert photo.warnings == ()
    assert np.abs(photo.pixels.astype(int) - RGB).mean() < (8 if kind == "GIF" else 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "GIF"])
def test_grey_stays_grey(kind: str) -> None:
    photo = read(encoded(Image.fromarray(GREY), kind))
    assert photo.is_grey
    assert photo.pixels.shape == (300, 451)
    assert np.abs(photo.pixels.astype(int) - GREY).mean() < 2


def test_jpeg_is_what_pillow_decodes() -> None:
    source = encoded(Image.fromarray(RGB), "JPEG", quality=80)
    np.testing.assert_array_equal(read(source).pixels, np.asarray(Image.open(io.BytesIO(source))))


@pytest.mark.skipif(not OLD_PHOTOS.is_dir(), reason="the shared photos are not here")
def test_old_photos() -> None:
    for path in sorted(OLD_PHOTOS.glob("*.jpg"))[:8]:
        photo = read(path)
        assert photo.format == "JPEG"
        assert photo.pixels.std() > 5


def test_sources(tmp_path: Path) -> None:
    path = tmp_path / "夏の写真 é.png"
    path.write_bytes(png(SMALL))
    with path.open("rb") as stream:
        photos = [read(path), read(str(path)), read(path.read_bytes()), read(stream)]
        assert not stream.closed
    for photo in photos:
        np.testing.assert_array_equal(photo.pixels, SMALL)


def test_the_name_does_not_decide(tmp_path: Path) -> None:
    path = tmp_path / "really-png.jpg"
    path.write_bytes(png(SMALL))
    assert read(path).format == "PNG"


def test_suffixes() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"} <= SUFFIXES
    assert ".pdf" not in SUFFIXES


TURN = {  # EXIF 2.3 table 6: how the stored picture becomes the upright one
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


# --- depth and modes ----------------------------------------------------------------------------------


def test_16_bit_grey_is_kept() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(read(png(values)).pixels, values)
    for order in "<>":
        mode = "I;16" if order == "<" else "I;16B"
        file = encoded(Image.frombytes(mode, (256, 256), values.astype(f"{order}u2")), "TIFF")
        np.testing.assert_array_equal(read(file).pixels, values)


def test_12_bits_fill_the_range() -> None:
    photo = read(encoded(Image.fromarray(np.array([[0, 2048, 4095]], np.uint16)), "TIFF"))
    assert photo.pixels.max() == 4095  # nothing says that it has 12 bits
    assert read(tiff(np.array([[0, 2048, 4095]], "<u2"), bits=12)).pixels.tolist() == [[0, 32776, 65535]]


def test_16_bit_grey_with_a_transparent_value() -> None:
    values = np.array([[0, 1000], [40000, 65535]], np.uint16)
    photo = read(png(values, chunk(b"tRNS", struct.pack(">H", 1000))))
    np.testing.assert_array_equal(photo.alpha, [[255, 0], [255, 255]])
    np.testing.assert_array_equal(photo.pixels, values)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("kind", ["PNG", "TIFF <", "TIFF >"])
def test_16_bit_colour_is_kept(kind: str, orientation: int) -> None:
    values = np.random.default_rng(1).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[274] = orientation
    if kind == "PNG":
        source = png(values, chunk(b"eXIf", exif.tobytes()[6:]))
    else:
        turned = {274: ("H", 1, struct.pack(f"{kind[-1]}HH", orientation, 0))}
        source = tiff(values, bits=16, order=kind[-1], extra=turned)
    photo = read(source)
    np.testing.assert_array_equal(photo.pixels, TURN[orientation](values))
    assert photo.warnings == ()
    assert photo.is_deep


def test_16_bit_colour_with_alpha() -> None:
    values = np.random.default_rng(1).integers(0, 65536, (20, 30, 4), dtype=np.uint16)
    photo = read(png(values))
    np.testing.assert_array_equal(photo.pixels, values[..., :3])
    assert photo.alpha is not None
    assert np.abs(photo.alpha - values[..., 3] / 257).max() <= 1


def test_16_bit_colour_compressed_in_atiff() -> None:
    values = np.random.default_rng(1).integers(0, 65536, (70, 30, 3), dtype=np.uint16)
    skimage_io = pytest.importorskip("tifffile")
    stream = io.BytesIO()
    skimage_io.imwrite(stream, values, photometric="rgb", compression="zlib", rowsperstrip=16)
    np.testing.assert_array_equal(read(stream.getvalue()).pixels, values)


def test_16_bit_colour_with_a_transparent_value() -> None:
    values = np.array([[[65535, 0, 0], [0, 65535, 0]]], np.uint16)
    photo = read(png(values, chunk(b"tRNS", struct.pack(">3H", 65535, 0, 0))))
    np.testing.assert_array_equal(photo.alpha, [[0, 255]])
    assert "8 of its 16 bits" in photo.warnings[0]


def test_16_bit_grey_with_alpha_is_told_of() -> None:
    photo = read(png(np.full((2, 3, 2), 40_000, np.uint16)))
    assert not photo.is_deep
    assert "8 of its 16 bits" in photo.warnings[0]


def test_32_bit_integers() -> None:
    values = np.array([[0, 257], [32896, 65535]], np.int32)
    np.testing.assert_array_equal(read(encoded(Image.fromarray(values), "TIFF")).pixels, values)
    wide = read(encoded(Image.fromarray(values * 1000 - 5), "TIFF"))
    assert (wide.pixels.min(), wide.pixels.max()) == (0, 65535)
    assert "scaled" in wide.warnings[0]


def test_floattiff() -> None:
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    photo = read(encoded(Image.fromarray(values), "TIFF"))
    assert photo.warnings == ()
    np.testing.assert_allclose(photo.pixels, values * 65535, atol=0.51)
    stretched = read(encoded(Image.fromarray(values * 3000 - 7), "TIFF"))
    np.testing.assert_allclose(stretched.pixels, photo.pixels, atol=1)
    assert "scaled" in stretched.warnings[0]
    half = read(encoded(Image.fromarray(values / 2), "TIFF"))
    assert half.pixels.max() == 32768
    assert read(encoded(Image.fromarray(np.full((2, 2), 7, np.float32)), "TIFF")).pixels.shape == (2, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_tiff_that_is_not_finite(bad: float) -> None:
    values = np.zeros((3, 4), np.float32)
    values[1, 2] = bad
    with pytest.raises(PictureError, match="finite"):
        read(encoded(Image.fromarray(values), "TIFF"))


def test_white_is_zero_in_16_bittiff() -> None:
    values = np.array([[0, 65535]], np.uint16)
    source = encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0})
    np.testing.assert_array_equal(read(source).pixels, [[65535, 0]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit(kind: str) -> None:
    bits = SMALL[..., 0] > 128
    photo = read(encoded(Image.fromarray(bits), kind))
    np.testing.assert_array_equal(photo.pixels, bits * np.uint8(255))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    inks = Image.fromarray(RGB).convert("CMYK")
    photo = read(encoded(inks, kind, **({"quality": 95} if kind == "JPEG" else {})))
    assert photo.pixels.shape == RGB.shape
    assert np.abs(photo.pixels.astype(int) - RGB).mean() < 6  # not inverted: that would be far off


@pytest.mark.parametrize("kind", ["TIFF"])
def test_lab(kind: str) -> None:
    lab = Image.frombytes("LAB", (2, 1), bytes((0, 0, 0, 255, 0, 0)))
    np.testing.assert_allclose(read(encoded(lab, kind)).pixels, [[[0] * 3, [255] * 3]], atol=1)


def test_ycbcrtiff() -> None:
    assert np.abs(read(encoded(Image.fromarray(SMALL).convert("YCbCr"), "TIFF")).pixels.astype(int) - SMALL).mean() < 2


# --- alpha --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "settings"), LOSSLESS.items())
def test_alpha_is_kept_apart(kind: str, settings: dict[str, bool]) -> None:
    rgba = np.dstack([SMALL, np.maximum(noisy(50, 70), 1)])
    photo = read(encoded(Image.fromarray(rgba), kind, **settings))
    np.testing.assert_array_equal(photo.pixels, SMALL)
    np.testing.assert_array_equal(photo.alpha, rgba[..., 3])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha(kind: str) -> None:
    values = noisy(70, 20, 2)
    photo = read(encoded(Image.fromarray(values), kind))
    assert photo.is_grey
    np.testing.assert_array_equal(photo.pixels, values[..., 0])
    np.testing.assert_array_equal(photo.alpha, values[..., 1])


def test_palette_with_alpha() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([10, 20, 30, 200, 100, 0, 7, 8, 9, 1, 2, 3])
    image.putdata([0, 1, 2, 3])
    photo = read(encoded(image, "PNG", transparency=bytes((0, 128, 255, 255))))
    np.testing.assert_array_equal(photo.pixels, [[[10, 20, 30], [200, 100, 0], [7, 8, 9], [1, 2, 3]]])
    np.testing.assert_array_equal(photo.alpha, [[0, 128, 255, 255]])
    single = read(encoded(image, "GIF", transparency=1))
    np.testing.assert_array_equal(single.alpha, [[255, 0, 255, 255]])


def test_grey_palette_is_grey() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([5, 5, 5, 90, 90, 90, 255, 255, 255])
    image.putdata([2, 0, 1])
    np.testing.assert_array_equal(read(encoded(image, "PNG")).pixels, [[255, 5, 90]])
    photo = read(encoded(image, "PNG", transparency=bytes((9, 8, 7))))
    np.testing.assert_array_equal(photo.pixels, [[255, 5, 90]])
    np.testing.assert_array_equal(photo.alpha, [[7, 9, 8]])


def test_transparent_colour() -> None:
    grey = read(png(np.array([[3, 7]], np.uint8), chunk(b"tRNS", struct.pack(">H", 7))))
    np.testing.assert_array_equal(grey.alpha, [[255, 0]])
    colour = read(png(SMALL[:1, :2], chunk(b"tRNS", struct.pack(">3H", *SMALL[0, 0].tolist()))))
    np.testing.assert_array_equal(colour.alpha, [[0, 255]])
    np.testing.assert_array_equal(colour.pixels, SMALL[:1, :2])


# --- animations, orientation, profiles ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_only_the_first_frame(kind: str) -> None:
    frames = [Image.fromarray(np.full((20, 30, 3), level, np.uint8)) for level in (200, 100, 0)]
    photo = read(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert photo.size == (20, 30)
    assert abs(int(photo.pixels.mean()) - 200) < 5
    assert "only the first" in " ".join(photo.warnings)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "settings"), LOSSLESS.items())
def test_orientation(kind: str, settings: dict[str, bool], orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    stored = noisy(150, 70, 4)  # more rows than one strip
    stored[..., 3] |= 1
    photo = read(encoded(Image.fromarray(stored), kind, exif=exif, **settings))
    upright = TURN[orientation](stored)
    np.testing.assert_array_equal(photo.pixels, upright[..., :3])
    np.testing.assert_array_equal(photo.alpha, upright[..., 3])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_orientation_of_lossy_formats(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.zeros((48, 80), np.uint8)
    stored[:16, :24] = 255
    photo = read(encoded(Image.fromarray(stored), kind, exif=exif, quality=95))
    pixels = photo.pixels if photo.is_grey else photo.pixels[..., 1]
    assert np.abs(pixels.astype(int) - TURN[orientation](stored)).mean() < 4


def test_wrong_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[274] = 77
    np.testing.assert_array_equal(read(encoded(Image.fromarray(SMALL), "PNG", exif=exif)).pixels, SMALL)


def test_broken_exif_is_a_warning_at_most() -> None:
    photo = read(encoded(Image.fromarray(SMALL), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff\x01\x12garbage"))
    np.testing.assert_array_equal(photo.pixels, SMALL)
    assert photo.metadata == {}


@pytest.mark.parametrize("profile", [icc_rgb(SRGB), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()])
def test_srgb_profile_changes_nothing(profile: bytes) -> None:
    photo = read(encoded(Image.fromarray(RGB), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(photo.pixels, RGB)
    assert photo.warnings == ()


def test_wide_gamut_profile() -> None:
    values = np.array([[[255, 255, 255], [0, 0, 0], [128, 128, 128], [200, 100, 50], [50, 200, 100]]], np.uint8)
    photo = read(encoded(Image.fromarray(values), "PNG", icc_profile=icc_rgb(DISPLAY_P3)))
    linear = np.where(values <= 10, values / 255 / 12.92, ((values / 255 + 0.055) / 1.055) ** 2.4)
    linear = linear @ np.array(DISPLAY_P3) @ np.linalg.inv(SRGB)
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(photo.pixels, np.clip(expected, 0, 1) * 255, atol=1.5)
    assert photo.pixels[0, 3, 0] > 205  # more saturated in sRGB's numbers


def test_grey_profiles_keep_grey() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(4, 64)
    image = Image.fromarray(ramp)
    photo = read(encoded(image, "PNG", icc_profile=icc_grey(1.0)))
    linear = ramp / 255
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(photo.pixels, expected * 255, atol=1.5)
    assert photo.is_grey
    with_rgb_profile = read(encoded(image, "PNG", icc_profile=icc_rgb(DISPLAY_P3)))
    np.testing.assert_allclose(with_rgb_profile.pixels, ramp, atol=1)


def test_cmyk_profile() -> None:
    inks = Image.new("CMYK", (64, 32), (0, 0, 255, 0))
    inks.paste((0, 0, 0, 255), (32, 0, 64, 32))
    photo = read(encoded(inks, "TIFF", icc_profile=icc_cmyk()))
    np.testing.assert_allclose(photo.pixels[:, :32], 255, atol=2)  # yellow ink is invisible in this profile
    np.testing.assert_allclose(photo.pixels[:, 32:], 0, atol=2)


@pytest.mark.parametrize(
    "profile", [b"no profile", icc_rgb(SRGB)[:200], icc_profile(b"RGB ", {}), icc_grey(2.2), icc_cmyk()]
)
def test_broken_or_wrong_profile_is_a_warning(profile: bytes) -> None:
    photo = read(encoded(Image.fromarray(SMALL), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(photo.pixels, SMALL)
    assert "colour profile ignored" in photo.warnings[0]
