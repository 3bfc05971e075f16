"""Name or path → PictureSet. What a path holds is determined from its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashigo.data.build import Item, Progress, collect, preparer, reduced, to_short_side
from hashigo.data.folder import folder_items
from hashigo.data.named.sources import DATASETS, dataset, get
from hashigo.data.npz import read_npz
from hashigo.data.npz import splits_in as npz_splits
from hashigo.data.packfile import looks_like_pack
from hashigo.data.pictures import PictureSet, evenly
from hashigo.data.tars import shards_in, tar_items
from hashigo.errors import DataError, PictureError, did_you_mean
from hashigo.files import expand, walk
from hashigo.image.photo import SUFFIXES

SPLIT_FOLDERS = {
    "train": ("train",),
    "val": ("val", "valid", "validation", "test"),
    "test": ("test", "val", "valid", "validation"),
}


NOTHING_THERE = "expected a file, folder or glob pattern, nothing is there"


@dataclass(frozen=True)
class Content:
    """The kind of content at a path: a dataset's name, "pack", "npz", "tar", "pictures" or "splits", and its location."""

    kind: str
    where: Path
    splits: dict[str, Path] = field(default_factory=dict)
    """Only for "splits": each split's folder or file."""


def open_dataset(
    name_or_path: str | Path,
    *,
    split: str = "train",
    root: str | Path | None = None,
    size: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> PictureSet:
    """The pictures of a dataset with a name (see DATASETS), or of a file, folder or glob pattern.

    A named dataset is searched for in `root`, else in HASHIGO_DATA, else in the user's cache, and downloaded if it
    is nowhere. `split`: "train", "test" …, or a sum such as "train+test" for names; for a folder with
    `train/` and `val/` (or `test/`) one of them. `size`: the short side is reduced to it, never enlarged
    (only `digits` are). `limit`: that many pictures, evenly spaced over the set. `progress` is called
    with pictures done and the total (bytes during a download).
    Raises DataError for a wrong name, split or format, DownloadError when a download fails.
    """
    if size is not None and size < 1:
        raise DataError(f"expected a size of at least 1 pixel, found {size}")
    if isinstance(name_or_path, str) and (name_or_path in DATASETS or only_a_name(name_or_path)):
        named = dataset(name_or_path)
        where = get(name_or_path, root, progress, split=split)
        return at_size(named.read(where, split, limit), size, named.enlarges)
    content = recognise(name_or_path)
    if content.kind == "splits":
        content = recognise(_split_of(content, split))
    else:
        _check_split(content, split)
    return _opened(content, split, size, limit, progress)


def has_split(name_or_path: str | Path, split: str) -> bool:
    """Whether a dataset, folder or .npz file has a split of this name beside its training pictures.

    A plain folder is one set whatever its own name is. Raises DataError when nothing is there.
    """
    name = str(name_or_path)
    if name in DATASETS or only_a_name(name):
        return split in dataset(name).splits
    content = recognise(name_or_path)
    if content.kind in DATASETS:
        return split in DATASETS[content.kind].splits
    if content.kind == "splits":
        return any(folder in content.splits for folder in SPLIT_FOLDERS.get(split, (split,)))
    return content.kind == "npz" and split in npz_splits(content.where)


def only_a_name(text: str) -> bool:
    """Whether a text must be a dataset's name: there is no such file, and it does not look like a path."""
    path = Path(text)
    return not path.exists() and path.name == text and not path.suffix and not is_pattern(text)


def is_pattern(path: str | Path) -> bool:
    """Whether a path is a glob pattern and not an existing file."""
    return any(mark in str(path) for mark in "*?[") and not Path(path).exists()


def recognise(path: str | Path) -> Content:
    """What a path contains, judged by its content. Raises DataError for unknown content."""
    place = Path(path).expanduser()
    if is_pattern(place):
        return Content("tar" if place.suffix.lower() == ".tar" else "pictures", place)
    if not place.exists():
        raise DataError(f"{path}: {NOTHING_THERE}")
    for name, known in DATASETS.items():
        if known.files and (where := known.find(place)) is not None:
            return Content(name, where)
    return _file(place) if place.is_file() else _folder(place)


def _file(path: Path) -> Content:
    with path.open("rb") as file:
        head = file.read(512)
    if looks_like_pack(path):
        return Content("pack", path)
    if head[:4] == b"PK\3\4":
        return Content("npz", path)
    if head[257:262] == b"ustar":
        return Content("tar", path)
    return Content("pictures", path)


def _folder(folder: Path) -> Content:
    splits = _split_places(folder)
    if "train" in splits and len(splits) > 1:
        return Content("splits", folder, splits)
    if shards_in(folder):
        return Content("tar", folder)
    if next(walk(folder, SUFFIXES), None) is not None:
        return Content("pictures", folder)
    files = [path for suffix in ("safetensors", "npz") for path in sorted(folder.glob(f"*.{suffix}"))]
    if len(files) == 1:
        return _file(files[0])
    several = f"several ({', '.join(path.name for path in files)}): name one of them" if files else "none"
    raise DataError(
        f"{folder}: expected pictures, .tar shards, a pack (.safetensors), a .npz file or the files of "
        f"{', '.join(DATASETS)}; found {several}"
    )


def _split_places(folder: Path) -> dict[str, Path]:
    """The folders and files with names of splits."""
    places: dict[str, Path] = {}
    for name in dict.fromkeys(name for names in SPLIT_FOLDERS.values() for name in names):
        for candidate in (
            folder / name,
            *(folder / f"{name}.{end}" for end in ("safetensors", "npz", "tar")),
        ):
            if candidate.exists():
                places.setdefault(name, candidate)
    return places


def _split_of(content: Content, split: str) -> Path:
    for name in SPLIT_FOLDERS.get(split, (split,)):
        if name in content.splits:
            return content.splits[name]
    raise DataError(f"{content.where} has no split '{split}'; {did_you_mean(split, content.splits)}")


def _check_split(content: Content, split: str) -> None:
    """A plain folder is one split: the one that its name says, otherwise "train"."""
    if content.kind in DATASETS or content.kind == "npz" or split == "train":
        return
    if split not in (content.where.name, content.where.stem):
        raise DataError(
            f"{content.where} has no split '{split}', it is one set of pictures: ask for 'train', or give a "
            f"folder that has the sub-folders train/ and {split}/"
        )


def _opened(content: Content, split: str, size: int | None, limit: int | None, progress: Progress | None) -> PictureSet:
    if content.kind in DATASETS:
        return at_size(DATASETS[content.kind].read(content.where, split, limit), size)
    if content.kind == "npz":
        by_name = content.where.stem == split and split not in npz_splits(content.where)
        return at_size(read_npz(content.where, "train" if by_name else split, limit), size)
    if content.kind == "pack":
        return at_size(PictureSet.open(content.where).limited(limit), size)
    items = items_of(content)
    chosen_items = [items[i] for i in evenly(len(items), limit)]
    return collect(chosen_items, str(content.where), preparer(size), progress)


def items_of(content: Content) -> Sequence[Item]:
    """The single pictures of a "tar" or "pictures" path. Raises DataError when there are none."""
    if content.kind != "tar":
        return folder_items(content.where)
    items = tar_items(_shards(content.where))
    if not items:
        raise DataError(f"{content.where}: expected pictures in the .tar shards, found none")
    return items


def _shards(where: Path) -> list[Path]:
    """The .tar files of a file, folder or pattern."""
    if not is_pattern(where):
        return [where] if where.is_file() else shards_in(where)
    try:
        return [path for path, _ in expand([where], {".tar"})]
    except PictureError as error:
        raise DataError(str(error)) from error


def at_size(pictures: PictureSet, size: int | None, enlarge: bool = False) -> PictureSet:
    """The set with each picture's short side reduced to `size` (Lanczos); enlarged only on request."""
    if size is None or len(pictures) == 0:
        return pictures
    shorts = pictures.sizes.min(axis=1)
    if not ((shorts > size) | ((shorts < size) & enlarge)).any():
        return pictures
    change: Callable[[np.ndarray, int], np.ndarray] = to_short_side if enlarge else reduced
    results = [change(_squeezed(pictures.picture(i)), size) for i in range(len(pictures))]
    sizes = np.array([result.shape[:2] for result in results], np.int32)
    pixels = np.concatenate([result.reshape(-1, pictures.channels) for result in results])
    return PictureSet(
        pixels, sizes, pictures.labels, pictures.names, pictures.classes, pictures.source, pictures.skipped
    )


def _squeezed(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0] if picture.shape[2] == 1 else picture
