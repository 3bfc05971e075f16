"""Tasks that repair photos: filling gaps, enlarging, sharpening, and undoing the damage of old photos. They work at any size, in tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import array_namespace

from hashigo import color
from hashigo.color import Array
from hashigo.errors import RecipeError
from hashigo.randomness import PictureRng
from hashigo.tasks.base import Task
from hashigo.tasks.damage import blurred, compressed, dusty, faded, gaps, scratched
from hashigo.tasks.enlarging import enlarged, shrunk

FACTORS = (2, 3, 4)
"""Factors by which `SuperResolve` enlarges."""

STRETCHED = 0.4
"""Share of training pictures whose contrast is changed."""

WIDEST_BLUR = 6.0
"""Largest standard deviation of a blur, in pixels."""


@dataclass(frozen=True)
class Repair(Task):
    """The base of these tasks: a network that changes the photo it sees, instead of making it anew."""

    loss: ClassVar[str] = "l1"
    output_activation: ClassVar[str] = "linear"

    def drawn(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch, with `STRETCHED` of its pictures in higher or lower contrast around a random brightness, clipped: so that there are areas of pure black
        and white. Without any in training, networks answer nonsense there."""
        xp = array_namespace(rgb)
        given = rng.uniform(1, 1, 1) < STRETCHED
        gain = xp.exp(math.log(4.0) * rng.uniform(1, 1, 1, low=-0.5, high=1.0))
        middle = rng.uniform(1, 1, 1)
        return xp.where(given, xp.clip(middle + gain * (rgb - middle), 0.0, 1.0), rgb)


@dataclass(frozen=True)
class Inpaint(Repair):
    """Fills scratches and gaps, which the network finds by itself: they are white, black or of one grey.

    Args:
        most: Largest share of a picture's height and width that a gap takes in training.
    """

    name: ClassVar[str] = "inpaint"
    suffix: ClassVar[str] = "filled"
    most: float = 0.25

    def __post_init__(self) -> None:
        _check_number(self.name, "most", self.most, 0.01, 1.0)

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch with gaps and scratches."""
        return gaps(rgb, rng, self.most)


@dataclass(frozen=True)
class SuperResolve(Repair):
    """Enlarges photos: they are first enlarged in the usual way, then the network adds detail.

    Args:
        factor: By how much height and width grow: 2, 3 or 4.
        compressed: Share of training pictures with JPEG's artefacts, as most small photos have them.
    """

    name: ClassVar[str] = "super-resolve"
    suffix: ClassVar[str] = "large"
    factor: int = 2
    compressed: float = 0.5

    def __post_init__(self) -> None:
        if self.factor not in FACTORS:
            raise RecipeError(f"super-resolve: factor: expected 2, 3 or 4, got {self.factor!r}")
        _check_number(self.name, "compressed", self.compressed, 0.0, 1.0)

    @property
    def result_scale(self) -> int:
        """The factor."""
        return self.factor

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch reduced, perhaps compressed, and enlarged to its size again; sides that are no multiple of the factor are reduced to fewer pixels."""
        xp = array_namespace(rgb)
        height, width = rgb.shape[-2:]
        small = shrunk(rgb, max(1, height // self.factor), max(1, width // self.factor))
        given = xp.astype(rng.uniform(1, 1, 1) < self.compressed, rgb.dtype)
        small = xp.clip(_each_channel(small, 0.02 * rng.uniform(1, 1, 1) * given), 0.0, 1.0)
        return enlarged(small, height, width)


@dataclass(frozen=True)
class Deblur(Repair):
    """Sharpens photos that are out of focus.

    Args:
        weakest: Smallest standard deviation of the blur in training, in pixels.
        strongest: Largest; each picture gets its own, uniform between the two.
        noise: Largest standard deviation of noise on the blurred picture, 0..1, without which sharpening is unrealistically easy.
    """

    name: ClassVar[str] = "deblur"
    suffix: ClassVar[str] = "sharp"
    weakest: float = 0.0
    strongest: float = 2.0
    noise: float = 0.02

    def __post_init__(self) -> None:
        _check_number(self.name, "weakest", self.weakest, 0.0, WIDEST_BLUR)
        _check_number(self.name, "strongest", self.strongest, self.weakest, WIDEST_BLUR)
        _check_number(self.name, "noise", self.noise, 0.0, 1.0)

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch blurred, with noise."""
        sigma = rng.uniform(1, 1, 1, low=self.weakest, high=self.strongest)
        noise = rng.uniform(1, 1, 1, high=self.noise) * rng.normal(*rgb.shape[1:])
        return blurred(rgb, sigma, math.ceil(3 * self.strongest)) + noise


@dataclass(frozen=True)
class Restore(Repair):
    """Undoes the damage of old photos: grain, fading, scratches, dust and JPEG's artefacts. Only the luma is changed; colours stay.

    The network sees luma and chroma, (N, 3, H, W), and answers with the luma.

    Args:
        damaged: Share of training pictures that are damaged; from the others, the network learns to leave good photos alone.
        grey: Share of training pictures without colour.
    """

    name: ClassVar[str] = "restore"
    loss: ClassVar[str] = "detail"
    out_channels: ClassVar[int] = 1
    suffix: ClassVar[str] = "restored"
    damaged: float = 0.9
    grey: float = 0.7

    def __post_init__(self) -> None:
        _check_number(self.name, "damaged", self.damaged, 0.0, 1.0)
        _check_number(self.name, "grey", self.grey, 0.0, 1.0)

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch as old photos."""
        xp = array_namespace(rgb)
        given = xp.astype(rng.uniform(1, 1, 1) < self.damaged, rgb.dtype)

        def strength() -> Array:
            # each kind skips a third of the damaged pictures
            return xp.clip(rng.uniform(1, 1, 1, low=-0.5, high=1.0), 0.0, None) * given

        y = blurred(color.luma(rgb), 0.8 * strength())
        y = y + 0.08 * strength() * rng.normal(*y.shape[1:])
        y = faded(y, strength(), strength())
        y = dusty(scratched(y, rng, strength()), rng, strength())
        y = xp.clip(compressed(y, 0.03 * strength()), 0.0, 1.0)
        coloured = xp.astype(rng.uniform(1, 1, 1) >= self.grey, rgb.dtype)
        return color.merge(y, color.chroma(rgb) * coloured)

    def encode(self, rgb: Array) -> Array:
        """The luma and the chroma, (..., 3, H, W)."""
        return array_namespace(rgb).concat([color.luma(rgb), color.chroma(rgb)], axis=-3)

    def target(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def decode(self, input: Array, output: Array) -> Array:
        """The luma of `output` with the chroma of `input`."""
        xp = array_namespace(output)
        return color.merge(xp.clip(output, 0.0, 1.0), input[..., 1:, :, :])

    def shown(self, x: Array) -> Array:
        """An input as a picture."""
        return color.merge(x[..., :1, :, :], x[..., 1:, :, :])


def _each_channel(rgb: Array, step: Array) -> Array:
    """JPEG's artefacts on each channel of pictures (N, 3, H, W)."""
    xp = array_namespace(rgb)
    return xp.concat([compressed(rgb[:, channel : channel + 1], step) for channel in range(3)], axis=1)


def _check_number(task: str, name: str, value: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise RecipeError(f"{task}: {name}: expected a number from {least:g} to {most:g}, got {value!r}")
