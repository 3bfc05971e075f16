"""A variational autoencoder: the article's small U-Net without skip connections, with a Gaussian bottleneck (Kingma & Welling 2014).

    x ─ blocks and poolings ─ dense ─ q(z | x) ─ z ─ dense ─ upsampling and blocks ─ p(x | z)

The article says that skip connections cannot be used in a VAE, because a picture that is generated from random numbers has no encoder. With
`skips: concat`, this network has such skip connections, to measure what they do; `ladder` has ones that work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hashigo.errors import RecipeError, did_you_mean
from hashigo.networks.blocks import ACTIVATIONS, Block
from hashigo.networks.contract import Contract, is_whole
from hashigo.networks.encoders.plain import PlainEncoder
from hashigo.networks.variational import Given, Inference, Normal, Variational, again, chosen

SKIPS = ("none", "concat")
"""Kinds of skip connections: none, or the encoder's features beside the decoder's, as in a U-Net."""


class VAE(Variational):
    """A variational autoencoder for pictures of one size: (N, in_channels, H, W) → (N, out_channels, H, W).

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        width: Channels of the outermost level; each deeper level has twice as many.
        depth: How often height and width are halved.
        units: Values of the latent.
        size: (H, W) of pictures, multiples of 2**depth.
        skips: "none", or "concat": the decoder gets the encoder's features, as in a U-Net. New pictures then have zeros or another picture's.
        likelihood: "bernoulli", "gaussian" or "logistic", see `Likelihood`.
        free_bits: Nats of each level that cost nothing in training.
        warmup: Steps over which the KL divergence's weight rises from 0 to 1 in training.
        output_activation: Activation after the last 1×1 convolution; "sigmoid" for bernoulli.

    Raises:
        RecipeError: an invalid option.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 4,
        depth: int = 2,
        units: int = 16,
        size: Sequence[int] = (28, 28),
        skips: str = "none",
        likelihood: str = "bernoulli",
        free_bits: float = 0.0,
        warmup: int = 0,
        output_activation: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        height, width_of_picture = check_sizes(width, depth, units, size)
        if skips not in SKIPS:
            raise RecipeError(f"skips: expected {' or '.join(SKIPS)}, got {skips!r}; {did_you_mean(str(skips), SKIPS)}")
        if output_activation not in ACTIVATIONS or (likelihood == "bernoulli" and output_activation != "sigmoid"):
            raise RecipeError(
                f"output_activation: expected {'sigmoid' if likelihood == 'bernoulli' else ', '.join(ACTIVATIONS)}, got {output_activation!r}"
            )
        self.depth, self.units, self.skips = depth, units, skips
        self.set_up(likelihood, free_bits, warmup)
        self.encoder = PlainEncoder(in_channels, width=width, depth=depth)
        channels = [*self.encoder.skip_channels, self.encoder.latent_channels]
        self.shape = (channels[-1], height >> depth, width_of_picture >> depth)
        self.posterior = nn.Linear(math.prod(self.shape), 2 * units)
        self.widen = nn.Linear(units, math.prod(self.shape))
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, c, 2, stride=2) for c, below in pairwise(channels))
        self.fuse = nn.ModuleList(Block(2 * c if skips == "concat" else c, c) for c in channels[:-1])
        self.head = nn.Conv2d(channels[0], out_channels, 1)
        self.activation = ACTIVATIONS[output_activation]()
        self.levels: tuple[str, ...] = ("bottleneck",)
        self.contract = Contract(multiple=2**depth, fixed_size=(height, width_of_picture))

    def infer(self, x: Tensor, *, draws: int = 1, mean: bool = False) -> Inference:
        """Draws the latent of x (N, in_channels, H, W) `draws` times, or with `mean` takes its mean."""
        posterior, skips = self._posterior(x, draws)
        z = posterior.mean if mean else posterior.draw()
        prior = Normal.standard(z)
        kl, ratio = posterior.kl(prior), posterior.log_prob(z) - prior.log_prob(z)
        return Inference(self.decode(z, skips), [z], kl[None], ratio[None])

    def drawn(
        self, latents: Sequence[Given], count: int, *, mean: bool = False, skips: Sequence[Tensor] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """New pictures, (count, out_channels, H, W), and their latents. skips: those of other pictures, for the network's skip connections; by default zeros."""
        z = self._prior_latent(latents[0], count, mean)
        return self.decode(z, skips), [z]

    def encode(self, x: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """(N, in_channels, H, W) → the mean of the latent, (N, units), and the skips, outermost first."""
        posterior, skips = self._posterior(x)
        return posterior.mean, skips

    def decode(self, latent: Tensor, skips: Sequence[Tensor] = ()) -> Tensor:
        """A latent (N, units), and for `skips: concat` the skips, or zeros if there are none → (N, out_channels, H, W)."""
        y = self._widened(latent)
        for level in reversed(range(self.depth)):
            y = self.up[level](y)
            if self.skips == "concat":
                y = torch.cat([skips[level] if skips else torch.zeros_like(y), y], dim=1)
            y = self.fuse[level](y)
        return self._picture(y)

    def _posterior(self, x: Tensor, draws: int = 1) -> tuple[Normal, list[Tensor]]:
        self.check_batch(x)
        features, skips = self.encoder.encode(x)
        posterior = Normal.of(self.posterior(features.flatten(1)))
        return posterior.repeated(draws), [again(skip, draws) for skip in skips] if draws > 1 else skips

    def _widened(self, latent: Tensor) -> Tensor:
        y: Tensor = self.widen(latent).unflatten(1, self.shape)
        return y

    def _picture(self, features: Tensor) -> Tensor:
        """p(x | z); in float32, because a probability near 1 needs its digits."""
        with torch.autocast(features.device.type, enabled=False):
            y: Tensor = self.activation(self.head(features.float()))
        return y

    def _prior_latent(self, latent: Given, count: int, mean: bool) -> Tensor:
        return chosen(latent, Normal.standard(self.widen.weight.new_zeros(count, self.units)), mean)


class Size(NamedTuple):
    """Height and width of pictures."""

    height: int
    width: int


def check_sizes(width: int, depth: int, units: int, size: Sequence[int]) -> Size:
    """The size of pictures, if all these options fit together.

    Raises:
        RecipeError: they do not.
    """
    for name, value, most in (("width", width, 4096), ("depth", depth, 8), ("units", units, 1 << 20)):
        if not is_whole(value, 1, most):
            raise RecipeError(f"{name}: expected a whole number from 1 to {most:,}, got {value!r}")
    sides = list(size) if isinstance(size, list | tuple) else []
    if len(sides) != 2 or not all(is_whole(side, 1, 1 << 14) and side % 2**depth == 0 for side in sides):
        raise RecipeError(f"size: expected height and width, multiples of {2**depth} (2**depth), got {size!r}")
    if units * (width << depth) * math.prod(side >> depth for side in sides) > 1 << 31:
        raise RecipeError(
            "units: expected at most 2**31 weights, got more; take a smaller size, fewer units or more depth"
        )
    return Size(*sides)
