"""Networks: tensors in, tensors out. They know nothing of tasks, colour or files.

To add a network: one file and one line in `NETWORKS`. A network takes keyword arguments only, has `in_channels` and
`out_channels`, and is a `PyTorchModelHubMixin`, which saves those arguments.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from hashigo.errors import RecipeError, did_you_mean
from hashigo.networks.encoders.efficientnet import ENCODERS, check_pretrained
from hashigo.networks.unet import UNet

__all__ = [
    "ARTICLE_SMALL_UNET",
    "ARTICLE_UNET",
    "ENCODERS",
    "NETWORKS",
    "UNet",
    "check_pretrained",
    "load_pretrained",
    "make_network",
]

NETWORKS: dict[str, type[UNet]] = {"unet": UNet}
"""Every network by its name."""

ARTICLE_UNET: dict[str, Any] = {"width": 64, "depth": 4}
"""The article's network for 96×96 pictures: 31,054,275 parameters with a grey input."""

ARTICLE_SMALL_UNET: dict[str, Any] = {
    "in_channels": 1,
    "out_channels": 1,
    "width": 4,
    "depth": 2,
    "size": (28, 28),
    "latent_activation": "tanh",
}
"""The article's network for 28×28 digits, 4-8-16 channels; add `skips` and `bottleneck=16` for its four conditions."""


def make_network(name: str, **options: Any) -> nn.Module:
    """The network called `name` with its options, freshly initialized.

    Raises:
        RecipeError: no such network, or an option that it does not have or cannot take.
    """
    if name not in NETWORKS:
        raise RecipeError(f"expected the name of a network, got {name!r}; {did_you_mean(name, NETWORKS)}")
    known = [one for one in inspect.signature(NETWORKS[name].__init__).parameters if one != "self"]
    for option in options:
        if option not in known:
            raise RecipeError(f"network {name!r} has no option {option!r}; {did_you_mean(option, known)}")
    try:
        return NETWORKS[name](**options)
    except TypeError as error:
        raise RecipeError(f"network {name!r}: {error}") from error


def load_pretrained(network: nn.Module) -> None:
    """Gives a network's encoder the weights that are there for it.

    Raises:
        RecipeError: its encoder is a plain one, for which there are none. MissingExtraError: their package is missing.
    """
    encoder: Any = getattr(network, "encoder", None)
    check_pretrained(next((name for name, kind in ENCODERS.items() if type(encoder) is kind), "plain"))
    encoder.load_pretrained()
