"""Lightning's trainer as hashigo uses it: what it writes, and how it is interrupted."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerStatus

from hashigo.errors import Terminated
from hashigo.training.callbacks import BestCheckpoint, MetricsCsv, Panels, RunningMean
from hashigo.training.checkpoints import AtomicCheckpoints
from hashigo.training.recipe import Recipe
from hashigo.training.setup import Setup


def make_trainer(recipe: Recipe, folder: Path, setup: Setup, callbacks: Sequence[Callback]) -> Trainer:
    """The trainer of a run, with its checkpoints, metrics and panels."""
    checkpoints = folder / "checkpoints"
    ours: list[Callback] = [MetricsCsv(folder / "metrics.csv")]
    if recipe.panels:
        ours.append(Panels(folder / "panels", recipe.panels))
    best = BestCheckpoint(
        checkpoints, "best", monitor="val_loss", save_top_k=1, save_on_train_epoch_end=True,
        enable_version_counter=False, save_weights_only=False,
    )  # fmt: skip
    # Lightning's save_last would write it only if the epoch was also the best
    last = ModelCheckpoint(
        checkpoints, "last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    between: list[Callback] = []
    if recipe.ema:
        ours.append(RunningMean(recipe.ema))  # after the panels, because it removes the average again after validation
    if recipe.checkpoint_minutes:
        interval = timedelta(minutes=recipe.checkpoint_minutes)
        between = [ModelCheckpoint(checkpoints, "last", train_time_interval=interval, enable_version_counter=False)]
    with quiet():
        return Trainer(
            accelerator=setup.accelerator, devices=recipe.machine.devices, num_nodes=recipe.machine.nodes, max_epochs=recipe.epochs,
            sync_batchnorm=setup.accelerator == "cuda" and processes(recipe) > 1,
            precision="bf16-mixed" if setup.precision == "bf16" else "32-true",
            callbacks=[*ours, *callbacks, best, last, *between], plugins=[AtomicCheckpoints()],
            logger=TensorBoardLogger(folder, name="", version="tensorboard"),
            gradient_clip_val=recipe.optimizer.clip or None, num_sanity_val_steps=0,
            enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=50, use_distributed_sampler=False,
        )  # fmt: skip


def processes(recipe: Recipe) -> int:
    """How many processes take part; 0 devices or -1 stand for all of a computer."""
    return (recipe.machine.devices if recipe.machine.devices > 0 else 2) * recipe.machine.nodes


@contextmanager
def interruptible(trainer: Trainer) -> Iterator[None]:
    """Passes on Ctrl-C and SIGTERM, which Lightning swallows: it exits with 1, or returns as if training had ended.

    Raises KeyboardInterrupt, or for SIGTERM its kind `Terminated`.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if trainer.state.status != TrainerStatus.INTERRUPTED:
            raise
        kind = Terminated if isinstance(stop.__context__, Terminated) else KeyboardInterrupt
        raise kind from stop
    finally:
        if main_thread and before is not None:
            signal.signal(signal.SIGINT, before)  # Lightning leaves it ignored
    if trainer.received_sigterm:
        raise Terminated


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Lightning's advice about things that hashigo does on purpose (no worker processes, its own resuming)."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
