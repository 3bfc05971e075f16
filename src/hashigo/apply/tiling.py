"""Runs a network on a large photo in tiles, each with a margin of context; only the inner part is kept."""

from __future__ import annotations

import numpy as np

from hashigo.apply.engines import Engine
from hashigo.image.photo import Photo
from hashigo.image.pixels import to_pixels
from hashigo.networks.contract import Contract
from hashigo.tasks import Task

TILE = 512
"""Approximate side of the tiles: edges are at multiples of the network's `multiple`, where its poolings have theirs."""


def tiled(photo: Photo, task: Task, engine: Engine, contract: Contract) -> Photo:
    """The answer for a photo by a network that sees at most `contract.context_pixels` (not None) around each pixel.

    Tiles then equal the whole picture up to rounding.
    """
    height, width = photo.size
    step = contract.multiple
    margin = -(-(contract.context_pixels or 0) // step) * step
    tile = max(1, TILE // step) * step
    pixels = photo.empty(height, width)
    for top in range(0, height, tile):
        first, last = max(0, top - margin), min(height, top + tile + margin)
        band = task.encode(photo.rgb(first, last))
        for left in range(0, width, tile):
            start, end = max(0, left - margin), min(width, left + tile + margin)
            x = np.ascontiguousarray(band[:, :, start:end], np.float32)
            picture = task.restore(x, engine(x[None])[0])
            inner = picture[:, top - first : top - first + tile, left - start : left - start + tile]
            to_pixels(inner, out=pixels[top : top + tile, left : left + tile])
    return photo.with_pixels(pixels)
