"""A set of pictures of any sizes, with labels and names: the result of every data source."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashigo.data.packfile import PackWriter, read_pack
from hashigo.errors import DataError
from hashigo.files import atomic_path
from hashigo.image.formats import LONGEST_SIDE

_CHECKED_AT_ONCE = 1 << 24
"""Number of pixels per step of a checksum, because they may be in a file."""


@dataclass(frozen=True, eq=False)
class PictureSet:
    """N pictures as uint8 pixels in one array, in memory or memory-mapped.

    All pictures have the same number of channels; their sizes may differ.
    Raises DataError if the parts do not match.
    """

    pixels: NDArray[np.uint8]
    """(P, C): every picture's pixels one after another, each picture row by row; C is 1 (grey) or 3 (sRGB). See `starts`."""
    sizes: NDArray[np.int32]
    """(N, 2): height and width of each picture."""
    labels: NDArray[np.int64] | None
    """(N,): each picture's index in `classes`, or -1 if unknown; None without labels."""
    names: Sequence[str]
    """N names: the file's path within its folder or archive, or the split and running number."""
    classes: tuple[str, ...] = ()
    """What the labels mean."""
    source: str = ""
    """The source of the pictures, for people."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Files that could not be used: name and reason."""
    starts: NDArray[np.int64] | None = None
    """(N,): where in `pixels` each picture begins, if they do not simply follow one another: in a part of a memory-mapped set, which may be larger than memory."""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 2 or self.pixels.shape[1] not in (1, 3):
            raise DataError(
                f"a picture set needs uint8 pixels of shape (P, 1) or (P, 3), "
                f"found {self.pixels.dtype} {self.pixels.shape}"
            )
        if self.sizes.ndim != 2 or self.sizes.shape[1] != 2:
            raise DataError(f"a picture set needs sizes of shape (N, 2), found {self.sizes.shape}")
        if len(self.sizes) and not 1 <= self.sizes.min() <= self.sizes.max() <= LONGEST_SIDE:
            raise DataError(
                f"expected pictures of 1 to {LONGEST_SIDE:,} rows and columns, found {self.sizes.min()} to {self.sizes.max()}"
            )
        expected = int(np.prod(self.sizes, axis=1, dtype=np.int64).sum())
        if self.starts is not None:
            ends = self.starts + np.prod(self.sizes, axis=1, dtype=np.int64)
            if (
                self.starts.shape != ends.shape
                or self.starts.min(initial=0) < 0
                or ends.max(initial=0) > len(self.pixels)
            ):
                raise DataError(f"expected pictures within {len(self.pixels):,} pixels, found some outside")
        elif len(self.pixels) != expected:
            raise DataError(f"the sizes add up to {expected:,} pixels, found {len(self.pixels):,}")
        if len(self.names) != len(self) or (self.labels is not None and self.labels.shape != (len(self),)):
            labels = "no" if self.labels is None else f"{self.labels.shape[0]:,}"
            raise DataError(f"{len(self):,} pictures, but {len(self.names):,} names and {labels} labels")
        if self.labels is not None and (self.labels.dtype != np.int64 or self.labels.min(initial=0) < -1):
            raise DataError(
                f"expected labels as int64 from 0, or -1 where unknown, found {self.labels.dtype} from {self.labels.min(initial=0)}"
            )

    @classmethod
    def from_array(
        cls,
        pictures: NDArray[np.uint8],
        labels: NDArray[np.int64] | None = None,
        names: Sequence[str] | None = None,
        classes: tuple[str, ...] = (),
        source: str = "",
    ) -> PictureSet:
        """A set from uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3); a contiguous array is not copied."""
        if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4):
            raise DataError(f"expected uint8 (N, H, W) or (N, H, W, C), found {pictures.dtype} {pictures.shape}")
        count, height, width = pictures.shape[:3]
        channels = pictures.shape[3] if pictures.ndim == 4 else 1
        sizes = np.broadcast_to(np.array([height, width], np.int32), (count, 2))
        names = tuple(f"{i:06d}" for i in range(count)) if names is None else names
        pixels = pictures.reshape(count * height * width, channels)
        return cls(pixels, sizes, labels, names, classes, source)

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.sizes)

    def checksum(self) -> str:
        """A short text that changes with the pictures, their sizes or their order: 0.3 s per GB of pixels."""
        crc = zlib.crc32(np.ascontiguousarray(self.sizes).tobytes())
        for part in self._parts():
            crc = zlib.crc32(np.ascontiguousarray(part).data, crc)
        return f"{len(self)}-{crc:08x}"

    def _parts(self) -> Iterator[NDArray[np.uint8]]:
        """The pixels in order, some at a time."""
        if self.starts is not None:
            yield from (self.picture(i) for i in range(len(self)))
        else:
            for start in range(0, len(self.pixels), _CHECKED_AT_ONCE):
                yield self.pixels[start : start + _CHECKED_AT_ONCE]

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return int(np.prod(self.sizes, axis=1, dtype=np.int64).sum()) * self.channels

    def compact(self) -> PictureSet:
        """The same pictures one after another in `pixels`: itself, unless it has `starts`, in which case they are copied."""
        if self.starts is None:
            return self
        area = 0 if self.uniform is None else self.uniform[0] * self.uniform[1]
        if area and len(self.pixels) % area == 0 and not (self.starts % area).any():  # all of one size: at once
            rows = self.pixels.reshape(-1, area, self.channels)[self.starts // area]
            return replace(self, pixels=rows.reshape(-1, self.channels), starts=None)
        pixels = np.empty((self.nbytes // self.channels, self.channels), np.uint8)
        position = 0
        for part in self._parts():
            flat = part.reshape(-1, self.channels)
            pixels[position : position + len(flat)] = flat
            position += len(flat)
        return replace(self, pixels=pixels, starts=None)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for sRGB."""
        return int(self.pixels.shape[1])

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(N,): where in `pixels` each picture begins."""
        if self.starts is not None:
            return self.starts
        areas = np.prod(self.sizes, axis=1, dtype=np.int64)
        offsets: NDArray[np.int64] = np.cumsum(areas) - areas
        return offsets

    @cached_property
    def uniform(self) -> tuple[int, int] | None:
        """The (H, W) that all pictures have, or None when they differ or there are none."""
        if len(self) == 0 or (self.sizes != self.sizes[0]).any():
            return None
        return int(self.sizes[0, 0]), int(self.sizes[0, 1])

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Picture `index` as uint8 (H, W, C), a view; a negative index counts from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of a set of {len(self)}")
        height, width = (int(side) for side in self.sizes[index])
        first = int(self.offsets[index])
        return self.pixels[first : first + height * width].reshape(height, width, self.channels)

    def array(self) -> NDArray[np.uint8]:
        """All pictures as uint8 (N, H, W, C), a view; a copy if there are `starts`. Raises DataError when the sizes differ."""
        if self.uniform is None:
            raise DataError(
                f"{self.source or 'the set'}: expected pictures of one size, found {self._size_range()}; "
                "crop them ('hashigo data pack --size 96 --crop 96') or take them one by one"
            )
        return self.compact().pixels.reshape(len(self), *self.uniform, self.channels)

    def subset(self, indices: slice | ArrayLike) -> PictureSet:
        """The pictures of a slice, of indices in any order, or of a mask (N,).

        A run of neighbours and any part of a memory-mapped set stay views; anything else is copied.
        """
        chosen = np.arange(len(self))[indices if isinstance(indices, slice) else np.asarray(indices)]
        chosen = chosen.reshape(-1)
        starts: NDArray[np.int64] | None = self.offsets[chosen]
        pixels = self.pixels
        if self.starts is None and (np.diff(chosen) == 1).all():
            ends = np.append(self.offsets, len(self.pixels))
            pixels = self.pixels[ends[chosen[0]] : ends[chosen[-1] + 1]] if len(chosen) else self.pixels[:0]
            starts = None
        part = PictureSet(
            pixels,
            self.sizes[chosen],
            None if self.labels is None else self.labels[chosen],
            tuple(self.names[i] for i in chosen.tolist()),
            self.classes,
            self.source,
            self.skipped,
            starts,
        )
        return part if isinstance(self.pixels, np.memmap) else part.compact()

    def limited(self, limit: int | None) -> PictureSet:
        """At most `limit` pictures, evenly spaced over the set; all of them for None."""
        chosen = evenly(len(self), limit)
        return self if len(chosen) == len(self) else self.subset(chosen)

    def _size_range(self) -> str:
        if len(self) == 0:
            return "no size"
        low, high = self.sizes.min(axis=0), self.sizes.max(axis=0)
        return f"{low[0]} to {high[0]} × {low[1]} to {high[1]} (height × width)"

    def save(self, path: str | Path) -> None:
        """Writes the whole set into one `.safetensors` pack, atomically and without a second copy in memory."""
        with atomic_path(path) as temporary, temporary.open("w+b") as file:
            writer = PackWriter(file, self.classes, self.source)
            for part in self._parts():
                writer.write(part)
            writer.finish(self.channels, self.sizes, self.labels, self.names)

    @classmethod
    def open(cls, path: str | Path) -> PictureSet:
        """Opens a pack; the pixels are memory-mapped. Raises DataError if the file is not a complete pack."""
        tensors, metadata = read_pack(Path(path))
        blob = tensors["names"].tobytes()
        lengths = tensors["name_lengths"]
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        if lengths.ndim != 1 or lengths.min(initial=0) < 0 or (ends and ends[-1] > len(blob)):
            raise DataError(f"{path}: the pack is damaged (its names do not fit); write it again")
        names = tuple(
            blob[first:last].decode("utf-8", "surrogateescape")
            for first, last in zip([0, *ends[:-1]], ends, strict=False)
        )
        classes, source = _classes(path, metadata.get("classes", "[]")), metadata.get("source", str(path))
        try:
            return cls(tensors["pixels"], tensors["sizes"], tensors.get("labels"), names, classes, source)
        except DataError as error:
            raise DataError(f"{path}: the pack is damaged ({error}); write it again") from error


def _classes(path: str | Path, text: str) -> tuple[str, ...]:
    try:
        classes = json.loads(text)
    except (ValueError, RecursionError):
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"{path}: the pack is damaged (its classes are not a list of names); write it again")
    return tuple(classes)


def evenly(count: int, limit: int | None) -> NDArray[np.int64]:
    """The indices of at most `limit` of `count` items, evenly spaced, including the first.

    >>> evenly(10, 4).tolist()
    [0, 2, 5, 7]
    """
    if limit is not None and limit < 1:
        raise DataError(f"expected a limit of at least 1 picture, found {limit}")
    if limit is None or limit >= count:
        return np.arange(count)
    return np.arange(limit) * count // limit
