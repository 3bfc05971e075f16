"""From a batch to its loss: the only implementation, for training, validation, networks trained together and studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from hashigo.networks.base import Network
from hashigo.randomness import PictureRng
from hashigo.tasks import Task

Criterion = Callable[[Tensor, Tensor], Tensor]
"""A loss of (output, target), both (N, C, H, W): a scalar."""
Run = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""A function like `Network.own_loss`, perhaps compiled or with other weights: an input → the answer and the network's own loss."""


@dataclass(frozen=True)
class Step:
    """A batch after a network's forward pass."""

    x: Tensor
    """The network's input, (N, in_channels, H, W)."""
    output: Tensor
    """The network's output, float32."""
    target: Tensor
    """The task's target, at the output's size."""
    own: Tensor | None
    """The network's own loss, such as a VAE's KL divergence; None if it has none."""
    criterion: Criterion | None = None
    """The network's own measure of an answer, which replaces the task's loss; None if it has none."""

    def loss(self, criterion: Criterion) -> Tensor:
        """The loss of the batch, a scalar."""
        with torch.autocast(self.output.device.type, enabled=False):
            loss = (self.criterion or criterion)(self.output, self.target)
            return loss if self.own is None else loss + self.own

    def losses(self, criterion: Criterion) -> list[float]:
        """The loss of each picture's answer, without the network's own loss."""
        pairs = zip(self.output[:, None], self.target[:, None], strict=True)
        return [float((self.criterion or criterion)(output, target)) for output, target in pairs]


def step(network: Network, task: Task, rgb: Tensor, rng: PictureRng | None = None, *, run: Run | None = None) -> Step:
    """Runs pictures (N, 3, H, W) through `task.pair` and the network.

    Args:
        network: its contract defines the size of its answers.
        task: defines input and target.
        rgb: the pictures, 0..1.
        rng: for random variations; None: none.
        run: runs the network; by default its `own_loss`.
    """
    with torch.autocast(rgb.device.type, enabled=False):
        x, target = task.pair(rgb, rng)
    return through(network, x, target, run=run)


def through(network: Network, x: Tensor, target: Tensor, *, run: Run | None = None) -> Step:
    """Like `step`, for given inputs and targets."""
    output, own = (run or network.own_loss)(x)
    with torch.autocast(x.device.type, enabled=False):
        return Step(x, output.float(), reduced(target, network.answer_scale), own, network.criterion)


def step_loss(
    network: Network,
    task: Task,
    rgb: Tensor,
    rng: PictureRng | None = None,
    *,
    criterion: Criterion | None = None,
    run: Run | None = None,
) -> Tensor:
    """The loss of a batch of pictures (N, 3, H, W), a scalar. criterion: by default the task's own loss; otherwise see `step`."""
    return step(network, task, rgb, rng, run=run).loss(criterion or task.criterion(task.loss))


def reduced(target: Tensor, side: int) -> Tensor:
    """The target at 1/`side` of its height and width, rounded up: the means of squares of that side.

    Squares that reach beyond the picture repeat its edge, as the network's padding does.
    """
    if side == 1:
        return target
    down, right = (-length % side for length in target.shape[-2:])
    if down or right:
        target = pad(target, (0, right, 0, down), mode="replicate")
    return avg_pool2d(target, side)
