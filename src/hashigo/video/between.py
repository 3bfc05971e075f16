"""Key frames, which the network sees, and the frames between them, which get the colours of the key frames before and after, along the motion.

The network takes most of the time that a film needs, and neighbouring frames show nearly the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashigo.video.steady import Floats, Motion

VERSION = 2
"""Goes up when films get other colours or are encoded otherwise, so that no film is made half in one way and half in another."""

EVERY = 4
"""At most so many frames from one key frame to the next."""

UNLIKE, UNLIKE_SHARE = 20.0, 0.1
"""A frame becomes a key frame if, over more than this share of it, the local mean of the luma differs from the last key frame, along the motion, by more than this (of 255).

Local means, because stripes and other fine texture differ pixel by pixel whenever the motion is not exact, and have the same colours.
"""

FALL = 8.0
"""Where a key frame differs from a frame by so much luma more than the other one, its colours count e times less."""

SURELY_NOT = 1000.0
"""Difference where a key frame does not show a place at all."""

Luma = NDArray[np.uint8]


@dataclass(frozen=True)
class Coloured:
    """A key frame with its colours. luma: uint8 (h, w), small, for motion. answer: chroma (2, h', w'). time: in seconds."""

    luma: Luma
    answer: Floats
    time: float


@dataclass(frozen=True)
class Match:
    """Where a frame's places are in a key frame.

    flow: (h, w, 2), in pixels. difference: mean absolute difference of the luma around each place, (h, w), of 255. is_like: whether the key frame shows the same scene,
    except for a small part.
    """

    flow: Floats
    difference: Floats
    is_like: bool


def matched(luma: Luma, key: Luma, motion: Motion) -> Match:
    """Finds a frame's places in a key frame."""
    flow = motion.between(luma, key)
    there, seen = motion.carried(key.astype(np.float32)[..., None], flow)
    change = there[..., 0] - luma
    difference = motion.smoothed(np.abs(change))
    unlike = (np.abs(motion.smoothed(change)) > UNLIKE) | ~seen
    return Match(flow, np.where(seen, difference, SURELY_NOT).astype(np.float32), float(unlike.mean()) <= UNLIKE_SHARE)


@dataclass
class Placed:
    """A frame of a film.

    time: in seconds. small: its luma, for motion. is_cut: whether a scene begins with it. match: its places in the key frame before it; None if it is a key frame.
    """

    time: float
    small: Luma
    is_cut: bool
    match: Match | None


@dataclass
class KeyFrames:
    """Chooses the key frames: the first frame of each scene, each that differs much from the last key frame, and at least every `EVERY`-th.

    luma: of the last key frame. hints: the colours of its hints. age: how many frames ago it was.
    """

    luma: Luma | None = None
    hints: Sequence[object] = ()
    age: int = 0

    def choose(self, luma: Luma, motion: Motion, *, is_cut: bool, hints: Sequence[object] = ()) -> Match | None:
        """Takes in the next frame: None if it is a key frame, or else where its places are in the last one.

        is_cut: whether a scene begins with it. hints: the colours of its hints; a frame in which a hint begins or ends is a key frame.
        """
        self.age += 1
        if self.luma is not None and not is_cut and hints == self.hints and self.age < EVERY:
            match = matched(luma, self.luma, motion)
            if match.is_like:
                return match
        self.luma, self.hints, self.age = luma, hints, 0
        return None


def filled(frame: Placed, match: Match, before: Coloured, after: Coloured | None, motion: Motion) -> Floats:
    """The colours of a frame between two key frames: (2, h', w').

    match: where its places are in the key frame before. after: None if a scene or the film ends before it. The nearer one counts more. A place that one of them does not
    show, or shows otherwise, gets its colours from the other.
    """
    first, _ = motion.carried(np.ascontiguousarray(before.answer.transpose(1, 2, 0)), match.flow)
    if after is None:
        return np.ascontiguousarray(first.transpose(2, 0, 1))
    other = matched(frame.small, after.luma, motion)
    second, _ = motion.carried(np.ascontiguousarray(after.answer.transpose(1, 2, 0)), other.flow)
    gap = after.time - before.time
    position = min(max((frame.time - before.time) / gap, 0.01), 0.99) if gap > 0 else 0.5
    # how much more the key frame before counts than the one after
    odds = (1 - position) / position * np.exp(np.clip((other.difference - match.difference) / FALL, -50, 50))
    share = motion.resized(np.asarray(1 / (1 + odds), np.float32), first.shape[:2])[..., None]
    return np.ascontiguousarray((first + share * (second - first)).transpose(2, 0, 1))


def coloured(
    frames: Sequence[Placed], answers: Sequence[Floats], before: Coloured | None, motion: Motion
) -> Iterator[Floats]:
    """The colours of successive frames, (2, h', w') each. answers: of the key frames among them. before: the key frame before them, if there is one."""
    places = [at for at, frame in enumerate(frames) if frame.match is None]
    start = -1
    for end, answer in zip([*places, len(frames)], [*answers, None], strict=True):
        key = None if answer is None else Coloured(frames[end].small, answer, frames[end].time)
        after = None if key is None or frames[end].is_cut else key
        for at in range(start + 1, end):
            match = frames[at].match
            if match is None or before is None:
                raise ValueError("expected a key frame before all others, got none")
            yield filled(frames[at], match, before, after, motion)
        if key is not None:
            yield key.answer
            before, start = key, end
