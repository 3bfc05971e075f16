"""Progress of a training run: pictures per second, loss and time left; a Rich bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT

from hashigo.cli.console import RichBar, rich_bar, say
from hashigo.data.loader import Batch
from hashigo.training.module import restorer


class TrainingProgress(Callback):
    """Shows the progress of a run.

    epochs: how many the run has. every: seconds between two updates of plain lines.
    """

    def __init__(self, epochs: int, every: float = 15.0) -> None:
        self.epochs, self.every = epochs, every
        self._bar: RichBar | None = None
        self._opened = ExitStack()
        self._shown = 0.0
        self._loss = 0.0
        self._epoch_start = self._pictures = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Describes the machine's setup and opens the bar."""
        parameters = sum(p.numel() for p in restorer(pl_module).network.parameters())
        begin = f"from epoch {trainer.current_epoch + 1} " if trainer.current_epoch else ""
        say(
            f"{parameters:,} parameters, {int(trainer.num_training_batches)} steps an epoch, {self.epochs} epochs {begin}".rstrip()
            + f"; {restorer(pl_module).about}"
        )
        self._shown = time.monotonic()
        if sys.stderr.isatty():
            total = self.epochs * int(trainer.num_training_batches)
            self._bar = self._opened.enter_context(rich_bar("epoch", total, trainer.global_step))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the epoch's clock."""
        self._epoch_start, self._pictures = time.monotonic(), 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Counts a batch; updates a terminal at most ten times a second."""
        now = time.monotonic()
        self._pictures += len(batch.rgb)
        if outputs is None or (self._bar is None and now - self._shown < self.every):
            return
        if self._bar is not None and now - self._shown < 0.1:
            self._bar.reach(trainer.global_step)
            return
        self._shown = now
        loss = float(outputs["loss"] if isinstance(outputs, Mapping) else outputs)
        self._loss = loss if not self._loss else 0.9 * self._loss + 0.1 * loss
        rate = self._pictures / max(1e-9, now - self._epoch_start)
        self._show(trainer, batch_idx, f"loss {self._loss:.4g}, {rate:.0f} pictures/s", rate / len(batch.rgb))

    def _show(self, trainer: Trainer, batch_idx: int, note: str, steps_per_second: float) -> None:
        epoch = f"epoch {trainer.current_epoch + 1}/{self.epochs}"
        if self._bar is not None:
            self._bar.reach(trainer.global_step)
            self._bar.tell(epoch, note)
            return
        steps = int(trainer.num_training_batches)
        left = (self.epochs - trainer.current_epoch) * steps - batch_idx - 1
        say(f"{epoch}, step {batch_idx + 1}/{steps}, {note}, {_clock(left / steps_per_second)} left")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One line per epoch, kept above the bar."""
        if trainer.sanity_checking:
            return
        losses = restorer(pl_module).metrics
        rate = self._pictures / max(1e-9, time.monotonic() - self._epoch_start)
        line = (
            f"epoch {trainer.current_epoch + 1}/{self.epochs}: training loss {losses['train_loss']:.5g}, "
            f"validation loss {losses['val_loss']:.5g}, {rate:.0f} pictures/s"
        )
        if self._bar is not None:
            self._bar.line(line)
        else:
            say(line)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the bar."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bar so that the message appears below it."""
        self._close()

    def _close(self) -> None:
        self._bar = None
        self._opened.close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
