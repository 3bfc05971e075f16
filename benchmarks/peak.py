"""The measured peak: how fast this machine multiplies large matrices and runs large 3×3 convolutions, taking turns.

Usage: peak.py JSON, with contender (peak-mm-fp32, peak-mm-bf16, peak-conv-fp32, peak-conv-bf16) and warmup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from turns import Turns

SIDE = 4096
"""Side of the square matrices: large enough for the caches' edges not to count, small enough for half a second."""


def product(dtype: torch.dtype) -> Callable[[], Tensor]:
    """One product of two square matrices."""
    a, b, out = (torch.rand(SIDE, SIDE).to(dtype) for _ in range(3))
    return lambda: torch.mm(a, b, out=out)


def convolution(dtype: torch.dtype) -> Callable[[], Tensor]:
    """One 3×3 convolution of the U-Net's second level (128 channels at 48×48), 64 pictures, channels last."""
    x = torch.rand(64, 128, 48, 48).to(dtype).to(memory_format=torch.channels_last)
    weight = torch.rand(128, 128, 3, 3).to(dtype).to(memory_format=torch.channels_last)
    return lambda: torch.nn.functional.conv2d(x, weight, padding=1)


def main(options: dict[str, Any]) -> None:
    """Builds the contender and takes turns; a step repeats the work `repeats` times, one product or three convolutions."""
    turns = Turns()
    kind, precision = options["contender"].removeprefix("peak-").split("-")
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    work, repeats = (product(dtype), 1) if kind == "mm" else (convolution(dtype), 3)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            work()
        gflop = counter.get_total_flops() * repeats / 1e9
        turns.serve(lambda: [work() for _ in range(repeats)], options["warmup"], gflop_per_step=gflop, versions={})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
