"""Pictures in a NumPy `.npz` file, as the article's packing and many others write them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.data.pictures import PictureSet
from hashigo.errors import DataError

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


def read_npz(path: Path, split: str = "train", limit: int | None = None) -> PictureSet:
    """The pictures of a `.npz` file: uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3); labels where it has them.

    Raises DataError for another file or type, and for a split that it does not have. Pickles are refused.
    """
    if split not in PICTURES:
        raise DataError(f"{path}: a .npz file has no split '{split}'. Known: {', '.join(PICTURES)}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays.files)
            pictures = arrays[_first(path, PICTURES[split], names)]
            label_name = next((name for name in LABELS[split] if name in names), None)
            labels = None if label_name is None else arrays[label_name]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected a .npz file of plain arrays ({error})") from error
    numbers = _labels(path, labels, len(pictures))
    top = -1 if numbers is None else int(numbers.max(initial=-1))
    classes = tuple(str(label) for label in range(top + 1)) if top < 10_000 else ()
    whole = PictureSet.from_array(_checked(path, pictures), numbers, None, classes, f"{path.name} {split}")
    return whole.limited(limit)


def splits_in(path: Path) -> tuple[str, ...]:
    """The splits that a `.npz` file has pictures for. Raises DataError for another file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = set(arrays.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected a .npz file of plain arrays ({error})") from error
    own = {"train": PICTURES["train"], "val": PICTURES["val"][:2], "test": PICTURES["test"][:2]}
    return tuple(split for split, wanted in own.items() if names & set(wanted))


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
    if not np.issubdtype(labels.dtype, np.integer) or len(labels) != count:
        raise DataError(f"{path}: expected {count:,} whole numbers as labels, found {labels.dtype} {len(labels):,}")
    return labels.astype(np.int64)
