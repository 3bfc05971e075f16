"""Checks whether a dataset is complete: opens every file, compares counts and checksums, counts labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.data.build import Progress, classes_of, labels_of, pour, preparer
from hashigo.data.named import mnist
from hashigo.data.named.download import checksum
from hashigo.data.named.sources import DATASETS, dataset, find_local
from hashigo.data.npz import splits_in as npz_splits
from hashigo.data.opening import NOTHING_THERE, is_pattern, items_of, only_a_name, open_dataset, recognise
from hashigo.data.pictures import PictureSet
from hashigo.errors import DataError

_SAMPLE = 1_000  # number of unlabelled pictures to read: all 100,000 would take 2.8 GB of memory


@dataclass(frozen=True)
class SplitReport:
    """What one split holds."""

    count: int
    smallest: tuple[int, int]
    """The smallest height and the smallest width."""
    largest: tuple[int, int]
    channels: int
    labels: dict[str, int] = field(default_factory=dict)
    """Pictures per class; empty without labels."""


@dataclass
class Report:
    """The result of a check. `problems` is empty if all is well."""

    format: str
    where: str
    splits: dict[str, SplitReport] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is data and no problem."""
        return bool(self.splits) and not self.problems


def check(name_or_path: str | Path, root: str | Path | None = None, progress: Progress | None = None) -> Report:
    """Checks a dataset that is already there, by name or path; nothing is downloaded.

    In a folder, every picture is decoded. Raises DataError for a wrong name; all other
    faults are in the report's `problems`.
    """
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        where = find_local(name_or_path, root)
        if where is None:
            missing = f"not there; 'hashigo data get {name_or_path}' downloads it"
            return Report(name_or_path, "nowhere", problems=[missing])
        report = Report(name_or_path, str(where))
        _check_named(report, name_or_path, where)
        return report
    if not Path(name_or_path).expanduser().exists() and not is_pattern(name_or_path):
        return _missing(name_or_path)
    try:
        content = recognise(name_or_path)
    except DataError as error:
        return Report("unknown", str(name_or_path), problems=[str(error)])
    report = Report(content.kind, str(content.where))
    if content.kind in DATASETS:
        _check_named(report, content.kind, content.where)
    elif content.kind == "splits":
        for split, place in content.splits.items():
            _attempt(report, _check_place, report, split, place, progress)
    else:
        _attempt(report, _check_place, report, "train", content.where, progress)
    return report


def _missing(name_or_path: str | Path) -> Report:
    """Reports that nothing is there; for a name, raises a DataError that lists the right ones."""
    if only_a_name(str(name_or_path)):
        dataset(str(name_or_path))
    return Report("unknown", str(name_or_path), problems=[f"{name_or_path}: {NOTHING_THERE}"])


def _attempt(report: Report, step: Callable[..., None], *arguments: object) -> None:
    """Runs a step; an error becomes a problem in the report."""
    try:
        step(*arguments)
    except DataError as error:
        report.problems.append(str(error))


def _check_named(report: Report, name: str, where: Path) -> None:
    """Reads every split that is there and compares it with the published numbers."""
    known = DATASETS[name]
    try:
        there = known.splits_in(where)
    except DataError as error:
        report.problems.append(str(error))
        return
    report.notes += [f"{split}: its files are not there" for split in known.splits if split not in there]
    for split in there:
        _attempt(report, _check_split, report, name, where, split)
    if name == "mnist":
        _check_sums(report, where)


def _check_split(report: Report, name: str, where: Path, split: str) -> None:
    limit = _SAMPLE if split == "unlabelled" else None
    pictures = DATASETS[name].read(where, split, limit)
    report.splits[split] = summary(pictures)
    published = DATASETS[name].published.get(split)
    if limit is not None:
        report.notes.append(f"{split}: {len(pictures):,} pictures were looked at")
    elif published is not None and published != len(pictures):
        report.notes.append(f"{split}: {len(pictures):,} pictures, the published set has {published:,}")
    if pictures.labels is not None and pictures.labels.size and int(pictures.labels.max()) >= len(pictures.classes):
        top, classes = int(pictures.labels.max()) + 1, len(pictures.classes)
        report.problems.append(f"{split}: labels from 1 to {top}, but there are {classes} classes")
    if pictures.pixels.size and int(pictures.pixels.max()) == int(pictures.pixels.min()):
        report.problems.append(f"{split}: every pixel is {pictures.pixels.flat[0]}")


def _check_sums(report: Report, where: Path) -> None:
    """Full-size MNIST has published checksums of its files' content; other sets in its format differ."""
    for split, summed in report.splits.items():
        if summed.count != mnist.PUBLISHED[split]:
            continue
        for name in mnist.file_names(split):
            expected = next(file.md5 for file in mnist.REMOTES if file.name == f"{name}.gz")
            path = mnist.located(where, name)
            if path is not None and checksum(path, unpacked=path.suffix == ".gz") != expected:
                report.notes.append(f"{path.name}: in MNIST's format, but its content is not MNIST's")


def _check_place(report: Report, split: str, place: Path, progress: Progress | None) -> None:
    """A folder, shards, a pack or a .npz: reads all of it, without keeping decoded pictures in memory."""
    content = recognise(place)
    if content.kind in ("pack", "npz"):
        parts = npz_splits(content.where) if content.kind == "npz" else ()
        for part in parts or ("train",):  # opening a file without any says why
            key = part if split == "train" else split
            pictures = open_dataset(content.where, split=part)
            report.splits[key] = summary(pictures)
            _note_unlabelled(report, key, pictures.labels)
        return
    if content.kind in DATASETS:
        report.splits[split] = summary(open_dataset(content.where, split=split))
        return
    result = pour(items_of(content), _Nowhere(), preparer(), progress)
    report.problems += [f"{split}: {name}: {reason}" for name, reason in result.skipped]
    classes = classes_of(result.items)
    labels = labels_of([item.name for item in result.items], classes)
    _note_unlabelled(report, split, labels)
    report.splits[split] = SplitReport(
        len(result.items),
        _pair(result.sizes.min(axis=0)),
        _pair(result.sizes.max(axis=0)),
        result.channels,
        {} if labels is None else _counts(labels, classes),
    )


def _note_unlabelled(report: Report, split: str, labels: NDArray[np.int64] | None) -> None:
    without = 0 if labels is None else int((labels < 0).sum())
    if labels is not None and without:
        which = f"{without:,} of {len(labels):,} pictures"
        report.notes.append(f"{split}: {which} have no label, such as those outside the class folders")


def _counts(labels: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, int]:
    """Pictures per class; those without a label are left out."""
    values, counts = np.unique(labels[labels >= 0], return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {classes[value] if value < len(classes) else str(value): count for value, count in pairs}


class _Nowhere:
    """A sink for pictures that are only checked."""

    def write(self, pixels: np.ndarray) -> None:
        """Keeps nothing."""

    def widen(self) -> None:
        """Does nothing."""


def _pair(sizes: np.ndarray) -> tuple[int, int]:
    return int(sizes[0]), int(sizes[1])


def summary(pictures: PictureSet) -> SplitReport:
    """The number of pictures, sizes and labels of a set. Raises DataError for an empty one."""
    if len(pictures) == 0:
        raise DataError(f"{pictures.source}: expected pictures, found none")
    labels = {} if pictures.labels is None else _counts(pictures.labels, pictures.classes)
    low, high = pictures.sizes.min(axis=0), pictures.sizes.max(axis=0)
    return SplitReport(len(pictures), _pair(low), _pair(high), pictures.channels, labels)
