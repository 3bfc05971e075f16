"""A training run: a recipe and a folder in, a model out.

The folder contains `recipe.yaml` (resolved), `metrics.csv`, `tensorboard/`, `panels/epoch-0001.png …`,
`checkpoints/last.ckpt` and `best.ckpt`, and at the end `model/`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from lightning.pytorch import Callback, seed_everything
from torch import Tensor

from hashigo.data import PictureSet, open_dataset
from hashigo.data.loader import Loader, ResidentPictures
from hashigo.data.splitting import colourful, split_off
from hashigo.errors import RecipeError, plural
from hashigo.files import atomic_path, clear_leftovers, locked
from hashigo.machine import process_rank
from hashigo.models.folder import ModelFolder, load_network, open_model, save_model
from hashigo.networks import check_pretrained, load_pretrained, make_network, options_of
from hashigo.networks.base import Network
from hashigo.networks.growing import start_from
from hashigo.tasks import Task, make_task
from hashigo.tasks.capabilities import fitted_task
from hashigo.training.callbacks import (
    animate,
    read_metrics,
)
from hashigo.training.card import begun_card, model_card
from hashigo.training.checkpoints import (
    check_same,
    checked_pictures,
    checkpoint_to_resume,
    checkpoint_to_use,
    read_checkpoint,
)
from hashigo.training.features import StoredFeatures
from hashigo.training.lightning_trainer import interruptible, make_trainer, processes, quiet
from hashigo.training.module import Restorer
from hashigo.training.recipe import DataRecipe, Recipe
from hashigo.training.setup import Setup, choose
from hashigo.training.shared_norm import share_batch_norms
from hashigo.training.teachers import Teachers


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, the model, the rows of metrics.csv, the last session's duration in seconds, and its
    training pictures per second, validation and panels included."""

    folder: Path
    model: ModelFolder
    metrics: list[dict[str, float]]
    setup: Setup
    seconds: float
    pictures_per_second: float


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    data: tuple[PictureSet, PictureSet] | None = None,
    onnx: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Run:
    """Trains according to `recipe` and writes everything to `folder`.

    Args:
        recipe: what to train.
        folder: the run's folder.
        resume: continue from the folder's last checkpoint, if there is one; the result equals an uninterrupted run.
        callbacks: more Lightning callbacks, for instance one that shows progress. Their `state_dict` must contain only
            tensors and plain values; a checkpoint with anything else cannot be read again.
        data: (training, validation) pictures, in place of those that the recipe names.
        onnx: also write model.onnx.
        say: called with lines for people, for instance about pictures that could not be read.

    Raises:
        RecipeError: the recipe is invalid, the folder contains another run and `resume` is not set, or a checkpoint there
            contains more than weights.
        DataError: the pictures are missing.
        TrainingError: the loss was not finite.
        MissingExtraError: `network.pretrained` without its package. BusyError: another process is training in the folder.
        KeyboardInterrupt: Ctrl-C, or its kind `Terminated` for SIGTERM; the checkpoints stay, and no model is written.
    """
    with _held(Path(folder)):
        return _train(recipe, Path(folder), resume, callbacks, data, onnx, say)


def _held(folder: Path) -> AbstractContextManager[None]:
    """Locks the run's folder for the first process of a run; the others share the lock."""
    if process_rank() != 0:
        return nullcontext()
    return locked(
        folder / ".lock", f"{folder}: another process is training here; wait for it, or use another --run folder"
    )


def _train(
    recipe: Recipe, folder: Path, resume: bool, callbacks: Sequence[Callback], data: tuple[PictureSet, PictureSet] | None,
    onnx: bool, say: Callable[[str], None],
) -> Run:  # fmt: skip
    if not recipe.epochs:
        checkpoint_to_resume(folder, resume=False)  # another run's model stays
        return _begun(recipe, folder, onnx)
    last = checkpoint_to_resume(folder, resume)
    clear_leftovers(folder / "checkpoints")
    if last is not None:
        check_same(recipe, folder / "recipe.yaml")
        last = checkpoint_to_use(last, last.with_name("best.ckpt"), say)
        read_metrics(folder / "metrics.csv")
    if recipe.machine.threads:
        torch.set_num_threads(recipe.machine.threads)
    _check_possible(recipe, resumed=last is not None)
    training, validation = data or load_data(recipe.data)
    _tell_left_out(training, validation, say)
    noted = checked_pictures(training, validation, folder / "pictures.json", resumed=last is not None)
    loaders, setup, steps = _prepare(recipe, training, validation)
    for kind, loader, pictures in zip(("training", "validation"), loaders, (training, validation), strict=True):
        if loader.resident.is_elsewhere:
            say(
                f"the {kind} pictures ({pictures.nbytes / 1e9:.1f} GB) do not fit on the GPU beside the training, so each batch is copied there as it is needed"
            )
    task, network = _begin(recipe, loaders[0].sample(FITTED), last)
    module = Restorer(
        task, network, loss=recipe.loss or task.loss, optimizer=recipe.optimizer, steps=steps, seed=recipe.seed,
        compiled=setup.compile, channels_last=setup.channels_last, about=str(setup), teachers=_teachers(recipe, task, loaders[0]),
    )  # fmt: skip
    stored = _stored_features(recipe, folder, network, loaders, noted, say)
    trainer = make_trainer(recipe, folder, setup, callbacks if stored is None else [stored, *callbacks])
    for loader in loaders:
        loader.shard(trainer.global_rank, trainer.world_size)
    if trainer.world_size > 1 and setup.accelerator == "cpu":
        share_batch_norms(network)
    save_recipe(recipe, folder / "recipe.yaml")
    with atomic_path(folder / "pictures.json") as temporary:
        temporary.write_text(json.dumps(noted) + "\n", encoding="utf-8")
    module.steps = recipe.epochs * len(loaders[0])
    start = time.perf_counter()
    with quiet(), interruptible(trainer):
        trainer.fit(module, *loaders, ckpt_path=last, weights_only=True)
    seconds = time.perf_counter() - start
    if not trainer.is_global_zero:  # the first process writes the model
        trainer.strategy.barrier("model")
        return Run(folder, open_model(folder), read_metrics(folder / "metrics.csv"), setup, seconds, 0.0)
    _restore_best(network, folder)
    metrics = read_metrics(folder / "metrics.csv")
    done = 0 if module.first_step is None else trainer.global_step - module.first_step
    rate = done * loaders[0].batch_size / seconds
    card = model_card(recipe, task, training, validation, metrics, setup, (seconds, rate), network)
    size = _trained_size(recipe, loaders[0])
    model = save_model(folder / "model", network, task, size=size, card=card, weights=recipe.weights, onnx=onnx)
    if stored is not None:
        stored.remove()
    if recipe.panels:
        animate(folder / "panels")  # last: if it fails, the model is there
    trainer.strategy.barrier("model")
    return Run(folder, model, metrics, setup, seconds, rate)


def _begun(recipe: Recipe, folder: Path, onnx: bool) -> Run:
    """A run without training: its model is what `recipe.start` gives. It needs no pictures."""
    _check_possible(recipe, resumed=True)
    start = time.perf_counter()
    task, network = _begin(recipe, (), None)
    for name, _ in recipe.starts:  # the answers' meaning depends on it
        if (theirs := getattr(open_model(name).task, "rebalance", None)) != getattr(task, "rebalance", None):
            raise RecipeError(
                f"task.options.rebalance: expected {theirs} as in {name}, got {getattr(task, 'rebalance', None)}"
            )
    save_recipe(recipe, folder / "recipe.yaml")
    size = recipe.data.size or max(open_model(name).size for name, _ in recipe.starts)
    card = begun_card(recipe, task, network)
    model = save_model(folder / "model", network, task, size=size, card=card, weights=recipe.weights, onnx=onnx)
    return Run(folder, model, [], choose(recipe.machine, 0), time.perf_counter() - start, 0.0)


def _check_possible(recipe: Recipe, resumed: bool) -> None:
    """Rejects invalid combinations before the pictures are read."""
    task = make_task(recipe.task.name, **recipe.task.options)
    with torch.device("meta"):  # without weights, so that a wrong option is found at once
        network = network_for(recipe, task)
    if recipe.network.pretrained and not resumed:
        check_pretrained(network)
    for name, _ in recipe.taught_by:
        open_model(name)


FITTED = 4_000
"""Number of training pictures, evenly spaced, for a task's statistics."""


def _begin(recipe: Recipe, sample: Iterable[Tensor], last: Path | None) -> tuple[Task, Network]:
    """The task with its statistics, and the network with its initial weights; those of checkpoint `last` are loaded later.

    Raises:
        RecipeError: they are impossible or do not match the model to start from. MissingExtraError: the pretrained weights' package is missing.
    """
    saved = {} if last is None else read_checkpoint(last, mapped=True).get("task", {})
    if saved:  # the run's statistics at its start, even if the model that it started from has changed
        task = make_task(**saved)
        return task, network_for(recipe, task)
    task = make_task(recipe.task.name, **recipe.task.options)
    starts = [open_model(name) for name, _ in recipe.starts]
    known = [("teachers", open_model(name).task) for name, _ in recipe.taught_by]
    # later ones decide: the network's answers have the frequencies of what it starts from
    known += [("start", start.task) for start in starts]
    if recipe.task.statistics:
        known.append(("task.statistics", open_model(recipe.task.statistics).task))
    for key, other in known:
        if type(other) is not type(task):
            raise RecipeError(f"{key}: expected a model of the task {task.name!r}, got one of {other.name!r}")
    task = fitted_task(task, sample, [other for _, other in known])
    seed_everything(recipe.seed, verbose=False)
    network = network_for(recipe, task)
    if recipe.network.pretrained:
        load_pretrained(network)
    if starts:
        try:
            start_from(network, [load_network(start) for start in starts], [share for _, share in recipe.starts])
        except RecipeError as error:
            raise RecipeError(
                f"start: expected a network that matches this recipe in {recipe.start}: {error}"
            ) from error
    return task, network


def _tell_left_out(training: PictureSet, validation: PictureSet, say: Callable[[str], None], most: int = 3) -> None:
    skipped = list(dict.fromkeys([*training.skipped, *validation.skipped]))  # a folder that is split has only one list
    if not skipped:
        return
    what = f"{plural(len(skipped), 'picture')} that cannot be read"
    names = ", ".join(name for name, _ in skipped[:most]) + (", …" if len(skipped) > most else "")
    say(f"left out {what}: {names} (hashigo data check lists the reasons)")


def network_options(recipe: Recipe, task: Task) -> dict[str, object]:
    """The network's keyword arguments: the recipe's, with channels from the task, and its output activation if the
    network has that option."""
    given: dict[str, object] = {"in_channels": task.in_channels, "out_channels": task.network_channels}
    if "output_activation" in options_of(recipe.network.name):
        given["output_activation"] = task.output_activation
    options = {**given, **recipe.network.options}
    for name in ("in_channels", "out_channels"):
        if options[name] != given[name]:
            raise RecipeError(
                f"network.options.{name}: the task {task.name!r} needs {given[name]}, got {options[name]}; leave it out"
            )
    return options


def network_for(recipe: Recipe, task: Task) -> Network:
    """The recipe's network for a task, freshly initialized.

    Raises:
        RecipeError: invalid options, or a network whose output is smaller than the task needs.
    """
    network = make_network(recipe.network.name, **network_options(recipe, task))
    if network.answer_scale != 1 and not task.reduces:
        raise RecipeError(
            f"network.options: the task {task.name!r} needs an output as large as the photo, got a network whose "
            f"output has 1/{network.answer_scale} of its side lengths ({recipe.network.options}); remove what reduces "
            "it, such as stem or encoder"
        )
    return network


def load_data(recipe: DataRecipe) -> tuple[PictureSet, PictureSet]:
    """The training and validation pictures that a recipe names.

    Raises:
        RecipeError: no training data named. DataError: they are missing or cannot be read.
    """
    if not recipe.train:
        raise RecipeError("data.train: expected the name or path of training pictures, got nothing")
    root, size = recipe.root or None, recipe.size or None
    training = open_dataset(recipe.train, split=recipe.split, root=root, size=size, limit=recipe.limit or None)
    if recipe.validation:
        limit = recipe.validation_limit or None
        split = recipe.validation_split or ("test" if recipe.validation == recipe.train else "train")
        validation = open_dataset(recipe.validation, split=split, root=root, size=size, limit=limit)
    else:
        training, validation = split_off(training, recipe.validation_share, recipe.validation_limit)
    return (colourful(training, recipe.colourful) if recipe.colourful else training), validation


def _prepare(recipe: Recipe, training: PictureSet, validation: PictureSet) -> tuple[tuple[Loader, Loader], Setup, int]:
    setup = choose(recipe.machine, recipe.epochs * (len(training) // recipe.batch_size))
    device = setup.accelerator if setup.accelerator in ("cuda", "mps") else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK') or os.environ.get('SLURM_LOCALID') or 0}"  # each process keeps the pictures on its own GPU
    batch_size, crop = recipe.batch_size, recipe.data.crop
    loaders = (
        Loader(
            ResidentPictures(training, device), training=True, flip=recipe.data.flip, seed=recipe.seed,
            zoom=recipe.data.zoom, batch_size=batch_size, crop=crop, variants=recipe.data.variants,
        ),
        Loader(ResidentPictures(validation, device), training=False, batch_size=batch_size, crop=crop),
    )  # fmt: skip
    return loaders, setup, recipe.epochs * len(loaders[0])


def _stored_features(
    recipe: Recipe,
    folder: Path,
    network: Network,
    loaders: tuple[Loader, Loader],
    pictures: object,
    say: Callable[[str], None],
) -> StoredFeatures | None:
    """Keeps the features of the network's backbone and its teachers' opinions, if there are only `data.variants` versions of each picture."""
    if not recipe.data.variants or (network.backbone is None and not recipe.teachers):
        return None
    if processes(recipe) != 1:
        raise RecipeError(
            f"machine: expected 1 device and 1 node with data.variants, got {recipe.machine.devices} and {recipe.machine.nodes}"
        )
    data = recipe.data
    about = {"seed": recipe.seed, "crop": data.crop, "zoom": data.zoom, "flip": data.flip, "pictures": pictures}
    kept = Path(data.features) if data.features else None
    return StoredFeatures(kept or folder / "features", loaders, about, say, keep=kept is not None)


def _teachers(recipe: Recipe, task: Task, loader: Loader) -> tuple[Teachers, float] | None:
    """The recipe's teachers and their share of the loss."""
    if not recipe.taught_by:
        return None
    folders = [(open_model(name), share) for name, share in recipe.taught_by]
    return Teachers(folders, task, _trained_size(recipe, loader)), recipe.teacher_share


def _restore_best(network: torch.nn.Module, folder: Path) -> None:
    """Loads the weights of the epoch with the lowest validation loss."""
    state = read_checkpoint(folder / "checkpoints" / "best.ckpt")["state_dict"]
    prefix = "network."
    network.load_state_dict({name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)})


def _trained_size(recipe: Recipe, loader: Loader) -> int:
    """Short side at which photos look like training pictures to the network: crops are cut from pictures of data.size."""
    return recipe.data.size or (0 if loader.size is None else min(loader.size))


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Writes the resolved recipe as YAML."""
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(recipe.as_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")
