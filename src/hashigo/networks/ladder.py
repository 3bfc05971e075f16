"""A U-Net VAE in which every skip connection is a stochastic latent: a ladder (Sønderby et al. 2016).

    encoder            decoder
    features ── q(z₁ | x, above) ── z₁ ─┐
       │                    p(z₁ | above)  ↑ upsampling and block
    features ── q(z₂ | x, above) ── z₂ ─┐
       │                    p(z₂ | above)  ↑ upsampling and block
    dense ──── q(z₃ | x) ────────── z₃ ─┘

A U-Net's skip connection gives the decoder what only an encoder can know, so nothing can be generated without one. Here the encoder's features
serve only to infer a level's latent; the decoder sees the latent, and has a prior for it that depends on the levels above. For each nat that a
skip connection brings, training pays a nat of KL divergence, and when pictures are generated, the prior takes the encoder's place. Posteriors
are relative to their priors (NVAE, Vahdat & Kautz 2020) and start equal to them, which keeps training stable (VDVAE, Child 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hashigo.errors import RecipeError
from hashigo.networks.contract import is_whole
from hashigo.networks.vae import VAE
from hashigo.networks.variational import Given, Inference, Normal, chosen


class Ladder(VAE):
    """A ladder VAE for pictures of one size: (N, in_channels, H, W) → (N, out_channels, H, W).

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        width: Channels of the outermost level; each deeper level has twice as many.
        depth: How often height and width are halved.
        units: Values of the uppermost latent, the bottleneck.
        size: (H, W) of pictures, multiples of 2**depth.
        rungs: Stochastic skip connections, from the innermost on; None: all, one for each halving. With 0, the network is the `vae`.
        channels: Channels of their latents, which have the size of the skip connection.
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
        rungs: int | None = None,
        channels: int = 2,
        likelihood: str = "bernoulli",
        free_bits: float = 0.0,
        warmup: int = 0,
        output_activation: str = "sigmoid",
    ) -> None:
        super().__init__(
            in_channels=in_channels, out_channels=out_channels, width=width, depth=depth, units=units, size=size,
            likelihood=likelihood, free_bits=free_bits, warmup=warmup, output_activation=output_activation,
        )  # fmt: skip
        if rungs is not None and not is_whole(rungs, 0, depth):
            raise RecipeError(f"rungs: expected a whole number from 0 to depth ({depth}), or none, got {rungs!r}")
        if not is_whole(channels, 1, 4096):
            raise RecipeError(f"channels: expected a whole number from 1 to 4,096, got {channels!r}")
        self.first = depth - (depth if rungs is None else rungs)
        at = range(self.first, depth)
        sides = [[side >> level for side in self.contract.fixed_size or ()] for level in range(depth)]
        self.rungs = nn.ModuleList(Rung(self.encoder.skip_channels[level], channels) for level in at)
        self.levels = ("bottleneck", *(f"{sides[level][0]}×{sides[level][1]}" for level in reversed(at)))

    def infer(self, x: Tensor, *, draws: int = 1, mean: bool = False) -> Inference:
        """Draws the latents of x (N, in_channels, H, W) from the top down `draws` times, or with `mean` takes their means."""
        posterior, skips = self._posterior(x, draws)
        z = posterior.mean if mean else posterior.draw()
        prior = Normal.standard(z)
        latents, posteriors, priors = [z], [posterior], [prior]
        y = self._widened(z)
        for level in reversed(range(self.depth)):
            y = self.up[level](y)
            if (rung := self._rung(level)) is not None:
                prior, posterior = rung.distributions(y, skips[level])
                z = posterior.mean if mean else posterior.draw()
                y = rung.joined(y, z)
                latents.append(z)
                posteriors.append(posterior)
                priors.append(prior)
            y = self.fuse[level](y)
        levels = list(zip(latents, posteriors, priors, strict=True))
        kl = torch.stack([q.kl(p) for _, q, p in levels])
        ratio = torch.stack([q.log_prob(z) - p.log_prob(z) for z, q, p in levels])
        return Inference(self._picture(y), latents, kl, ratio)

    def drawn(
        self, latents: Sequence[Given], count: int, *, mean: bool = False, skips: Sequence[Tensor] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """New pictures, (count, out_channels, H, W), and their latents. Those that are None are drawn from the priors, or with `mean` are their means."""
        given = iter(latents)
        z = self._prior_latent(next(given), count, mean)
        all_latents = [z]
        y = self._widened(z)
        for level in reversed(range(self.depth)):
            y = self.up[level](y)
            if (rung := self._rung(level)) is not None:
                z = chosen(next(given), rung.prior_of(y), mean)
                y = rung.joined(y, z)
                all_latents.append(z)
            y = self.fuse[level](y)
        return self._picture(y), all_latents

    def encode(self, x: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """(N, in_channels, H, W) → the mean of the uppermost latent, (N, units), and those of the others, from the top down."""
        first, *others = self.infer(x, mean=True).latents
        return first, others

    def decode(self, latent: Tensor, skips: Sequence[Tensor] = ()) -> Tensor:
        """The latents that `encode` returns → (N, out_channels, H, W). Without the others, the priors' means are taken."""
        others: Sequence[Given] = skips or [None] * (len(self.levels) - 1)
        return self.generate([latent, *others], len(latent), mean=True)

    def _rung(self, level: int) -> Rung | None:
        """The rung at a level, or None."""
        rung = self.rungs[level - self.first] if level >= self.first else None
        return rung if isinstance(rung, Rung) else None


class Rung(nn.Module):
    """A stochastic skip connection: what is inferred from the encoder's features and the decoder's, and predicted from the decoder's alone.

    Args:
        features: channels of both.
        channels: of the latent.
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.prior = nn.Conv2d(features, 2 * channels, 3, padding=1)
        self.posterior = nn.Conv2d(2 * features, 2 * channels, 3, padding=1)
        self.join = nn.Conv2d(channels, features, 1)
        self.mean = nn.Identity()  # a layer of its own, so that a posterior's mean can be extracted by name
        # the posterior starts equal to the prior
        nn.init.zeros_(self.posterior.weight)
        nn.init.zeros_(self.posterior.bias)  # type: ignore[arg-type]

    def prior_of(self, above: Tensor) -> Normal:
        """p(z | above), from the decoder's features (N, C, h, w)."""
        return Normal.of(self.prior(above))

    def distributions(self, above: Tensor, features: Tensor) -> tuple[Normal, Normal]:
        """p(z | above) and q(z | x, above), from the decoder's and the encoder's features, (N, C, h, w) each."""
        prior = self.prior_of(above)
        posterior = prior.shifted(Normal.of(self.posterior(torch.cat([features, above], dim=1))))
        return prior, Normal(self.mean(posterior.mean), posterior.log_std)

    def joined(self, above: Tensor, z: Tensor) -> Tensor:
        """The decoder's features with the latent added."""
        y: Tensor = above + self.join(z)
        return y
