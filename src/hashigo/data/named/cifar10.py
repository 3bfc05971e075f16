"""CIFAR-10 in its binary form, the archive or the unpacked folder (https://www.cs.toronto.edu/~kriz/cifar.html).

The Python form is a pickle, which can run any code when loaded, so it is not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashigo.data.named.download import Remote
from hashigo.data.named.records import file_sizes, find_files, numbered, parts_of, record_counts, records
from hashigo.data.pictures import PictureSet, evenly

SPLITS = ("train", "test")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
_RECORD = 1 + 3 * SIDE * SIDE  # a label, then the three channels row by row
REMOTES = (
    Remote(
        "cifar-10-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        "c32a1d4ab5d03f1284b67883e8d87530",
        170_052_171,
    ),
)
PUBLISHED = {"train": 50_000, "test": 10_000}
_FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}


def find(place: Path) -> Path | None:
    """The folder with `data_batch_1.bin` and the others, or the archive, in or at `place`."""
    markers = [name for names in _FILES.values() for name in names]
    return find_files(place, "cifar-10-batches-bin", "cifar-10-binary.tar.gz", markers)


def splits_in(where: Path) -> tuple[str, ...]:
    """The splits with at least one file."""
    sizes = file_sizes(where, [name for names in _FILES.values() for name in names])
    return tuple(split for split in SPLITS if any(name in sizes for name in _FILES[split]))


def read_split(where: Path, split: str, limit: int | None = None) -> PictureSet:
    """32 × 32 colour pictures with labels 0..9. Raises DataError for missing or damaged files."""
    parts = parts_of(split, SPLITS, "cifar10")
    counts = record_counts(where, [name for part in parts for name in _FILES[part]], _RECORD)
    chosen = evenly(sum(counts.values()), limit)
    pictures = np.empty((len(chosen), SIDE, SIDE, 3), np.uint8)
    labels = np.empty(len(chosen), np.int64)
    for places, raw in records(where, counts, _RECORD, chosen):
        labels[places] = raw[:, 0]
        pictures[places] = raw[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    per_part = [sum(counts[name] for name in _FILES[part]) for part in parts]
    names = numbered(parts, per_part, chosen)
    return PictureSet.from_array(pictures, labels, names, CLASSES, f"cifar10 {split}")
