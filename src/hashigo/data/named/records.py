"""Binary files of fixed-length records, in a folder or inside a (compressed) tar archive.

STL-10 and CIFAR-10 have this form. An archive is read as a stream: nothing is unpacked
to disk, and only the requested records are in memory.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import DataError

_PIECE = 512  # records read at a time

STREAM_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error)


def find_files(place: Path, folder: str, archive: str, markers: Sequence[str]) -> Path | None:
    """The location of a dataset: `place` itself, its sub-folder `folder` or the file `archive` in it.

    One of the file names `markers` is enough. `place` may be the archive, under any name.
    """
    if place.is_file():
        return place if _first_member(place) & {folder, *markers} else None
    for candidate in (place, place / folder):
        if any((candidate / marker).is_file() for marker in markers):
            return candidate
    return place / archive if (place / archive).is_file() else None


def _first_member(archive: Path) -> set[str]:
    """The first member's path, in parts: enough to identify an archive without unpacking gigabytes."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            member = tar.next()
    except STREAM_ERRORS:
        return set()
    return set(PurePosixPath(member.name).parts) if member else set()


def file_sizes(where: Path, names: Sequence[str]) -> dict[str, int]:
    """The sizes in bytes of the named files that a folder or archive contains."""
    if where.is_dir():
        return {name: (where / name).stat().st_size for name in names if (where / name).is_file()}
    return {name: size for name, size, _ in _archived(where, names)}


def open_each(where: Path, names: Sequence[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Opens the named files of a folder or archive, in its order, except missing ones."""
    if where.is_dir():
        for name in names:
            if (where / name).is_file():
                with (where / name).open("rb") as plain:
                    yield name, plain
        return
    for name, _, member in _archived(where, names):
        yield name, member


def _archived(archive: Path, names: Sequence[str]) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and stream of the named files in an archive; stops after the last one."""
    remaining = set(names)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if name not in remaining or (file := tar.extractfile(member)) is None:
                    continue
                yield name, member.size, file
                remaining.discard(name)
                if not remaining:
                    return
    except STREAM_ERRORS as error:
        raise DataError(f"{archive}: the archive is damaged or cut short ({error}); get it again") from error


def record_counts(where: Path, names: Sequence[str], length: int) -> dict[str, int]:
    """How many records of `length` bytes each of the files has. Raises DataError for missing or odd ones."""
    sizes = file_sizes(where, names)
    for name in names:
        if name not in sizes:
            raise DataError(f"{where}: expected the file {name}, but it is missing")
        if sizes[name] % length:
            raise DataError(
                f"{where}: {name} has {sizes[name]:,} bytes, no multiple of {length:,}: "
                "it is cut short or of another format; get it again"
            )
    return {name: sizes[name] // length for name in names}


def records(
    where: Path, counts: dict[str, int], length: int, chosen: NDArray[np.int64]
) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """The `chosen` records (sorted; counted over all files in the order of `counts`), in pieces.

    Each piece consists of positions within `chosen` and the records there, uint8 (k, length).
    """
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
    for name, file in open_each(where, list(counts)):
        for first in range(0, counts[name], _PIECE):
            count = min(_PIECE, counts[name] - first)
            low, high = np.searchsorted(chosen, [starts[name] + first, starts[name] + first + count])
            if low == high:
                file.seek(count * length, 1)
                continue
            piece = np.frombuffer(_exactly(file, count * length, where, name), np.uint8)
            rows = chosen[low:high] - (starts[name] + first)
            yield slice(int(low), int(high)), piece.reshape(count, length)[rows]


def _exactly(file: IO[bytes], size: int, where: Path, name: str) -> bytes:
    try:
        data = file.read(size)
    except STREAM_ERRORS as error:
        raise DataError(f"{where}: {name} is damaged ({error}); get it again") from error
    if len(data) != size:
        raise DataError(f"{where}: {name} is cut short; get it again")
    return data


def parts_of(split: str, known: Sequence[str], dataset: str) -> list[str]:
    """The parts of a split such as "train+test". "val" means the test part if there is no other.

    Raises DataError for an unknown one.
    """
    spelling = {"unlabeled": "unlabelled", "val": "test"}
    parts = [part if part in known else spelling.get(part, part) for part in split.split("+")]
    for part in parts:
        if part not in known:
            raise DataError(
                f"{dataset} has no split '{part}'. Known: {', '.join(known)}, and sums such as {known[0]}+{known[-1]}"
            )
    return list(dict.fromkeys(parts))


def numbered(parts: Sequence[str], counts: Sequence[int], chosen: NDArray[np.int64]) -> tuple[str, ...]:
    """Names such as "train/00042" for the chosen pictures, counted over all parts."""
    names = [f"{part}/{i:05d}" for part, count in zip(parts, counts, strict=True) for i in range(count)]
    return tuple(names[i] for i in chosen)
