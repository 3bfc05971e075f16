"""The article's parameter counts, each found again by adding up its layers by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hashigo.networks import ARTICLE_SMALL_UNET, ARTICLE_UNET, UNet, make_network
from hashigo.networks.unet import SKIPS

# --- counting parameters as Keras does: BatchNorm has 4 per channel, of which 2 are not trained ----------


def convolution(inputs: int, outputs: int, side: int) -> int:
    return inputs * outputs * side * side + outputs


def block(inputs: int, outputs: int) -> int:
    return convolution(inputs, outputs, 3) + 4 * outputs + convolution(outputs, outputs, 3) + 4 * outputs


def by_hand(inputs: int, outputs: int, width: int, depth: int, *, concat: bool, flat: int = 0, units: int = 0) -> int:
    """All parameters of the article's U-Net, layer by layer; `flat` and `units`: its dense bottleneck."""
    channels = [width * 2**level for level in range(depth + 1)]
    total = sum(block(i, o) for i, o in zip([inputs, *channels], channels, strict=False))  # down, and the middle
    for c in channels[:-1]:
        total += convolution(2 * c, c, 2)  # up: a 2×2 transposed convolution halves the channels
        total += block(2 * c if concat else c, c)
    total += convolution(width, outputs, 1)
    return total + (flat * units + units + units * flat + flat if units else 0)


def counts(network: nn.Module) -> tuple[int, int]:
    """(trainable, not trainable); torch's own count of batches is no parameter of the article's."""
    buffers = (value for name, value in network.named_buffers() if not name.endswith("num_batches_tracked"))
    return sum(p.numel() for p in network.parameters()), sum(b.numel() for b in buffers)


def on_paper(**options: Any) -> nn.Module:
    """A network of shapes without values: 31 million parameters take neither memory nor time."""
    with torch.device("meta"):
        return make_network("unet", **options)


@pytest.mark.parametrize(
    ("inputs", "skips", "total"),
    [(1, "concat", 31_054_275), (3, "concat", 31_055_427), (1, "none", 27_920_835), (3, "none", 27_921_987)],
)
def test_the_articles_counts(inputs: int, skips: str, total: int) -> None:
    network = on_paper(in_channels=inputs, out_channels=3, skips=skips, **ARTICLE_UNET)
    trained, fixed = counts(network)
    assert trained + fixed == total == by_hand(inputs, 3, 64, 4, concat=skips == "concat")
    assert fixed == 11_776 == 2 * 2 * (1024 + 2 * (64 + 128 + 256 + 512))
    if (inputs, skips) == (1, "concat"):
        assert trained == 31_042_499


@pytest.mark.parametrize(
    ("skips", "units", "total"),
    [("concat", None, 7_717), ("concat", 16, 33_605), ("none", None, 6_997), ("none", 16, 32_885)],
)
def test_the_articles_small_counts(skips: str, units: int | None, total: int) -> None:
    network = UNet(skips=skips, bottleneck=units, **ARTICLE_SMALL_UNET)
    by_layers = by_hand(1, 1, 4, 2, concat=skips == "concat", flat=16 * 7 * 7, units=units or 0)
    assert sum(counts(network)) == total == by_layers


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.sampled_from(SKIPS))
def test_any_count_is_the_layers(inputs: int, outputs: int, width: int, depth: int, skips: str) -> None:
    network = on_paper(in_channels=inputs, out_channels=outputs, width=width, depth=depth, skips=skips)
    gates = sum(width * 2**level for level in range(depth)) if skips == "gated" else 0
    assert sum(counts(network)) == gates + by_hand(inputs, outputs, width, depth, concat=skips != "none")


def test_residual_blocks_have_a_projection_each() -> None:
    plain, residual = on_paper(width=2, depth=3), on_paper(width=2, depth=3, residual=True)
    down = convolution(3, 2, 1) + convolution(2, 4, 1) + convolution(4, 8, 1) + convolution(8, 16, 1)
    up = convolution(16, 8, 1) + convolution(8, 4, 1) + convolution(4, 2, 1)
    assert sum(counts(residual)) - sum(counts(plain)) == down + up
