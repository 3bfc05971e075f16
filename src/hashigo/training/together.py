"""Several small networks that differ only in their seeds, trained together as one batched network.

A GPU is mostly idle while it trains a network with a few thousand weights; a dozen at once take
hardly longer. `torch.func` stacks their weights along a new first axis, and each step runs them all on their
own batches. Each network gets the same as from `hashigo.train` alone: the initial weights of its seed, its own order
of pictures, its own damage.
"""

from __future__ import annotations

import copy
import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from hashigo.data import PictureSet
from hashigo.data.loader import Loader, ResidentPictures
from hashigo.errors import RecipeError, TrainingError
from hashigo.files import atomic_path
from hashigo.networks.base import Network
from hashigo.networks.noise import drawing_from
from hashigo.randomness import PictureRng, step_seed
from hashigo.tasks import make_task
from hashigo.training.module import Average, make_optimizer
from hashigo.training.recipe import MachineRecipe, Recipe
from hashigo.training.run import network_for
from hashigo.training.setup import Setup, choose
from hashigo.training.step import through

Notes = dict[str, Any]  # any JSON, chosen by the caller


class _OwnLoss(nn.Module):
    """A network whose `forward` is its `own_loss`: `functional_call` knows no other method."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """An input → the answer and the network's own loss."""
        return self.network.own_loss(x)


_DRAWING = threading.Lock()
"""Held while initial weights are drawn."""


class Together:
    """Networks of one recipe, one for each seed, trained step by step together.

    Args:
        recipe: its `seed` is replaced by each of `seeds`, and epochs are trained on demand
            by `train_epoch`.
        seeds: one network each.
        pictures: the training pictures.

    Raises:
        RecipeError: the recipe is invalid, or requires something unsupported: pretrained weights, a rate for the encoder, or clipped
            gradients, which would be clipped over all networks at once.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], pictures: PictureSet | ResidentPictures) -> None:
        if recipe.optimizer.encoder_lr != 1:
            raise RecipeError(
                "optimizer.encoder_lr: expected 1 for networks that are trained together, got another value"
            )
        if recipe.optimizer.clip:
            raise RecipeError("optimizer.clip: expected 0 for networks that are trained together, got another value")
        if recipe.teachers:
            raise RecipeError("teachers: expected none for networks that are trained together, got some")
        if recipe.network.pretrained:
            raise RecipeError("network.pretrained: expected false for networks that are trained together, got true")
        self.recipe, self.seeds = recipe, tuple(seeds)
        self.task = make_task(recipe.task.name, **recipe.task.options)
        self.setup = _setup(recipe.machine, len(self.seeds))
        self.device = torch.device(self.setup.accelerator)
        resident = pictures if isinstance(pictures, ResidentPictures) else ResidentPictures(pictures, self.device)
        batch_size, crop, flip = recipe.batch_size, recipe.data.crop, recipe.data.flip
        self.loaders = [
            Loader(resident, training=True, seed=seed, batch_size=batch_size, crop=crop, flip=flip)
            for seed in self.seeds
        ]
        self.loss = self.task.criterion(recipe.loss or self.task.loss)
        self.epoch = 0
        alone = [self._first(seed) for seed in self.seeds]
        if len(alone) > 1 and alone[0].criterion is not None:
            raise RecipeError(
                f"seeds: expected one at a time for the network {recipe.network.name!r}, which has a loss of its own, got {len(alone)}"
            )
        self._network = alone[
            0
        ].train()  # if it is alone, it is trained itself; otherwise all use it with their own weights
        if self.setup.channels_last:
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._own = _OwnLoss(self._network)
        self._weights, self._buffers = _stacked(alone)
        steps = recipe.epochs * len(self.loaders[0])
        self._optimizer, self._schedule = make_optimizer(self._weights.values(), recipe.optimizer, steps)

    def _first(self, seed: int) -> Network:
        """The untrained network of a seed; the process's random state is unchanged.

        One thread at a time: weights are drawn from the one generator that all threads share.
        """
        with _DRAWING, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = network_for(self.recipe, self.task)
        return network.to(self.device)

    def train_epoch(self, go_on: Callable[[], bool] = lambda: True) -> list[float]:
        """Trains all networks for one epoch; returns the mean training loss of each.

        go_on: called before each step; if it returns False, the epoch is aborted and KeyboardInterrupt is raised.

        Raises:
            TrainingError: a loss was not finite.
        """
        orders = [loader.order(self.epoch) for loader in self.loaders]
        averages = Average()
        for number in range(len(self.loaders[0])):
            if not go_on():
                raise KeyboardInterrupt
            batches = [
                loader.batch(self.epoch, number, order) for loader, order in zip(self.loaders, orders, strict=True)
            ]
            pairs = [
                self.task.pair(batch.rgb, PictureRng(seed, self.epoch, batch.indices))
                for seed, batch in zip(self.seeds, batches, strict=True)
            ]
            with drawing_from(self._generator(number)):
                averages.add(self._step([x for x, _ in pairs], [y for _, y in pairs]), len(batches[0].rgb))
        self.epoch += 1
        losses = (averages.total / averages.count).tolist() if averages.total is not None else []
        for seed, loss in zip(self.seeds, losses, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss of seed {seed} was not finite in epoch {self.epoch}; lower optimizer.lr, or try "
                    "machine.precision=fp32"
                )
        return [float(loss) for loss in losses]

    def _generator(self, number: int) -> torch.Generator | None:
        """What a network alone draws its latents from in a step: the same whatever other threads do, and after a restart."""
        if len(self.seeds) > 1:
            return None
        return torch.Generator().manual_seed(step_seed(self.seeds[0], self.epoch * len(self.loaders[0]) + number))

    def _step(self, inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """One step of the optimizer; returns the losses, (S,)."""
        if len(self.seeds) == 1:
            losses = through(self._network, inputs[0], targets[0], run=self._run).loss(self.loss)[None]
        else:
            stacked = torch.stack(list(inputs)), torch.stack(list(targets))
            losses = vmap(self._loss_with, randomness="different")(self._weights, self._buffers, *stacked)
        self._optimizer.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._schedule.step()
        return losses.detach()

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.setup.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.setup.precision == "bf16"):
            return self._network.own_loss(x)

    def _loss_with(self, weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, target: Tensor) -> Tensor:
        """The loss of one network with these weights and buffers."""

        def run(x: Tensor) -> tuple[Tensor, Tensor | None]:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.setup.precision == "bf16"):
                answer: tuple[Tensor, Tensor | None] = functional_call(
                    self._own, (self._named(weights), self._named(buffers)), (x,)
                )
            return answer

        return through(self._network, x, target, run=run).loss(self.loss)

    @staticmethod
    def _named(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"network.{name}": value for name, value in values.items()}

    def networks(self) -> list[Network]:
        """A copy of each network in its present state, in evaluation mode, on the CPU."""
        result: list[Network] = []
        for i in range(len(self.seeds)):
            state = {name: value.detach()[i].clone() for name, value in self._all().items()}
            network = copy.deepcopy(self._network).cpu()
            network.load_state_dict({name: value.cpu() for name, value in state.items()})
            result.append(network.eval())
        return result

    def _all(self) -> dict[str, Tensor]:
        """Weights and buffers by name, each with the networks along its first axis."""
        if len(self.seeds) > 1:
            return {**self._weights, **self._buffers}
        return {name: value[None] for name, value in self._network.state_dict().items()}

    def save(self, paths: Sequence[str | Path], about: Sequence[Notes]) -> None:
        """Writes each network's weights, its optimizer's state and the epoch, with notes, as a safetensors file of its own
        (no pickle), so that it can continue beside other networks than now."""
        optimizer = self._optimizer.state_dict()["state"]
        for place, (seed, path, notes) in enumerate(zip(self.seeds, paths, about, strict=True)):
            tensors = {f"network.{name}": value[place] for name, value in self._all().items()}
            for number, state in optimizer.items():
                for name, value in state.items():
                    tensors[f"optimizer.{number}.{name}"] = self._of_network(torch.as_tensor(value), place)
            copies = {name: value.detach().clone().contiguous().cpu() for name, value in tensors.items()}
            header = {"epoch": self.epoch, "seed": seed, "about": notes, "schedule": self._schedule.last_epoch}
            with atomic_path(path) as temporary:
                save_file(copies, temporary, metadata={"together": json.dumps(header)})

    def _of_network(self, value: Tensor, place: int) -> Tensor:
        """One network's part of the optimizer's state; a scalar, such as AdamW's step count, is shared by all."""
        return value[place] if len(self.seeds) > 1 and value.ndim else value

    def restore(self, paths: Sequence[str | Path]) -> list[Notes]:
        """Continues each network from where `save` was called, beside the same networks or others; returns the notes of each.

        Raises:
            RecipeError: a file belongs to another seed, or the files to different epochs.
        """
        stored = [_read(path) for path in paths]
        seeds, epochs = tuple(notes["seed"] for notes, _ in stored), {notes["epoch"] for notes, _ in stored}
        if seeds != self.seeds or len(epochs) > 1:
            raise RecipeError(
                f"{Path(paths[0]).parent}: expected the states of seeds {self.seeds} after as many epochs, found seeds "
                f"{seeds} after {sorted(epochs)}"
            )
        notes, first = stored[0]
        with torch.no_grad():
            for name, value in self._all().items():
                value.copy_(torch.stack([tensors[f"network.{name}"] for _, tensors in stored]))
        state: dict[int, dict[str, Tensor]] = {}
        for name in first:
            if name.startswith("optimizer."):
                _, number, key = name.split(".", 2)
                each = [tensors[name] for _, tensors in stored]
                stacked = torch.stack(each) if len(each) > 1 and each[0].ndim else each[0]
                state.setdefault(int(number), {})[key] = stacked
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})
        self._schedule.last_epoch = steps = notes["schedule"]
        rates = zip(self._optimizer.param_groups, self._schedule.base_lrs, self._schedule.lr_lambdas, strict=True)
        for group, base, factor in rates:  # otherwise the next step would use the first one's
            group["lr"] = base * factor(steps)
        self.epoch = notes["epoch"]
        return [notes["about"] for notes, _ in stored]


def _read(path: str | Path) -> tuple[Notes, dict[str, Tensor]]:
    """A state's notes and tensors."""
    with safe_open(path, "pt") as file:
        notes: Notes = json.loads(file.metadata()["together"])
        return notes, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dictionary)


def stored_epoch(path: str | Path) -> int:
    """The epoch of a state.

    Raises:
        SafetensorError, OSError, KeyError, TypeError, ValueError: it is missing or not a state.
    """
    with safe_open(path, "pt") as file:
        return int(json.loads(file.metadata()["together"])["epoch"])


def _setup(machine: MachineRecipe, networks: int) -> Setup:
    """The setup on this machine: nothing is compiled here, several networks use channels first, and where
    `hashigo.train` would use a TPU, which needs Lightning's own loop, it is the CPU."""
    setup = choose(machine, 0)
    if setup.accelerator == "tpu":
        setup = choose(replace(machine, accelerator="cpu"), 0)
    return replace(setup, compile=False, channels_last=setup.channels_last and networks == 1)


def _stacked(networks: Sequence[nn.Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The networks' weights and buffers, along a new first axis where there are several."""
    if len(networks) == 1:
        return dict(networks[0].named_parameters()), dict(networks[0].named_buffers())
    weights, buffers = stack_module_state(list(networks))
    return weights, buffers
