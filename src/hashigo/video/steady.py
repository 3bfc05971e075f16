"""Steady colours: what the network says of a frame, averaged with what it said of the same things in the frames before and after.

Frame by frame, a network's colours flicker, because film grain changes what it sees. What is averaged is its output before colours are decided, not the colours, which
would lose saturation; and it is averaged along the motion in the picture. Frames on both sides count: they are twice as many, and those before alone would say more
about things near the edge than about those in the middle (`benchmarks/video.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import MissingExtraError

Floats = NDArray[np.float32]

SHARE = 0.25
"""Share of the newest frame in the running mean, in either direction."""

CUT = 10.0
"""A frame is the first of a scene from this score: the default of `scdet`."""

AHEAD = 8
"""Frames of a folder after a chunk that its frames are averaged with."""

CHANNELS = 128
"""The most that OpenCV's `remap` takes."""

MOTION_SIDE = 256
"""Motion is estimated on frames reduced to this width or height, whichever is longer."""


@dataclass(frozen=True)
class Look:
    """A frame as the network saw it.

    luma: uint8 (h, w), small, for motion. output: the network's, float32 (C, h', w'). is_cut: whether a scene begins with it. change: see `Scenes`.
    """

    luma: NDArray[np.uint8]
    output: Floats
    is_cut: bool = False
    change: float = 0.0

    @cached_property
    def values(self) -> Floats:
        """The output with channels last, (h', w', C)."""
        return np.ascontiguousarray(self.output.transpose(1, 2, 0))


@dataclass
class Scenes:
    """Finds the first frames of scenes, as ffmpeg's filter `scdet` does: a frame that differs from the one before far more than that did from its own.

    luma: of the frame before. change: by how much it differed, in per cent.
    """

    luma: NDArray[np.uint8] | None = None
    change: float = 0.0

    def begins(self, luma: NDArray[np.uint8]) -> bool:
        """Whether a scene begins with the frame of this luma (h, w), the next one."""
        if self.luma is None or self.luma.shape != luma.shape:
            self.luma, self.change = luma, 0.0
            return True
        change = float(np.abs(luma.astype(np.int16) - self.luma).mean()) * (100 / 255)
        score = min(change, abs(change - self.change))
        self.luma, self.change = luma, change
        return score >= CUT


@dataclass
class Mean:
    """A running mean along the motion. Its arrays have channels last."""

    luma: NDArray[np.uint8] | None = None
    values: Floats | None = None
    frames: int = 0

    def add(self, look: Look, motion: Motion, *, starts: bool) -> Floats:
        """Takes in a frame, and returns the mean as it is for this frame: (h', w', C). starts: whether the mean begins anew with it."""
        now = look.values
        if (
            starts
            or self.values is None
            or self.luma is None
            or self.luma.shape != look.luma.shape
            or self.values.shape != now.shape
        ):
            self.frames, mean = 1, now
        else:
            self.frames += 1
            before, seen = motion.carried(self.values, motion.between(look.luma, self.luma))
            mean = motion.mixed(before, now, max(SHARE, 1 / self.frames))
            mean[~seen] = now[~seen]
        self.luma, self.values = look.luma, mean
        return mean


@dataclass
class State:
    """What the frames after some need to know of these. change: of the last one, see `Scenes`. answer: its colours, (2, h', w'), if those after it need them; time: its own, in seconds."""

    mean: Mean = field(default_factory=Mean)
    change: float = 0.0
    answer: Floats | None = None
    time: float = 0.0

    def copy(self) -> State:
        """The state as it is now."""
        return replace(self, mean=replace(self.mean))

    def scenes(self) -> Scenes:
        """Goes on finding scenes after these frames."""
        return Scenes(self.mean.luma, self.change)

    def save(self, path: Path) -> None:
        """Writes it into a file."""
        mean = self.mean
        arrays = {} if mean.luma is None or mean.values is None else {"luma": mean.luma, "values": mean.values}
        if self.answer is not None:
            arrays["answer"] = self.answer
        with path.open("wb") as file:
            numbers = {"frames": np.array(mean.frames), "change": np.array(self.change), "time": np.array(self.time)}
            np.savez(file, **numbers, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> State:
        """The state that a file holds."""
        with np.load(path) as stored:
            if "luma" not in stored:
                return cls()
            mean = Mean(stored["luma"], stored["values"], int(stored["frames"]))
            return cls(mean, float(stored["change"]), stored.get("answer"), float(stored["time"]))


class Motion:
    """Motion between frames: dense inverse search (Kroeger et al. 2016), by OpenCV.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(self) -> None:
        try:
            self._cv2: Any = import_module("cv2")
        except ImportError as error:
            raise MissingExtraError("colorizing films", "video", error.name or "cv2") from error
        cv2 = self._cv2
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._flow.setVariationalRefinementIterations(0)

    def between(self, luma: NDArray[np.uint8], other: NDArray[np.uint8]) -> Floats:
        """Where each pixel of `luma` (h, w) is in `other`, relative to its own place: (h, w, 2), x and y in pixels."""
        self._flow.setFinestScale(
            1
        )  # finer than the preset's, which loses its way among stripes; small frames change it
        flow: Floats = self._flow.calc(luma, other, None)
        return flow

    def carried(self, values: Floats, flow: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Another frame's values (h', w', C) at the places that `flow` (h, w, 2) points to, and whether these are within it, (h', w')."""
        height, width = values.shape[:2]
        scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        small = self._cv2.resize(flow, (width, height), interpolation=self._cv2.INTER_AREA) * scale
        x = np.arange(width, dtype=np.float32) + small[..., 0]
        y = np.arange(height, dtype=np.float32)[:, None] + small[..., 1]
        parts = [
            self._cv2.remap(
                np.ascontiguousarray(values[..., start : start + CHANNELS]), x, y, self._cv2.INTER_LINEAR,
                borderMode=self._cv2.BORDER_REPLICATE,
            ).reshape(height, width, -1)
            for start in range(0, values.shape[2], CHANNELS)
        ]  # fmt: skip
        carried: Floats = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
        seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        return carried, seen

    def mixed(self, one: Floats, other: Floats, share: float) -> Floats:
        """one + share (other - one)."""
        mixed: Floats = self._cv2.addWeighted(one, 1 - share, other, share, 0)
        return mixed.reshape(one.shape)

    def smoothed(self, values: Floats) -> Floats:
        """Means of 5 × 5 values (h, w)."""
        smoothed: Floats = self._cv2.blur(values, (5, 5))
        return smoothed

    def resized(self, values: Floats, size: tuple[int, int]) -> Floats:
        """Values (h, w) at another size (height, width)."""
        resized: Floats = self._cv2.resize(values, size[::-1], interpolation=self._cv2.INTER_AREA)
        return resized

    def reduced(self, luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame's luma (H, W), reduced for estimating motion."""
        height, width = luma.shape
        scale = min(1.0, MOTION_SIDE / max(height, width))
        size = max(16, round(width * scale)), max(16, round(height * scale))
        small: NDArray[np.uint8] = self._cv2.resize(luma, size, interpolation=self._cv2.INTER_AREA)
        return small


def steadied(chunk: Sequence[Look], ahead: Sequence[Look], past: State, motion: Motion) -> list[Floats]:
    """The frames' outputs, each averaged with those before and after it: (C, h', w').

    chunk: successive frames. ahead: the next ones, as far as they are known. past: of the frames before; afterwards, of these.
    """
    forward = [past.mean.add(look, motion, starts=look.is_cut) for look in chunk]
    past.change = chunk[-1].change if chunk else past.change
    future = Mean()
    backward: list[Floats] = []
    frames = [*chunk, *ahead]
    for number in range(len(frames) - 1, -1, -1):
        following = frames[number + 1] if number + 1 < len(frames) else None
        mean = future.add(frames[number], motion, starts=following is None or following.is_cut)
        if number < len(chunk):
            backward.append(mean)
    results = []
    for look, before, after in zip(chunk, forward, reversed(backward), strict=True):
        # the frame itself is in both means; where a mean is short, its share is larger, and what is said twice then counts a little more
        both = motion.mixed(motion.mixed(before, after, 0.5), look.values, -SHARE / (2 - SHARE))
        results.append(np.ascontiguousarray(both.transpose(2, 0, 1)))
    return results
