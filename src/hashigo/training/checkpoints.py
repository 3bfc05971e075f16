"""Checkpoints, and checks that a resumed run has the same recipe and pictures as at its start."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from lightning.fabric.plugins import TorchCheckpointIO

from hashigo.data import PictureSet
from hashigo.errors import DataError, RecipeError
from hashigo.files import atomic_path
from hashigo.training.module import Checkpoint
from hashigo.training.recipe import Recipe, read_yaml


def read_checkpoint(path: str | Path, *, mapped: bool = False) -> Checkpoint:
    """A checkpoint's tensors, on the CPU, and plain values; no code in the file is run.

    mapped: leave the tensors in the file until they are used, to read only the rest.

    Raises:
        RecipeError: the file contains something other than tensors and plain values, or is not a complete checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise RecipeError(
            f"{path}: expected a checkpoint of weights and plain values, but it holds more than weights and was not "
            "loaded; train in another --run folder"
        ) from error
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        OverflowError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise DamagedCheckpointError(
            f"{path}: expected a checkpoint, got a damaged or foreign file ({reason})"
        ) from error
    if not isinstance(checkpoint, dict):
        raise DamagedCheckpointError(f"{path}: expected a run's checkpoint, got a stored {type(checkpoint).__name__}")
    missing = [key for key in _PARTS if key not in checkpoint]
    if missing:
        raise DamagedCheckpointError(f"{path}: expected a run's checkpoint, got a file without {', '.join(missing)}")
    return checkpoint


_PARTS = ("state_dict", "epoch", "global_step", "optimizer_states", "loops")


class DamagedCheckpointError(RecipeError):
    """A file that is not a complete checkpoint."""


def checkpoint_to_use(last: Path, best: Path, say: Callable[[str], None]) -> Path:
    """`last`, or `best` if `last` is damaged and `best` is not; `say` is called with a line about it.

    Raises:
        RecipeError: neither can be used, or one contains more than weights and plain values.
    """
    problem = None
    try:
        read_checkpoint(last, mapped=True)
    except DamagedCheckpointError as error:
        problem = error
    if best.is_file():
        try:
            read_checkpoint(best, mapped=True)  # now, rather than when training is done
        except DamagedCheckpointError as error:
            remedy = f"remove {best.parent} to train again from the beginning"
            raise RecipeError(f"{problem or error}; {remedy}") from error
    if problem is None:
        return last
    if not best.is_file():
        raise RecipeError(f"{problem}; there is no best.ckpt to continue from; use another --run folder") from problem
    say(f"{problem}; continuing from {best.name}, the best epoch so far")
    return best


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints appear whole or not at all: a run killed while writing keeps the previous one. None runs code when it
    is read."""

    def save_checkpoint(self, checkpoint: Checkpoint, path: str | Path, storage_options: object | None = None) -> None:
        """Writes to a temporary file, then renames."""
        # not Lightning's own way, by the folder for temporary files, which may be smaller than a checkpoint
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's own error, which hides that of a full disk
                cause = error.__context__ if isinstance(error.__context__, OSError) else error
                raise cause from None

    def load_checkpoint(
        self, path: str | Path, map_location: object | None = None, weights_only: bool | None = True
    ) -> Checkpoint:
        """Reads only tensors and plain values, whatever the arguments; see `read_checkpoint`."""
        return read_checkpoint(path)


def checkpoint_to_resume(folder: Path, resume: bool) -> Path | None:
    """The run's last checkpoint; None if there is none yet.

    Raises:
        RecipeError: there is one, but the run is not to be resumed.
    """
    last = folder / "checkpoints" / "last.ckpt"
    if last.is_file() and not resume:
        raise RecipeError(f"{folder} already holds a run: continue it with --resume, or use another --run folder")
    return last if last.is_file() else None


def checked_pictures(training: PictureSet, validation: PictureSet, path: Path, *, resumed: bool) -> dict[str, str]:
    """Stores checksums of the pictures in `path`, or compares them.

    Runs from older versions without checksums are resumed with any pictures.

    Raises:
        DataError: the pictures have changed since the run was started.
    """
    now = {"training": training.checksum(), "validation": validation.checksum()}
    before = _noted(path) if resumed else None
    if before is not None and before != now:
        raise DataError(
            f"{path.parent}: expected the pictures that the run was started with, got others ({before} then, {now} now); "
            "put them back, or use another --run folder"
        )
    return now


def _noted(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: expected checksums of the run's pictures, got {error}; remove the file to continue"
        ) from error


MAY_CHANGE = ("machine", "epochs", "panels", "checkpoint_minutes", "weights")
"""Keys of a recipe that a resumed run may change; changing any other would make it a different run."""


def check_same(recipe: Recipe, path: Path) -> None:
    """Raises RecipeError if `recipe` is not the one that the run was started with."""
    started, now, usual = read_yaml(path), recipe.as_dict(), Recipe().as_dict()
    for key, value in usual.items():  # a key that did not exist when the run was started has its default
        held = started.get(key, value)
        if not isinstance(value, dict):
            started[key] = held
        elif isinstance(held, dict):
            started[key] = {**value, **held}
        else:
            raise RecipeError(f"{path}: {key}: expected keys and values, got {held!r}; fix it or use another --run")
    different = [
        key for key in now if key not in MAY_CHANGE and yaml.safe_load(yaml.safe_dump(now[key])) != started[key]
    ]
    if different:
        changes = "; ".join(f"{key} was {started.get(key)}, now {now[key]}" for key in different)
        raise RecipeError(
            f"expected the recipe that {path.parent} was started with, got another: {changes}; use another --run folder"
        )
