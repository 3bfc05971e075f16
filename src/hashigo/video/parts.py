"""The parts of a film that is being made: some seconds each, so that a run that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from hashigo.files import atomic_path, on_disk
from hashigo.video.film import Film
from hashigo.video.frames import Encoder, Frame, Plane
from hashigo.video.steady import State

PART_SECONDS = 30
"""About how much of the film a part has."""


class Parts:
    """The finished parts of a film. Each has a line in `parts.jsonl`, written when its file is complete."""

    def __init__(self, folder: Path, key: object) -> None:
        self.folder, self._list = folder, folder / "parts.jsonl"
        self.done: list[dict[str, object]] = []
        head = json.dumps(key)
        lines = self._list.read_text(encoding="utf-8").splitlines() if self._list.is_file() else []
        if lines[:1] == [head]:
            self.done = [json.loads(line) for line in lines[1:]]
        else:  # none, or of another film, model or option
            folder.mkdir(parents=True, exist_ok=True)
            self.clear()
            self._lines([head])
        self._head = head

    def _lines(self, lines: Sequence[str]) -> None:
        with atomic_path(self._list) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def frames(self) -> int:
        """Frames in all finished parts."""
        return sum(int(str(part["frames"])) for part in self.done)

    @property
    def next(self) -> Path:
        """The file of the part after these."""
        return self.folder / f"{len(self.done):05d}.mp4"

    def add(self, frames: int, start: Fraction, end: Fraction, state: State) -> None:
        """Notes that the next part is complete. state: with which the part after it begins."""
        with atomic_path(self.folder / f"{len(self.done):05d}.npz") as temporary:
            state.save(temporary)
        for path in (self.next, self.next.with_suffix(".npz")):
            on_disk(path)  # else the list could survive a power failure that they did not
        self.done.append({"frames": frames, "start": str(start), "end": str(end)})
        self._lines([self._head, *map(json.dumps, self.done)])

    def state(self) -> State:
        """The state with which the next part begins."""
        return State.load(self.folder / f"{len(self.done) - 1:05d}.npz") if self.done else State()

    def clear(self) -> None:
        """Removes all files but the lock, which goes, with the folder, when it is released."""
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()


class PartWriter:
    """Writes frames into parts, which end with a chunk."""

    def __init__(self, film: Film, parts: Parts, quality: int) -> None:
        self._film, self._parts, self._quality = film, parts, quality
        self._is_full = False
        self._encoder: Encoder | None = None
        self._first = self._last = Fraction(0)
        self._gap = Fraction(1, 25)
        self._state = State()
        self._frames = 0

    def write(self, frame: Frame, chroma: Sequence[Plane]) -> None:
        """Adds a frame with its chroma planes."""
        if self._encoder is not None and self._frames and self._is_full:
            self._complete(frame.time)
        if self._encoder is None:
            self._encoder = Encoder(self._film, self._parts.next, frame.time, self._quality)
            self._first, self._frames = frame.time, 0
        if self._frames:
            self._gap = frame.time - self._last
        self._last = frame.time
        self._frames += 1
        self._encoder.write(frame.time, [frame.luma, *chroma])

    def end_of_chunk(self, state: State) -> None:
        """Lets the part end here if it is long enough. state: with which the next one would begin."""
        if self._last - self._first >= PART_SECONDS:
            self._is_full = True
            self._state = state.copy()

    def _complete(self, end: Fraction) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._parts.add(self._frames, self._first, end, self._state)
        self._encoder, self._is_full = None, False

    def close(self) -> None:
        """Completes the last part."""
        self._state = State()
        self._complete(self._last + self._gap)

    def abandon(self) -> None:
        """Leaves the present part incomplete."""
        if self._encoder is not None:
            self._encoder.abandon()
