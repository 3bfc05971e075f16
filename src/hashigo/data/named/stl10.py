"""STL-10 in its binary form, the archive or the unpacked folder (https://cs.stanford.edu/~acoates/stl10)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.data.named.download import Remote
from hashigo.data.named.records import (
    file_sizes,
    find_files,
    numbered,
    open_each,
    parts_of,
    record_counts,
    records,
)
from hashigo.data.pictures import PictureSet, evenly
from hashigo.errors import DataError

SPLITS = ("train", "test", "unlabelled")
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SIDE = 96
REMOTES = (
    Remote(
        "stl10_binary.tar.gz",
        ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
        "91f7769df0f17e558f3565bffb0c7dfb",
        2_640_397_119,
    ),
)
PUBLISHED = {"train": 5_000, "test": 8_000, "unlabelled": 100_000}
_FILES = {"train": "train_X.bin", "test": "test_X.bin", "unlabelled": "unlabeled_X.bin"}


def find(place: Path) -> Path | None:
    """The folder with `train_X.bin` and the others, or the archive, in or at `place`."""
    return find_files(place, "stl10_binary", "stl10_binary.tar.gz", tuple(_FILES.values()))


def splits_in(where: Path) -> tuple[str, ...]:
    """The splits whose pictures are there."""
    sizes = file_sizes(where, list(_FILES.values()))
    return tuple(split for split in SPLITS if _FILES[split] in sizes)


def read_split(where: Path, split: str, limit: int | None = None) -> PictureSet:
    """96 × 96 colour pictures; labels 0..9, -1 for the unlabelled ones in a sum with labelled ones.

    The files store each channel column by column; the pictures here are row by row.
    Raises DataError for missing or damaged files, and for `unlabelled` where that file is missing.
    """
    parts = parts_of(split, SPLITS, "stl10")
    counts = record_counts(where, [_FILES[part] for part in parts], 3 * SIDE * SIDE)
    chosen = evenly(sum(counts.values()), limit)
    pictures = np.empty((len(chosen), SIDE, SIDE, 3), np.uint8)
    for places, raw in records(where, counts, 3 * SIDE * SIDE, chosen):
        pictures[places] = raw.reshape(-1, 3, SIDE, SIDE).transpose(0, 3, 2, 1)
    labels = None
    if parts != ["unlabelled"]:
        labels = _labels(where, parts, [counts[_FILES[part]] for part in parts])[chosen]
    names = numbered(parts, list(counts.values()), chosen)
    return PictureSet.from_array(pictures, labels, names, _classes(where), f"stl10 {split}")


def _labels(where: Path, parts: list[str], counts: list[int]) -> NDArray[np.int64]:
    """(N,): the parts' labels one after another: 1..10 in the files, 0..9 here, -1 where there are none."""
    wanted = {f"{part}_y.bin": part for part in parts if part != "unlabelled"}
    stored = {wanted[name]: np.frombuffer(file.read(), np.uint8) for name, file in open_each(where, list(wanted))}
    labels = []
    for part, count in zip(parts, counts, strict=True):
        if part == "unlabelled":
            labels.append(np.full(count, -1, np.int64))
            continue
        if part not in stored or len(stored[part]) != count:
            number = len(stored[part]) if part in stored else 0
            raise DataError(f"{where}: expected {count:,} labels in {part}_y.bin, found {number:,}")
        labels.append(stored[part].astype(np.int64) - 1)
    return np.concatenate(labels)


def _classes(where: Path) -> tuple[str, ...]:
    """The ten classes. If there is a file of names, it takes precedence."""
    if where.is_dir() and (where / "class_names.txt").is_file():
        return tuple((where / "class_names.txt").read_text(encoding="utf-8").split())
    return CLASSES
