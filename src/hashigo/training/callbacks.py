"""Callbacks: best epoch, metrics.csv, panels, moving average of the weights. None of them prints."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from numpy.typing import NDArray
from torch import Tensor

from hashigo.data.loader import Loader
from hashigo.errors import RecipeError
from hashigo.files import atomic_path
from hashigo.pages.panels import grid, save_animation, save_png
from hashigo.training.module import Checkpoint, Restorer, restorer


class RunningMean(WeightAveraging):
    """An exponential moving average of the weights, which is validated, shown and saved.

    Each step keeps `decay` of the past, but only (1 + n) / (10 + n) in early steps n: with 0.999 from the first
    step, it would still contain a fifth of the untrained weights after 1,600 steps.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=running_mean(decay))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keeps the average on the weights' future device; they are not there yet."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)


def running_mean(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Called by torch's `AveragedModel` with lists of averages and current weights, and the number of earlier steps."""

    @torch.no_grad()
    def update(means: list[Tensor], now: list[Tensor], steps: Tensor) -> None:
        count = int(steps)
        share = 1.0 - min(decay, (1.0 + count) / (10.0 + count))
        if means[0].is_floating_point():
            torch._foreach_lerp_(means, now, share)
        else:  # counters
            torch._foreach_copy_(means, now)

    return update


class BestCheckpoint(ModelCheckpoint):
    """Keeps the epoch with the lowest validation loss, even if a run continues in a folder that was moved or copied."""

    def load_state_dict(self, state_dict: Checkpoint) -> None:
        """Restores the best so far, with its current paths."""
        old, new = str(state_dict["dirpath"]), str(self.dirpath)

        def here(value: object) -> object:
            return value.replace(old, new) if isinstance(value, str) else value

        moved = {key: here(value) for key, value in state_dict.items()}
        moved["best_k_models"] = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(moved)


class MetricsCsv(Callback):
    """One row per epoch in `metrics.csv`; a resumed run keeps the rows of epochs that it does not repeat."""

    COLUMNS = ("epoch", "step", "train_loss", "val_loss", "lr")

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes the rows of epochs that will be trained again."""
        if trainer.is_global_zero:
            self._write([row for row in read_metrics(self.path) if row["epoch"] <= trainer.current_epoch])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Adds the epoch's row."""
        if not trainer.is_global_zero:
            return
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **restorer(pl_module).metrics}
        rows = [old for old in read_metrics(self.path) if old["epoch"] < row["epoch"]]
        self._write([*rows, row])

    def _write(self, rows: list[dict[str, float]]) -> None:
        with atomic_path(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.COLUMNS, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(rows)


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv, with numbers as numbers and empty fields as NaN; [] if there is no file."""
    if not Path(path).is_file():
        return []
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            return [
                {key: int(value) if key in ("epoch", "step") else float(value or "nan") for key, value in row.items()}
                for row in _rows(file)
            ]
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise RecipeError(
            f"{path}: expected a run's metrics, a row of numbers per epoch, got something else ({error}); mend or remove the file"
        ) from error


def _rows(file: TextIO) -> Iterator[dict[str, str]]:
    """The rows of a table; raises KeyError if a run's columns are missing."""
    reader = csv.DictReader(file)
    missing = [name for name in ("epoch", "step", "val_loss") if name not in (reader.fieldnames or ())]
    if missing:
        raise KeyError(f"no column {missing[0]}")
    yield from reader


class RestoredPictures(NamedTuple):
    """Validation pictures for display, each float32 (N, 3, H, W), 0..1."""

    inputs: NDArray[np.float32]
    """The network's inputs as pictures."""
    results: NDArray[np.float32]
    """The results."""
    originals: NDArray[np.float32]


class ValidationPictures(Callback):
    """The network's results for the same pictures at the end of each epoch.

    Subclasses decide what to do with them. If they cannot be made, there is a warning and the run continues.

    count: so many of the first validation pictures.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def wants(self, epoch: int) -> bool:
        """Whether to make the pictures of an epoch, counted from 1."""
        return True

    def write(self, epoch: int, pictures: RestoredPictures) -> None:
        """Handles an epoch's pictures."""
        raise NotImplementedError

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Makes the epoch's pictures."""
        epoch = trainer.current_epoch + 1
        if not trainer.is_global_zero or not self.wants(epoch):
            return
        try:
            self.write(epoch, self._restored(restorer(pl_module), trainer.val_dataloaders))
        except Exception as error:
            warnings.warn(f"the panel of epoch {epoch} was not made: {error}", stacklevel=2)

    def _restored(self, module: Restorer, loader: object) -> RestoredPictures:
        if not isinstance(loader, Loader):
            raise TypeError(f"expected validation pictures from a Loader, got {type(loader).__name__}")
        batches = []
        for start in range(0, min(self.count, loader.count), loader.batch_size):
            batch = loader.batch(0, start // loader.batch_size)
            batches.append((*module.restore(batch), batch.rgb))
        joined = (torch.cat(parts)[: self.count].float().cpu().numpy() for parts in zip(*batches, strict=True))
        return RestoredPictures(*joined)


class Panels(ValidationPictures):
    """Writes each epoch's results beside the originals as `epoch-0001.png` …, and the network's inputs as `inputs.png`.

    They are made with the weights that were validated.

    folder: where they go. count: so many of the first validation pictures.
    """

    def __init__(self, folder: Path, count: int = 100) -> None:
        super().__init__(count)
        self.folder = folder
        self._has_inputs = False

    def write(self, epoch: int, pictures: RestoredPictures) -> None:
        """Writes the epoch's panel."""
        if not self._has_inputs:  # again in each session: an earlier one may have shown a different number of pictures
            save_png(grid([pictures.inputs]), self.folder / "inputs.png")
            self._has_inputs = True
        save_png(grid([pictures.results, pictures.originals]), self.folder / f"epoch-{epoch:04d}.png")


def animate(folder: Path) -> None:
    """Makes `progress.webp`, an animation of all epochs' panels in `folder`; warns if it cannot."""
    panels = sorted(folder.glob("epoch-*.png"))
    if len(panels) < 2:
        return
    try:
        save_animation(panels, folder / "progress.webp")
    except Exception as error:
        warnings.warn(f"the animation of {folder} was not made: {error}", stacklevel=2)
