"""The pictures on a restoration study's page: stored as arrays while the study runs, then read for the page.

Beside each `.npz` of arrays, and for each epoch of training, there is a PNG panel for people.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.files import atomic_path
from hashigo.image.pixels import to_uint8
from hashigo.pages.panels import grid, save_png
from hashigo.studies.restoration.settings import RestorationSettings
from hashigo.studies.settings import Say
from hashigo.training.callbacks import RestoredPictures, ValidationPictures

SHOWN = 25
"""Pictures per panel on the page: more would be too small."""

ARTICLE_EPOCHS = (1, 10, 20, 30, 50, 200)
"""The epochs of the article's panels."""

Pixels = NDArray[np.float32]
"""Pictures (N, 3, H, W), 0..1."""


@dataclass(frozen=True, eq=False)
class EpochPictures:
    """The networks' results for the same validation pictures after an epoch, by network, and the originals."""

    epoch: int
    results: Mapping[str, Pixels]
    originals: Pixels


@dataclass(frozen=True, eq=False)
class ShownPictures:
    """All pictures on a study's page.

    epochs: validation pictures. held_out: the first held-out pictures, reproduced by each network. originals, grey:
    the same held-out pictures, unchanged and without colour.
    """

    epochs: list[EpochPictures]
    held_out: Mapping[str, Pixels]
    originals: Pixels
    grey: Pixels


def epochs_to_show(settings: RestorationSettings) -> list[int]:
    """The article's epochs and the last one; for a short run, evenly chosen epochs from the first on.

    Empty if the settings disable panels.
    """
    if not settings.panels:
        return []
    epochs = settings.epochs
    wanted = sorted({epoch for epoch in (*ARTICLE_EPOCHS, epochs) if epoch <= epochs})
    if len(wanted) < 4:
        wanted = sorted({1, math.ceil(epochs / 4), math.ceil(epochs / 2), epochs})
    return wanted


class StoredEpochs(ValidationPictures):
    """Stores the network's results for the first validation pictures, for the epochs on the page.

    folder: the network's. epochs: those on the page. count: pictures per panel.
    """

    def __init__(self, folder: Path, epochs: Collection[int], count: int) -> None:
        super().__init__(min(count, SHOWN))
        self.folder, self.epochs = folder, epochs

    def wants(self, epoch: int) -> bool:
        """Whether the page shows it."""
        return epoch in self.epochs

    def write(self, epoch: int, pictures: RestoredPictures) -> None:
        """Stores results and originals."""
        _save(_epoch_path(self.folder, epoch), results=pictures.results, originals=pictures.originals)


def _epoch_path(folder: Path, epoch: int) -> Path:
    return folder / "shown" / f"epoch-{epoch:04d}.npz"


def store(path: Path, pictures: Pixels) -> None:
    """Stores pictures as a panel and as arrays at `path`, which has no suffix."""
    save_png(grid([pictures]), path.with_suffix(".png"))
    _save(path.with_suffix(".npz"), pictures=pictures)


def is_stored(path: Path) -> bool:
    """Whether `store` has stored arrays; an earlier version stored only panels."""
    return path.with_suffix(".png").is_file() and path.with_suffix(".npz").is_file()


def _save(path: Path, **arrays: Pixels) -> None:
    """Pictures as uint8 (N, H, W, 3)."""
    stored = {name: np.stack([to_uint8(picture) for picture in pictures]) for name, pictures in arrays.items()}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **stored)


def _read(path: Path, name: str = "pictures") -> Pixels:
    with np.load(path) as arrays:
        pixels: NDArray[np.uint8] = arrays[name]
    return pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def read_shown(folder: Path, names: Collection[str], epochs: Collection[int], say: Say) -> ShownPictures:
    """The stored pictures of the networks `names` in a study's folder.

    Epochs missing in a network's folder, such as those trained by an earlier version, are left out. say: is
    called with their names.
    """
    missing = [epoch for epoch in epochs if not all(_epoch_path(folder / name, epoch).is_file() for name in names)]
    if missing:
        numbers = ", ".join(map(str, missing))
        say(f"the page leaves out the results of epochs {numbers}, because their pictures were not stored")
    return ShownPictures(
        epochs=[_epoch_pictures(folder, names, epoch) for epoch in epochs if epoch not in missing],
        held_out={name: _read(folder / name / "test.npz") for name in names},
        originals=_read(folder / "originals.npz"),
        grey=_read(folder / "grey.npz"),
    )


def _epoch_pictures(folder: Path, names: Collection[str], epoch: int) -> EpochPictures:
    paths = {name: _epoch_path(folder / name, epoch) for name in names}
    results = {name: _read(path, "results") for name, path in paths.items()}
    return EpochPictures(epoch, results, _read(next(iter(paths.values())), "originals"))
