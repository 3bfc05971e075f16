"""Resizing float pictures with any number of channels, whole or only some rows of the result."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashigo.errors import PictureError, did_you_mean
from hashigo.image.profiles import STRIP

Method = Literal["bilinear", "bicubic", "lanczos"]


def resize(
    picture: NDArray[np.float32],
    height: int,
    width: int,
    *,
    rows: tuple[int, int] | None = None,
    method: Method = "bilinear",
) -> NDArray[np.float32]:
    """Resizes a float picture (C, H, W) with any number of channels: float32 (C, rows, width).

    With `rows=(top, bottom)` only these rows of the full result (height, width) are computed; strips joined
    together equal the full result (bit for bit when bilinear enlarges, else to about 1e-5). Antialiased
    when reducing.
    """
    check_size(height, width)
    if method not in get_args(Method):
        raise PictureError(f"expected a method of resizing, found '{method}'; {did_you_mean(method, get_args(Method))}")
    if picture.ndim != 3 or picture.size == 0:
        raise PictureError(f"expected a float picture of shape (C, H, W), found {picture.dtype} {picture.shape}")
    top, bottom = rows if rows is not None else (0, height)
    if not 0 <= top < bottom <= height:
        raise PictureError(f"expected rows between 0 and {height}, found {top} to {bottom}")
    picture = np.asarray(picture, np.float32)
    result = np.empty((len(picture), bottom - top, width), np.float32)
    enlarge = _enlarge_rows if method == "bilinear" and height >= picture.shape[1] else None
    for channel, out in zip(picture, result, strict=True):
        if enlarge:
            enlarge(channel, height, width, top, out)
        else:
            _resample(channel, height, width, top, method, out)
    return result


def _enlarge_rows(channel: NDArray[np.float32], height: int, width: int, top: int, out: NDArray[np.float32]) -> None:
    """Bilinear, five times as fast as Pillow's and exact for any strip: Pillow across, then two rows mixed."""
    last = len(channel) - 1
    centres = (np.arange(top, top + len(out)) + 0.5) * (len(channel) / height) - 0.5
    centres = np.clip(centres, 0, last)
    above = centres.astype(np.intp)
    below = np.minimum(above + 1, last)
    share = (centres - above).astype(np.float32)[:, None]
    first, end = int(above[0]), int(below[-1]) + 1
    across = _pillow_resize(channel[first:end], end - first, width, (0, end - first), Image.Resampling.BILINEAR)
    for start in range(0, len(out), STRIP):
        part = slice(start, start + STRIP)
        mixed = across[below[part] - first]
        base = across[above[part] - first]
        mixed -= base
        mixed *= share[part]
        np.add(base, mixed, out=out[part])


def _resample(
    channel: NDArray[np.float32], height: int, width: int, top: int, method: Method, out: NDArray[np.float32]
) -> None:
    """Every method; only the rows that the filter reaches are read, which also keeps Pillow's box precise."""
    scale = len(channel) / height
    low, high = top * scale, (top + len(out)) * scale
    reach = int(np.ceil(4 * max(scale, 1)))  # Lanczos reaches 3 pixels of the coarser grid
    first, end = max(0, int(low) - reach), min(len(channel), int(np.ceil(high)) + reach)
    filter_ = Image.Resampling[method.upper()]
    out[:] = _pillow_resize(
        channel[first:end], len(out), width, (low - first, min(high, len(channel)) - first), filter_
    )


def _pillow_resize(
    channel: NDArray[np.float32], height: int, width: int, rows: tuple[float, float], method: Image.Resampling
) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(channel))
    return np.asarray(image.resize((width, height), method, (0, rows[0], channel.shape[1], rows[1])))


def check_size(height: int, width: int) -> None:
    """Raises PictureError for a picture without pixels."""
    if height < 1 or width < 1:
        raise PictureError(f"expected a size of at least 1 x 1, found {height} x {width}")


def block_means(pixels: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    """Means over blocks of `down` x `across` pixels, in strips, without a full-size copy."""
    if down == across == 1:
        return pixels
    rows = max(1, STRIP // down) * down
    strips = (Image.fromarray(pixels[top : top + rows]) for top in range(0, len(pixels), rows))
    return np.concatenate([np.asarray(strip.reduce((across, down))) for strip in strips])
