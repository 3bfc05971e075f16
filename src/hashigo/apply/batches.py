"""The assembly line: load (workers) → network, in batches of neighbours with the same shape (here) → finish (workers)."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hashigo.apply.call import Call, Output
from hashigo.apply.views import Seen
from hashigo.errors import HashigoError
from hashigo.image.photo import Photo
from hashigo.machine import cores

Floats = NDArray[np.float32]

IN_FLIGHT_PIXELS = 48_000_000
"""No further photo is started while this many decoded pixels wait between the stages: this limits memory."""

FAILURES = (HashigoError, OSError, MemoryError)
"""Errors of one photo that do not stop the others."""

_END = object()

Item = TypeVar("Item")
Result = TypeVar("Result")
_Given = TypeVar("_Given", contravariant=True)
_Made = TypeVar("_Made", covariant=True)


class Applies(Protocol):
    """What the line needs from a `hashigo.apply.model.Model`."""

    def start(self, photo: Photo, call: Call) -> Photo:
        """The photo as the network gets it: restored if that comes first, and at the result's size."""

    def works_whole(self, size: tuple[int, int]) -> bool:
        """Whether a started photo of (H, W) goes through the network in one piece."""

    def prepare(self, photo: Photo, call: Call | None = None) -> Seen:
        """What the network sees of a photo."""

    def outputs(self, x: Floats, calls: Sequence[Call]) -> list[Output]:
        """What the network makes of a batch of inputs (N, C, h, w)."""

    def each_output(self, seen: Seen, call: Call) -> list[Output]:
        """What the network makes of each view of a photo."""

    def finish(self, photo: Photo, outputs: Sequence[Output], seen: Seen, call: Call | None = None) -> Photo:
        """The photo, restored with the network's outputs."""

    def restored(self, photo: Photo, call: Call) -> Photo:
        """A started photo through the model, alone."""


class Work(Protocol[_Given, _Made]):
    """What is done with each item; called from several threads."""

    def pixels(self, item: _Given, /) -> int:
        """How many pixels the item's photo will take in memory; 0 if unknown. Raises nothing."""

    def load(self, item: _Given, /) -> Photo | None:
        """The item's photo, or None if there is nothing to do. Raises one of `FAILURES`."""

    def call(self, item: _Given, /) -> Call:
        """The options for the item's photo, which is loaded by now."""

    def finish(self, item: _Given, photo: Photo, result: Photo, /) -> _Made:
        """The item's result, given its finished photo. Raises one of `FAILURES`."""

    def skip(self, item: _Given, /) -> _Made:
        """The result of an item with nothing to do."""

    def fail(self, item: _Given, error: Exception, /) -> _Made:
        """The result of an item that failed; may raise the error."""


@dataclass
class _Loaded(Generic[Item]):
    item: Item
    call: Call | None = None
    photo: Photo | None = None
    seen: Seen | None = None
    error: Exception | None = None

    @property
    def x(self) -> Floats | None:
        """The input of a photo that fits into a batch; photos with several views are done alone."""
        return self.seen.x if self.seen is not None and len(self.seen.views) == 1 else None

    @property
    def pixels(self) -> int:
        return 0 if self.photo is None else self.photo.height * self.photo.width


class Line(Generic[Item, Result]):
    """Runs a model on many photos: workers load and finish photos while the network is busy.

    Args:
        model: the model.
        work: what is done with each item.
        batch_size: most photos per batch.
    """

    def __init__(self, model: Applies, work: Work[Item, Result], *, batch_size: int) -> None:
        self.model, self.work, self.batch_size = model, work, batch_size
        self.ahead = 2 * cores()

    def run(self, items: Iterable[Item]) -> Iterator[Result]:
        """Yields results in the order of `items`."""
        with (
            ThreadPoolExecutor(cores(), thread_name_prefix="hashigo-photo") as pool,
            ThreadPoolExecutor(1, thread_name_prefix="hashigo-header") as headers,  # not behind photos: all wait for it
        ):
            yield from self._run(iter(items), pool, headers)

    def _run(self, todo: Iterator[Item], pool: ThreadPoolExecutor, headers: ThreadPoolExecutor) -> Iterator[Result]:
        measured: deque[tuple[Item, Future[int]]] = deque()  # their headers are being read: how large they will be
        loading: deque[tuple[int, Future[_Loaded[Item]]]] = deque()
        finishing: deque[tuple[int, Future[Result]]] = deque()
        batch: list[_Loaded[Item]] = []
        while True:
            while len(measured) < self.ahead and (following := next(todo, _END)) is not _END:
                item = cast("Item", following)
                measured.append((item, headers.submit(self.work.pixels, item)))
            while measured and len(loading) < self.ahead:
                expected = measured[0][1].result()
                if loading and not self._room(expected, loading, batch, finishing):
                    break
                loading.append((expected, pool.submit(self._load, measured.popleft()[0])))
            if not loading:
                break
            loaded = loading.popleft()[1].result()
            if batch and not self._fits(batch, loaded):
                finishing.extend(self._through(batch, pool))
                batch = []
            batch.append(loaded)
            while finishing and (finishing[0][1].done() or sum(pixels for pixels, _ in finishing) > IN_FLIGHT_PIXELS):
                yield finishing.popleft()[1].result()
        finishing.extend(self._through(batch, pool))
        yield from (future.result() for _, future in finishing)

    def _room(
        self, expected: int, loading: Iterable[tuple[int, object]], batch: Sequence[_Loaded[Item]],
        finishing: Iterable[tuple[int, object]],
    ) -> bool:  # fmt: skip
        """Whether a photo with this many pixels may be started in addition to those in memory or being read."""
        pixels = sum(size for size, _ in loading) + sum(loaded.pixels for loaded in batch)
        return pixels + sum(size for size, _ in finishing) + expected <= IN_FLIGHT_PIXELS

    def _fits(self, batch: Sequence[_Loaded[Item]], new: _Loaded[Item]) -> bool:
        first = batch[0].x
        alike = first is not None and new.x is not None and first.shape == new.x.shape
        pixels = sum(loaded.pixels for loaded in (*batch, new))
        return alike and len(batch) < self.batch_size and pixels <= IN_FLIGHT_PIXELS

    def _load(self, item: Item) -> _Loaded[Item]:
        try:
            photo = self.work.load(item)
            if photo is None:
                return _Loaded(item)
            call = self.work.call(item)
            photo = self.model.start(photo, call)
            seen = self.model.prepare(photo, call) if self.model.works_whole(photo.size) else None
            return _Loaded(item, call, photo, seen)
        except FAILURES as error:
            return _Loaded(item, error=error)

    def _through(
        self, batch: Sequence[_Loaded[Item]], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[int, Future[Result]]]:
        """Runs the network on a batch of one shape and hands its photos to the workers.

        If the network fails, for instance because memory runs out, the workers try each photo alone.
        """
        outputs: Sequence[Output | None] = [None] * len(batch)
        if batch and batch[0].x is not None:
            with contextlib.suppress(HashigoError, MemoryError):
                inputs = np.stack([loaded.x for loaded in batch if loaded.x is not None])
                outputs = self.model.outputs(inputs, [loaded.call for loaded in batch if loaded.call is not None])
        for loaded, output in zip(batch, outputs, strict=True):
            yield loaded.pixels, pool.submit(self._finish, loaded, output)

    def _finish(self, loaded: _Loaded[Item], output: Output | None) -> Result:
        item, photo, call = loaded.item, loaded.photo, loaded.call
        if loaded.error is not None:
            return self.work.fail(item, loaded.error)
        if photo is None or call is None:
            return self.work.skip(item)
        try:
            if loaded.seen is None:
                result = self.model.restored(photo, call)
            else:
                outputs = [output] if output is not None else self.model.each_output(loaded.seen, call)
                result = self.model.finish(photo, outputs, loaded.seen, call)
            return self.work.finish(item, photo, result)
        except FAILURES as error:
            return self.work.fail(item, error)
