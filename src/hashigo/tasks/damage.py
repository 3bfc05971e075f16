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


def blurred(y: Array, sigma: Array) -> Array:
    """Gaussian blur of `sigma` pixels, up to 1.5, edges repeated; a window of five."""
    xp = array_namespace(y)
    near, far = (xp.exp(-0.5 * i**2 / xp.clip(sigma, 0.15, None) ** 2) for i in (1, 2))
    middle = 1.0 / (1.0 + 2.0 * near + 2.0 * far)
    for axis in (-2, -1):
        steps = [_moved(y, by, axis) for by in (-2, -1, 0, 1, 2)]
        y = middle * (steps[2] + near * (steps[1] + steps[3]) + far * (steps[0] + steps[4]))
    return y


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
    rounded = xp.round(xp.matmul(xp.matmul(basis, blocks), turned) / steps) * steps
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
