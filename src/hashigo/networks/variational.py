"""What variational autoencoders have in common: Gaussian latents, the likelihood of a picture, and the bound on it.

A variational autoencoder (Kingma & Welling 2014) has one or several latents z with a prior p(z). Its encoder gives a posterior q(z | x), its
decoder a distribution p(x | z) over pictures. It is trained to maximize a lower bound on log p(x), the ELBO:

    log p(x) ≥ E_q[log p(x | z)] - KL(q(z | x) ‖ p(z))

All quantities are in nats, summed over the values of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, logsigmoid

from hashigo.errors import RecipeError, did_you_mean
from hashigo.networks.base import Network
from hashigo.networks.noise import noise_like

LIKELIHOODS = ("bernoulli", "gaussian", "logistic")
"""The distributions p(x | z) of a value: `Likelihood`."""

WIDEST = 6.0
"""Log standard deviations of latents are kept between -WIDEST and WIDEST: a single extreme one would make the loss infinite."""

DRAWN = 1000
"""Pictures for which latents are drawn at once when a bound is estimated."""


def again(values: Tensor, times: int) -> Tensor:
    """A batch (N, …) several times, one after another: (times·N, …)."""
    return values.repeat(times, *[1] * (values.ndim - 1))


class Noise(NamedTuple):
    """Standard normal numbers of which a latent is drawn from its prior, in place of the latent's values: what they mean depends on the prior."""

    values: Tensor


Given = Tensor | Noise | None
"""What is known about a latent: its values, the noise that it is made of, or nothing."""


@dataclass(frozen=True)
class Normal:
    """Independent normal distributions: tensors of equal shape (N, …)."""

    mean: Tensor
    log_std: Tensor

    @classmethod
    def standard(cls, like: Tensor) -> Normal:
        """Mean 0 and deviation 1, in the shape of `like`."""
        return cls(torch.zeros_like(like), torch.zeros_like(like))

    @classmethod
    def of(cls, values: Tensor) -> Normal:
        """From a layer's output (N, 2·C, …): C means, and C log standard deviations, softly kept within `WIDEST`."""
        mean, log_std = values.float().chunk(2, dim=1)
        return cls(mean, WIDEST * torch.tanh(log_std / WIDEST))

    def shifted(self, by: Normal) -> Normal:
        """The distribution relative to this one (Vahdat & Kautz 2020): `by` zero means this one."""
        return Normal(self.mean + by.mean, self.log_std + by.log_std)

    def repeated(self, times: int) -> Normal:
        """The same distributions several times, one batch after another."""
        return self if times == 1 else Normal(again(self.mean, times), again(self.log_std, times))

    def draw(self, noise: Noise | None = None) -> Tensor:
        """A sample, made of this noise or of new."""
        return self.mean + self.log_std.exp() * (noise_like(self.mean) if noise is None else noise.values)

    def log_prob(self, values: Tensor) -> Tensor:
        """The log density of each picture's values: (N,)."""
        away = (values - self.mean) * (-self.log_std).exp()
        return (-0.5 * away.square() - self.log_std - 0.5 * math.log(2 * math.pi)).flatten(1).sum(dim=1)

    def kl(self, prior: Normal) -> Tensor:
        """KL(self ‖ prior) of each picture: (N,)."""
        wide = self.log_std - prior.log_std
        away = (self.mean - prior.mean) * (-prior.log_std).exp()
        return (0.5 * ((2 * wide).exp() + away.square() - 1) - wide).flatten(1).sum(dim=1)


def chosen(given: Given, prior: Normal, mean: bool) -> Tensor:
    """A latent's values: those given, made of the noise given, or drawn from the prior, or with `mean` the prior's mean."""
    if isinstance(given, Tensor):
        return given
    return prior.mean if mean and given is None else prior.draw(given)


class Likelihood(nn.Module):
    """How likely a picture is, given a network's answer.

    Args:
        kind: "bernoulli", whose answer is the probability of 1; a picture between 0 and 1 counts as if it were drawn with its values as probabilities.
            "gaussian", whose answer is the mean; a density, which may be above 1. "logistic", whose answer is the mean of a logistic distribution
            of 256 levels (Salimans et al. 2017). The last two have a learned width for each channel.
        channels: of the picture.

    Raises:
        RecipeError: an unknown kind.
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        if kind not in LIKELIHOODS:
            raise RecipeError(
                f"likelihood: expected {', '.join(LIKELIHOODS)}, got {kind!r}; {did_you_mean(str(kind), LIKELIHOODS)}"
            )
        self.kind = kind
        self.log_width = None if kind == "bernoulli" else nn.Parameter(torch.full((channels, 1, 1), -2.0))

    def forward(self, answer: Tensor, picture: Tensor) -> Tensor:
        """-log p(picture | answer), both (N, C, H, W): (N,) in nats."""
        if self.log_width is None:
            return binary_cross_entropy(answer, picture, reduction="none").flatten(1).sum(dim=1)
        width = self.log_width.clamp(-7, 3)
        if self.kind == "gaussian":
            values = 0.5 * ((picture - answer) * (-width).exp()).square() + width + 0.5 * math.log(2 * math.pi)
        else:
            values = -_level_log_probability(answer, width, picture)
        return values.flatten(1).sum(dim=1)


def _level_log_probability(mean: Tensor, log_width: Tensor, picture: Tensor) -> Tensor:
    """The log probability of a picture's levels, k/255; the outermost levels have the distribution's tails."""
    scale, half = (-log_width).exp(), 0.5 / 255
    upper, lower = scale * (picture - mean + half), scale * (picture - mean - half)
    # log(sigmoid(upper) - sigmoid(lower)) without cancellation
    inner = logsigmoid(upper) + logsigmoid(-lower) + torch.log(-torch.expm1(-2 * half * scale))
    return torch.where(picture < half, logsigmoid(upper), torch.where(picture > 1 - half, logsigmoid(-lower), inner))


@dataclass(frozen=True)
class Inference:
    """What a variational autoencoder makes of N pictures.

    answer: (N, out_channels, H, W). latents: each level's sample, from the top down. kl: KL(q ‖ p) of each level, (L, N).
    log_ratio: log q(z) - log p(z) at the samples, (L, N); its expectation is `kl`.
    """

    answer: Tensor
    latents: Sequence[Tensor]
    kl: Tensor
    log_ratio: Tensor


class Variational(Network, tags=["vae"]):
    """The base class of variational autoencoders. A network sets `likelihood`, `free_bits` and `warmup` with `set_up`, and defines `infer` and `drawn`.

    Attributes:
        levels: The names of its latents, from the top down.
    """

    levels: tuple[str, ...]
    likelihood: Likelihood

    def set_up(self, likelihood: str, free_bits: float, warmup: int) -> None:
        """Stores options that all have in common.

        Args:
            likelihood: See `Likelihood`.
            free_bits: Nats of each level that cost nothing in training, so that it does not switch levels off before it has learned to use them.
            warmup: Steps over which the KL divergence's weight rises from 0 to 1 in training.

        Raises:
            RecipeError: an impossible value.
        """
        for name, value in (("free_bits", free_bits), ("warmup", warmup)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise RecipeError(f"{name}: expected a number of at least 0, got {value!r}")
        self.likelihood = Likelihood(likelihood, self.out_channels)
        self.free_bits, self.warmup = float(free_bits), int(warmup)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.steps: Tensor

    def infer(self, x: Tensor, *, draws: int = 1, mean: bool = False) -> Inference:
        """Draws the latents of x (N, in_channels, H, W) from the posterior, or with `mean` takes their means.

        draws: how often; the encoder runs only once. Everything returned then has draws·N pictures, one batch after another.
        """
        raise NotImplementedError

    def drawn(
        self, latents: Sequence[Given], count: int, *, mean: bool = False, skips: Sequence[Tensor] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """New pictures as means of p(x | z), (count, out_channels, H, W), and the latents of each level; nothing of an encoder is used.

        latents: for each level its values (count, …), the noise of which they are made, or None to draw them from the prior; with `mean`, the
        prior's means are taken.
        skips: for networks with deterministic skip connections, those of other pictures.
        """
        raise NotImplementedError

    def generate(
        self, latents: Sequence[Given], count: int, *, mean: bool = False, skips: Sequence[Tensor] = ()
    ) -> Tensor:
        """New pictures, (count, out_channels, H, W), as `drawn` gives them."""
        return self.drawn(latents, count, mean=mean, skips=skips)[0]

    def sample(self, count: int) -> Tensor:
        """`count` new pictures, (count, out_channels, H, W)."""
        return self.generate([None] * len(self.levels), count)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → the reconstruction from the latents' means, (N, out_channels, H, W)."""
        return self.infer(x, mean=True).answer

    def own_loss(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The reconstruction from drawn latents, and the mean KL divergence; with its weight and free bits in training only."""
        made = self.infer(x)
        kl = made.kl.mean(dim=1)
        if not self.training:
            return made.answer, kl.sum()
        weight = ((self.steps + 1) / max(1, self.warmup)).clamp(max=1.0)
        self.steps += 1
        return made.answer, weight * kl.clamp(min=self.free_bits).sum()

    @property
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The mean of -log p(picture | answer): a function of (answer, picture)."""
        return lambda answer, picture: self.likelihood(answer, picture).mean()

    @torch.no_grad()
    def log_weights(self, x: Tensor, picture: Tensor, samples: int) -> Tensor:
        """log p(picture, z) - log q(z | x) for `samples` draws of z: (samples, N).

        Their mean estimates the ELBO, and log(mean(exp(·))) the tighter importance-weighted bound (Burda et al. 2016).
        """
        weights, most = [], max(1, DRAWN // len(x))
        for start in range(0, samples, most):
            draws = min(most, samples - start)
            made = self.infer(x, draws=draws)
            weight = -self.likelihood(made.answer.float(), again(picture, draws)) - made.log_ratio.sum(dim=0)
            weights.append(weight.reshape(draws, len(x)))
        return torch.cat(weights)


def importance_bound(log_weights: Tensor) -> Tensor:
    """The importance-weighted bound on log p(x) from (samples, N) log weights: (N,). It rises with the number of samples, in expectation."""
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))
