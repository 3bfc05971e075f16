"""The plain encoder of the U-Net: a block and a pooling per level, and a block in the middle (Ronneberger et al. 2015)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from hashigo.networks.blocks import Block
from hashigo.networks.encoders.base import Encoder


class PlainEncoder(Encoder):
    """(N, in_channels, H, W), H and W multiples of stem·2**depth → the latent (N, width·2**depth, …) and the skips, outermost first.

    Args:
        in_channels: Input channels.
        width: Channels of the outermost level; each level below has twice as many.
        depth: Number of poolings, which is also the number of skips.
        stem: Side of the squares of pixels that become the channels of one position.
        last: The activation of the latent.
        residual: Adds each block's input to its output through a 1×1 projection.
    """

    def __init__(
        self, in_channels: int, *, width: int, depth: int, stem: int = 1, last: str = "relu", residual: bool = False
    ) -> None:
        super().__init__()
        self.stem = stem
        channels = [width * 2**level for level in range(depth + 1)]
        self.skip_channels, self.latent_channels = tuple(channels[:-1]), channels[-1]
        self.down = nn.ModuleList(
            Block(inputs, outputs, residual=residual)
            for inputs, outputs in zip([in_channels * stem**2, *channels], self.skip_channels, strict=False)
        )
        self.middle = Block(channels[-2], channels[-1], last, residual)
        self.pool = nn.MaxPool2d(2)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, in_channels, H, W) → the latent and the skips."""
        skips = []
        if self.stem > 1:
            x = pixel_unshuffle(x, self.stem)
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = self.pool(x)
        return self.middle(x), skips
