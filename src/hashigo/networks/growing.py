"""Starts a network with the weights of others: of its own kind, or of the smaller networks that it consists of.

A U-Net with the encoder dinov2-lite0 and a coarse answer consists of a U-Net with the encoder efficientnet-lite0 and a `ViT`. With the
weights of both, it begins with the mean of their answers, or a weighted sum (before the activation); what is new in it has no influence yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hashigo.errors import RecipeError
from hashigo.networks.base import Network
from hashigo.networks.encoders.efficientnet import EfficientNetLite0
from hashigo.networks.encoders.vit import MIXED, DinoV2Lite0
from hashigo.networks.unet import UNet
from hashigo.networks.vit import ViT


@torch.no_grad()
def start_from(network: Network, others: Sequence[Network], shares: Sequence[float] = ()) -> None:
    """Copies the weights of `others` into `network`. shares: the weight of each one's answer; by default all have the same, in all 1.

    Raises:
        RecipeError: they do not fit.
    """
    shares = shares or [1 / len(others)] * len(others)
    if not all(math.isfinite(share) for share in shares):
        raise RecipeError(f"expected finite weights of the answers, got {', '.join(map(str, shares))}")
    try:
        if len(others) == 1 and type(others[0]) is type(network) and _shapes(others[0]) == _shapes(network):
            if shares[0] != 1:
                raise RecipeError(f"expected a weight only where there are two models, got {shares[0]:g}")
            network.load_state_dict(others[0].state_dict())
        elif isinstance(network, UNet) and isinstance(network.encoder, DinoV2Lite0):
            _grow(network, network.encoder, others, shares)
        else:
            raise RecipeError("expected one network of the same kind and with the same options")
    except (RuntimeError, KeyError) as error:
        raise RecipeError(f"expected networks with options that match: {error}") from error


def _shapes(network: Network) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def _grow(network: UNet, encoder: DinoV2Lite0, others: Sequence[Network], shares: Sequence[float]) -> None:
    weights = network.state_dict()
    if network.coarse is not None:  # no answer of its own until a ViT brings one
        for name in ("coarse.weight", "coarse.bias"):
            weights[name] = torch.zeros_like(weights[name])
    kinds = [type(other) for other in others]
    if len(set(kinds)) != len(kinds):
        raise RecipeError(
            f"expected at most one network of each kind, got {', '.join(kind.__name__ for kind in kinds)}"
        )
    for other, share in zip(others, shares, strict=True):
        if isinstance(other, UNet) and isinstance(other.encoder, EfficientNetLite0):
            weights.update(_of_unet(other, weights, encoder, share))
        elif isinstance(other, ViT) and network.coarse is not None:
            weights.update(_of_vit(other, weights, encoder, share))
        else:
            raise RecipeError(
                f"expected a unet with the encoder efficientnet-lite0, or a vit, got {type(other).__name__}"
            )
    network.load_state_dict(weights)


def _of_unet(other: UNet, weights: dict[str, Tensor], encoder: DinoV2Lite0, share: float) -> dict[str, Tensor]:
    """The weights of a U-Net with the same convolutions, with zeros for what it does not have."""
    made = {}
    for name, value in other.state_dict().items():
        ours = name.replace("encoder.", "encoder.convolutions.", 1) if name.startswith("encoder.") else name
        wanted = weights[ours]
        if value.shape != wanted.shape:
            value = _widened(name, value, wanted, encoder)
        made[ours] = share * value if name.startswith("head.") else value
    return made


def _widened(name: str, value: Tensor, wanted: Tensor, encoder: DinoV2Lite0) -> Tensor:
    """A weight whose layer has more inputs, and perhaps more outputs, in the larger network."""
    wide = torch.zeros_like(wanted)
    if name.startswith("fuse."):  # inputs: the convolutions' skip, the tokens, what comes from below
        old = encoder.convolutions.skip_channels[int(name.split(".")[1])]
        new = wanted.shape[1] - value.shape[1]
        wide[:, :old], wide[:, old + new :] = value[:, :old], value[:, old:]
        return wide
    if name == "context.first.weight":  # its new units have random weights, or they could never learn
        wide[len(value) :] = wanted[len(value) :]
    wide[tuple(slice(length) for length in value.shape)] = value
    return wide


def _of_vit(other: ViT, weights: dict[str, Tensor], encoder: DinoV2Lite0, share: float) -> dict[str, Tensor]:
    """The weights of a ViT with the same blocks and mix, and its head as the coarse answer."""
    made = {}
    for name, value in other.state_dict().items():
        if not name.startswith("head."):
            made[f"encoder.{name}"] = value
    tokens = other.head.in_channels
    coarse = torch.zeros_like(weights["coarse.weight"])
    if tokens != MIXED:
        raise RecipeError(f"expected a vit of width {MIXED}, got {tokens}")
    if coarse.shape[1] != encoder.skip_channels[2]:
        raise RecipeError("network.options.coarse: expected 2, the level of the skip that contains the tokens")
    coarse[:, -tokens:] = share * other.head.weight
    return {**made, "coarse.weight": coarse, "coarse.bias": share * other.state_dict()["head.bias"]}
