"""The pictures of a restoration study: for training, validation and testing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.data import DATASETS, PictureSet, has_split, open_dataset
from hashigo.data.opening import recognise
from hashigo.data.pictures import evenly
from hashigo.data.splitting import split_off
from hashigo.errors import DataError
from hashigo.studies.restoration.results import AboutPictures, AboutSet, AboutTestSet
from hashigo.studies.restoration.settings import RestorationSettings


@dataclass(frozen=True, eq=False)
class DividedPictures:
    """The three disjoint sets of a study.

    train: for training. validation: for loss curves, panels and the choice of the best epoch.
    test: for measurements. crop: side of the squares that the networks see. grey: whether the pictures have no colour.
    kept_out: names of classes excluded from training. by_class: whether these are the test pictures.
    dropped: pictures that were too small, or test pictures that were also in the training set. unreadable: files. digest: a checksum.
    """

    train: PictureSet
    validation: PictureSet
    test: PictureSet
    crop: int
    grey: bool
    kept_out: tuple[str, ...]
    by_class: bool
    dropped: int
    unreadable: int
    digest: str

    @property
    def about(self) -> AboutPictures:
        """Their description in results.json."""
        return AboutPictures(
            train=AboutSet(pictures=len(self.train), source=self.train.source),
            validation=AboutSet(pictures=len(self.validation), source=self.validation.source),
            test=AboutTestSet(pictures=len(self.test), source=self.test.source, names=list(self.test.names)),
            side=self.crop,
            grey=self.grey,
            classes_kept_out=list(self.kept_out),
            left_out=self.dropped,
            unreadable=self.unreadable,
            digest=self.digest,
        )


def load_pictures(settings: RestorationSettings, keep_out: Collection[str] = ()) -> DividedPictures:
    """Reads and splits the pictures that `settings` name.

    If a set has labels, classes with names in `keep_out` (lower case) are excluded from training, and unless
    `settings.test` names other pictures they are the test pictures: those of the set's own test split, or of training
    if it has none of them. Otherwise the test pictures are the set's own test split, or a held-out share.

    Raises:
        DataError: no pictures, no picture of another class, none large enough, or too few to split.
    """
    pictures, own_test = _training(settings)
    names, of_classes = _of_classes(pictures, keep_out)
    data = pictures.subset(~of_classes) if of_classes.any() else pictures
    if of_classes.any() and not len(data):
        raise DataError(
            f"{pictures.source}: expected pictures to train on besides those of the class {' and '.join(names)}, which "
            "are kept for the test, found no others; give a set that has more classes"
        )
    by_class = bool(names) and not settings.test
    if settings.test:
        test = _open(settings, settings.test, test=True)
    elif by_class:
        test_split = _of_test_split(settings, keep_out) if own_test else None
        test = pictures.subset(of_classes) if test_split is None else test_split
        if not len(test):
            raise DataError(
                f"{pictures.source}: expected pictures of the class {' and '.join(names)} to test on, found none; give "
                "pictures to test on with --test, or more with --pictures"
            )
    elif own_test:
        test = _open(settings, settings.data, test=True, limit=settings.test_pictures)
    else:
        if len(data) < 3:
            raise DataError(
                f"{data.source}: expected at least 3 pictures, for training, validation and test, got {len(data)}"
            )
        data, test = split_off(data, min(settings.test_pictures, max(1, len(data) // 5)) / len(data))
    crop = min(settings.crop, *data.uniform) if data.uniform else settings.crop
    return _divided(settings, data, test, crop, names, by_class)


def _of_test_split(settings: RestorationSettings, keep_out: Collection[str]) -> PictureSet | None:
    """The test split's pictures of the excluded classes; None if it has none."""
    test = _open(settings, settings.data, test=True)
    chosen = _of_classes(test, keep_out)[1]
    return test.subset(chosen) if chosen.any() else None


def _divided(
    settings: RestorationSettings, data: PictureSet, test: PictureSet, crop: int, names: tuple[str, ...], by_class: bool
) -> DividedPictures:
    enough, fitting = _large_enough(data, crop), _large_enough(test, crop)
    validation_share = min(max(settings.panels, len(enough) // 20), max(1, len(enough) // 4)) / len(enough)
    train, validation = split_off(enough, validation_share)
    seen = _digests(train) + _digests(validation)
    known = set(seen)
    ours = _digests(fitting)
    unseen = fitting.subset(np.array([digest not in known for digest in ours], dtype=bool))
    if not len(unseen):
        raise DataError(
            f"{test.source}: expected test pictures that are not among the training pictures, all {len(fitting):,} are; "
            "give others with --test"
        )
    dropped = len(data) - len(enough) + len(test) - len(unseen)
    unreadable = len({*data.skipped, *test.skipped})
    shown = unseen.limited(settings.test_pictures)
    digest = hashlib.blake2b(b"".join([*seen, *_digests(shown)]), digest_size=8).hexdigest()
    return DividedPictures(train, validation, shown, crop, is_grey(train), names, by_class, dropped, unreadable, digest)


def is_grey(pictures: PictureSet) -> bool:
    """Whether the pictures have one channel, or three equal ones in each of a hundred of them."""
    if pictures.channels == 1:
        return True
    sample = (pictures.picture(int(i)) for i in evenly(len(pictures), 100))
    return all(bool((pixels == pixels[..., :1]).all()) for pixels in sample)


def _training(settings: RestorationSettings) -> tuple[PictureSet, bool]:
    """The pictures to split, and whether the set's own test split remains for testing.

    If more pictures are requested than a named set's training split has, the whole set is used.
    """
    pictures = _open(settings, settings.data, limit=settings.pictures)
    kind = _kind(settings.data)
    if kind in DATASETS and "test" in DATASETS[kind].splits and len(pictures) < settings.pictures:
        return _open(settings, settings.data, split="train+test", limit=settings.pictures), False
    return pictures, has_split(settings.data, "test")


def _open(
    settings: RestorationSettings, name: str, *, split: str = "train", test: bool = False, limit: int = 0
) -> PictureSet:
    split = "test" if test and has_split(name, "test") else split
    size = settings.size or settings.crop
    return open_dataset(name, split=split, root=settings.data_root or None, size=size, limit=limit or None)


def _kind(name: str) -> str:
    """The name of a dataset, or what a path holds."""
    return name if name in DATASETS or not _there(name) else recognise(name).kind


def _there(name: str) -> bool:
    return any(mark in name for mark in "*?[") or Path(name).expanduser().exists()


def _of_classes(pictures: PictureSet, names: Collection[str]) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """The classes with one of these names, and which pictures belong to them (N,)."""
    labels = [label for label, name in enumerate(pictures.classes) if name.lower() in names]
    if pictures.labels is None or not labels:
        return (), np.zeros(len(pictures), dtype=bool)
    return tuple(pictures.classes[label] for label in labels), np.isin(pictures.labels, labels)


def _large_enough(pictures: PictureSet, crop: int) -> PictureSet:
    if not len(pictures):
        raise DataError(f"{pictures.source}: expected pictures, found none; give another set with --data or --test")
    shorts = pictures.sizes.min(axis=1)
    fits = shorts >= crop
    if not fits.any():
        raise DataError(
            f"{pictures.source}: expected pictures of at least {crop} × {crop} pixels, got {len(pictures):,} that are all "
            f"smaller, the largest with a short side of {shorts.max()}; lower --crop"
        )
    return pictures if fits.all() else pictures.subset(fits)


def _digests(pictures: PictureSet) -> list[bytes]:
    """An eight-byte hash of each picture."""
    return [
        hashlib.blake2b(np.ascontiguousarray(pictures.picture(i)).tobytes(), digest_size=8).digest()
        for i in range(len(pictures))
    ]
