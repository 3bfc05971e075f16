"""What every encoder of the U-Net is."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Encoder(nn.Module):
    """The way down of a U-Net: (N, in_channels, H, W), sides multiples of stem·2**depth → the latent and `depth` skips.

    Attributes:
        skip_channels: Channels of the skips, outermost first; skip i has 1/(stem·2**i) of the sides.
        latent_channels: Channels of the latent, which has 1/(stem·2**depth) of the sides.
    """

    skip_channels: tuple[int, ...]
    latent_channels: int

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, in_channels, H, W) → the latent and the skips, outermost first."""
        raise NotImplementedError


class FixedEncoder(Encoder):
    """An encoder of one shape, made with `in_channels` alone. To add one: a class in a file here, and a line in `ENCODERS`.

    The U-Net initializes its weights after it is made: pretrained ones are loaded by `Pretrained.load_pretrained`.

    Attributes:
        depth: How often sides are halved after the stem, and so the number of skips.
        stem_side: By how much the first step reduces the sides.
    """

    depth: ClassVar[int]
    stem_side: ClassVar[int]

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels


class Pretrained(nn.Module):
    """A part of a network for which there are pretrained weights.

    Attributes:
        origin: Which weights these are, for the model card.
    """

    origin: ClassVar[str]

    def check_pretrained(self) -> None:
        """Makes sure that the weights are at hand.

        Raises:
            MissingExtraError: their package is not installed.
        """
        raise NotImplementedError

    def load_pretrained(self) -> None:
        """Takes the weights.

        Raises:
            MissingExtraError: their package is not installed.
        """
        raise NotImplementedError
