"""The 1,797 handwritten digits of 8 × 8 that come with scikit-learn: real data without a download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashigo.data.named.records import parts_of
from hashigo.data.pictures import PictureSet
from hashigo.errors import MissingExtraError

SPLITS = ("train", "test")
CLASSES = tuple("0123456789")
TRAIN = 1437  # the first four fifths


def find(place: Path) -> Path | None:
    """Ignores `place`: scikit-learn contains the digits."""
    return place


def splits_in(_where: Path) -> tuple[str, ...]:
    """Both splits, always."""
    return SPLITS


def read_split(where: Path, split: str, limit: int | None = None) -> PictureSet:
    """8 × 8 grey pictures (0..16 stretched to 0..255) and labels; the first 1,437 are "train".

    `where` is ignored. Raises MissingExtraError without scikit-learn.
    """
    del where
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("the dataset 'digits'", "train", "scikit-learn") from error
    parts = parts_of(split, SPLITS, "digits")
    bunch = load_digits()
    pictures = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    names = tuple(f"{'train' if i < TRAIN else 'test'}/{i:04d}" for i in range(len(labels)))
    whole = PictureSet.from_array(pictures, labels, names, CLASSES, f"digits {split}")
    ranges = {"train": slice(0, TRAIN), "test": slice(TRAIN, None)}
    chosen = slice(None) if len(parts) == 2 else ranges[parts[0]]
    return whole.subset(chosen).limited(limit)
