"""The U-Net as an autoencoder (Ronneberger et al. 2015, with the article's layers), skip connections optional.

    x ─ block ──────────── skip 0 ──────────── block ─ 1×1 ─ y
          └ pool ─ block ─── skip 1 ─── block ─ up ┘
                     └ pool ─ middle ─ up ┘
                              (latent)

Tensors travel as arguments: `encode(x) → (latent, skips)`, `decode(latent, skips) → y`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from hashigo.errors import RecipeError, did_you_mean
from hashigo.networks.base import Network
from hashigo.networks.blocks import ACTIVATIONS, Block, check_activations, keras_initialize, statistics_kept
from hashigo.networks.contract import check_unet_options, unet_contract
from hashigo.networks.encoders.base import Encoder, FixedEncoder, WithBackbone
from hashigo.networks.encoders.efficientnet import EfficientNetLite0
from hashigo.networks.encoders.plain import PlainEncoder
from hashigo.networks.encoders.vit import DinoV2Lite0
from hashigo.networks.skips import FADES, SKIPS, SkipConnections


class Bottleneck(nn.Module):
    """Flatten, dense to `units` with tanh, dense back with relu, reshape (the article's 16-unit bottleneck)."""

    def __init__(self, shape: tuple[int, int, int], units: int) -> None:
        super().__init__()
        self.shape = shape
        flat = shape[0] * shape[1] * shape[2]
        self.narrow = nn.Linear(flat, units)
        self.widen = nn.Linear(units, flat)

    def encode(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, units), -1..1."""
        latent: Tensor = self.narrow(x.flatten(1)).tanh()
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """(N, units) → (N, C, H, W), ≥ 0."""
        x: Tensor = self.widen(latent).relu().unflatten(1, self.shape)
        return x


class Context(nn.Module):
    """Adds a summary of the whole picture to every position: (N, C, H, W) → the same shape.

    The mean over the picture goes through two dense layers and is added everywhere (Iizuka et al. 2016 join a whole
    branch of such features; squeeze-and-excitation multiplies by them).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, channels)
        self.second = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        whole: Tensor = self.second(self.first(x.mean(dim=(2, 3))).relu())
        return x + whole[:, :, None, None]


class UNet(Network, tags=["unet", "autoencoder"]):
    """U-Net autoencoder: (N, in_channels, H, W) → (N, out_channels, H/stem, W/stem), any H and W unless there is a bottleneck.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        width: Channels of the outermost level (of the decoder); each deeper level has twice as many.
        depth: Number of times the sides are halved after the stem, which is also the number of possible skip connections.
        skips: "concat", "none", "zeroed" (the parameters of concat, but zeros instead of the features) or "gated" (times a learned factor per
            channel, 0 at first), for all levels or one for each, outermost first.
        bottleneck: Units of a dense bottleneck in the middle, or None. Fixes the picture size to `size`.
        size: (H, W) of the pictures; needed only with a bottleneck.
        latent_activation: Activation of the latent if there is no bottleneck (the bottleneck uses tanh).
        output_activation: Activation after the last 1×1 convolution: "sigmoid", "linear", "tanh" or "relu".
        residual: Adds each block's input to its output through a 1×1 projection.
        stem: Reduction before the first level: the network's height and width, and its answer's, are 1/stem of the input's (space to
            depth). 2 is four times as fast as 1.
        context: Add a summary of the whole picture to the latent.
        encoder: "plain", one block per level; or one that can have pretrained weights (`networks.load_pretrained`):
            "efficientnet-lite0" (`networks.encoders.efficientnet`), or "dinov2-lite0" (`networks.encoders.vit`), a vision transformer
            beside it. These need depth 4, and stem 2 (their first convolution's stride) or 4, and their latent, (N, 320, H/32, W/32) or
            (N, 512, H/64, W/64), has no activation.
        coarse: Level of a skip (0 is the outermost) that also gives an answer of its own through a 1×1 convolution, enlarged and added
            to the last level's before the activation; None: no such answer. What a skip knows then reaches the answer directly.
        skip_dropout: The share of pictures for which a skip connection carries zeros in training, drawn for each level.
        skip_fade: "in": skip connections grow from nothing to full strength during training, "out": the other way; "none": neither.
        skip_steps: Training steps until that is over.
        alone: Weight of an additional loss that makes the latent answer alone: the squared error, as in the article's loss, between the answer with zeros in
            the skip connections and the real one.
        add_input: Add the first `out_channels` channels of the input to the answer, before its activation: the network only has to find what is wrong with a picture.

    Initialization and BatchNorm follow Keras, for the article's curves: Glorot-uniform weights, zero biases,
    momentum 0.99 (0.01 in torch's terms), epsilon 1e-3.

    Raises:
        RecipeError: an invalid option, or options that do not fit together.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        depth: int = 4,
        skips: str | Sequence[str] = "concat",
        bottleneck: int | None = None,
        size: Sequence[int] | None = None,
        latent_activation: str = "relu",
        output_activation: str = "sigmoid",
        residual: bool = False,
        stem: int = 1,
        context: bool = False,
        encoder: str = "plain",
        coarse: int | None = None,
        skip_dropout: float = 0.0,
        skip_fade: str = "none",
        skip_steps: int = 0,
        alone: float = 0.0,
        add_input: bool = False,
    ) -> None:
        super().__init__()
        options: dict[str, object] = {
            "in_channels": in_channels, "out_channels": out_channels, "width": width, "depth": depth, "skips": skips,
            "bottleneck": bottleneck, "size": None if size is None else tuple(size) if isinstance(size, Sequence) else size,
            "latent_activation": latent_activation, "output_activation": output_activation, "residual": residual, "stem": stem,
            "context": context, "encoder": encoder, "coarse": coarse, "skip_dropout": skip_dropout, "skip_fade": skip_fade,
            "skip_steps": skip_steps, "alone": alone, "add_input": add_input,
        }  # fmt: skip
        check_unet_options(options)
        self.depth, self.stem = depth, stem
        self.in_channels, self.out_channels = in_channels, out_channels
        self.size = None if size is None else (int(size[0]), int(size[1]))
        _check_options(depth, bottleneck, self.size, latent_activation, output_activation)
        if stem > 1 and bottleneck:
            raise RecipeError(f"stem: expected 1 where there is a bottleneck, got {stem}")
        _check_skips(skip_fade, skip_steps)
        self.skips = _skips_per_level(skips, depth)
        self.alone, self.add_input = alone, add_input
        if add_input and (out_channels > in_channels or stem > 1):
            raise RecipeError(
                f"add_input: expected stem 1 and at most as many output as input channels, got stem {stem}, {in_channels} in and {out_channels} out"
            )
        channels = [width * 2**level for level in range(depth + 1)]
        self.encoder: Encoder
        if encoder == "plain":
            last = "relu" if bottleneck else latent_activation
            self.encoder = PlainEncoder(in_channels, width=width, depth=depth, stem=stem, last=last, residual=residual)
        else:
            self.encoder = _make_encoder(encoder, in_channels, depth, stem, bottleneck, latent_activation)
        skip_channels, channels[-1] = self.encoder.skip_channels, self.encoder.latent_channels
        self.context = Context(channels[-1]) if context else None
        self.bottleneck: Bottleneck | None = None
        if bottleneck and self.size:
            self.bottleneck = Bottleneck((channels[-1], *(s // 2**depth for s in self.size)), bottleneck)
        self.connections = SkipConnections(self.skips, skip_channels, skip_dropout, skip_fade, skip_steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, c, 2, stride=2) for c, below in pairwise(channels))
        self.fuse = nn.ModuleList(
            Block(c if skip == "none" else skipped + c, c, residual=residual)
            for c, skipped, skip in zip(channels[:-1], skip_channels, self.skips, strict=True)
        )
        self.head = nn.Conv2d(channels[0], out_channels, 1)
        self.coarse_level = coarse
        self.coarse = None if coarse is None else nn.Conv2d(skip_channels[coarse], out_channels, 1)
        self.activation = ACTIVATIONS[output_activation]()
        self.apply(keras_initialize)
        self.contract = unet_contract(options)
        self.register_load_state_dict_pre_hook(_rename_plain_encoder)  # type: ignore[no-untyped-call]

    def encode(self, x: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """(N, in_channels, H, W), padded to `multiple` → the latent and the skips, outermost first.

        The latent is (N, width·2**depth, H/multiple, W/multiple) with the plain encoder, or (N, bottleneck) with a bottleneck.

        Raises:
            RecipeError: x has another shape.
        """
        self._check(x)
        latent, skips = self._encode(self.pad(x))
        return latent, Skips(skips, self._answer_size(x), self._base(x))

    def _base(self, x: Tensor) -> Tensor | None:
        """What of the input is added to the answer."""
        return x[:, : self.out_channels] if self.add_input else None

    def _encode(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        if features is not None and isinstance(self.encoder, WithBackbone):
            x, skips = self.encoder.encode(x, features)
        else:
            x, skips = self.encoder.encode(x)
        if self.context is not None:
            x = self.context(x)
        return (x if self.bottleneck is None else self.bottleneck.encode(x)), skips

    def decode(self, latent: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """A latent and skips, as `encode` returns them → (N, out_channels, H/stem, W/stem), rounded up.

        Skips that do not come from `encode`, such as a modified list, have no record of padding: nothing is cropped then. Nor of the input that `add_input` adds.

        Raises:
            RecipeError: the latent or the skips have different shapes from those that `encode` returns.
        """
        self._check_encoded(latent, skips)
        if isinstance(skips, Skips):
            return self._decode(latent, skips, skips.size, skips.base)
        return self._decode(latent, skips, None, None)

    def _decode(
        self, latent: Tensor, skips: Sequence[Tensor], size: tuple[int, int] | None, base: Tensor | None
    ) -> Tensor:
        """The answer, cropped to `size`; `base` is added to it."""
        x = latent if self.bottleneck is None else self.bottleneck.decode(latent)
        for level in reversed(range(self.depth)):
            x = self.up[level](x)
            skip = self.connections(level, skips[level])
            x = self.fuse[level](x if skip is None else torch.cat([skip, x], dim=1))
        x = self.head(x)
        if self.coarse is not None and self.coarse_level is not None:
            coarse = self.coarse(skips[self.coarse_level])
            x = x + nn.functional.interpolate(coarse, x.shape[-2:], mode="bilinear", align_corners=False)
        if size is not None:
            x = x[..., : size[0], : size[1]]
        y: Tensor = self.activation(x if base is None else x + base)
        return y

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H/stem, W/stem), rounded up: padded to `multiple`, cropped back.

        features: what `backbone_features(x)` returned, if it is known.

        Raises:
            RecipeError: x has another shape, or with a bottleneck, another size than the network's.
        """
        self._check(x)
        return self._answer(x, features)

    def _answer(self, x: Tensor, features: Tensor | None) -> Tensor:
        latent, skips = self._encode(self.pad(x), features)
        self.connections.step()
        return self._decode(latent, skips, self._answer_size(x), self._base(x))

    def own_loss(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The answer to x; and with `alone`, the squared error of the answer that the latent alone gives, with zeros in the skip connections, against it."""
        if not self.alone:
            return super().own_loss(x, features)
        self._check(x)
        latent, skips = self._encode(self.pad(x), features)
        self.connections.step()
        size = self._answer_size(x)
        answer = self._decode(latent, skips, size, self._base(x))
        with statistics_kept(self):
            alone = self._decode(latent, [torch.zeros_like(skip) for skip in skips], size, None)
        away = (alone.float() - answer.float().detach()).square().mean(dim=1).sum(dim=(1, 2)).mean()
        return answer, self.alone * away

    def answer_and_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The answer to x, and with a backbone, what its last block computed: (N, `contract.features`, h, w)."""
        if not self.contract.features or not isinstance(self.encoder, WithBackbone):
            return type(self).forward(self, x), None
        self._check(x)
        features = self.backbone_features(x)
        height, width = (
            _up_to(side, self.encoder.backbone_side) // self.encoder.backbone_side for side in x.shape[-2:]
        )
        return self._answer(x, features), features[:, -self.contract.features :, :height, :width]

    def _check(self, x: Tensor) -> None:
        if self.bottleneck is not None and isinstance(x, Tensor) and x.ndim == 4 and tuple(x.shape[-2:]) != self.size:
            raise RecipeError(
                f"expected pictures of {self.size} (a bottleneck fixes the size), got {tuple(x.shape[-2:])}; "
                "resize them, or train a network without bottleneck"
            )
        self.check_batch(x)

    def _check_encoded(self, latent: object, skips: object) -> None:
        channels = (
            (self.bottleneck.narrow.out_features,)
            if self.bottleneck is not None
            else (self.encoder.latent_channels, "height", "width")
        )
        if not isinstance(latent, Tensor) or latent.ndim != len(channels) + 1 or latent.shape[1] != channels[0]:
            wanted = ", ".join(map(str, ("N", *channels)))
            raise RecipeError(f"expected a latent ({wanted}) as encode gives it, got {_shape_of(latent)}")
        if not isinstance(skips, Sequence) or len(skips) != self.depth:
            got = f"{len(skips)} skips" if isinstance(skips, Sequence) else type(skips).__name__
            raise RecipeError(f"expected {self.depth} skips, outermost first, as encode gives them, got {got}")

    def _answer_size(self, x: Tensor) -> tuple[int, int]:
        height, width = (_up_to(side, self.stem) // self.stem for side in x.shape[-2:])
        return height, width

    @property
    def pretrainable(self) -> nn.Module | None:
        """The encoder, if it can be pretrained."""
        return None if isinstance(self.encoder, PlainEncoder) else self.encoder

    @property
    def backbone(self) -> nn.Module | None:
        """The encoder's, if it has one."""
        return self.encoder.backbone if isinstance(self.encoder, WithBackbone) else None

    @property
    def backbone_blocks(self) -> Sequence[nn.Module]:
        """The encoder's."""
        return self.encoder.backbone_blocks if isinstance(self.encoder, WithBackbone) else ()

    @property
    def backbone_key(self) -> str:
        """The encoder, and the multiple to which pictures are padded."""
        return f"{type(self.encoder).__name__}, {self.multiple}"

    def backbone_features(self, x: Tensor) -> Tensor:
        """What the encoder's backbone computes: (N, in_channels, H, W) → (N, features, h, w), of the padded x.

        Raises:
            RecipeError: the encoder has no backbone.
        """
        if not isinstance(self.encoder, WithBackbone):
            return super().backbone_features(x)
        return self.encoder.backbone_features(self.pad(x))

    def pad(self, x: Tensor) -> Tensor:
        """The batch with its last row and column repeated up to the next multiple of `multiple`; unchanged if it fits."""
        height, width = x.shape[-2:]
        step = self.multiple
        down, right = _up_to(height, step) - height, _up_to(width, step) - width
        # an exported graph must serve every size, so there the padding may not depend on this one
        if torch.compiler.is_exporting() or down or right:
            x = nn.functional.pad(x, (0, right, 0, down), mode="replicate")
        return x


def _shape_of(x: object) -> str:
    return str(tuple(x.shape)) if isinstance(x, Tensor) else type(x).__name__


class Skips(tuple[Tensor, ...]):
    """Skips, outermost first, with the (height, width) of the answer without padding, and what is added to the answer, if anything."""

    size: tuple[int, int]
    base: Tensor | None

    def __new__(cls, skips: Sequence[Tensor], size: tuple[int, int], base: Tensor | None = None) -> Skips:
        made = super().__new__(cls, skips)
        made.size, made.base = size, base
        return made


def _rename_plain_encoder(_network: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Renames weights from before the plain encoder was a separate module: `down.0…` is now `encoder.down.0…`."""
    for name in list(state):
        if name.startswith((f"{prefix}down.", f"{prefix}middle.")):
            state[f"{prefix}encoder.{name.removeprefix(prefix)}"] = state.pop(name)


ENCODERS: dict[str, type[FixedEncoder]] = {"efficientnet-lite0": EfficientNetLite0, "dinov2-lite0": DinoV2Lite0}
"""Encoders that can replace the plain one, which has a block per level."""


def _up_to(length: int, step: int) -> int:
    # of positive numbers only: ONNX divides toward zero, so that -(-a // b) would be another number there
    return (length + step - 1) // step * step


def _check_skips(fade: str, steps: int) -> None:
    if fade not in FADES:
        raise RecipeError(f"skip_fade: expected {', '.join(FADES)}, got {fade!r}; {did_you_mean(fade, FADES)}")
    if fade != "none" and not steps:
        raise RecipeError("skip_steps: expected the steps over which skip connections fade, at least 1, got 0")


def _skips_per_level(skips: str | Sequence[str], depth: int) -> tuple[str, ...]:
    levels = (skips,) * depth if isinstance(skips, str) else tuple(skips)
    for skip in levels:
        if skip not in SKIPS:
            raise RecipeError(f"expected skips from {', '.join(SKIPS)}, got {skip!r}; {did_you_mean(str(skip), SKIPS)}")
    if len(levels) != depth:
        raise RecipeError(
            f"expected one kind of skip for each of the {depth} levels, got {len(levels)}; name one or {depth}"
        )
    return levels


def _make_encoder(
    name: str, in_channels: int, depth: int, stem: int, bottleneck: int | None, latent: str
) -> FixedEncoder:
    """The encoder called `name`, other than the plain one."""
    if not isinstance(name, str) or name not in ENCODERS:
        raise RecipeError(
            f"expected the name of an encoder, got {name!r}; {did_you_mean(str(name), ['plain', *ENCODERS])}"
        )
    encoder = ENCODERS[name]
    if (depth, stem, bottleneck, latent) != (encoder.depth, encoder.stem_side, None, "relu"):
        raise RecipeError(
            f"the encoder {name!r} needs depth {encoder.depth} and stem {encoder.stem_side}, and no bottleneck and no latent_activation, "
            f"got depth {depth}, stem {stem}, bottleneck {bottleneck} and latent_activation {latent!r}"
        )
    return encoder(in_channels)


def _check_options(depth: int, bottleneck: int | None, size: tuple[int, int] | None, latent: str, output: str) -> None:
    check_activations(latent, output)
    if bottleneck is None:
        return
    if size is None:
        raise RecipeError("a bottleneck needs the pictures' size: give size=(height, width)")
    if size[0] % 2**depth or size[1] % 2**depth:
        raise RecipeError(
            f"size: expected multiples of {2**depth} (2**depth) with a bottleneck, got {size}; change size or depth"
        )
