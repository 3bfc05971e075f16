"""hashigo.image.write and encode: every format, alpha, metadata, and failures that harm nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from hashigo.errors import PictureError
from hashigo.image.photo import Photo, encode, read, write
from picture_files import encoded

RGB = data.astronaut()
SMALL = np.ascontiguousarray(data.coffee()[100:150, 200:270])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "name", ["写真.png", "a.webp", "b.TIFF", "c.jpeg", "d.bmp", "e.gif", "f.avif", "new/folder/g.jpg"]
)
def test_write_by_suffix(tmp_path: Path, name: str) -> None:
    write(Photo(SMALL), tmp_path / name)
    back = read(tmp_path / name)
    assert np.abs(back.pixels.astype(int) - SMALL).mean() < 5
    assert not list(tmp_path.rglob(".*"))


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


EXIF_TEXT = {271: "Maker", 272: "Model", 306: "1999:12:31 23:59:59", 33432: "someone"}
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
        for tag in EXIF_TEXT:
            assert exif[tag] == EXIF_TEXT[tag]
        assert exif.get_ifd(0x8769)[36867] == "1999:12:31 23:59:58"
        assert exif.get_ifd(0x8825)[1] == "N"
        assert b'tiff:Orientation="1"' in opened.info["xmp"]


def test_tiff_to_jpeg_leaves_tiff_behind() -> None:
    source = encoded(
        Image.fromarray(SMALL), "TIFF", tiffinfo={271: "Maker", 274: 3}, dpi=(300, 300), compression="tiff_lzw"
    )
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
    texts = Photo(SMALL, metadata={"text": {"Title": "夏", "Author": "me"}})
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
    assert names(tmp_path) == []
    write(Photo(SMALL), tmp_path / name, format="PNG")
    assert read(tmp_path / name).format == "PNG"


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_quality_is_checked(quality: int) -> None:
    with pytest.raises(PictureError, match="1 to 100"):
        encode(Photo(SMALL), "JPEG", quality)


def test_a_photo_too_large_for_the_format_harms_nothing(tmp_path: Path) -> None:
    target = tmp_path / "x.jpg"
    target.write_bytes(b"old")
    with pytest.raises(PictureError, match="JPEG can hold, got 70000 x 1") as caught:
        write(Photo(np.zeros((1, 70_000), np.uint8)), target)
    assert str(target) in str(caught.value)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["x.jpg"]


def test_a_disk_that_fails_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.png"
    write(Photo(SMALL), target)
    before = target.read_bytes()

    class Full(io.BufferedWriter):
        def write(self, content: Any) -> int:
            super().write(bytes(content[:100]))
            raise OSError(28, "No space left on device")

    usual = Path.open

    def opened(path: Path, mode: str) -> Any:
        return Full(io.FileIO(path, mode)) if mode == "wb" else usual(path, mode)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(PictureError, match="No space left"):
        write(Photo(SMALL), target)
    monkeypatch.undo()
    assert target.read_bytes() == before
    assert names(tmp_path) == ["x.png"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PictureError, match="place to write"):
        write(Photo(SMALL), tmp_path / "file" / "x.png")
