"""A film's chroma planes from a network's answer. The luma plane is never touched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashigo import color
from hashigo.image.resizing import resize
from hashigo.video.film import MATRICES, Film
from hashigo.video.frames import Plane

Floats = NDArray[np.float32]


def chroma_planes(film: Film, luma: NDArray[np.uint8], answer: Floats) -> list[Plane]:
    """Both chroma planes, (h, w), as they are stored in the film.

    luma: uint8 (H, W), 0 to 255. answer: chroma of BT.601, full range, (2, h', w'). Players add the chroma to the luma with the film's own colour matrix: so the planes say
    how far red and blue are from *that* luma. Chroma outside the gamut goes toward grey.
    """
    height, width = film.chroma_size
    small = np.asarray(Image.fromarray(luma).resize((width, height), Image.Resampling.BOX), np.float32) / np.float32(
        255
    )
    rgb = color.merge(small[None], resize(answer, height, width))
    red, blue = MATRICES[film.matrix]
    y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    return [_stored(film, (rgb[2] - y) / (2 * (1 - blue))), _stored(film, (rgb[0] - y) / (2 * (1 - red)))]


def _stored(film: Film, chroma: Floats) -> Plane:
    """Chroma from -0.5 to 0.5 as the film stores it."""
    top = (1 << film.depth) - 1
    step = top if film.full_range else 224 << (film.depth - 8)
    values = np.clip(np.rint(chroma * step + (1 << (film.depth - 1))), 0, top)
    return values.astype(np.uint8 if film.depth == 8 else np.uint16)
