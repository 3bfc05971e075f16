"""Real pictures for the tests: they come with scikit-image, so no test needs the network."""

from __future__ import annotations

from functools import cache

import numpy as np
from skimage import data

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
"""Colour photos: a person, a cat, an object, a landscape."""


@cache
def pixels(name: str) -> np.ndarray:
    """The photo as uint8 (H, W, 3), read-only."""
    array = np.ascontiguousarray(getattr(data, name)())
    array.setflags(write=False)
    return array


def picture(name: str, height: int = 0, width: int = 0, dtype: type = np.float32) -> np.ndarray:
    """The photo's middle, (3, height, width) in 0..1; the whole photo where a side is 0."""
    array = pixels(name)
    height, width = height or array.shape[0], width or array.shape[1]
    top, left = (array.shape[0] - height) // 2, (array.shape[1] - width) // 2
    cut = array[top : top + height, left : left + width]
    return np.ascontiguousarray(cut.transpose(2, 0, 1)).astype(dtype) / dtype(255)


def batch(height: int = 32, width: int = 40, dtype: type = np.float32) -> np.ndarray:
    """The middles of all photos, (4, 3, height, width) in 0..1."""
    return np.stack([picture(name, height, width, dtype) for name in PHOTOS])
