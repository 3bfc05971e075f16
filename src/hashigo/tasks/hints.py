"""Colour hints: points with known colour, as channels beside the luma (Zhang, Zhu, Isola et al. 2017).

A hint is a small square; the channels are Cb, Cr and 1 inside and 0 elsewhere, so "no hint" differs from "grey".
All functions work with NumPy and torch. `hashigo.tasks.spread` spreads hints over an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from array_api_compat import array_namespace, device

from hashigo.color import Array
from hashigo.errors import PictureError
from hashigo.randomness import PictureRng

CHANNELS = 3
"""Cb, Cr, and whether there is a hint."""

MOST = 24
"""Largest number of random hints per picture in training."""

USUAL = 8.0
"""Their mean number."""

RADIUS = 2
"""A hint by a user covers this many pixels on each side, at the network's size."""


class Hint(NamedTuple):
    """A colour at a position: `x` from the left and `y` from the top, in pixels of the upright photo; sRGB 0..1."""

    x: float
    y: float
    rgb: tuple[float, float, float]


class TimedHint(NamedTuple):
    """A hint for one frame of a film. seconds: when that frame is shown."""

    hint: Hint
    seconds: float


def parse_timed_hint(text: str) -> Hint | TimedHint:
    """A hint from "x,y,#rrggbb", or for a film "x,y,#rrggbb@seconds".

    Raises:
        PictureError: it has neither form.
    """
    place, at, seconds = text.partition("@")
    if not at:
        return parse_hint(text)
    try:
        time = float(seconds)
    except ValueError:
        time = math.nan
    if not 0 <= time < math.inf:
        raise PictureError(f"expected seconds after @, for instance 120,80,#c03020@12.5, got {text!r}")
    return TimedHint(parse_hint(place), time)


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
