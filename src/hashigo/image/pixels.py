"""Conversion between pixels in files, uint8 or uint16 (H, W) or (H, W, 3), and pictures, float32 (3, H, W), 0..1."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import PictureError
from hashigo.image.profiles import STRIP, Values


def check_values(pixels: NDArray[np.generic]) -> None:
    """Raises PictureError unless this file's functions accept the array."""
    shape = pixels.shape
    if pixels.dtype not in (np.uint8, np.uint16) or 0 in shape or not (pixels.ndim == 2 or shape[2:] == (3,)):
        raise PictureError(f"expected uint8 or uint16 pixels (H, W) or (H, W, 3), got {pixels.dtype} {shape}")


def from_pixels(pixels: Values) -> NDArray[np.float32]:
    """Pixels, uint8 or uint16 (H, W, 3) or (H, W), as a picture, float32 (3, H, W), 0..1.

    For grey pixels, the three channels share memory and are read-only, which makes an album of grey photos 3 % faster.
    """
    check_values(pixels)
    to_unit = np.float32(1 / _top(pixels))
    if pixels.ndim == 2:
        grey = np.multiply(pixels, to_unit, dtype=np.float32)
        return np.broadcast_to(grey, (3, *grey.shape))
    picture = np.empty((3, *pixels.shape[:2]), np.float32)
    np.multiply(pixels.transpose(2, 0, 1), to_unit, out=picture, dtype=np.float32)
    return picture


def _top(pixels: NDArray[np.generic]) -> int:
    return int(2 ** (8 * pixels.dtype.itemsize) - 1)


def from_uint8(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 pixels (H, W, 3) or (H, W), repeated three times, as a picture, float32 (3, H, W), 0..1."""
    if pixels.dtype != np.uint8:
        raise PictureError(f"expected uint8 pixels (H, W) or (H, W, 3), got {pixels.dtype} {pixels.shape}")
    return from_pixels(pixels)


def to_uint8(picture: NDArray[np.floating], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """A float picture (3, H, W), 0..1, as pixels, uint8 (H, W, 3): rounded half up, clipped to 0..255.

    `out` may be rows of a larger array; it is filled and returned. Works in cache-sized blocks.

    Raises PictureError for another type or shape, and for NaN.
    """
    _check_picture(picture)
    if out is None:
        out = np.empty((*picture.shape[1:], 3), np.uint8)
    elif out.dtype != np.uint8:
        raise PictureError(f"expected out to be uint8, got {out.dtype}")
    return cast("NDArray[np.uint8]", to_pixels(picture, out))


def to_pixels(picture: NDArray[np.floating], out: Values) -> Values:
    """Like `to_uint8`, with the depth, 8 or 16 bits, of `out`, which is filled and returned."""
    _check_picture(picture)
    _, height, width = picture.shape
    if out.shape != (height, width, 3) or out.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"expected out to be uint8 or uint16 {(height, width, 3)}, got {out.dtype} {out.shape}")
    top_value = _top(out)
    scratch = np.empty((min(height, STRIP), width), np.float32)
    for top in range(0, height, STRIP):
        block = scratch[: min(STRIP, height - top)]
        for channel in range(3):
            np.multiply(picture[channel, top : top + STRIP], top_value, out=block, casting="same_kind")
            block += 0.5
            if np.isnan(block.min(initial=0)):
                raise PictureError("expected values 0..1, got NaN; the network's weights or input are broken")
            np.clip(block, 0, top_value, out=block)
            np.copyto(out[top : top + STRIP, :, channel], block, casting="unsafe")
    return out


def _check_picture(picture: NDArray[np.floating]) -> None:
    if picture.ndim != 3 or picture.shape[0] != 3 or picture.dtype.kind != "f":
        raise PictureError(f"expected a float picture of shape (3, H, W), got {picture.dtype} {picture.shape}")


def to_8_bits(values: Values) -> NDArray[np.uint8]:
    """16-bit values as round(v / 257), in strips; 8-bit ones unchanged."""
    if values.dtype == np.uint8:
        return values  # type: ignore[return-value]
    result = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), STRIP):
        np.copyto(
            result[top : top + STRIP], (values[top : top + STRIP].astype(np.uint32) + 128) // 257, casting="unsafe"
        )
    return result
