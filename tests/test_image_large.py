"""Photos written strip by strip: the same pixels and metadata as Pillow writes at once."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashigo.image.by_strips import Layers, write_by_strips
from hashigo.image.photo import Photo, encode, photo_of, read, write
from tiny import photo


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashigo.image.photo.LARGE", 0)


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("quality", [60, 92, 97])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (17, 33), (200, 7), (300, 400), (399, 599)])
def test_a_jpeg_by_strips_has_the_same_pixels(height: int, width: int, quality: int, grey: bool) -> None:
    pixels = photo("coffee", height, width)
    given = Photo(pixels[..., 0] if grey else pixels, metadata={"dpi": (300.0, 300.0), "comment": b"hello"})
    stream = io.BytesIO()
    write_by_strips(Layers(given.pixels, None), "JPEG", quality, given.metadata, stream)
    ours = Image.open(io.BytesIO(stream.getvalue()))
    np.testing.assert_array_equal(np.asarray(ours), pixels_of(encode(given, "JPEG", quality)))
    assert ours.info["comment"] == b"hello"
    assert ours.info["dpi"] == (300, 300)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_8_bits_by_strips(large: None, kind: str, channels: int) -> None:
    pixels = photo("coffee", 150, 77)
    alpha = photo("camera", 150, 77) if channels in (2, 4) else None
    given = Photo(pixels[..., 0] if channels < 3 else pixels, alpha, metadata={"dpi": (72.0, 72.0)})
    again = read(encode(given, kind))
    expected = np.repeat(given.pixels[..., None], 3, 2) if channels == 2 else given.pixels
    np.testing.assert_array_equal(again.pixels, expected)
    assert alpha is None or np.array_equal(again.alpha, alpha)  # type: ignore[arg-type]
    assert again.metadata["dpi"] == pytest.approx((72, 72), abs=0.1)


def test_transparent_photos_go_on_white(large: None) -> None:
    given = Photo(photo("coffee", 40, 50), np.zeros((40, 50), np.uint8))
    assert pixels_of(encode(given, "JPEG")).min() == 255


def test_what_does_not_fit(large: None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="65,535"):
        encode(photo_of(np.zeros((1, 70_000, 3), np.uint8)), "JPEG")
    with pytest.raises(ValueError, match=r"x\.jpg"):
        write(photo_of(np.zeros((1, 70_000), np.uint8)), tmp_path / "x.jpg")
    assert list(tmp_path.iterdir()) == []
