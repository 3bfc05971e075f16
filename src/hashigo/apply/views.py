"""What the network sees of a photo: all of it, or each photo on a page or mount, long strips in overlapping pieces.

photo ─ what the scan shows ─ views, each with its own input ─ network ─ answers ─ one canvas of chroma, 0 on paper
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hashigo import color
from hashigo.image.photo import Photo
from hashigo.image.resizing import resize
from hashigo.image.scan import Box, dots, look

Floats = NDArray[np.float32]

LOOKED_AT = 256
"""Longest side of the reduced photo in which borders and paper are looked for."""

DOTS_SIDE = 512
"""Short side, at least, of the photo in which printed dots are looked for."""

DOT_BLUR = 0.45
"""Standard deviation of the blur that removes printed dots, in distances between them."""

STRETCH, REACH = 4.0, 0.7
"""Largest gain of contrast that the network's input gets, and the range of luma from which it gets none."""

GUESS = "seen as "
"""How notes begin that say what a scan was taken for."""

CALM = 0.5
"""A picture with less content is reported as empty."""

LONG, PIECE, OVERLAP = 3.0, 2.0, 0.25
"""Sides' ratio above which a strip is seen in pieces, the most of the pieces' own, and the share of a piece that it shares with the next."""


@dataclass(frozen=True)
class View:
    """A part of a photo that the network sees as one picture.

    box: the part, in the photo's pixels. content: from 0, nothing to recognize, to 1; answers are multiplied by it. blur: standard
    deviation, in the photo's pixels, of what removes printed dots. before, after: pixels that it shares with the previous and the
    next piece of a strip.
    """

    box: Box
    content: float = 1.0
    blur: float = 0.0
    before: int = 0
    after: int = 0

    def fading(self) -> Floats:
        """The weight of its answer along the strip, rising and falling where pieces overlap: (length,) of its longer side."""
        length = max(self.box.height, self.box.width)
        places = np.arange(length, dtype=np.float32) + 0.5
        weights = np.ones(length, np.float32)
        if self.before:
            weights = np.minimum(weights, places / self.before)
        if self.after:
            weights = np.minimum(weights, (length - places) / self.after)
        return weights


@dataclass(frozen=True)
class Seen:
    """What the network sees of a photo: views and an input (C, h, w) for each."""

    views: tuple[View, ...]
    inputs: tuple[Floats, ...]

    @property
    def x(self) -> Floats:
        """The input of a photo with a single view.

        Raises:
            ValueError: there are several.
        """
        (x,) = self.inputs
        return x

    def note(self, photo: Photo) -> str:
        """What was guessed about the photo, as a line for people; "" if it is an ordinary photo."""
        if all(view.content < CALM for view in self.views):
            return f"{GUESS}an empty or written sheet, which stays grey"
        photos = [view for view in self.views if not view.before]  # pieces of a strip count once
        if len(photos) > 1:
            return f"{GUESS}a page with {len(photos)} photos, each coloured by itself; the page stays grey"
        box = photos[0].box
        pieces = [view.box for view in self.views]
        covered = max(piece.bottom for piece in pieces) - box.top, max(piece.right for piece in pieces) - box.left
        if covered != photo.size:
            return f"{GUESS}a photo with a border, which stays grey"
        return ""


def whole(photo: Photo) -> View:
    """All of a photo, as it is."""
    return View(Box(0, 0, photo.height, photo.width))


def views(photo: Photo) -> list[View]:
    """What the network sees of a photo. For an ordinary one, all of it."""
    step = max(1, -(-max(photo.size) // LOOKED_AT))
    scan = look(_luma(photo, step=step))
    found = []
    for box, content in zip(scan.boxes, scan.contents, strict=True):
        full = _at_full_size(photo, box, step)
        view = View(full, content, DOT_BLUR * _dots(photo, full))
        found += list(_pieces(view))
    return found


def _luma(photo: Photo, box: Box | None = None, step: int = 1) -> Floats:
    """The luma (H, W) of blocks of a photo."""
    blocks = photo.blocks(box, step)
    luma: Floats = blocks[0] if photo.is_grey else color.luma(blocks)[0]
    return luma


def _at_full_size(photo: Photo, box: Box, step: int) -> Box:
    """A box found in a reduced luma, with each side moved to the strongest edge nearby."""
    height, width = photo.size
    rough = Box(*(min(place * step, side) for place, side in zip(box, (height, width, height, width), strict=True)))
    if step == 1 or rough == (0, 0, height, width):
        return rough
    sides = []
    for number, place in enumerate(rough):
        side = (height, width)[number % 2]
        if place in (0, side):
            sides.append(place)
            continue
        first, last = max(0, place - 2 * step), min(side, place + 2 * step)
        strip = (
            Box(first, rough.left, last, rough.right) if number % 2 == 0 else Box(rough.top, first, rough.bottom, last)
        )
        lines = _luma(photo, strip) if number % 2 == 0 else _luma(photo, strip).T
        steps = np.abs(np.diff(lines, axis=0)).mean(axis=1)
        sides.append(first + 1 + int(np.argmax(steps)) if steps.size else place)
    made = Box(*sides)
    return made if made.height > 0 and made.width > 0 else rough


def _dots(photo: Photo, box: Box) -> float:
    """The distance between printed dots in a part of a photo, in its pixels; 0 if there are none."""
    step = max(1, min(box.height, box.width) // DOTS_SIDE)
    side = min(box.height, box.width, 256 * step)
    top, left = box.top + (box.height - side) // 2, box.left + (box.width - side) // 2
    return step * dots(_luma(photo, Box(top, left, top + side, left + side), step))


def _pieces(view: View) -> Iterator[View]:
    """A view, or for a long strip overlapping pieces of it."""
    box = view.box
    short, long = sorted((box.height, box.width))
    if long <= LONG * short:
        yield view
        return
    count = math.ceil((long / short - PIECE * OVERLAP) / (PIECE * (1 - OVERLAP)))
    length = math.ceil(long / (count - (count - 1) * OVERLAP))
    starts = [round(i * (long - length) / (count - 1)) for i in range(count)]
    for i, start in enumerate(starts):
        before = starts[i - 1] + length - start if i else 0
        after = start + length - starts[i + 1] if i + 1 < count else 0
        if box.width >= box.height:
            part = Box(box.top, box.left + start, box.bottom, box.left + start + length)
        else:
            part = Box(box.top + start, box.left, box.top + start + length, box.right)
        yield replace(view, box=part, before=before, after=after)


def picture(photo: Photo, view: View, height: int, width: int) -> Floats:
    """The picture of a view at the network's size: float32 (3, height, width), 0..1; with more contrast if there is little.

    Networks have seen photos with blacks and whites. A very dark, light or faded scan is stretched to a range of luma of `REACH`, but at
    most `STRETCH` times.
    """
    part = None if view.box == whole(photo).box else view.box
    same = part is None and not view.blur and (height, width) == photo.size
    rgb = photo.rgb() if same else photo.resized(height, width, part, view.blur)
    y = rgb[0] if photo.is_grey else color.luma(rgb)[0]
    low, high = (float(value) for value in np.quantile(y, (0.01, 0.99)))
    if high - low >= REACH:
        return rgb
    gain = min(STRETCH, REACH / max(high - low, 1e-6))
    span = gain * (high - low)
    # where it is moved to: as far from black and white as before, in proportion
    rest = 1 - (high - low)
    bottom = (1 - span) * low / rest if rest > 0 else 0.0
    made: Floats = np.clip((rgb - low) * gain + bottom, 0, 1).astype(np.float32)
    return made


def canvas(photo: Photo, views: Sequence[View], answers: Sequence[Floats], top: int, bottom: int) -> Floats:
    """The chroma of the rows from `top` to `bottom` of a photo, from its views' answers (C, h, w) each: (C, rows, W), 0 on paper."""
    first = views[0]
    if len(views) == 1 and first.box == whole(photo).box:
        return _rows(first, answers[0], top, bottom)
    made = np.zeros((len(answers[0]), bottom - top, photo.width), np.float32)
    for view, answer in zip(views, answers, strict=True):
        box = view.box
        start, end = max(top, box.top), min(bottom, box.bottom)
        if start >= end:
            continue
        part = _rows(view, answer, start - box.top, end - box.top)
        if view.before or view.after:
            fading = view.fading()
            part = part * (fading if box.width >= box.height else fading[start - box.top : end - box.top, None])
        made[:, start - top : end - top, box.left : box.right] += part
    return made


def _rows(view: View, answer: Floats, top: int, bottom: int) -> Floats:
    """Rows of a view's answer at the view's size."""
    if answer.shape[1:] == (view.box.height, view.box.width):
        return answer[:, top:bottom]
    return resize(answer, view.box.height, view.box.width, rows=(top, bottom))
