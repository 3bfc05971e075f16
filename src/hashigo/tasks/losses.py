"""Losses. Each takes (output, target), both (N, C, H, W), and returns a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hashigo import color
from hashigo.errors import RecipeError, did_you_mean
from hashigo.tasks.classes import REBALANCE, ChromaBins

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


DETAIL = 4.0
"""Weight of the differences between neighbouring pixels in the loss `detail`."""


def detail(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error of pixels, and `DETAIL` times that of the differences between neighbours: grain and scratches count more than a wrong brightness.

    Of a faded photo nobody can know how bright it was, and with the plain absolute error little else is learned.
    """
    error = output - target
    across, down = error.diff(dim=-1).abs(), error.diff(dim=-2).abs()
    return error.abs().mean() + DETAIL * (across.sum() + down.sum()) / max(1, across.numel() + down.numel())


def huber(output: Tensor, target: Tensor) -> Tensor:
    """Huber loss with threshold 0.02, about 5 of 255 levels: larger errors count linearly instead of squared.

    Values are multiplied by 1/0.02, so that typical chroma errors have a loss of order 1.
    """
    from torch.nn.functional import smooth_l1_loss

    return smooth_l1_loss(output / 0.02, target / 0.02)


def binary_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of values from 0 to 1, minus the target's own entropy, so that a perfect answer scores 0; summed as in `sum_squared_error`.

    This is the loss of the Keras blog's autoencoders. On mostly black pictures, such as digits, squared error can drive a network whose
    answer is a sigmoid to plain black, where its gradient vanishes; here the gradient stays until the answer is within `SURE` of 0 or 1. Its second derivative is 0.
    """
    output = output.float()  # bfloat16 has no 1 - SURE
    target, inside = target.float().clamp(SURE, 1 - SURE), output.detach().clamp(SURE, 1 - SURE)
    entropy = target * (target / inside).log() + (1 - target) * ((1 - target) / (1 - inside)).log()
    # by hand, because autograd's gradient is a difference of two large numbers, and 0 outside of 0..1
    slope = (inside - target) / (inside * (1 - inside))
    return (entropy + slope * (output - output.detach())).mean(dim=1).sum(dim=(1, 2)).mean()


SURE = 1e-6
"""Targets and answers are kept at least this far from 0 and 1, because log 0 is infinite."""

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum_squared_error": sum_squared_error,
    "mean_squared_error": mean_squared_error,
    "binary_cross_entropy": binary_cross_entropy,
    "l1": l1,
    "huber": huber,
    "detail": detail,
}
"""Every loss by its name."""

FROM_0_TO_1 = {"binary_cross_entropy"}
"""Losses for answers from 0 to 1 only."""


def get_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss called `name`.

    Raises:
        RecipeError: no such loss; the right names are listed.
    """
    if name not in LOSSES:
        raise RecipeError(f"expected the name of a loss, got {name!r}; {did_you_mean(name, LOSSES)}")
    return LOSSES[name]


def rebalanced_cross_entropy(
    output: Tensor, target: Tensor, bins: ChromaBins, rebalance: float, reward: float = 0.0
) -> Tensor:
    """Cross-entropy of classes of chroma, with rare classes weighted up (Zhang, Isola & Efros 2016).

    output: logits (N, K, H, W). target: chroma (N, 2, H, W), of which each of the four classes around it gets its
    bilinear share. A pixel has the mean weight of its classes. `reward` is ignored.
    """
    import torch

    # pixels as rows: one gather for all four classes, and no copy where the network works channels-last
    logs = output.permute(0, 2, 3, 1).flatten(0, 2).log_softmax(dim=1)
    classes, shares = (torch.stack(four, dim=-1).flatten(0, 2) for four in bins.shares(target))
    weights = torch.from_numpy(bins.weights(rebalance)).to(output.device)
    heavy = (shares * weights[classes]).sum(dim=1)
    return -((shares * logs.gather(1, classes)).sum(dim=1) * heavy).mean()


def soft_cross_entropy(output: Tensor, opinion: Tensor, bins: ChromaBins, rebalance: float) -> Tensor:
    """Cross-entropy of classes with distributions over them, (N, K, H, W), weighted as in `rebalanced_cross_entropy`."""
    import torch

    weights = torch.from_numpy(bins.weights(rebalance)).to(output.device)
    logs = output.permute(0, 2, 3, 1).log_softmax(dim=3)
    return -(opinion.permute(0, 2, 3, 1) * weights * logs).sum(dim=3).mean()


def vivid_cross_entropy(
    output: Tensor, target: Tensor, bins: ChromaBins, rebalance: float, reward: float = 0.0
) -> Tensor:
    """Rebalanced cross-entropy plus the relative difference of each picture's colourfulness from its original's.

    Colourfulness is M3 of Hasler & Süsstrunk 2003, which depends only on chroma, of the answer as in real use
    (`ChromaBins.decide` with that `reward`). For a network that has already learned the classes.
    """
    # a quarter of the positions is enough for a picture's statistics
    some = bins.unweighted(output[..., ::2, ::2], rebalance)
    colourful, wanted = _colourfulness(bins.decide(some, reward)), _colourfulness(target[..., ::2, ::2])
    away = (colourful - wanted).abs() / (wanted + 0.02)
    return rebalanced_cross_entropy(output, target, bins, rebalance) + away.mean()


def _colourfulness(chroma: Tensor) -> Tensor:
    """M3 of chroma (N, 2, H, W) on the 0..1 scale, (N,)."""
    red, green, blue = color.offsets(chroma).unbind(1)
    opponents = ((red - green).flatten(1), ((red + green) / 2 - blue).flatten(1))
    spread, mean = (
        sum(part.square() for part in parts).add(1e-8).sqrt()
        for parts in zip(
            *((opponent.std(dim=1, correction=0), opponent.mean(dim=1)) for opponent in opponents), strict=True
        )
    )
    colourful: Tensor = spread + 0.3 * mean
    return colourful


CLASS_LOSSES: dict[str, Callable[[Tensor, Tensor, ChromaBins, float, float], Tensor]] = {
    "rebalanced_cross_entropy": rebalanced_cross_entropy,
    "vivid_cross_entropy": vivid_cross_entropy,
}
"""Every loss over classes of chroma by its name."""


def get_class_loss(
    name: str, bins: ChromaBins, rebalance: float = REBALANCE, reward: float = 0.0
) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss over classes called `name`, for these classes; `rebalance`: see `ChromaBins.weights`, `reward`: see `decide`.

    Raises:
        RecipeError: no such loss; the right names are listed.
    """
    if name not in CLASS_LOSSES:
        raise RecipeError(f"expected the name of a loss over classes, got {name!r}; {did_you_mean(name, CLASS_LOSSES)}")
    loss = CLASS_LOSSES[name]
    return lambda output, target: loss(output, target, bins, rebalance, reward)
