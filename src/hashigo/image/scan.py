"""What a scan shows: one photo, photos on a page or mount, a written page, nothing, halftone dots.

Everything here looks at luma, float32 (H, W), 0..1, of a reduced photo, and uses rules rather than a trained network: borders and paper
are flat, photos on them are rectangles, writing consists of many small marks, and printed dots repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Levels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Pixel = TypeVar("Pixel", bound=np.generic)


class Box(NamedTuple):
    """A rectangle: the rows from `top` to before `bottom`, the columns from `left` to before `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def within(self, y: NDArray[Pixel]) -> NDArray[Pixel]:
        """The part of a picture (..., H, W)."""
        return y[..., self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class Scan:
    """What there is to colour.

    boxes: the photos, in pixels of the luma that was looked at; the rest is paper. contents: from 0, nothing to recognize, to 1, for
    each of them.
    """

    boxes: tuple[Box, ...]
    contents: tuple[float, ...]


TONE, TONES = 0.07, (0.025, 0.045, 0.07)
"""Largest difference in luma between a mount's places and its evenly lit tone, and the differences that are tried."""

RING = 0.85
"""Share of each edge of the picture that must have the mount's tone."""

SIDE, FILL = 0.6, 0.6
"""Share of a photo's outline, and of its area, that must differ from the mount."""

LEAST_PHOTO = 0.012
"""Share of the page's area of the smallest photo; smaller things are writing or stains."""

EMPTY, FULL = 0.010, 0.030
"""Standard deviations of luma, apart from uneven lighting: up to which there is nothing to recognize, and from which it counts fully."""

NESTED = 3
"""Mounts within mounts that are looked for."""


def look(y: Floats) -> Scan:
    """The photos on a scan of luma (H, W). For an ordinary photo one box, all of it."""
    boxes = list(_photos(y, Box(0, 0, *y.shape), NESTED))
    return Scan(tuple(boxes), tuple(_content(box.within(y)) for box in boxes))


def _photos(y: Floats, box: Box, nested: int) -> Iterator[Box]:
    """The photos in a part of the page, or the part itself."""
    found = [] if nested == 0 else _on_mount(box.within(y)) or _between_bars(box.within(y))
    for inner in found:
        top, left = box.top + inner.top, box.left + inner.left
        yield from _photos(y, Box(top, left, top + inner.height, left + inner.width), nested - 1)
    if not found:
        yield box


# --- mounts and pages ---------------------------------------------------------------------------------


def _on_mount(y: Floats) -> list[Box]:
    """Rectangles on an even ground that surrounds them; none if there are other large things on it."""
    height, width = y.shape
    if min(height, width) < 24:
        return []
    ground = _ground(y)
    if ground is None:
        return []
    # a photo may have nearly the mount's tone, a mount may be lit unevenly: the finest difference goes first
    return next((boxes for tone in TONES if (boxes := _rectangles(np.abs(y - ground) > tone))), [])


def _rectangles(away: Mask) -> list[Box]:
    """The rectangles in a mask of what differs from the ground; none if there are mostly other things, or if they reach the edge."""
    height, width = away.shape
    edge = max(1, round(0.008 * max(height, width)))
    sides = (away[:edge], away[-edge:], away[:, :edge], away[:, -edge:])
    if any(side.mean() > 1 - RING for side in sides):
        return []
    least = LEAST_PHOTO * height * width
    boxes = [box for box in _cut(away, Box(0, 0, height, width)) if box.height * box.width >= least]
    # a photo may have the mount's tone in places, but most must show that there are photos at all
    sure = sum(box.height * box.width for box in boxes if _is_rectangle(box.within(away)))
    return boxes if 2 * sure > sum(box.height * box.width for box in boxes) else []


def _ground(y: Floats) -> Floats | None:
    """The tone of a mount, lit unevenly: a plane through the picture's edge; None if the edge has no such tone."""
    height, width = y.shape
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    edge = max(1, round(0.008 * max(height, width)))
    ring = np.ones(y.shape, bool)
    ring[edge:-edge, edge:-edge] = False
    terms = np.stack([np.ones(ring.sum(), np.float32), rows[ring], columns[ring]], axis=1)
    values = y[ring]
    close = np.abs(values - np.median(values)) < 2 * TONE
    for _ in range(2):
        if close.mean() < RING:
            return None
        plane = np.linalg.lstsq(terms[close], values[close], rcond=None)[0]
        close = np.abs(values - terms @ plane) < TONE
    made: Floats = (plane[0] + plane[1] * rows + plane[2] * columns).astype(np.float32)
    return made


def _cut(mask: Mask, box: Box) -> Iterator[Box]:
    """The parts of a mask that empty rows and columns separate (X-Y cut, Nagy & Seth 1984), each without its empty margins."""
    part = mask[box.top : box.bottom, box.left : box.right]
    rows, columns = _runs(np.any(part, axis=1)), _runs(np.any(part, axis=0))
    if not rows:
        return
    if len(rows) == len(columns) == 1:
        (top, bottom), (left, right) = rows[0], columns[0]
        trimmed = Box(box.top + top, box.left + left, box.top + bottom, box.left + right)
        if trimmed == box:
            yield box
        else:
            yield from _cut(mask, trimmed)
        return
    for top, bottom in rows:
        for left, right in columns:
            yield from _cut(mask, Box(box.top + top, box.left + left, box.top + bottom, box.left + right))


def _runs(line: Mask) -> list[tuple[int, int]]:
    """The stretches of true values: (first, end) each."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in zip(steps[::2], steps[1::2], strict=True)]


def _is_rectangle(part: Mask) -> bool:
    """Whether what differs from the ground reaches all four sides of its box nearly everywhere."""
    height, width = part.shape
    down, across = max(2, round(0.03 * height)), max(2, round(0.03 * width))
    sides = (
        part[:down].any(axis=0), part[-down:].any(axis=0), part[:, :across].any(axis=1), part[:, -across:].any(axis=1)
    )  # fmt: skip
    return bool(min(side.mean() for side in sides) >= SIDE and part.mean() >= FILL)


BAR_NOISE, BAR_STEP = 0.012, 0.06
"""Most standard deviation within a line of a bar, and the least step in luma at its end, along most of the line."""


def _between_bars(y: Floats) -> list[Box]:
    """The picture between bars at opposite sides, as of a wide film; none if there are no bars."""
    height, width = y.shape
    (top, bottom), (left, right) = _bars(y), _bars(np.ascontiguousarray(y.T))
    if not (top and bottom):
        top = bottom = 0
    if not (left and right):
        left = right = 0
    inner = Box(top, left, height - bottom, width - right)
    if not (top or left) or inner.height < 16 or inner.width < 16:
        return []
    return [inner]


def _bars(y: Floats) -> tuple[int, int]:
    """The rows of even bars at the top and the bottom, which must end at a straight edge; 0 where there is none."""
    deviations, means = y.std(axis=1), y.mean(axis=1)
    return _bar(y, deviations, means), _bar(y[::-1], deviations[::-1], means[::-1])


def _bar(y: Floats, deviations: Floats, means: Floats) -> int:
    """The rows of an even bar at the top, with the deviation and mean of each row."""
    even = (deviations < BAR_NOISE) & (np.abs(means - means[0]) < 2 * BAR_NOISE)
    rows = int(np.argmin(even)) if not even.all() else 0
    if rows < max(2, round(0.01 * len(y))) or rows + 2 >= len(y):
        return 0
    step = np.abs(y[min(rows + 1, len(y) - 1)] - y[rows - 1])
    return rows if np.mean(step > BAR_STEP) >= SIDE else 0


# --- nothing to recognize -----------------------------------------------------------------------------


def _content(y: Floats) -> float:
    """From 0, an even sheet, perhaps with writing, to 1, a picture."""
    whole = _uneven(_smooth(y))
    if whole > EMPTY and _is_written(y):
        return 0.0
    return _ramp(whole)


def _ramp(deviation: float) -> float:
    share = min(1.0, max(0.0, (deviation - EMPTY) / (FULL - EMPTY)))
    return share * share * (3 - 2 * share)


def _smooth(y: Floats) -> Floats:
    """Means over 4×4 pixels, in which grain nearly vanishes."""
    height, width = (max(1, side // 4) for side in y.shape)
    rows, columns = (min(4, side) for side in y.shape)
    means: Floats = y[: height * rows, : width * columns].reshape(height, rows, width, columns).mean(axis=(1, 3))
    return means


def _uneven(y: Floats) -> float:
    """The standard deviation of luma around a smooth surface of second degree, which may be uneven lighting."""
    rows, columns = (_orthonormal(length) for length in y.shape)
    rest = y - y.mean()
    # each surface is the product of a polynomial of the row and one of the column, and all are orthonormal
    shares = (rows @ rest @ columns.T).astype(np.float64)
    explained = sum(shares[down, across] ** 2 for down in range(3) for across in range(3 - down) if down or across)
    left = float(np.vdot(rest, rest)) - float(explained)
    return float(np.sqrt(max(0.0, left) / y.size))


@lru_cache(maxsize=64)
def _orthonormal(length: int) -> Floats:
    """Polynomials of degree 0 to 2, orthonormal over so many places: (3, length)."""
    places = np.linspace(-1, 1, length, dtype=np.float32)
    made: list[Floats] = []
    for degree in range(3):
        line = places**degree
        for other in made:
            line = line - (line @ other) * other
        norm = float(np.sqrt(line @ line))
        made.append((line / norm if norm > 1e-6 else np.zeros_like(line)).astype(np.float32))
    return np.stack(made)


MARK = 20
"""Levels, of 255, by which marks are darker than the paper around them."""

WRITING, PAPER = 0.12, 0.35
"""Share of 8×8 parts of a written page in which something is written, and most deviation of luma of the paper, of that of the page."""


def _is_written(y: Floats) -> bool:
    """Whether it is an even sheet with thin dark marks in many places: nothing is left if they are filled with the tone around them.

    Light marks on a dark ground are not looked for: lights at night are far more common.
    """
    reach = max(2, round(0.02 * max(y.shape)))
    height, width = (side // 8 * 8 for side in y.shape)
    if min(height, width) < 8:
        return False
    levels = np.asarray(255 * y + 0.5, np.uint8)  # several times as fast
    filled = 255 - _highest(255 - _highest(levels, reach), reach)
    if _uneven(filled.astype(np.float32) / np.float32(255)) > min(FULL, PAPER * _uneven(y)):
        return False
    marks = filled - levels > MARK
    parts = marks[:height, :width].reshape(8, height // 8, 8, width // 8).any(axis=(1, 3))
    return bool(parts.mean() >= WRITING and marks.mean() < 0.4)


def _highest(y: Levels, reach: int) -> Levels:
    """The largest value within `reach` rows and columns of each place."""
    for axis in (0, 1):
        y = np.moveaxis(y, axis, 0)
        padded = np.concatenate([np.repeat(y[:1], reach, axis=0), y, np.repeat(y[-1:], reach, axis=0)])
        span, width = 2 * reach + 1, 1
        while width < span:  # maxima over 2, 4, 8 … rows
            step = min(width, span - width)
            padded = np.maximum(padded[: len(padded) - step], padded[step:])
            width += step
        y = np.moveaxis(padded, 0, axis)
    return y


# --- printed dots -------------------------------------------------------------------------------------

DOTS, SECOND, OTHERS = 300.0, 0.3, 0.1
"""How many times the power of others of equal length a spatial frequency must have to be called dots, the least share of that power at
a right angle to it, and the least share of the strongest one's."""

COARSEST, FINEST = 24.0, 2.5
"""Pixels between dots that are looked for."""


def dots(y: Floats) -> float:
    """The distance between the dots of a halftone print in pixels of luma (H, W), or 0 if there are none.

    Dots on a square grid have two strong frequencies of equal length at right angles; stripes and lines of writing have one.
    """
    side = min(*y.shape, 256)
    if side < 64:
        return 0.0
    top, left = (y.shape[0] - side) // 2, (y.shape[1] - side) // 2
    square = y[top : top + side, left : left + side]
    window, frequency, rings = _frequencies(side)
    power = np.abs(np.fft.rfft2((square - square.mean()) * window)) ** 2
    peaks = np.zeros_like(power)
    for ring in rings:
        values = power.ravel()[ring]
        middle = len(values) // 2
        peaks.ravel()[ring] = values / max(float(np.partition(values, middle)[middle]), 1e-12)
    peaks[(frequency < 1 / COARSEST) | (frequency > 1 / FINEST)] = 0
    strong = np.argwhere(peaks >= max(DOTS, OTHERS * float(peaks.max())))
    # harmonics may be stronger than the dots' own frequency
    for row, column in strong[np.argsort(frequency[tuple(strong.T)])]:
        turned = column, -(row if row <= side // 2 else row - side)  # by a right angle
        turned = turned if turned[1] >= 0 else (-turned[0], -turned[1])
        rows = (np.arange(-1, 2) + turned[0]) % side
        columns = np.clip(np.arange(-1, 2) + turned[1], 0, side // 2)
        if peaks[np.ix_(rows, columns)].max() >= SECOND * peaks[row, column]:
            return float(1 / _centre(power, frequency, int(row), int(column)))
    return 0.0


def _centre(power: Floats, frequency: NDArray[np.float64], row: int, column: int) -> float:
    """The spatial frequency of the peak that (row, column) belongs to. A window spreads a peak over several places: their mean by power is meant."""

    def around(row: int, column: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        rows = (np.arange(-2, 3) + row) % power.shape[0]
        columns = np.arange(max(column - 2, 0), min(column + 3, power.shape[1]))
        return rows[:, None], columns[None]

    rows, columns = around(row, column)
    highest = np.unravel_index(int(power[rows, columns].argmax()), (rows.size, columns.size))
    place = around(int(rows[highest[0], 0]), int(columns[0, highest[1]]))
    return float(np.average(frequency[place], weights=power[place]))


@lru_cache(maxsize=4)  # a megabyte each
def _frequencies(side: int) -> tuple[Floats, NDArray[np.float64], list[NDArray[np.intp]]]:
    """For a square of `side` pixels: a Hann window, the length of each spatial frequency, and the places of those of about the same length
    that are looked at."""
    line = np.hanning(side).astype(np.float32)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    number = (frequency * 64).astype(int)
    looked_at = range(int(64 / COARSEST), int(64 / FINEST) + 1)
    return line[:, None] * line, frequency, [np.flatnonzero(number.ravel() == ring) for ring in looked_at]
