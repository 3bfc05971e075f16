"""Named datasets: where they are searched for, how they are read, and how they are downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hashigo.data.named import cifar10, digits, download, mnist, stl10
from hashigo.data.named.download import Remote
from hashigo.data.named.records import parts_of
from hashigo.data.pictures import PictureSet
from hashigo.errors import DataError, did_you_mean


class ReadSplit(Protocol):
    """Reads a split of a dataset, or several joined by "+" (`records.parts_of`), evenly thinned out to `limit` pictures."""

    def __call__(self, where: Path, split: str, limit: int | None = None) -> PictureSet:
        """Raises DataError for missing or damaged files."""


@dataclass(frozen=True)
class Dataset:
    """A dataset with a name. To add one: a file like `cifar10.py`, and an entry in `DATASETS`."""

    about: str
    """One line for people: description and download size."""
    splits: tuple[str, ...]
    find: Callable[[Path], Path | None]
    """The dataset's location in or at a path, or None. It is called with every path that a user names, so it must return None
    unless the files are certainly its own."""
    splits_in: Callable[[Path], tuple[str, ...]]
    """The splits that are there."""
    read: ReadSplit
    files: tuple[Remote, ...] = ()
    """What to download; nothing for datasets that come with a dependency."""
    published: Mapping[str, int] = field(default_factory=dict)
    """Published number of pictures per split. Other numbers are reported but are no fault: small sets in the same format are common."""
    enlarges: bool = False
    """Whether a `size` above the pictures' own enlarges them."""


DATASETS: dict[str, Dataset] = {
    "cifar10": Dataset(
        "60,000 colour pictures of 32 × 32 in ten classes (170 MB)",
        cifar10.SPLITS,
        cifar10.find,
        cifar10.splits_in,
        cifar10.read_split,
        cifar10.REMOTES,
        cifar10.PUBLISHED,
    ),
    "digits": Dataset(
        "1,797 handwritten digits of 8 × 8, part of scikit-learn (nothing to download)",
        digits.SPLITS,
        digits.find,
        digits.splits_in,
        digits.read_split,
        enlarges=True,
    ),
    "mnist": Dataset(
        "70,000 handwritten digits of 28 × 28 (12 MB)",
        mnist.SPLITS,
        mnist.find,
        mnist.splits_in,
        mnist.read_split,
        mnist.REMOTES,
        mnist.PUBLISHED,
    ),
    "stl10": Dataset(
        "113,000 colour pictures of 96 × 96, of these 13,000 in ten classes (2.6 GB)",
        stl10.SPLITS,
        stl10.find,
        stl10.splits_in,
        stl10.read_split,
        stl10.REMOTES,
        stl10.PUBLISHED,
    ),
}


def data_root(root: str | Path | None = None) -> Path:
    """The folder of datasets: `root`, else HASHIGO_DATA, else `hashigo/data` in the user's cache folder."""
    if root is not None:
        return Path(root).expanduser()
    if own := os.environ.get("HASHIGO_DATA"):
        return Path(own).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hashigo" / "data"


def dataset(name: str) -> Dataset:
    """The dataset of that name. Raises DataError with the nearest right name."""
    if name not in DATASETS:
        raise DataError(f"'{name}' is neither a file or folder nor a dataset; {did_you_mean(name, DATASETS)}")
    return DATASETS[name]


def find_local(name: str, root: str | Path | None = None) -> Path | None:
    """The location of a named dataset: in `root/name`, in `root` or in a folder `root/name*`; None if nowhere."""
    named, base = dataset(name), data_root(root)
    if not named.files:
        return named.find(base)
    others = sorted(path for path in base.glob(f"{name}*") if path.is_dir()) if base.is_dir() else []
    for place in (base / name, base, *others):
        if place.exists() and (where := named.find(place)) is not None:
            return where
    return None


def get(
    name: str,
    root: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    split: str | None = None,
) -> Path:
    """The location of the dataset, which is downloaded to `root/name` if it is nowhere yet.

    `split`: the only one that must be there. `progress` is called with bytes.
    Raises DataError for an unknown name, DownloadError when it cannot be downloaded.
    """
    named = dataset(name)
    needed = named.splits if split is None else parts_of(split, named.splits, name)
    where = find_local(name, root)
    # A set of several files (MNIST) may lack some; an archive is either there or not.
    if where is not None and (len(named.files) < 2 or set(needed) <= set(named.splits_in(where))):
        return where
    folder = data_root(root) / name
    for file in named.files:
        download.download(
            file.urls,
            folder / file.name,
            size=file.size,
            md5=file.md5,
            unpacked=file.unpacked,
            progress=progress,
        )
    where = named.find(folder)
    if where is None:
        raise DataError(f"{folder}: expected the files of {name}, but they are missing; remove the folder")
    return where
