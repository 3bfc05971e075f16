"""hashigo.image.read: what is no picture, damaged, cut short or too large, and many threads."""

from __future__ import annotations

import resource
import struct
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from hashigo.errors import PictureError
from hashigo.image import Photo, read
from picture_files import (
    chunk,
    encoded,
)

RGB = data.chelsea()
SMALL = np.ascontiguousarray(RGB[100:150, 100:170])
KINDS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.jpg", b"", "0 bytes"),
        ("text.jpg", b"this is no picture\n" * 50, "JPEG, PNG"),
        ("vector.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "JPEG, PNG"),
        ("header.jpg", encoded(Image.fromarray(SMALL), "JPEG")[:20], "damaged or cut short"),
        ("ppm.png", b"P6 2 2 255 1234567890", "damaged or cut short"),
        ("float.ppm", b"Pf 2 2 -1 1234567890123456", "begins with"),
        ("postscript.tif", b"%!PS-Adobe-3.0 EPSF-3.0\n", "begins with"),
    ],
)
def test_no_picture(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PictureError, match=told) as caught:
        read(path)
    assert name in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="No such file"):
        read(tmp_path / "nowhere.jpg")
    with pytest.raises(PictureError, match="this is a folder"):
        read(tmp_path)
    with pytest.raises(PictureError, match="got int"):
        read(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", [*KINDS, "progressive", "deflate"])
def test_cut_short(kind: str, share: float) -> None:
    settings = {"progressive": {"progressive": True}, "deflate": {"compression": "tiff_lzw"}}.get(kind, {})
    whole = encoded(Image.fromarray(RGB), {"progressive": "JPEG", "deflate": "TIFF"}.get(kind, kind), **settings)
    with pytest.raises(PictureError):
        read(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_raise_nothing_else(kind: str) -> None:
    rng = np.random.default_rng(3)
    whole = np.frombuffer(encoded(Image.fromarray(SMALL), kind), np.uint8)
    for _ in range(40):
        broken = whole.copy()
        places = rng.integers(0, min(len(whole), 600), 8)
        broken[places] = rng.integers(0, 256, 8)
        try:
            photo = read(broken.tobytes(), max_pixels=1_000_000)
        except PictureError:
            continue
        assert isinstance(photo, Photo)


def test_a_bomb_is_refused_from_its_header() -> None:
    header = struct.pack(">IIBBBBB", 20_000, 15_000, 8, 0, 0, 0, 0)
    zeros = zlib.compress(bytes(1_000_000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zeros) + chunk(b"IEND", b"")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(PictureError, match=r"300\.0 megapixels"):
        read(bomb)
    assert time.perf_counter() - start < 0.5
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 20_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_can_be_moved(kind: str) -> None:
    source = encoded(Image.fromarray(SMALL), kind)
    assert read(source, max_pixels=3500).size == (50, 70)
    with pytest.raises(PictureError, match="megapixels"):
        read(source, max_pixels=3499)


@pytest.mark.parametrize("kind", KINDS)
def test_pillows_own_bound_does_not_warn(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # Pillow warns from here to twice as many
    source = encoded(Image.fromarray(RGB), kind)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read(source).size == (300, 451)
    assert caught == []


def test_many_threads() -> None:
    sources = [encoded(Image.fromarray(np.roll(RGB, step, 1)), kind) for step, kind in enumerate(KINDS * 3)]
    alone = [read(source).pixels for source in sources]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda source: read(source).pixels, sources))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_photo_of_one_endless_row(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 178_000_000, 1, 8, 0, 0, 0, 0)
    (tmp_path / "row.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    with pytest.raises(PictureError, match=r"1,048,576 rows and columns, got 178,000,000 x 1"):
        read(tmp_path / "row.png")


def test_pages_that_are_small_but_many(tmp_path: Path) -> None:
    pages = [Image.fromarray(SMALL)] * 5
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert len(read(tmp_path / "pages.tif", pages="all").further) == 4
    with pytest.raises(PictureError, match="together"):
        read(tmp_path / "pages.tif", pages="all", max_pixels=4 * SMALL.shape[0] * SMALL.shape[1])
