"""Features of a network's backbone, computed once for each variant of each picture and kept in a memory-mapped file.

A backbone that is not trained gives the same features in every epoch that shows a picture in the same way. With them on disk, a
step costs no more than the rest of the network.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from hashigo.data.loader import Loader
from hashigo.errors import RecipeError
from hashigo.files import atomic_path, locked
from hashigo.randomness import PictureRng
from hashigo.tasks import task_config
from hashigo.training.module import restorer

SAVED_EVERY = 60.0
"""Seconds between notes of how far a file has been filled, which is what an interruption costs at most."""


class Features:
    """The features of `variants` versions of `count` pictures, float16 (variants, count, features, h, w), in a file that is filled once.

    Args:
        path: the file, `.npy`; beside it, `.json` describes what it contains and how many rows are filled.
        variants: number of versions of each picture.
        count: number of pictures.
        shape: (features, h, w) of one picture.
        about: what the features depend on, such as the seed; a file made with something else is filled again.

    Raises:
        RecipeError: the disk is too small.
    """

    def __init__(self, path: Path, variants: int, count: int, shape: tuple[int, ...], about: dict[str, Any]) -> None:
        self.path, self.note = path, path.with_suffix(".json")
        self.what = "opinions of the teachers" if path.stem.startswith("opinions") else "features of the backbone"
        self.about = json.loads(json.dumps({**about, "shape": [variants, count, *shape]}))  # as it will be read again
        self.rows = variants * count
        known = self._known()
        self.filled = int(known.pop("filled", 0))
        size = (variants, count, *shape)
        if known != self.about or not path.is_file():
            self.filled = 0
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_space(path, 2 * int(np.prod(size)), self.what)
            self.note.unlink(missing_ok=True)  # first: it would vouch for an empty file
            path.unlink(missing_ok=True)
            np.lib.format.open_memmap(path, "w+", np.float16, size).flush()
        self.values = np.load(path, mmap_mode="r+")

    def fill(self, compute: Callable[[int, Tensor], Tensor], batch_size: int, say: Callable[[str], None]) -> None:
        """Fills the rows that are missing. compute: (variant, indices (n,)) → features (n, features, h, w)."""
        count, first, start, saved = self.values.shape[1], self.filled, time.monotonic(), time.monotonic()
        if first < self.rows:
            size = self.values.nbytes / 1e9
            say(f"{self.what}: {self.rows - first:,} to compute, {size:.1f} GB in {self.path.parent}")
        while self.filled < self.rows:
            variant, index = divmod(self.filled, count)
            indices = torch.arange(index, min(index + batch_size, count))
            made = compute(variant, indices).float().clamp(-6e4, 6e4).half()
            self.values[variant, index : index + len(indices)] = made.cpu().numpy()
            self.filled += len(indices)
            if time.monotonic() - saved > SAVED_EVERY:
                saved = time.monotonic()
                self._save()
                rate = (self.filled - first) / (saved - start)
                left = (self.rows - self.filled) / rate / 60
                say(f"{self.what}: {self.filled:,} of {self.rows:,}, {rate:.0f} per second, {left:.0f} minutes left")
        self._save()

    def __call__(self, variant: int, indices: Tensor) -> Tensor:
        """The features of pictures `indices` (n,) in a variant: float32 (n, features, h, w), on the device of `indices`."""
        places = indices.cpu().numpy()
        order = np.argsort(places)  # in the order of the file, which matters if it is larger than memory
        values = np.empty((len(places), *self.values.shape[2:]), np.float32)
        for place in order:
            values[place] = self.values[variant, places[place]]
        return torch.from_numpy(values).to(indices.device)

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _save(self) -> None:
        self.values.flush()
        with atomic_path(self.note) as temporary:
            temporary.write_text(json.dumps({**self.about, "filled": self.filled}) + "\n", encoding="utf-8")


class StoredFeatures(Callback):
    """Computes the features of the network's backbone, and the opinions of its teachers, for all versions of all pictures before the first
    step, and gives them to the loaders.

    Not earlier: only then are a resumed run's weights in place, and a finished run that is resumed never gets there.

    Args:
        folder: where the files are written; `remove` deletes them unless they are to `keep`. Their names tell what they depend on.
        loaders: of the training and validation pictures.
        about: what the features depend on besides the task, the precision and the backbone's weights, such as the pictures.
        say: called with lines for people.
    """

    def __init__(
        self,
        folder: Path,
        loaders: tuple[Loader, Loader],
        about: dict[str, Any],
        say: Callable[[str], None],
        *,
        keep: bool = False,
    ) -> None:
        self.folder, self.loaders, self.about, self.say, self.keep = folder, loaders, about, say, keep

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fills the files, or what is missing in them.

        Raises:
            RecipeError: the disk is too small. BusyError: another process is filling files there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        busy = f"{self.folder}: another process is computing features here; wait for it, or use another folder"
        with locked(self.folder / ".lock", busy):
            self._fill(trainer, pl_module)

    def _fill(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = restorer(pl_module)
        about = {
            **self.about, "task": task_config(module.task), "precision": str(trainer.precision), "version": version("hashigo"),
        }  # fmt: skip
        if (backbone := module.network.backbone) is not None:
            known = {**about, "backbone": _digest([backbone]), "of": module.network.backbone_key}
            rngs = (module.training_rng, module.validation_rng)
            for name, loader, rng in zip(("training", "validation"), self.loaders, rngs, strict=True):
                loader.features = self._filled(name, loader, module.backbone_features, rng, module.compiled, known)
        if (teachers := module.teachers) is not None:
            known = {**about, "teachers": _digest(teachers.networks), "of": teachers.about()}
            self.loaders[0].opinion = self._filled(
                "opinions", self.loaders[0], module.opinion, module.training_rng, False, known
            )

    def _filled(
        self, name: str, loader: Loader, of: Callable[[Tensor, PictureRng], Tensor],
        rng: Callable[[int, Tensor], PictureRng], compiled: bool, about: dict[str, Any],
    ) -> Features:  # fmt: skip
        compute = partial(_compute, of, loader, rng, loader.batch_size if compiled else 1)
        shape = compute(0, torch.zeros(1, dtype=torch.int64)).shape[1:]
        depends = {**about, "rows": [loader.variants, loader.count, *shape]}
        digest = hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()[:12]
        features = Features(self.folder / f"{name}-{digest}.npy", loader.variants, loader.count, tuple(shape), about)
        features.fill(compute, loader.batch_size, self.say)
        return features

    def remove(self) -> None:
        """Deletes the files, which are large, unless they are to keep."""
        for loader in self.loaders:
            loader.features = loader.opinion = None
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _compute(
    of: Callable[[Tensor, PictureRng], Tensor], loader: Loader, rng: Callable[[int, Tensor], PictureRng], size: int,
    version: int, indices: Tensor,
) -> Tensor:  # fmt: skip
    """What `of` makes of pictures `indices` (n,) in a version, computed as a batch of at least `size`: compiled code takes long to begin with another."""
    count = len(indices)
    indices = torch.cat([indices, indices[-1:].expand(max(size - count, 0))]).to(loader.resident.device)
    return of(loader.crops(version, indices), rng(version, indices))[:count]


def _digest(modules: Sequence[nn.Module]) -> str:
    """Tells whether weights are the same."""
    digest = hashlib.sha256()
    for value in (value for module in modules for value in module.state_dict().values()):
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _check_space(path: Path, size: int, what: str) -> None:
    free = shutil.disk_usage(path.parent).free
    if size > 0.95 * free:
        raise RecipeError(
            f"data.variants: the {what} need {size / 1e9:.1f} GB in {path.parent}, got {free / 1e9:.1f} GB of free space; "
            "lower data.variants or data.limit, or put --run or data.features on a larger disk"
        )
