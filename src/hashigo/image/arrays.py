"""Arrays of pictures in any layout: which axis is which, and results in the same layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import PictureError
from hashigo.image.photo import Photo

EXPECTED = "uint8 or float 0..1 of shape (H, W), (H, W, 3), (H, W, 4), (3, H, W), or (N, …) with one of these"


@dataclass(frozen=True)
class Layout:
    """How an array holds one or several pictures.

    axes: "HW", "HWC" or "CHW". several: whether there is an axis of pictures in front. dtype: uint8, or of floats.
    """

    axes: str
    several: bool
    dtype: np.dtype[np.generic]

    def pictures(self, array: NDArray[np.generic]) -> list[NDArray[np.generic]]:
        """Each picture as `hashigo.image.photo_of` takes it: uint8 (H, W) or (H, W, C), or float (3, H, W)."""
        return [self._picture(part) for part in (array if self.several else array[None])]

    def _picture(self, part: NDArray[np.generic]) -> NDArray[np.generic]:
        floats = self.dtype.kind == "f"
        if self.axes == "HW":
            return np.broadcast_to(part, (3, *part.shape)) if floats else part
        if self.axes == "CHW":
            return part if floats else np.ascontiguousarray(np.moveaxis(part, 0, 2))
        if not floats:
            return part
        first = np.moveaxis(part, 2, 0)
        return np.broadcast_to(first, (3, *first.shape[1:])) if len(first) == 1 else first

    def joined(self, photos: Sequence[Photo]) -> NDArray[np.generic]:
        """The photos, all of one size, in this layout, floats as float32. Grey ones have three equal channels."""
        parts = [self._joined(photo) for photo in photos]
        return np.stack(parts) if self.several else parts[0]

    def _joined(self, photo: Photo) -> NDArray[np.generic]:
        if self.dtype.kind == "f":
            rgb = photo.rgb()
            return rgb if self.axes == "CHW" else np.ascontiguousarray(np.moveaxis(rgb, 0, 2))
        pixels = photo.pixels if not photo.is_grey else np.repeat(photo.pixels[..., None], 3, axis=2)
        if photo.alpha is not None:
            pixels = np.concatenate([pixels, photo.alpha[..., None]], axis=2)
        return np.ascontiguousarray(np.moveaxis(pixels, 2, 0)) if self.axes == "CHW" else pixels


def layout_of(array: NDArray[np.generic]) -> Layout:
    """The layout of an array of pictures.

    If a shape is ambiguous, uint8 is taken as channels last and floats as channels first, and one picture is preferred
    to several.

    Raises:
        PictureError: unknown layout or type.
    """
    floats = array.dtype.kind == "f"
    if (floats or array.dtype == np.uint8) and array.ndim in (2, 3, 4) and array.size:
        channels = (1, 3) if floats else (1, 3, 4)
        for several in (False, True):
            shape = array.shape[1:] if several else array.shape
            if len(shape) == 2:
                return Layout("HW", several, array.dtype)
            fitting = [axes for axes, fits in (("HWC", shape[-1] in channels), ("CHW", shape[0] == 3)) if fits]
            if len(shape) == 3 and fitting:
                return Layout(fitting[-1 if floats else 0], several, array.dtype)
    raise PictureError(f"expected an array of {EXPECTED}, found {array.dtype} {array.shape}")
