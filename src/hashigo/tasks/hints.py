"""Colour hints: points with known colour, as channels beside the luma (Zhang, Zhu, Isola et al. 2017).

A hint is a small square; the channels are Cb, Cr and 1 inside and 0 elsewhere, so "no hint" differs from "grey".
All functions except `spread_hints` work with NumPy and torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from hashigo.color import Array
from hashigo.errors import PictureError
from hashigo.randomness import PictureRng

Floats = NDArray[np.float32]

CHANNELS = 3
"""Cb, Cr, and whether there is a hint."""

MOST = 24
"""Largest number of random hints per picture in training."""

USUAL = 8.0
"""Their mean number."""

RADIUS = 2
"""A hint by a user covers this many pixels on each side, at the network's size."""

REACHES = (0.3, 0.1, 0.03)
"""Standard deviations of a hint's spread in position, in units of the network input's short side: first wide, then narrower for the rest."""

LIKE_LUMA, LIKE_CHROMA, LIKE_LOOKS = 0.1, 0.05, 0.5
"""The same for luma, for predicted chroma and for other features. All chosen on 50 photos at even positions (docs/decisions.md)."""

DAMPING = 0.1
"""Where the hints' weights add up to this, the correction is halved."""

AT_ONCE = 1 << 16
"""Number of weights per step: small enough for the processor's cache."""


class Hint(NamedTuple):
    """A colour at a position: `x` from the left and `y` from the top, in pixels of the upright photo; sRGB 0..1."""

    x: float
    y: float
    rgb: tuple[float, float, float]


def hint_text(hint: Hint) -> str:
    """The hint as "x,y,#rrggbb", the inverse of `parse_hint`.

    >>> hint_text(parse_hint("12,3.5,#c03020"))
    '12,3.5,#c03020'
    """
    red, green, blue = (round(255 * value) for value in hint.rgb)
    return f"{hint.x:g},{hint.y:g},#{red:02x}{green:02x}{blue:02x}"


def parse_hint(text: str) -> Hint:
    """A hint from "x,y,#rrggbb".

    Raises:
        PictureError: it does not have that form.
    """
    x, _, rest = text.partition(",")
    y, _, code = rest.partition(",")
    code = code.strip().removeprefix("#")
    try:
        place = float(x), float(y)
        if not re.fullmatch("[0-9a-fA-F]{6}", code) or not all(map(math.isfinite, place)):
            raise ValueError(code)
        red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
    except ValueError as error:
        raise PictureError(f"expected a hint as x,y,#rrggbb, for instance 120,80,#c03020, got {text!r}") from error
    return Hint(*place, (red, green, blue))


def no_hints(y: Array) -> Array:
    """The channels without hints, for luma (..., 1, H, W): zeros (..., 3, H, W)."""
    xp = array_namespace(y)
    return xp.zeros((*y.shape[:-3], CHANNELS, *y.shape[-2:]), dtype=y.dtype, device=device(y))


def random_hints(chroma: Array, rng: PictureRng, share: float) -> Array:
    """Hints at random positions of chroma (N, 2, H, W), in a `share` of the pictures: (N, 3, H, W).

    Their number is exponentially distributed with a mean of about `USUAL`; squares have sides of 1, 3, 5 or 7 pixels
    and the mean chroma of the area they cover.
    """
    xp = array_namespace(chroma)
    height, width = chroma.shape[-2:]
    given = rng.uniform() < share
    number = 1.0 - USUAL * xp.log(1.0 - rng.uniform())
    top, left = rng.integers(MOST, high=height), rng.integers(MOST, high=width)
    radius = rng.integers(MOST, high=4)
    slot = xp.arange(MOST, device=device(chroma))
    shown = xp.astype((slot[None] < number[:, None]) & given[:, None], chroma.dtype)
    rows, columns = _within(top, radius, height), _within(left, radius, width)
    along, across = (line / xp.sum(line, axis=-1, keepdims=True) for line in (rows, columns))
    means = xp.sum(xp.matmul(along[:, None], chroma) * across[:, None], axis=-1)
    return _drawn(rows * shown[..., None], columns, means)


def set_hints(points: Sequence[tuple[float, float]], chroma: Array, height: int, width: int) -> Array:
    """Hints with `chroma` (P, 2) at `points`, (x, y) as shares of width and height: (3, height, width)."""
    xp = array_namespace(chroma)
    top = xp.asarray([min(height - 1, max(0, int(y * height))) for _, y in points], device=device(chroma))[None]
    left = xp.asarray([min(width - 1, max(0, int(x * width))) for x, _ in points], device=device(chroma))[None]
    rows, columns = (xp.astype(_within(at, RADIUS, side), chroma.dtype) for at, side in ((top, height), (left, width)))
    return _drawn(rows, columns, xp.permute_dims(chroma, (1, 0))[None])[0]


def spread_hints(chroma: Floats, x: Floats, looks: Floats | None = None) -> Floats:
    """An answer's chroma (2, h, w), corrected to agree with the hints that `set_hints` drew into the input x (4, H, W): (2, h, w).

    The answer's error at a hint is subtracted there, and elsewhere the more, the closer a position is and the more similar in
    luma, predicted chroma and `looks` (F, h, w), features with a distance of about 1 between unlike places: a mean over the hints, weighted by a Gaussian of that distance (Nadaraya 1964, Watson 1964),
    with the weights of the bilateral filter (Tomasi & Manduchi 1998). Such means smooth, so that neighbouring hints of different
    colours would blend; so the remaining error is spread twice more over shorter distances. That nearby pixels with similar luma have similar colours is also the
    assumption of Levin, Lischinski & Weiss 2004. Without hints the answer is unchanged. One answer, NumPy only.
    """
    if not x[3].any():
        return chroma
    height, width = chroma.shape[1:]
    y, *painted, share = _reduced(x, height, width)
    places = np.flatnonzero(share)
    shares = share.ravel()[places]
    colours = np.stack(painted).reshape(2, -1).T[places] / shares[:, None]
    pixels = math.prod(min(2 * RADIUS + 1, side) for side in x.shape[1:])
    counts = shares * (
        x[3].size / share.size / pixels
    )  # weights of a hint add up to 1, or less if it is cropped or covered
    features = [y[None] / LIKE_LUMA, chroma / LIKE_CHROMA, *([] if looks is None else [looks / LIKE_LOOKS])]
    alike_by = np.ascontiguousarray(np.concatenate(features).transpose(1, 2, 0), np.float32)
    made = chroma.reshape(2, -1).T.astype(np.float32)
    rows, columns = np.divmod(places, width)
    step = max(1, AT_ONCE // (len(places) * width))
    bands = [slice(first, first + step) for first in range(0, height, step)]
    alike = [_alike(alike_by[band].reshape(-1, alike_by.shape[2]), alike_by[rows, columns]) for band in bands]
    for reach in REACHES:
        # of the Gaussian of a distance in the plane, each axis is a factor
        down, across = (_gaussian(n, at, reach * min(height, width)) for n, at in ((height, rows), (width, columns)))
        errors = np.append(colours - made[places], np.ones((len(places), 1), np.float32), axis=1)
        for band, like in zip(bands, alike, strict=True):
            weights = like.reshape(-1, width, len(places)) * across
            weights *= (down[band] * counts)[:, None]
            sums = weights.reshape(-1, len(places)) @ errors
            made[band.start * width : band.stop * width] += sums[:, :2] / (sums[:, 2:] + DAMPING)
    return np.ascontiguousarray(made.T).reshape(2, height, width)


def _reduced(x: Floats, height: int, width: int) -> Floats:
    """Means of the squares of (C, H, W) for each position of an answer (height, width); the edge is repeated as in networks."""
    side = max(-(-x.shape[1] // height), -(-x.shape[2] // width))
    x = np.pad(x, ((0, 0), (0, height * side - x.shape[1]), (0, width * side - x.shape[2])), mode="edge")
    means: Floats = x.reshape(len(x), height, side, width, side).mean(axis=(2, 4))
    return means


def _gaussian(length: int, centres: NDArray[np.intp], deviation: float) -> Floats:
    """The Gaussian of the distance of each position 0..length - 1 to each centre: (length, centres)."""
    distances = ((np.arange(length)[:, None] - centres) / deviation).astype(np.float32)
    weights: Floats = np.exp(-0.5 * np.square(distances))
    return weights


def _alike(a: Floats, b: Floats) -> Floats:
    """The Gaussian of the distances between all rows of two arrays: (A, F), (B, F) → (A, B)."""
    halves = a @ b.T
    halves -= 0.5 * np.square(a).sum(axis=1)[:, None]
    halves -= 0.5 * np.square(b).sum(axis=1)
    weights: Floats = np.exp(np.minimum(halves, 0, out=halves), out=halves)
    return weights


def _within(centre: Array, radius: Array | int, length: int) -> Array:
    """1 within `radius` of each centre, 0 elsewhere: (N, P) → float32 (N, P, length)."""
    xp = array_namespace(centre)
    distance = xp.abs(xp.arange(length, device=device(centre)) - centre[..., None])
    reach = radius if isinstance(radius, int) else radius[..., None]
    return xp.astype(distance <= reach, xp.float32)


def _drawn(rows: Array, columns: Array, means: Array) -> Array:
    """Squares (N, P, H) × (N, P, W) of chroma (N, 2, P); the mean where they overlap."""
    xp = array_namespace(rows)
    upright = xp.permute_dims(rows, (0, 2, 1))
    count = xp.matmul(upright, columns)
    painted = xp.matmul(upright[:, None] * means[:, :, None, :], columns[:, None])
    painted = painted / xp.clip(count, 1.0, None)[:, None]
    return xp.concat([painted, xp.astype(count > 0, painted.dtype)[:, None]], axis=1)
