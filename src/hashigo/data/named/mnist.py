"""MNIST in its IDX files, plain or compressed (http://yann.lecun.com/exdb/mnist describes the format)."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from hashigo.data.named.download import Remote
from hashigo.data.named.records import parts_of
from hashigo.data.pictures import PictureSet
from hashigo.errors import DataError

SPLITS = ("train", "test")
CLASSES = tuple("0123456789")
PUBLISHED = {"train": 60_000, "test": 10_000}
_STEMS = {"train": "train", "test": "t10k"}
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def _remote(name: str, md5: str) -> Remote:
    return Remote(f"{name}.gz", tuple(f"{mirror}{name}.gz" for mirror in _MIRRORS), md5, unpacked=True)


REMOTES = (
    _remote("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
    _remote("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    _remote("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    _remote("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
)


def file_names(split: str) -> tuple[str, str]:
    """The names of a split's two files, pictures and labels, without ".gz"."""
    return f"{_STEMS[split]}-images-idx3-ubyte", f"{_STEMS[split]}-labels-idx1-ubyte"


def find(place: Path) -> Path | None:
    """The folder with IDX files named like MNIST's: `place`, its `raw`, or the folder of such a file."""
    if place.is_file():
        return find(place.parent) if place.name.removesuffix(".gz").endswith("-ubyte") else None
    for folder in (place, place / "raw", place / "MNIST" / "raw"):
        if any(located(folder, file_names(split)[0]) for split in SPLITS):
            return folder
    return None


def splits_in(where: Path) -> tuple[str, ...]:
    """The splits whose pictures are there."""
    return tuple(split for split in SPLITS if located(where, file_names(split)[0]))


def read_split(where: Path, split: str, limit: int | None = None) -> PictureSet:
    """28 × 28 grey pictures and their labels. Plain files are memory-mapped, compressed ones unpacked.

    Raises DataError for missing or damaged files.
    """
    sets = [_part(where, part) for part in parts_of(split, SPLITS, "mnist")]
    if len(sets) == 1:
        return sets[0].limited(limit)
    pixels = np.concatenate([part.pixels for part in sets])
    labels = np.concatenate([part.labels for part in sets if part.labels is not None])
    sizes = np.concatenate([part.sizes for part in sets])
    names = tuple(name for part in sets for name in part.names)
    return PictureSet(pixels, sizes, labels, names, sets[0].classes, f"mnist {split}").limited(limit)


def _part(where: Path, split: str) -> PictureSet:
    images, labels = (_array(where, name) for name in file_names(split))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"{where}: expected as many {split} pictures as labels, found shapes {images.shape} and "
            f"{labels.shape}; the files do not belong together"
        )
    names = tuple(f"{split}/{i:05d}" for i in range(len(images)))
    top = int(labels.max(initial=9))
    classes = CLASSES if top < 10 else tuple(str(label) for label in range(top + 1))
    return PictureSet.from_array(images, labels.astype(np.int64), names, classes, f"mnist {split}")


def located(where: Path, name: str) -> Path | None:
    """The file, plain or compressed; some copies have a dot where the original has a hyphen."""
    dotted = name.replace("-idx", ".idx")
    candidates = (where / variant for variant in (name, f"{name}.gz", dotted, f"{dotted}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def _array(where: Path, name: str) -> NDArray[np.uint8]:
    path = located(where, name)
    if path is None:
        raise DataError(f"{where}: expected {name} or {name}.gz, but neither exists")
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as file:
                return _loaded(cast(IO[bytes], file))
        with path.open("rb") as file:
            shape = _shape(file)
        return np.memmap(path, np.uint8, "c", 4 + 4 * len(shape), shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: expected a whole IDX file of bytes ({error}); get it again") from error


def _shape(file: IO[bytes]) -> tuple[int, ...]:
    """The array's shape from the header: two zeros, type 8 (byte), the number of axes, their lengths."""
    head = file.read(4)
    if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 3:
        raise ValueError(f"the file begins with {head.hex(' ')}")
    return struct.unpack(f">{head[3]}I", file.read(4 * head[3]))


def _loaded(file: IO[bytes]) -> NDArray[np.uint8]:
    shape = _shape(file)
    data = bytearray(file.read())  # a bytearray, because torch warns about read-only arrays
    if len(data) != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{len(data):,} bytes for the shape {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)
