"""What the studies `autoencode` and `colorize` share: settings, training the conditions, measuring, panels.

A condition is one network trained for one task. It is trained in a folder of its own, goes on there after a stop, and
is finished when its measures of each held-out picture are stored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from numpy.typing import NDArray
from PIL import Image

from hashigo.color import luma
from hashigo.data.loader import ResidentPictures
from hashigo.errors import TrainingError
from hashigo.metrics import METRICS
from hashigo.models.folder import ModelFolder, load_network
from hashigo.pages.panels import GAP, grid, save_png
from hashigo.studies.claims import interval
from hashigo.studies.folder import StudyFolder
from hashigo.studies.restoration.data import Pictures
from hashigo.studies.restoration.settings import Condition, RestorationSettings
from hashigo.training.run import train
from hashigo.training.step import step

Say = Callable[[str], None]
Part = dict[str, Any]
"""What is stored of a finished condition, see `train_and_measure`."""

SHOWN = 25
"""Pictures on each panel of the page: more could not be made out."""

EPOCHS_SHOWN = (1, 10, 20, 30, 50, 200)
"""The epochs whose panels the article shows."""


def open_folder(settings: RestorationSettings, folder: str | Path, study: str, pictures: Pictures) -> StudyFolder:
    """The study's folder, whose pictures are the same as when it was begun.

    Raises:
        RecipeError: it holds another study or other settings. DataError: the pictures have changed since.
    """
    about = {**pictures.about, "source": settings.data}
    return StudyFolder(folder, study, asdict(settings), ("root", "preset"), about, asdict(RestorationSettings()))


class Progress(Callback):
    """Says how a condition gets on, and counts the seconds of its training over all sittings.

    name: the condition's. epochs: how many there will be. say: gets a line at most every `every` seconds, and the last.
    """

    def __init__(self, name: str, epochs: int, say: Say, every: float = 15.0) -> None:
        self.name, self.epochs, self.say, self.every = name, epochs, say, every
        self.seconds = 0.0
        self._last = self._said = self._began = time.monotonic()
        self._first = 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what a checkpoint kept."""
        self.seconds = float(state_dict["seconds"])

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Starts the clock."""
        self._last = self._said = self._began = time.monotonic()
        self._first = trainer.current_epoch
        again = f", going on from epoch {self._first + 1}" if trainer.global_step else ""
        self.say(
            f"{self.name}: {self.epochs} epochs of {len(trainer.train_dataloader)} steps{again}; {pl_module.about}"
        )

    def on_train_batch_end(self, *_: Any) -> None:
        """Counts the seconds, so that a checkpoint within an epoch has them."""
        now = time.monotonic()
        self.seconds += now - self._last
        self._last = now

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Counts what validation and panels took; says the losses now and then."""
        self.on_train_batch_end()
        epoch = trainer.current_epoch + 1
        if epoch < self.epochs and self._last - self._said < self.every:
            return
        self._said = self._last
        left = (self._last - self._began) / (epoch - self._first) * (self.epochs - epoch)
        losses = pl_module.metrics
        self.say(
            f"{self.name}: epoch {epoch}/{self.epochs}, loss {losses['train_loss']:.4g}, "
            f"validation {losses['val_loss']:.4g}, {left / 60:.1f} minutes left"
        )


def train_and_measure(
    name: str, condition: Condition, settings: RestorationSettings, pictures: Pictures, study: StudyFolder, say: Say
) -> Part:
    """Trains a condition in `study/NAME` and measures it on the held-out pictures; returns what is stored of it.

    A finished one is neither trained nor measured again. The measures are those of the weights of the epoch with the
    lowest validation loss. Stored: `curves` (rows of metrics.csv), `best_epoch`, `seconds`, `pictures_per_second`,
    `parameters`, `machine`, and `each`: for every measure, and the loss, the value of each held-out picture.
    """
    panel = study.path / name / "test.png"
    if (before := study.finished(name)) is not None and panel.is_file():
        say(f"{name}: finished before")
        return before
    progress = Progress(name, settings.epochs, say)
    recipe = settings.recipe(condition, pictures.crop)
    data = pictures.train, pictures.validation
    try:
        run = train(recipe, study.path / name, resume=True, callbacks=[progress], data=data, onnx=False)
    except TrainingError as error:
        raise TrainingError(
            f"{name}: training diverged ({str(error).partition(';')[0]}); give a lower --lr than {settings.lr:g}, and "
            "another folder with --run"
        ) from error
    trained = run.metrics[-1]["step"] * min(settings.batch_size, len(pictures.train))
    measured = measure(run.model, pictures, panel)
    part: Part = {
        "label": condition.label._asdict(),
        "task": condition.task,
        "skips": condition.skips,
        "curves": run.metrics,
        "best_epoch": min(run.metrics, key=lambda row: row["val_loss"])["epoch"],
        "seconds": round(progress.seconds, 2),
        "pictures_per_second": round(trained / max(1e-9, progress.seconds), 2),
        "parameters": measured.parameters,
        "machine": str(run.setup),
        "each": measured.each,
    }
    study.finish(name, part)
    means = ", ".join(f"{key} {np.mean(part['each'][key]):.4g}" for key in ("loss", "psnr", "ssim"))
    say(f"{name}: done in {progress.seconds:.0f} s; on {len(pictures.test)} held-out pictures: {means}")
    return part


@dataclass(frozen=True)
class Measured:
    """Each measure's value of each picture, and the network's number of parameters."""

    each: dict[str, list[float]]
    parameters: int


@torch.inference_mode()
def measure(model: ModelFolder, pictures: Pictures, panel: Path, batch_size: int = 64) -> Measured:
    """The measures of `METRICS` and the task's loss for each test picture, in float32; the first pictures go to `panel`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = load_network(model).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task, criterion = model.task, model.task.criterion(model.task.loss)
    each: dict[str, list[float]] = {name: [] for name in (*METRICS, "loss")}
    shown: list[NDArray[Any]] = []
    for rgb in _batches(pictures, batch_size, device):
        done = step(network, task, rgb, run=lambda x: network.own_loss(x.contiguous(memory_format=torch.channels_last)))
        result = task.restore(done.x, done.output)
        _measure_into(each, rgb, result)
        each["loss"] += done.losses(criterion)
        shown.append(result.cpu().numpy())
    save_png(grid([np.concatenate(shown)[:SHOWN]]), panel)
    return Measured(each, sum(p.numel() for p in network.parameters()))


@torch.inference_mode()
def measure_originals(pictures: Pictures, study: StudyFolder) -> dict[str, Part]:
    """What the networks' measures are compared with: those of the `originals` and of their luma as it is (`grey`).

    Their panels go to `originals.png` and `grey.png` in the study's folder.
    """
    panels = [study.path / f"{kind}.png" for kind in ("originals", "grey")]
    if (before := study.finished("originals")) is not None and all(panel.is_file() for panel in panels):
        return before
    found: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in METRICS} for kind in ("originals", "grey")}
    shown: dict[str, list[NDArray[Any]]] = {kind: [] for kind in found}
    for rgb in _batches(pictures, 64, "cpu"):
        for kind, seen in {"originals": rgb, "grey": luma(rgb).expand(-1, 3, -1, -1)}.items():
            _measure_into(found[kind], rgb, seen)
            shown[kind].append(seen.numpy())
    for kind, batches in shown.items():
        save_png(grid([np.concatenate(batches)[:SHOWN]]), study.path / f"{kind}.png")
    study.finish("originals", found)
    return found


def _batches(pictures: Pictures, batch_size: int, device: str) -> Any:
    resident = ResidentPictures(pictures.test, device)
    for start in range(0, len(pictures.test), batch_size):
        indices = torch.arange(start, min(start + batch_size, len(pictures.test)), device=device)
        yield resident.centre(indices, pictures.crop, pictures.crop)


def _measure_into(each: dict[str, list[float]], original: torch.Tensor, result: torch.Tensor) -> None:
    for name, metric in METRICS.items():
        each[name] += metric(original, result).tolist()


def summarize(parts: dict[str, Part]) -> dict[str, Part]:
    """The parts for results.json: each measure's mean with its 95 % interval over pictures beside the single values."""
    return {
        name: {**part, "mean": {key: interval(values)._asdict() for key, values in part["each"].items()}}
        for name, part in parts.items()
    }


def gap(numbers: dict[str, float], digits: int = 2, unit: float = 1.0) -> str:
    """A difference with its interval as the pages show it, "+1.20 (+0.90 … +1.50)", times `unit`; "+1.20" of one value."""
    difference, low, high = (f"{unit * numbers[key]:+.{digits}f}" for key in ("difference", "low", "high"))
    return difference if math.isnan(numbers["low"]) else f"{difference} ({low} … {high})"


def epochs_to_show(epochs: int, folder: Path) -> list[int]:
    """The article's epochs and the last one, of those that have a panel in `folder`; the first, if there is any, too."""
    wanted = sorted({epoch for epoch in (*EPOCHS_SHOWN, epochs) if epoch <= epochs})
    if len(wanted) < 4:  # a short run: its own steps of learning instead
        wanted = sorted({1, math.ceil(epochs / 4), math.ceil(epochs / 2), epochs})
    return [epoch for epoch in wanted if (folder / f"epoch-{epoch:04d}.png").is_file()]


def tiles(path: Path, side: int, total: int, count: int = SHOWN, right: bool = False) -> NDArray[np.float32]:
    """The first `count` of the `total` pictures of side `side` on a panel's left (or right) sheet: (count, 3, h, w), 0..1.

    h and w are `side`, or a multiple where `hashigo.training.panels.grid` has enlarged small pictures.
    """
    with Image.open(path) as opened:
        sheet = np.asarray(opened.convert("RGB"))
    large = side * max(1, 64 // side)
    columns = math.ceil(math.sqrt(total))
    if right:
        sheet = sheet[:, sheet.shape[1] - columns * (large + GAP) + GAP :]
    places = ((large + GAP) * np.array(divmod(i, columns)) for i in range(min(count, total)))
    cut = np.stack([sheet[top : top + large, left : left + large] for top, left in places])
    return cut.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
