"""Artificial aging of photos, because training pictures are cleaner than old black-and-white photos.

`old_photo` converts pictures to luma and applies everything. The other functions take luma (N, 1, H, W), `filmed` pictures (N, 3, H, W), 0..1,
NumPy or torch, and a strength per picture (N, 1, 1, 1); 0 changes nothing.
"""

from __future__ import annotations

import math

import numpy as np
from array_api_compat import array_namespace, device

from hashigo.color import LUMA_WEIGHTS, Array
from hashigo.randomness import PictureRng

BLOCK = 8
"""Side of JPEG's blocks."""


def old_photo(rgb: Array, rng: PictureRng, share: float = 1.0) -> Array:
    """The luma (N, 1, H, W), 0..1, of pictures (N, 3, H, W), a `share` of them aged like scanned old photos.

    In chronological order: film is more sensitive to some colours, the lens blurs, exposure and paper determine
    tones and contrast, film has grain, the print fades, the scan is stored as JPEG.
    """
    xp = array_namespace(rgb)

    def strength() -> Array:
        # each kind skips half of the damaged pictures
        return xp.clip(rng.uniform(1, 1, 1, low=-1.0, high=1.0), 0.0, None) * given

    given = xp.astype(rng.uniform(1, 1, 1) < share, xp.float32)
    y = filmed(rgb, -xp.log(1.0 - rng.uniform(3, 1, 1)), strength())
    y = blurred(y, 1.2 * strength())
    y = toned(
        y, rng.uniform(1, 1, 1, low=-1.0, high=1.0) * given
    )  # tones vary in both directions: hardly any photo's are right
    y = contrasted(y, strength())
    y = y + 0.05 * strength() * rng.normal(*y.shape[1:])
    y = faded(y, strength(), strength())
    return xp.clip(compressed(y, 0.02 * strength()), 0.0, 1.0)


def filmed(rgb: Array, response: Array, strength: Array) -> Array:
    """Pictures (N, 3, H, W) as seen by film: the luma, or at strength 1, R, G and B mixed by `response` (N, 3, 1, 1), > 0.

    Early plates saw only blue, orthochromatic film no red. All three are exponentially distributed, so all mixtures are equally likely.
    """
    xp = array_namespace(rgb)
    usual = xp.asarray(LUMA_WEIGHTS, device=device(rgb), dtype=rgb.dtype)[:, None, None]
    weights = usual + strength * (response / xp.sum(response, axis=1, keepdims=True) - usual)
    return xp.sum(weights * rgb, axis=1, keepdims=True)


def contrasted(y: Array, strength: Array) -> Array:
    """Up to 1.6 times the contrast around the picture's mean; values are clipped to 0..1."""
    xp = array_namespace(y)
    # row by row: one sum over a whole picture would be split among threads, with another rounding than in a larger batch
    middle = xp.mean(xp.mean(y, axis=-1, keepdims=True), axis=-2, keepdims=True)
    return xp.clip(middle + (1.0 + 0.6 * strength) * (y - middle), 0.0, 1.0)


def toned(y: Array, strength: Array) -> Array:
    """Darker for strengths above 0, lighter below: gamma from 1/1.8 to 1.8."""
    xp = array_namespace(y)
    return xp.exp(xp.log(xp.clip(y, 1e-4, 1.0)) * xp.exp(strength * math.log(1.8)))


def faded(y: Array, black: Array, white: Array) -> Array:
    """Blacks raised by up to a quarter, whites lowered by as much."""
    return 0.25 * black + y * (1.0 - 0.25 * black - 0.25 * white)


def blurred(pictures: Array, sigma: Array, reach: int = 2) -> Array:
    """Gaussian blur of pictures (N, C, H, W) by `sigma` pixels (N, 1, 1, 1), edges repeated. reach: pixels on each side that count; 2 is enough up to 1.5 pixels."""
    xp = array_namespace(pictures)
    weights = [xp.exp(-0.5 * i**2 / xp.clip(sigma, 0.15, None) ** 2) for i in range(1, reach + 1)]
    total = xp.ones_like(weights[0])
    for weight in weights:
        total = total + 2.0 * weight
    for axis in (-2, -1):
        mixed = pictures
        for i, weight in enumerate(weights, 1):
            mixed = mixed + weight * (_moved(pictures, -i, axis) + _moved(pictures, i, axis))
        pictures = (1.0 / total) * mixed
    return pictures


def _moved(y: Array, by: int, axis: int) -> Array:
    """The picture shifted by this many rows (axis -2) or columns (axis -1), with the edge repeated."""
    xp = array_namespace(y)
    length = y.shape[axis]
    places = xp.clip(xp.arange(length, device=device(y)) + by, 0, length - 1)
    return xp.take(y, places, axis=y.ndim + axis)


def compressed(y: Array, step: Array) -> Array:
    """The luma (N, 1, H, W) with JPEG artefacts: the cosine coefficients of 8 × 8 blocks are rounded to multiples of `step` · (1 + u + v).

    JPEG's tables also have larger steps for finer detail. Rows and columns beyond the last whole block are unchanged.
    """
    xp = array_namespace(y)
    height, width = (side // BLOCK * BLOCK for side in y.shape[-2:])
    if not height or not width:
        return y
    basis = xp.asarray(_cosines(), device=device(y), dtype=y.dtype)
    inner = xp.reshape(y[..., :height, :width], (len(y), height // BLOCK, BLOCK, width // BLOCK, BLOCK))
    blocks = xp.permute_dims(inner, (0, 1, 3, 2, 4))
    number = xp.arange(BLOCK, device=device(y), dtype=y.dtype)
    steps = xp.clip(step[..., None], 1e-6, None) * (1.0 + number[:, None] + number[None, :])
    turned = xp.permute_dims(basis, (1, 0))
    coefficients = xp.matmul(xp.matmul(basis, blocks), turned)
    rounded = xp.where(step[..., None] > 0, xp.round(coefficients / steps) * steps, coefficients)
    back = xp.matmul(xp.matmul(turned, rounded), basis)
    inner = xp.reshape(xp.permute_dims(back, (0, 1, 3, 2, 4)), (len(y), 1, height, width))
    if (height, width) == tuple(y.shape[-2:]):
        return inner
    upper = xp.concat([inner, y[..., :height, width:]], axis=-1)
    return xp.concat([upper, y[..., height:, :]], axis=-2)


def _cosines() -> np.ndarray:
    """The orthonormal cosine transform of eight values (DCT-II), (8, 8)."""
    i = np.arange(BLOCK)
    basis = np.cos(math.pi * (2 * i[None] + 1) * i[:, None] / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis


SCRATCHES, SPOTS, GAPS = 4, 8, 3
"""Most scratches, specks of dust and gaps in a picture."""


def scratched(y: Array, rng: PictureRng, strength: Array) -> Array:
    """Thin scratches, white or black, mostly from top to bottom as on film: (N, C, H, W) → the same shape. Of strength 0: none."""
    xp = array_namespace(y)
    for _ in range(SCRATCHES):
        across = _lines(rng, y, steep=0.25)
        width = rng.uniform(1, 1, 1, low=0.4, high=1.2)
        there = xp.exp(-0.5 * (across / width) ** 2) * _given(rng, y, strength)
        y = y + there * (_white_or_black(rng, y) - y)
    return y


def dusty(y: Array, rng: PictureRng, strength: Array) -> Array:
    """Small round specks, white or black: (N, C, H, W) → the same shape. Of strength 0: none."""
    xp = array_namespace(y)
    height, width = y.shape[-2:]
    rows, columns = _places(y)
    for _ in range(SPOTS):
        down, across = rng.uniform(1, 1, 1, high=height), rng.uniform(1, 1, 1, high=width)
        radius = rng.uniform(1, 1, 1, low=0.5, high=2.5)
        away = ((rows - down) ** 2 + (columns - across) ** 2) / radius**2
        there = xp.exp(-0.5 * away**2) * _given(rng, y, strength)
        y = y + there * (_white_or_black(rng, y) - y)
    return y


def gaps(pictures: Array, rng: PictureRng, most: float) -> Array:
    """Pictures (N, C, H, W) with rectangles, ellipses and strokes of one grey each, mostly white or black; sides up to a share `most` of the picture's."""
    xp = array_namespace(pictures)
    height, width = pictures.shape[-2:]
    rows, columns = _places(pictures)
    for _ in range(GAPS):
        down, across = rng.uniform(1, 1, 1, high=height), rng.uniform(1, 1, 1, high=width)
        tall = rng.uniform(1, 1, 1, low=0.02, high=most / 2) * height
        wide = rng.uniform(1, 1, 1, low=0.02, high=most / 2) * width
        vertical, horizontal = xp.abs(rows - down) / tall, xp.abs(columns - across) / wide
        box = xp.astype(xp.maximum(vertical, horizontal) <= 1, pictures.dtype)
        ellipse = xp.astype(vertical**2 + horizontal**2 <= 1, pictures.dtype)
        stroke = xp.astype(
            xp.abs(_lines(rng, pictures, steep=2.0)) <= rng.uniform(1, 1, 1, low=0.5, high=4.0), pictures.dtype
        )
        kind = rng.uniform(1, 1, 1)
        there = xp.where(kind < 0.33, box, xp.where(kind < 0.66, ellipse, stroke))
        there = there * xp.astype(rng.uniform(1, 1, 1) < 0.8, pictures.dtype)
        grey = xp.where(rng.uniform(1, 1, 1) < 0.8, _white_or_black(rng, pictures), rng.uniform(1, 1, 1))
        pictures = pictures + there * (grey - pictures)
    return pictures


def _places(pictures: Array) -> tuple[Array, Array]:
    """Row numbers (H, 1) and column numbers (W,), as floats."""
    xp = array_namespace(pictures)
    rows, columns = (xp.arange(side, dtype=pictures.dtype, device=device(pictures)) for side in pictures.shape[-2:])
    return rows[:, None], columns


def _lines(rng: PictureRng, pictures: Array, steep: float) -> Array:
    """The distance of each pixel from a random line through each picture, in pixels: (N, 1, H, W). steep: the largest shift per row, in pixels."""
    xp = array_namespace(pictures)
    height, width = pictures.shape[-2:]
    rows, columns = _places(pictures)
    start, slope = rng.uniform(1, 1, 1, high=width), rng.uniform(1, 1, 1, low=-steep, high=steep)
    return (columns - start - slope * (rows - height / 2)) / xp.sqrt(1 + slope**2)


def _given(rng: PictureRng, y: Array, strength: Array) -> Array:
    """With a probability of `strength`, how visible a mark is, from a third to entirely: (N, 1, 1, 1); otherwise 0."""
    xp = array_namespace(y)
    return xp.astype(rng.uniform(1, 1, 1) < strength, y.dtype) * rng.uniform(1, 1, 1, low=0.3, high=1.0)


def _white_or_black(rng: PictureRng, y: Array) -> Array:
    return array_namespace(y).astype(rng.uniform(1, 1, 1) < 0.6, y.dtype)
