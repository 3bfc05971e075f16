"""A U-Net's skip connections: what of the encoder's features reaches the decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hashigo.networks.noise import uniform

SKIPS = ("concat", "none", "zeroed", "gated")
"""Kinds of skip connections: features beside the decoder's, none, zeros in their place, or features times a learned gate per channel, which is 0 at first."""

FADES = ("none", "in", "out")
"""How skip connections change during training: not, from nothing to full strength, or from full strength to nothing."""


class SkipConnections(nn.Module):
    """The skip connections of all levels.

    Args:
        kinds: of each level, outermost first.
        channels: of each level's features.
        dropout: the share of pictures in training for which a level's skip connection carries zeros, drawn for each level.
        fade: how their strength changes during training.
        steps: training steps until the fade is over.
    """

    def __init__(self, kinds: Sequence[str], channels: Sequence[int], dropout: float, fade: str, steps: int) -> None:
        super().__init__()
        self.kinds, self.dropout, self.fade, self.until = tuple(kinds), dropout, fade, steps
        self.gates = nn.ParameterDict(
            {
                str(level): nn.Parameter(torch.zeros(count, 1, 1))
                for level, (kind, count) in enumerate(zip(kinds, channels, strict=True))
                if kind == "gated"
            }
        )
        if fade != "none":
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
            self.steps: Tensor

    def step(self) -> None:
        """Counts a training step."""
        if self.training and self.fade != "none":
            self.steps += 1

    def forward(self, level: int, features: Tensor) -> Tensor | None:
        """What the decoder gets of a level's features (N, C, H, W): the same shape, or None."""
        kind = self.kinds[level]
        if kind == "none":
            return None
        if kind == "zeroed":
            return torch.zeros_like(features)
        if kind == "gated":
            features = features * self.gates[str(level)]
        if self.fade != "none":
            done = (self.steps / max(1, self.until)).clamp(max=1.0).to(features.dtype)
            features = features * (done if self.fade == "in" else 1 - done)
        if self.training and self.dropout:
            features = features * (uniform((len(features), 1, 1, 1), features) >= self.dropout)
        return features
