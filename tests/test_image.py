"""hashigo.image: photos, pictures, sizes, and writing (reading is in test_image_reading)."""

from __future__ import annotations

import io
import os
from pathlib import Path

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import encoded, png
from PIL import Image
from skimage import data

from hashigo import image
from hashigo.errors import PictureError
from hashigo.image import MAX_PIXELS, Photo, encode, from_uint8, photo_of, read, resize, to_uint8, write

RGB = data.astronaut()
SMALL = np.ascontiguousarray(data.coffee()[100:150, 200:270])
ALPHA = np.random.default_rng(0).integers(1, 256, (50, 70), dtype=np.uint8)
METHODS = ["nearest", "box", "bilinear", "bicubic", "lanczos"]


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
    if method == "nearest":  # a row exactly between two may go either way
        assert (np.concatenate(strips, 1) != whole).mean() < 0.01
    else:
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
    "pixels", [np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.float32), np.zeros(4, np.uint8)]
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
        (np.zeros((4, 4), np.uint16), "uint16"),
        (np.zeros((4, 4, 2), np.uint8), "found uint8"),
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


# --- writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["写真.png", "a.webp", "b.TIFF", "c.jpeg", "d.bmp", "e.gif", "f.avif", "new/folder/g.jpg"])
def test_write_by_suffix(tmp_path: Path, name: str) -> None:
    write(Photo(SMALL), tmp_path / name)
    back = read(tmp_path / name)
    assert np.abs(back.pixels.astype(int) - SMALL).mean() < 5
    assert not [path for path in tmp_path.rglob(".*")]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("grey", [False, True])
def test_lossless_formats_keep_every_pixel(kind: str, grey: bool) -> None:
    pixels = RGB[..., 0].copy() if grey else RGB
    np.testing.assert_array_equal(read(encode(Photo(pixels), kind)).pixels, pixels)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("grey", [False, True])
def test_alpha_survives(kind: str, grey: bool) -> None:
    smooth = np.tile(np.linspace(1, 255, 70).astype(np.uint8), (50, 1))
    back = read(encode(Photo(SMALL[..., 0].copy() if grey else SMALL, smooth), kind))
    assert back.alpha is not None
    assert np.abs(back.alpha.astype(int) - smooth).max() <= 8


def test_gif_alpha() -> None:
    mask = np.where(np.arange(70) < 35, 0, 255).astype(np.uint8)
    for pixels in (SMALL, SMALL[..., 0].copy()):
        back = read(encode(Photo(pixels, np.tile(mask, (50, 1))), "GIF"))
        assert back.alpha is not None
        np.testing.assert_array_equal(back.alpha[0], mask)


@pytest.mark.parametrize("kind", ["JPEG", "BMP"])
@pytest.mark.parametrize("grey", [False, True])
def test_formats_without_alpha_are_put_on_white(kind: str, grey: bool) -> None:
    mask = np.tile(np.where(np.arange(64) < 32, 0, 255).astype(np.uint8), (32, 1))
    black = np.zeros((32, 64) if grey else (32, 64, 3), np.uint8)
    back = read(encode(Photo(black, mask), kind))
    assert back.alpha is None
    assert back.is_grey == grey
    assert back.pixels[:, :24].min() > 250
    assert back.pixels[:, 40:].max() < 5


def test_jpeg_quality_and_chroma() -> None:
    sizes = [len(encode(Photo(RGB), "JPEG", quality)) for quality in (50, 92, 95)]
    assert sizes == sorted(sizes)
    layers = [Image.open(io.BytesIO(encode(Photo(RGB), "jpg", quality))).layer for quality in (92, 95)]  # type: ignore[attr-defined]
    assert [layer[0][1:3] for layer in layers] == [(2, 2), (1, 1)]


EXIF_TEXT = {271: "Maker", 272: "Model", 306: "1999:12:31 23:59:59", 33432: "© someone"}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'


def full_of_metadata(kind: str) -> bytes:
    """A photo to be turned by 90 degrees, with EXIF (also a thumbnail), GPS, XMP, resolution and a comment."""
    exif = Image.Exif()
    exif.update({**EXIF_TEXT, 274: 6})
    exif.get_ifd(0x8769)[36867] = "1999:12:31 23:59:58"
    exif.get_ifd(0x8825)[1] = "N"
    return encoded(Image.fromarray(SMALL), kind, exif=exif, xmp=XMP, dpi=(300, 300), comment=b"hello")


@pytest.mark.parametrize("source", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_survives_and_the_photo_is_turned_once(kind: str, source: str) -> None:
    photo = read(full_of_metadata(source))
    assert photo.size == (70, 50)
    written = encode(photo, kind)
    assert read(written).size == (70, 50)
    with Image.open(io.BytesIO(written)) as opened:
        opened.load()
        exif = opened.getexif()
        assert exif.get(274, 1) == 1
        assert {tag: exif[tag].removeprefix("Â") for tag in (271, 272, 306)} == {tag: EXIF_TEXT[tag] for tag in (271, 272, 306)}
        assert exif.get_ifd(0x8769)[36867] == "1999:12:31 23:59:58"
        assert exif.get_ifd(0x8825)[1] == "N"
        assert b'tiff:Orientation="1"' in opened.info["xmp"]


def test_tiff_to_jpeg_leaves_tiff_behind() -> None:
    source = encoded(Image.fromarray(SMALL), "TIFF", tiffinfo={271: "Maker", 274: 3}, dpi=(300, 300), compression="tiff_lzw")
    photo = read(source)
    with Image.open(io.BytesIO(encode(photo, "JPEG"))) as opened:
        exif = opened.getexif()
        assert exif[271] == "Maker"
        assert not {256, 257, 258, 259, 262, 273, 277, 278, 279} & set(exif)
        assert opened.info["dpi"] == (300, 300)
    again = read(encode(photo, "TIFF"))
    np.testing.assert_array_equal(again.pixels, SMALL[::-1, ::-1])


def test_comment_texts_and_resolution() -> None:
    photo = read(full_of_metadata("JPEG"))
    with Image.open(io.BytesIO(encode(photo, "JPEG"))) as opened:
        assert opened.info["comment"] == b"hello"
        assert opened.info["dpi"] == (300, 300)
    texts = image.Photo(SMALL, metadata={"text": {"Title": "夏", "Author": "me"}})
    again = read(encode(texts, "PNG"))
    assert again.metadata["text"] == {"Title": "夏", "Author": "me"}


def test_a_thumbnail_of_the_old_picture_is_not_kept() -> None:
    thumbnail = encoded(Image.fromarray(SMALL).resize((20, 10)), "JPEG")
    # TIFF header, IFD 0 (orientation 1), IFD 1 (thumbnail at 14 + 12 + 4 ... ), little endian
    ifd0 = b"\x01\x00" + b"\x12\x01\x03\x00\x01\x00\x00\x00\x01\x00\x00\x00" + (26).to_bytes(4, "little")
    start = 26 + 2 + 24 + 4
    ifd1 = b"\x02\x00" + b"\x01\x02\x04\x00\x01\x00\x00\x00" + start.to_bytes(4, "little")
    ifd1 += b"\x02\x02\x04\x00\x01\x00\x00\x00" + len(thumbnail).to_bytes(4, "little") + bytes(4)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + ifd0 + ifd1 + thumbnail
    source = encoded(Image.fromarray(SMALL), "JPEG", exif=exif)
    assert thumbnail in source
    assert thumbnail not in encode(read(source), "JPEG")


def test_metadata_too_long_for_jpeg_is_left_out() -> None:
    photo = Photo(SMALL, metadata={"xmp": b"x" * 70_000, "comment": b"y" * 70_000, "exif": b"Exif\0\0" + b"z" * 70_000})
    assert len(encode(photo, "JPEG")) < 60_000


@pytest.mark.parametrize("name", ["x.pdf", "x", "x.jpgg", "x.psd"])
def test_write_refuses_other_suffixes(tmp_path: Path, name: str) -> None:
    with pytest.raises(PictureError, match=r"\.png") as caught:
        write(Photo(SMALL), tmp_path / name)
    assert name in str(caught.value)
    assert os.listdir(tmp_path) == []
    write(Photo(SMALL), tmp_path / name, format="PNG")
    assert read(tmp_path / name).format == "PNG"


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_quality_is_checked(quality: int) -> None:
    with pytest.raises(PictureError, match="1 to 100"):
        encode(Photo(SMALL), "JPEG", quality)


def test_a_photo_too_large_for_the_format_harms_nothing(tmp_path: Path) -> None:
    target = tmp_path / "x.jpg"
    target.write_bytes(b"old")
    with pytest.raises(PictureError, match="JPEG can hold, found 70000 x 1") as caught:
        write(Photo(np.zeros((1, 70_000), np.uint8)), target)
    assert str(target) in str(caught.value)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.jpg"]


def test_a_disk_that_fails_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.png"
    write(Photo(SMALL), target)
    before = target.read_bytes()

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as stream:
            stream.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PictureError, match="No space left"):
        write(Photo(SMALL), target)
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.png"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PictureError, match="place to write"):
        write(Photo(SMALL), tmp_path / "file" / "x.png")


def test_limit() -> None:
    assert MAX_PIXELS == 178_000_000
