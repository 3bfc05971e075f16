"""The registry of networks, and how to create one. To add a network: one file, and one line in `NETWORKS`."""

from __future__ import annotations

import inspect

from hashigo.errors import RecipeError, did_you_mean
from hashigo.networks.base import Network
from hashigo.networks.conv import Conv
from hashigo.networks.dense import Dense
from hashigo.networks.encoders.base import Pretrained
from hashigo.networks.ladder import Ladder
from hashigo.networks.unet import ENCODERS, UNet
from hashigo.networks.vae import VAE
from hashigo.networks.vit import ViT

__all__ = [
    "ARTICLE_SMALL_UNET",
    "ARTICLE_UNET",
    "ENCODERS",
    "NETWORKS",
    "check_pretrained",
    "load_pretrained",
    "make_network",
    "options_of",
]

NETWORKS: dict[str, type[Network]] = {
    "unet": UNet,
    "vit": ViT,
    "dense": Dense,
    "conv": Conv,
    "vae": VAE,
    "ladder": Ladder,
}
"""Every network by its name."""

ARTICLE_UNET: dict[str, object] = {"width": 64, "depth": 4}
"""The article's network for 96×96 pictures: 31,054,275 parameters with a grey input."""

ARTICLE_SMALL_UNET: dict[str, object] = {
    "in_channels": 1,
    "out_channels": 1,
    "width": 4,
    "depth": 2,
    "size": (28, 28),
    "latent_activation": "tanh",
}
"""The article's network for 28×28 digits, 4-8-16 channels; add `skips` and `bottleneck=16` for its four conditions."""


def options_of(name: str) -> list[str]:
    """The keyword arguments of the network called `name`.

    Raises:
        RecipeError: no such network.
    """
    if name not in NETWORKS:
        raise RecipeError(f"expected the name of a network, got {name!r}; {did_you_mean(name, NETWORKS)}")
    return [option for option in inspect.signature(NETWORKS[name].__init__).parameters if option != "self"]


def make_network(name: str, **options: object) -> Network:
    """The network called `name` with its options, freshly initialized.

    Raises:
        RecipeError: no such network, or an unknown or invalid option.
    """
    known = options_of(name)
    for option in options:
        if option not in known:
            raise RecipeError(f"network {name!r} has no option {option!r}; {did_you_mean(option, known)}")
    try:
        return NETWORKS[name](**options)
    except TypeError as error:
        raise RecipeError(f"network {name!r}: {error}") from error


def load_pretrained(network: Network) -> None:
    """Loads pretrained weights into the part of a network that has them.

    Raises:
        RecipeError: it has no such part. MissingExtraError: the weights' package is missing.
    """
    check_pretrained(network).load_pretrained()


def check_pretrained(network: Network) -> Pretrained:
    """The part of the network that has pretrained weights, after checking that they are available.

    Raises:
        RecipeError: it has none. MissingExtraError: their package is not installed.
    """
    if not isinstance(part := network.pretrainable, Pretrained):
        kind = "none" if part is None else type(part).__name__
        raise RecipeError(
            f"network.pretrained: expected a network with an encoder that has pretrained weights, got {kind}; set "
            f"network.options.encoder to {', '.join(ENCODERS)}, or leave pretrained out"
        )
    part.check_pretrained()
    return part
