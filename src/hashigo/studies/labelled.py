"""Labelled pictures of one size, for training and for scoring."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashigo.data import PictureSet, has_split, open_dataset
from hashigo.data.loader import Loader, ResidentPictures
from hashigo.data.splitting import split_off
from hashigo.errors import DataError

STEP = 4
"""The networks halve pictures twice, so sides are multiples of this."""


@dataclass(frozen=True, kw_only=True)
class AboutPictures:
    """A description of the pictures; the digest is a checksum."""

    source: str
    train: int
    test: int
    size: tuple[int, int]
    """(H, W)."""
    channels: int
    labels: int
    left_out: int
    digest: str


class Settings(Protocol):
    """The settings that say which pictures to take; see `PuritySettings`."""

    @property
    def data(self) -> str:
        """A labelled dataset."""

    @property
    def data_root(self) -> str:
        """Folder with the named datasets."""

    @property
    def size(self) -> int:
        """Side of the pictures, or 0."""

    @property
    def pictures(self) -> int:
        """Most training pictures, or 0."""

    @property
    def test_pictures(self) -> int:
        """Most test pictures, or 0."""


@dataclass(frozen=True)
class LabelledPictures:
    """Labelled training and test pictures of one size; labels are indices into `train.classes`, none of which is empty.

    left_out: pictures that could not be used, unreadable, without a label, too small, or of a class that training does not have.
    """

    train: PictureSet
    test: PictureSet
    left_out: int = 0

    @property
    def classes(self) -> int:
        """The number of classes: the k of k-means."""
        return len(self.train.classes)

    @staticmethod
    def labels(pictures: PictureSet) -> NDArray[np.int64]:
        """The labels, which are known to exist."""
        return np.asarray(pictures.labels)

    @cached_property
    def resident(self) -> ResidentPictures:
        """The training pictures on the networks' device."""
        return ResidentPictures(self.train, "cuda" if torch.cuda.is_available() else "cpu")

    @cached_property
    def about(self) -> AboutPictures:
        """Their description in results.json."""
        digest = hashlib.blake2b(digest_size=8)
        for pictures in (self.train, self.test):
            digest.update(np.ascontiguousarray(pictures.array()).data)
            digest.update(np.ascontiguousarray(self.labels(pictures)).data)
        return AboutPictures(
            source=self.train.source,
            train=len(self.train),
            test=len(self.test),
            size=self.train.uniform or (0, 0),
            channels=self.train.channels,
            labels=self.classes,
            left_out=self.left_out,
            digest=digest.hexdigest(),
        )


def rgb_of(pictures: PictureSet) -> Tensor:
    """All pictures of one size as a batch, (N, 3, H, W), sRGB, 0..1."""
    return Loader(ResidentPictures(pictures), batch_size=len(pictures), crop=0, training=False).batch(0, 0).rgb


def load_pictures(settings: Settings) -> LabelledPictures:
    """The labelled training and test pictures, all of one size that the network can halve twice.

    A set without a test split is divided.

    Raises:
        DataError: no pictures, missing labels, or pictures of different sizes without a size in the settings.
    """
    size = settings.size or (28 if settings.data == "digits" else 0)
    root = settings.data_root or None
    train, left_out = _labelled(open_dataset(settings.data, root=root, size=size or None))
    if has_split(settings.data, "test"):
        test, more = _labelled(open_dataset(settings.data, split="test", root=root, size=size or None))
        left_out += more
    else:
        train, test = split_off(train, 0.2)
    train, test = train.limited(settings.pictures or None), test.limited(settings.test_pictures or None)
    shape = _common_shape(train, test, size)
    cut = [_cut(pictures, shape) for pictures in (train, test)]
    if cut[0].channels != cut[1].channels:
        cut = [_coloured(pictures) for pictures in cut]
    usable_train, usable_test = (_relabelled(pictures, cut[0]) for pictures in cut)
    left_out += len(train) + len(test) - len(usable_train) - len(usable_test)
    if not len(usable_train) or not len(usable_test) or len(usable_train.classes) < 2:
        raise DataError(
            f"{train.source}: expected training pictures of at least two classes and test pictures of the same "
            f"classes, got {len(usable_train)} training pictures (classes: {len(usable_train.classes)}) and "
            f"{len(usable_test)} test pictures"
        )
    return LabelledPictures(usable_train, usable_test, left_out)


def _labelled(pictures: PictureSet) -> tuple[PictureSet, int]:
    """The pictures with a label, and the number without one or unreadable. Raises DataError if none has a label."""
    known = np.zeros(len(pictures), bool) if pictures.labels is None else pictures.labels >= 0
    if not known.any():
        raise DataError(
            f"{pictures.source}: expected a label for each picture, found none; the study compares its results with labels: give "
            "a folder with one sub-folder per class, or mnist, digits, cifar10"
        )
    left_out = len(pictures.skipped) + int((~known).sum())
    return (pictures if known.all() else pictures.subset(np.flatnonzero(known))), left_out


def _common_shape(train: PictureSet, test: PictureSet, size: int) -> tuple[int, int]:
    """(H, W) of all pictures: `size` if given, else their own."""
    shapes = {train.uniform, test.uniform}
    height, width = next(iter(shapes)) or (0, 0)
    if size:
        height = width = size
    elif len(shapes) > 1 or not height:
        raise DataError(
            f"{train.source}: expected pictures of one size, found several; give --size, the side of the squares "
            "to reduce and cut them to"
        )
    if min(height, width) < 2 * STEP:
        raise DataError(f"{train.source}: expected pictures of at least 8 × 8 pixels, got {height} × {width}")
    return height // STEP * STEP, width // STEP * STEP


def _cut(pictures: PictureSet, shape: tuple[int, int]) -> PictureSet:
    """The central part of each picture; smaller ones are left out."""
    if pictures.uniform == shape:
        return pictures
    enough = np.flatnonzero((pictures.sizes >= np.array(shape)).all(axis=1))
    if not len(enough):
        raise DataError(
            f"{pictures.source}: expected pictures of at least {shape[0]} × {shape[1]} pixels, found none; lower --size"
        )
    large, parts = pictures.subset(enough), []
    for i in range(len(large)):
        picture = large.picture(i)
        top, left = ((have - want) // 2 for have, want in zip(picture.shape, shape, strict=False))
        parts.append(picture[top : top + shape[0], left : left + shape[1]])
    return PictureSet.from_array(np.stack(parts), large.labels, large.names, large.classes, large.source)


def _coloured(pictures: PictureSet) -> PictureSet:
    """Grey pictures as three equal channels."""
    if pictures.channels == 3:
        return pictures
    pictures = pictures.compact()
    return replace(pictures, pixels=np.repeat(pictures.pixels, 3, axis=1))


def _relabelled(pictures: PictureSet, train: PictureSet) -> PictureSet:
    """The pictures of classes in `train`, with labels 0, 1, … in the order of the labels there.

    Classes are matched by name if they have names, because the folders `train/` and `test/` are numbered separately.
    """
    theirs = _names(train, np.unique(LabelledPictures.labels(train)))
    places = {name: place for place, name in enumerate(theirs)}
    labels = np.array([places.get(name, -1) for name in _names(pictures, LabelledPictures.labels(pictures))], np.int64)
    shared = pictures.subset(np.flatnonzero(labels >= 0))
    labels = labels[labels >= 0]
    return replace(shared, labels=labels, classes=tuple(theirs))


def _names(pictures: PictureSet, labels: NDArray[np.int64]) -> list[str]:
    names = pictures.classes
    return [names[label] if label < len(names) else str(label) for label in labels.tolist()]
