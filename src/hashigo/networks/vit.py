"""A vision transformer with a small decoder: what DINOv2's tokens know about a picture, one answer for each token.

    x ─ DinoV2Small ─ tokens of some blocks ─ TokenMix ─ 1×1 ─ y, one answer for each token

It trains many times faster than a U-Net, because the transformer's features can be computed once (`backbone_features`). It sees
only the first input channel, and no edges: use it to start a U-Net with the encoder dinov2-lite0, or as a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from hashigo.errors import RecipeError
from hashigo.networks.base import Network
from hashigo.networks.blocks import ACTIVATIONS, check_activations
from hashigo.networks.contract import Contract, is_whole
from hashigo.networks.encoders.vit import BLOCKS, RETURNED, DinoV2Small, TokenMix


class ViT(Network, tags=["vit", "autoencoder"]):
    """DINOv2 ViT-S/14 with a decoder of its tokens: (N, in_channels, H, W) → (N, out_channels, H/pixels, W/pixels), rounded up.

    Args:
        in_channels: Input channels, of which only the first is seen.
        out_channels: Output channels.
        blocks: The transformer's blocks whose tokens are used, from 1 to 12, ascending.
        width: Features that are made of them; a multiple of `heads`.
        depth: Transformer blocks in which these exchange what they know.
        heads: Their attention heads.
        dropout: The share of the tokens' features that are set to zero in each picture during training, from 0 up to but not including 1.
        pixels: Side of the square of the input that a token covers; 14 is the transformer's own, smaller ones enlarge the picture.
        output_activation: Activation after the last 1×1 convolution.

    Raises:
        RecipeError: an invalid option.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        out_channels: int = 2,
        blocks: Sequence[int] = RETURNED,
        width: int = 192,
        depth: int = 1,
        heads: int = 6,
        dropout: float = 0.0,
        pixels: int = 8,
        output_activation: str = "linear",
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        _check_options(blocks, width, depth, heads, pixels, output_activation)
        if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout < 1:
            raise RecipeError(f"dropout: expected a number from 0 up to but not including 1, got {dropout!r}")
        self.pixels = pixels
        self.transformer = DinoV2Small(blocks)
        self.mix = TokenMix(len(blocks), width, depth, heads, dropout)
        self.head = nn.Conv2d(width, out_channels, 1)
        self.activation = ACTIVATIONS[output_activation]()
        self.contract = Contract(multiple=pixels, answer_scale=pixels)

    def encode(self, x: Tensor) -> tuple[Tensor, None]:
        """(N, in_channels, H, W) → the latent (N, width, H/pixels, W/pixels), rounded up; `decode` needs nothing else."""
        return self.mix(self.backbone_features(x)), None

    def decode(self, latent: Tensor, _: None = None) -> Tensor:
        """A latent (N, width, h, w) → (N, out_channels, h, w)."""
        y: Tensor = self.activation(self.head(latent))
        return y

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H/pixels, W/pixels), rounded up. features: what `backbone_features(x)` returned, if it is known."""
        return self.decode(self.encode(x)[0] if features is None else self.mix(features))

    @property
    def pretrainable(self) -> nn.Module:
        """The transformer."""
        return self.transformer

    @property
    def backbone(self) -> nn.Module:
        """The transformer."""
        return self.transformer

    @property
    def backbone_blocks(self) -> Sequence[nn.Module]:
        """The transformer's blocks."""
        return tuple(self.transformer.blocks)

    @property
    def backbone_key(self) -> str:
        """The blocks whose tokens are used, and the size at which the transformer sees a picture."""
        return f"DINOv2 ViT-S/14, blocks {self.transformer.returned}, {self.pixels} pixels"

    def backbone_features(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W), padded to multiples of `pixels` → the tokens, (N, blocks·384, H/pixels, W/pixels)."""
        self.check_batch(x)
        return self.transformer.tokens_of(x[:, :1], self.pixels)


def _check_options(blocks: Sequence[int], width: int, depth: int, heads: int, pixels: int, activation: str) -> None:
    given = list(blocks) if isinstance(blocks, list | tuple) else []
    if not given or not all(is_whole(block, 1, BLOCKS) for block in given) or sorted(set(given)) != given:
        raise RecipeError(f"blocks: expected ascending numbers from 1 to {BLOCKS}, got {str(blocks)[:60]}")
    for name, value, most in (
        ("width", width, 4096),
        ("depth", depth, 24),
        ("heads", heads, 256),
        ("pixels", pixels, 64),
    ):
        if not is_whole(value, 0 if name == "depth" else 1, most):
            raise RecipeError(
                f"{name}: expected a whole number from {0 if name == 'depth' else 1} to {most}, got {value!r}"
            )
    if width % heads:
        raise RecipeError(f"width: expected a multiple of heads ({heads}), got {width}")
    check_activations(activation)
