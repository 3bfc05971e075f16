"""Base classes of the U-Net's encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor, nn


class Encoder(nn.Module):
    """The contracting half of a U-Net: (N, in_channels, H, W), sides multiples of stem·2**depth → the latent and `depth` skips.

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
    """An encoder of fixed shape, whose only argument is `in_channels`. To add one: a class in a file here, and a line in `ENCODERS`.

    The U-Net initializes its weights after construction; `Pretrained.load_pretrained` loads pretrained ones.

    Attributes:
        depth: How often sides are halved after the stem, which is also the number of skips.
        stem_side: By how much the first step reduces the sides.
    """

    depth: ClassVar[int]
    stem_side: ClassVar[int]

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels


class WithBackbone(FixedEncoder):
    """An encoder with a large pretrained part, the backbone. While it is not trained, its features can be computed once for each picture.

    Attributes:
        backbone_side: each of its features is of a square of the input with this side.
    """

    backbone_side: ClassVar[int]

    @property
    def backbone(self) -> nn.Module:
        """That part."""
        raise NotImplementedError

    @property
    def backbone_blocks(self) -> Sequence[nn.Module]:
        """That part's blocks, first to last."""
        return ()

    def backbone_features(self, x: Tensor) -> Tensor:
        """What the backbone computes: (N, in_channels, H, W), sides multiples as for `encode` → (N, features, h, w)."""
        raise NotImplementedError

    def encode(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """As `Encoder.encode`. features: what `backbone_features(x)` returned, if it is known."""
        raise NotImplementedError


class Pretrained(nn.Module):
    """A part of a network with pretrained weights.

    Attributes:
        origin: The source of the weights, for the model card.
    """

    origin: ClassVar[str]

    def pretrained_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that have pretrained weights: by default all."""
        return self.parameters()

    def check_pretrained(self) -> None:
        """Makes sure that the weights are available.

        Raises:
            MissingExtraError: their package is not installed.
        """
        raise NotImplementedError

    def load_pretrained(self) -> None:
        """Loads the weights.

        Raises:
            MissingExtraError: their package is not installed.
        """
        raise NotImplementedError
