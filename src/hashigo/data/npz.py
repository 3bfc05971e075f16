"""Pictures in a NumPy `.npz` file, as written by the article's code and many others."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.data.pictures import PictureSet
from hashigo.errors import DataError
from hashigo.machine import quarter_of_memory

PICTURES = {
    "train": ("color", "images", "x_train", "x", "X", "train_images", "pictures", "gray"),
    "val": ("x_val", "val_images", "x_test", "test_images"),
    "test": ("x_test", "test_images", "x_val", "val_images"),
}
LABELS = {
    "train": ("labels", "y_train", "y", "train_labels"),
    "val": ("y_val", "val_labels", "y_test", "test_labels"),
    "test": ("y_test", "test_labels", "y_val", "val_labels"),
}

LARGEST_LABEL = (1 << 31) - 1


def read_npz(path: Path, split: str = "train", limit: int | None = None) -> PictureSet:
    """The pictures of a `.npz` file: uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3), with labels if it has them.

    Raises DataError for another file or type, and for a split that it does not have. Pickles are refused.
    """
    if split not in PICTURES:
        raise DataError(f"{path}: a .npz file has no split '{split}'. Known: {', '.join(PICTURES)}")
    with _opened(path) as archive:
        names = list(_members(archive))
        label_name = next((name for name in LABELS[split] if name in names), None)
        pictures = _checked(path, _array(path, archive, _first(path, PICTURES[split], names)))
        labels = None if label_name is None else _array(path, archive, label_name)
    numbers = _labels(path, labels, len(pictures))
    top = -1 if numbers is None else int(numbers.max(initial=-1))
    classes = tuple(str(label) for label in range(top + 1)) if top < 10_000 else ()
    try:
        whole = PictureSet.from_array(pictures, numbers, None, classes, f"{path.name} {split}")
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return whole.limited(limit)


def splits_in(path: Path) -> tuple[str, ...]:
    """The splits that a `.npz` file has pictures for. Raises DataError for another file."""
    with _opened(path) as archive:
        names = set(_members(archive))
    own = {"train": PICTURES["train"], "val": PICTURES["val"][:2], "test": PICTURES["test"][:2]}
    return tuple(split for split, wanted in own.items() if names & set(wanted))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens the file as a zip archive; every error becomes a DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DataError:
        raise
    except Exception as error:  # the one boundary: zipfile and NumPy raise a dozen kinds for damaged files
        raise DataError(f"{path}: expected a .npz file of plain arrays ({error})") from error


def _members(archive: zipfile.ZipFile) -> dict[str, str]:
    """The arrays' names and their file names."""
    return {name.removesuffix(".npy"): name for name in archive.namelist()}


def _array(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    """One array of the file, after a check of its size: a header may claim petabytes.

    Raises:
        DataError: the array's shape does not fit its bytes, or it is larger than the memory.
    """
    member = _members(archive)[name]
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        there = archive.getinfo(member).file_size - file.tell()
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or size != there:
        raise DataError(
            f"{path}: expected {name} as a plain array of {dtype} {shape}, found {there:,} bytes; write it again"
        )
    if size > 2 * (quarter := quarter_of_memory()):
        raise DataError(
            f"{path}: {name} takes {size / 1e9:,.0f} GB, half of the memory here is {2 * quarter / 1e9:,.0f} GB; "
            "keep the pictures in a folder, or pack them with 'hashigo data pack'"
        )
    with archive.open(member) as file:
        array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _first(path: Path, wanted: Sequence[str], names: Sequence[str]) -> str:
    for name in wanted:
        if name in names:
            return name
    raise DataError(f"{path}: expected an array named {', '.join(wanted)}; found {', '.join(names) or 'no arrays'}")


def _checked(path: Path, pictures: NDArray[np.generic]) -> NDArray[np.uint8]:
    shape = pictures.shape
    if pictures.dtype != np.uint8 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise DataError(
            f"{path}: expected uint8 pictures of shape (N, H, W) or (N, H, W, 3), found {pictures.dtype} {shape}"
        )
    return np.ascontiguousarray(pictures, np.uint8)


def _labels(path: Path, labels: NDArray[np.generic] | None, count: int) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    labels = labels.reshape(-1)
    if len(labels) and labels.dtype.kind in "iu" and not -1 <= int(labels.min()) <= int(labels.max()) <= LARGEST_LABEL:
        raise DataError(
            f"{path}: expected labels from 0 to {LARGEST_LABEL:,}, or -1 where unknown, found {labels.min()} to {labels.max()}"
        )
    if not np.issubdtype(labels.dtype, np.integer) or len(labels) != count:
        raise DataError(f"{path}: expected {count:,} whole numbers as labels, found {labels.dtype} {len(labels):,}")
    return labels.astype(np.int64)
