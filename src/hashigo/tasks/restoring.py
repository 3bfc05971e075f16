"""Tasks whose answer is the picture itself: autoencoding, with all colours or luma only, and denoising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import array_namespace

from hashigo import color
from hashigo.color import Array
from hashigo.errors import RecipeError
from hashigo.randomness import PictureRng
from hashigo.tasks.base import Task

STRONGEST_NOISE = 100
"""Largest standard deviation of noise; pictures have the range 0..1."""


@dataclass(frozen=True)
class Autoencode(Task):
    """The picture itself, through the network and back (the article's first experiment).

    Args:
        masked: Share of the pixels that the network does not see in training: they are black (Vincent et al. 2008).
    """

    name: ClassVar[str] = "autoencode"
    masked: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.masked, bool) or not isinstance(self.masked, int | float) or not 0 <= self.masked < 1:
            raise RecipeError(
                f"{self.name}: masked: expected a share from 0 up to but not including 1, got {self.masked!r}"
            )

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch with the masked pixels black."""
        if not self.masked:
            return rgb
        seen = rng.uniform(1, *rgb.shape[2:]) >= self.masked
        return rgb * array_namespace(rgb).astype(seen, rgb.dtype)


@dataclass(frozen=True)
class AutoencodeGrey(Autoencode):
    """Like `autoencode` with luma only: one channel in, one out (the article's MNIST networks)."""

    name: ClassVar[str] = "autoencode-grey"
    in_channels: ClassVar[int] = 1
    out_channels: ClassVar[int] = 1

    def encode(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def target(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def decode(self, input: Array, output: Array) -> Array:
        """A grey picture of three equal channels."""
        xp = array_namespace(output)
        grey = xp.clip(output, 0.0, 1.0)
        return xp.concat([grey, grey, grey], axis=-3)


@dataclass(frozen=True)
class AutoencodeBinary(AutoencodeGrey):
    """Like `autoencode-grey` with pixels that are 0 or 1: each time, they are drawn with their luma as the probability of 1.

    This is how binarized MNIST is made for variational autoencoders (Salakhutdinov & Murray 2008), here anew for each epoch. Nothing is drawn when the task is applied.
    """

    name: ClassVar[str] = "autoencode-binary"

    def drawn(self, rgb: Array, rng: PictureRng) -> Array:
        """Black and white pixels, (N, 3, H, W)."""
        y = color.luma(rgb)
        xp = array_namespace(y)
        dots = xp.astype(rng.uniform(*y.shape[1:]) < y, y.dtype)
        return xp.concat([dots, dots, dots], axis=-3)


@dataclass(frozen=True)
class Denoise(Task):
    """Removes Gaussian noise of unknown strength.

    Args:
        weakest: Smallest standard deviation of the noise in training, in units of the picture's 0..1 range.
        strongest: Largest standard deviation; each picture gets its own, uniform between the two.
    """

    name: ClassVar[str] = "denoise"
    suffix: ClassVar[str] = "clean"
    weakest: float = 0.0
    strongest: float = 0.2

    def __post_init__(self) -> None:
        strengths = self.weakest, self.strongest
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in strengths)
        if not numbers or not 0.0 <= self.weakest <= self.strongest <= STRONGEST_NOISE:
            raise RecipeError(
                f"denoise: expected 0 <= weakest <= strongest <= {STRONGEST_NOISE}, got {self.weakest!r} and {self.strongest!r}"
            )

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch with noise of random strength per picture; not clipped, like sensor noise."""
        strength = rng.uniform(1, 1, 1, low=self.weakest, high=self.strongest)
        return rgb + strength * rng.normal(*rgb.shape[1:])
