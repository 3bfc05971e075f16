"""Pictures drawn from random numbers by a network that can generate: a VAE or a ladder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hashigo.errors import RecipeError
from hashigo.latents.extract import ModelLike, evaluating, opened
from hashigo.networks.noise import drawing_from
from hashigo.networks.registry import NETWORKS
from hashigo.networks.variational import Variational

TOGETHER = 256
"""Pictures that are drawn at once."""


def sample(model: ModelLike, n: int, *, seed: int = 0, device: str = "cpu") -> NDArray[np.float32]:
    """`n` new pictures, (n, 3, H, W), sRGB, 0..1; equal for equal seeds.

    Each is the mean of the distribution that the network's latents describe; for black and white dots, that is the probability of white.

    Args:
        model: name or folder of a model, folder of a training run, an opened model, or a (network, task) pair.
        n: how many, at least 1.
        seed: of the random numbers.
        device: a torch device.

    Raises:
        ModelError: no such model. RecipeError: its network does not generate, or its task needs a photo. MissingExtraError: torch is not installed.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise RecipeError(f"n: expected a whole number of at least 1, got {n!r}")
    network, task, _ = opened(model, 0)
    if not isinstance(network, Variational):
        able = ", ".join(name for name, kind in NETWORKS.items() if issubclass(kind, Variational))
        raise RecipeError(
            f"expected a model whose network draws pictures from random numbers ({able}), got {type(network).__name__}; "
            "train one, for instance with: hashigo train ladder"
        )
    if task.adds_colour:
        raise RecipeError(
            f"expected a model that makes whole pictures, got one of the task {task.name!r}, which needs a photo"
        )
    there = torch.device(device)
    generator, parts = torch.Generator(there).manual_seed(seed), []
    with evaluating(network, there), drawing_from(generator):
        for start in range(0, n, TOGETHER):
            output = network.sample(min(TOGETHER, n - start))
            nothing = output.new_zeros(len(output), task.in_channels, *output.shape[-2:])
            parts.append(task.restore(nothing, output.float()).cpu().numpy())
    pictures: NDArray[np.float32] = np.concatenate(parts)
    return pictures
