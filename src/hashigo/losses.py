"""Losses: how wrong a network's answer is. Each takes (output, target), both (N, C, H, W), and gives a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hashigo.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor


def sum_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """The article's loss: squared error, mean over channels and batch, summed over height and width."""
    return (output - target).square().mean(dim=1).sum(dim=(1, 2)).mean()


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error, mean over everything."""
    return (output - target).square().mean()


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error, mean over everything."""
    return (output - target).abs().mean()


def huber(output: Tensor, target: Tensor) -> Tensor:
    """Huber loss with its knee at 0.02, about five levels of 255: beyond that an error counts by its size, not its square.

    Values are multiplied by 1/0.02 so that the loss of typical chroma errors is of order 1.
    """
    from torch.nn.functional import smooth_l1_loss

    return smooth_l1_loss(output / 0.02, target / 0.02)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum_squared_error": sum_squared_error,
    "mean_squared_error": mean_squared_error,
    "l1": l1,
    "huber": huber,
}
"""Every loss by its name."""


def get_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss called `name`.

    Raises:
        RecipeError: no such loss; the right names are listed.
    """
    if name not in LOSSES:
        raise RecipeError(f"expected the name of a loss, got {name!r}; {did_you_mean(name, LOSSES)}")
    return LOSSES[name]
