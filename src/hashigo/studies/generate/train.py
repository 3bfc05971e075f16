"""Training and measuring the networks of the generation study."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from hashigo.errors import DataError, TrainingError
from hashigo.models.folder import load_network, open_model, save_model
from hashigo.networks.noise import drawing_from
from hashigo.networks.registry import make_network
from hashigo.networks.vae import VAE
from hashigo.pages.panels import grid, save_png
from hashigo.studies.folder import StudyFolder
from hashigo.studies.generate.measure import Reference, bounds, effects, qualities
from hashigo.studies.generate.results import History, TrainingRun
from hashigo.studies.generate.settings import MODELS, GenerateSettings
from hashigo.studies.labelled import LabelledPictures
from hashigo.studies.lanes import GoOn
from hashigo.studies.serializing import from_json, json_object
from hashigo.studies.settings import Say
from hashigo.studies.states import UNREADABLE
from hashigo.training.recipe import Recipe
from hashigo.training.together import Together

FRAME = 100
"""Generated pictures in each frame of the animation."""

SAVED_EVERY = 60
"""Seconds after which a network in training is stored again."""


def widths(settings: GenerateSettings, size: tuple[int, int]) -> Mapping[str, int]:
    """Each network's width: the ladder has the setting's, the others that with which they have about as many parameters."""
    wanted = _parameters("ladder", settings.width, settings, size)

    def nearest(name: str) -> int:
        choices = range(1, 4 * settings.width + 4)
        return min(choices, key=lambda width: abs(_parameters(name, width, settings, size) - wanted))

    return {name: settings.width if name == "ladder" else nearest(name) for name in MODELS}


def _parameters(name: str, width: int, settings: GenerateSettings, size: tuple[int, int]) -> int:
    model = MODELS[name]
    with torch.device("meta"):
        network = make_network(model.network, **settings.options(model, width, size))
    return sum(parameter.numel() for parameter in network.parameters())


def train_and_measure(
    name: str,
    recipe: Recipe,
    seed: int,
    settings: GenerateSettings,
    pictures: LabelledPictures,
    reference: Reference,
    study: StudyFolder,
    say: Say,
    go_on: GoOn,
) -> None:
    """Trains a network with a seed, measures it, and stores part and model. A killed run continues from its last stored epoch.

    Raises:
        TrainingError: the loss is not finite.
    """
    state = study.path / "states" / f"{name}-{seed}.safetensors"
    networks, history = _begin(recipe, seed, pictures, state, say)
    losses, seconds = list(history.losses), history.seconds
    saved = time.monotonic()
    while networks.epoch < recipe.epochs:
        if seed == settings.seed:
            _draw_frame(networks, study.path / "frames" / name / f"epoch-{networks.epoch:04d}.png", settings)
        start = time.perf_counter()
        try:
            losses += networks.train_epoch(go_on)
        except TrainingError as error:
            raise TrainingError(
                f"{name}, seed {seed}: training diverged ({str(error).partition(';')[0]}); give a lower --lr than {settings.lr:g}, and "
                "another folder with --run"
            ) from error
        seconds += time.perf_counter() - start
        if networks.epoch == recipe.epochs or time.monotonic() - saved > SAVED_EVERY:
            networks.save([state], [json_object(History(losses=losses, seconds=seconds))])
            saved = time.monotonic()
        if networks.epoch % max(1, recipe.epochs // 5) == 0:
            say(f"{name}, seed {seed}, epoch {networks.epoch} of {recipe.epochs}: loss {losses[-1]:.2f}")
    if seed == settings.seed:
        _draw_frame(networks, study.path / "frames" / name / f"epoch-{networks.epoch:04d}.png", settings)
    run = _measured(name, seed, networks, History(losses=losses, seconds=seconds), settings, pictures, reference, study)
    study.finish(f"{name}-{seed}", run)
    state.unlink(missing_ok=True)
    say(f"{name}, seed {seed}, done: {run.bound:.2f} nats, in {run.seconds / 60:.1f} minutes")


def _begin(recipe: Recipe, seed: int, pictures: LabelledPictures, state: Path, say: Say) -> tuple[Together, History]:
    """The network as last stored in `state`, or a new one."""
    networks = Together(recipe, [seed], pictures.resident)
    if state.is_file():
        try:
            return networks, from_json(History, networks.restore([state])[0])
        except UNREADABLE as error:
            say(f"{state} cannot be read ({error}); its training starts again")
            networks = Together(recipe, [seed], pictures.resident)
    return networks, History(losses=[], seconds=0.0)


def _variational(networks: Together) -> VAE:
    """The network in its present state.

    Raises:
        TypeError: it is none that generates.
    """
    (network,) = networks.networks()
    if not isinstance(network, VAE):
        raise TypeError(f"expected a variational network, got {type(network).__name__}")
    return network


@torch.no_grad()
def _draw_frame(networks: Together, path: Path, settings: GenerateSettings) -> None:
    """A frame of the animation: pictures generated from the same random numbers after every epoch."""
    network = _variational(networks)
    with drawing_from(torch.Generator().manual_seed(settings.seed)):
        made = network.sample(FRAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(grid([np.repeat(made.numpy(), 3, axis=1)]), path)


def _measured(
    name: str, seed: int, networks: Together, history: History, settings: GenerateSettings, pictures: LabelledPictures,
    reference: Reference, study: StudyFolder,
) -> TrainingRun:  # fmt: skip
    network = _variational(networks)
    save_model(
        study.path / "models" / f"{name}-{seed}", network, networks.task, size=min(pictures.about.size), onnx=False
    )
    return TrainingRun(
        seed=seed,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        width=int(str(networks.recipe.network.options["width"])),
        train_loss=history.losses,
        seconds=history.seconds,
        machine=str(networks.setup),
        **vars(bounds(network, pictures, settings)),
        quality=qualities(network, reference, settings),
        levels=effects(network, reference, settings),
    )


def stored_network(study: StudyFolder, name: str, seed: int) -> VAE:
    """A network that was trained.

    Raises:
        DataError: another kind of network is there.
    """
    folder = study.path / "models" / f"{name}-{seed}"
    network = load_network(open_model(folder))
    if not isinstance(network, VAE):
        raise DataError(
            f"{folder}: expected a variational network, got {type(network).__name__}; run the study again with another --run"
        )
    return network.eval()
