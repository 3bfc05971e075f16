"""Training the networks of a restoration study.

Each is trained in its own folder, continues there after an interruption, and is finished when its measures of each held-out
picture are stored.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from hashigo.errors import TrainingError
from hashigo.models.folder import open_model
from hashigo.pages.words import Words
from hashigo.studies.folder import StudyFolder
from hashigo.studies.restoration.data import DividedPictures
from hashigo.studies.restoration.measuring import measure
from hashigo.studies.restoration.results import Epoch, StoredPictures, TrainedNetwork
from hashigo.studies.restoration.settings import RestorationSettings
from hashigo.studies.restoration.shown import StoredEpochs, epochs_to_show, is_stored, store
from hashigo.studies.settings import Say
from hashigo.training.module import restorer
from hashigo.training.run import Run, train


@dataclass(frozen=True)
class NetworkCondition:
    """A network to train for a task: `task` and `skips` as in recipes, and its name on the page."""

    task: str
    skips: str
    label: Words


def open_folder(
    settings: RestorationSettings, folder: str | Path, study: str, pictures: DividedPictures
) -> StudyFolder:
    """The study's folder, after checking that the pictures are unchanged.

    Raises:
        RecipeError: it contains another study or other settings. DataError: the pictures have changed.
    """
    about = StoredPictures(**vars(pictures.about), source=settings.data)
    may_differ = ("data_root", "preset", "root")  # the last is the former name of data_root
    return StudyFolder(folder, study, settings, may_differ, about, RestorationSettings())


class Progress(Callback):
    """Reports a network's progress and measures its training time over all sessions.

    name: the network's. epochs: their total number. say: called at most every `every` seconds, and at the end.
    """

    def __init__(self, name: str, epochs: int, say: Say, every: float = 15.0) -> None:
        self.name, self.epochs, self.say, self.every = name, epochs, say, every
        self.seconds = 0.0
        self._last = self._said = self._began = time.monotonic()
        self._first = 0

    def state_dict(self) -> dict[str, float]:
        """The state for a checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Restores the state from a checkpoint."""
        self.seconds = float(state_dict["seconds"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._last = self._said = self._began = time.monotonic()
        self._first = trainer.current_epoch
        again = f", continuing from epoch {self._first + 1}" if trainer.global_step else ""
        steps = int(trainer.num_training_batches)
        self.say(f"{self.name}: {self.epochs} epochs of {steps} steps{again}; {restorer(pl_module).about}")

    def on_train_batch_end(self, *_: object) -> None:
        """Updates the time, so that a checkpoint within an epoch includes it."""
        now = time.monotonic()
        self.seconds += now - self._last
        self._last = now

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Adds the time of validation and panels; reports losses from time to time."""
        self.on_train_batch_end()
        epoch = trainer.current_epoch + 1
        if epoch < self.epochs and self._last - self._said < self.every:
            return
        self._said = self._last
        left = (self._last - self._began) / (epoch - self._first) * (self.epochs - epoch)
        losses = restorer(pl_module).metrics
        self.say(
            f"{self.name}: epoch {epoch}/{self.epochs}, loss {losses['train_loss']:.4g}, "
            f"validation {losses['val_loss']:.4g}, {left / 60:.1f} minutes left"
        )


def trained_network(
    name: str,
    condition: NetworkCondition,
    settings: RestorationSettings,
    pictures: DividedPictures,
    study: StudyFolder,
    say: Say,
) -> TrainedNetwork:
    """Trains a network in `study/NAME` and measures it on the held-out pictures, unless it is finished.

    The measures are those of the weights of the epoch with the lowest validation loss.
    """
    folder = study.path / name
    network = study.finished(name, TrainedNetwork)
    if network is not None and _ensure_pictures(folder, pictures, say):
        say(f"{name}: already finished")
        return network
    progress = Progress(name, settings.epochs, say)
    run = _run(name, condition, settings, pictures, folder, progress)
    measured = measure(run.model, pictures)
    store(folder / "test", measured.shown)
    epochs = [_epoch(row) for row in run.metrics]
    trained = epochs[-1].step * min(settings.batch_size, len(pictures.train))
    network = TrainedNetwork(
        label=condition.label,
        task=condition.task,
        skips=condition.skips,
        curves=epochs,
        best_epoch=min(epochs, key=lambda row: row.val_loss).epoch,
        seconds=round(progress.seconds, 2),
        pictures_per_second=round(trained / max(1e-9, progress.seconds), 2),
        parameters=measured.parameters,
        machine=str(run.setup),
        each=measured.each,
    )
    study.finish(name, network)
    means = ", ".join(f"{key} {np.mean(network.each[key]):.4g}" for key in ("loss", "psnr", "ssim"))
    say(f"{name}: done in {progress.seconds:.0f} s; on {len(pictures.test)} held-out pictures: {means}")
    return network


def _epoch(row: Mapping[str, float]) -> Epoch:
    return Epoch(
        epoch=int(row["epoch"]),
        step=int(row["step"]),
        train_loss=row["train_loss"],
        val_loss=row["val_loss"],
        lr=row["lr"],
    )


def _ensure_pictures(folder: Path, pictures: DividedPictures, say: Say) -> bool:
    """Whether a finished network's results are stored. An earlier version stored no arrays; if they are missing,
    the model processes the pictures again."""
    if is_stored(folder / "test"):
        return True
    if not (folder / "model").is_dir():
        return False
    say(f"{folder.name}: running the network on the held-out pictures again, because the results were not stored")
    store(folder / "test", measure(open_model(folder), pictures).shown)
    return True


def _run(
    name: str,
    condition: NetworkCondition,
    settings: RestorationSettings,
    pictures: DividedPictures,
    folder: Path,
    progress: Progress,
) -> Run:
    """The network's finished training run.

    Raises:
        TrainingError: it diverged.
    """
    recipe = settings.recipe(condition.task, condition.skips, pictures.crop)
    callbacks = [progress, StoredEpochs(folder, epochs_to_show(settings), settings.panels)]
    data = pictures.train, pictures.validation
    try:
        return train(recipe, folder, resume=True, callbacks=callbacks, data=data, onnx=False)
    except TrainingError as error:
        raise TrainingError(
            f"{name}: training diverged ({str(error).partition(';')[0]}); give a lower --lr than {settings.lr:g}, and "
            "another folder with --run"
        ) from error
