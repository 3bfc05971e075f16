"""Reads many picture files into one PictureSet: in threads, in order, stored once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashigo.data.pictures import PictureSet
from hashigo.errors import DataError, PictureError
from hashigo.image.photo import Photo, read
from hashigo.machine import cores

Progress = Callable[[int, int], None]
"""Called with the number done and the total."""
Prepare = Callable[[Photo], NDArray[np.uint8]]
"""Maps a photo to the uint8 (H, W) or (H, W, 3) to keep; raises PictureError if it is not wanted."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture to read: a file, or `length` bytes at `offset` in a file."""

    name: str
    path: Path
    offset: int = 0
    length: int | None = None

    def photo(self) -> Photo:
        """Reads and decodes it. Raises PictureError."""
        if self.length is None:
            return read(self.path)
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                return read(file.read(self.length))
        except OSError as error:
            raise PictureError(f"{self.path}: {self.name} cannot be read ({error})") from error


class Sink(Protocol):
    """Where the pixels go."""

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Appends one picture's pixels."""

    def widen(self) -> None:
        """Turns the grey pixels written so far into three equal channels."""


class MemorySink:
    """Pixels in one growing array.

    The room for `expected` pictures is estimated from those seen, so the array seldom grows; growing
    and the final trim use `realloc`, which moves no data for blocks of this size on Linux.
    """

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.buffer = np.empty(0, np.uint8)
        self.used = 0
        self.count = 0

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Appends one picture's pixels. Raises DataError if memory runs out."""
        end = self.used + pixels.size
        self.count += 1
        if end > self.buffer.size:
            self._resize(max(end, int(1.05 * end / self.count * self.expected)))
        self.buffer[self.used : end] = pixels.reshape(-1)
        self.used = end

    def widen(self) -> None:
        """Turns the grey pixels written so far into three equal channels."""
        self.buffer = np.repeat(self.buffer[: self.used], 3)
        self.used = self.buffer.size

    def pixels(self, channels: int) -> NDArray[np.uint8]:
        """All pixels (P, C), without copying."""
        self._resize(self.used)
        return self.buffer.reshape(-1, channels)

    def _resize(self, size: int) -> None:
        try:
            self.buffer.resize(size, refcheck=False)
        except MemoryError as error:
            raise DataError(
                f"these pictures need {size / 1e9:.1f} GB of memory: write them into a file with "
                "'hashigo data pack', or read smaller (size) or fewer (limit) ones"
            ) from error


def preparer(size: int | None = None, crop: int | None = None, square_only: bool = False) -> Prepare:
    """Returns a function that composes a photo on white, reduces and crops it.

    `size`: the short side is reduced to it (Lanczos), never enlarged. `crop`: then the centre square of
    that side; smaller pictures are refused. `square_only`: pictures that are not square are refused.
    """

    def prepare(photo: Photo) -> NDArray[np.uint8]:
        height, width = photo.size
        if square_only and height != width:
            raise PictureError(f"not square: {height} × {width}")
        pixels = photo.on_white()
        if size is not None:
            pixels = reduced(pixels, size)
        return pixels if crop is None else _centre(pixels, crop)

    return prepare


def reduced(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """uint8 (H, W) or (H, W, 3) with the short side reduced to `size` (Lanczos), never enlarged."""
    return pixels if min(pixels.shape[:2]) <= size else to_short_side(pixels, size)


def to_short_side(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """uint8 (H, W) or (H, W, 3) with the short side reduced or enlarged to `size` (Lanczos)."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    target = max(size, round(width * size / short)), max(size, round(height * size / short))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _centre(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        raise PictureError(f"{height} × {width} is too small for a crop of {side} × {side}")
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _photos(items: Sequence[Item], prepare: Prepare) -> Iterator[NDArray[np.uint8] | PictureError]:
    """Each item's pixels or the error, in order, read by as many threads as there are processors.

    Only a few results wait at any time, so memory stays small for any number of items.
    """

    def read(item: Item) -> NDArray[np.uint8] | PictureError:
        try:
            return prepare(item.photo())
        except PictureError as error:
            return error

    workers = min(16, cores())
    waiting: deque[Future[NDArray[np.uint8] | PictureError]] = deque()
    pool = ThreadPoolExecutor(workers, "hashigo-read")
    try:
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) >= 8 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class Read:
    """What was read: the items, their sizes, the channels of the pixels, and what was skipped."""

    items: list[Item]
    sizes: NDArray[np.int32]
    channels: int
    skipped: tuple[tuple[str, str], ...]


def pour(items: Sequence[Item], sink: Sink, prepare: Prepare, progress: Progress | None = None) -> Read:
    """Reads the items into a sink. Grey pictures among coloured ones get three equal channels.

    Files that cannot be read are skipped and listed. Raises DataError if none can be read.
    """
    done: list[Item] = []
    sizes: list[tuple[int, int]] = []
    skipped: list[tuple[str, str]] = []
    channels = 1
    for number, (item, pixels) in enumerate(zip(items, _photos(items, prepare), strict=True), 1):
        if progress is not None:
            progress(number, len(items))
        if isinstance(pixels, PictureError):
            skipped.append((item.name, str(pixels)))
            continue
        if pixels.ndim == 3 and channels == 1:
            channels = 3
            if done:
                sink.widen()
        if pixels.ndim == 2 and channels == 3:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        sink.write(pixels)
        done.append(item)
        sizes.append((pixels.shape[0], pixels.shape[1]))
    if not done:
        reason = f"; the first: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise DataError(f"none of {len(items):,} pictures could be used{reason}")
    return Read(done, np.array(sizes, np.int32), channels, tuple(skipped))


def collect(items: Sequence[Item], source: str, prepare: Prepare, progress: Progress | None = None) -> PictureSet:
    """Reads the items into memory. Labels come from their folders (see `classes_of`)."""
    sink = MemorySink(len(items))
    result = pour(items, sink, prepare, progress)
    classes = classes_of(items)
    names = tuple(item.name for item in result.items)
    pixels = sink.pixels(result.channels)
    return PictureSet(pixels, result.sizes, labels_of(names, classes), names, classes, source, result.skipped)


def classes_of(items: Sequence[Item]) -> tuple[str, ...]:
    """The names of the first folders, sorted, if there are at least two.

    Files beside the folders are ignored; otherwise one stray file would remove the labels of a whole set.
    """
    folders = {item.name.partition("/")[0] for item in items if "/" in item.name}
    return tuple(sorted(folders)) if len(folders) > 1 else ()


def labels_of(names: Sequence[str], classes: tuple[str, ...]) -> NDArray[np.int64] | None:
    """(N,): the index in `classes` of each name's first folder, -1 if there is none; None without classes."""
    if not classes:
        return None
    place = {name: label for label, name in enumerate(classes)}
    return np.array([place[name.partition("/")[0]] if "/" in name else -1 for name in names], np.int64)
