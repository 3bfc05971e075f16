"""Depthwise convolutions in training on the CPU: bfloat16 against float32, forward and backward, in turns.

    .venv/bin/python benchmarks/depthwise.py

The shapes are those of EfficientNet-Lite0 for 32 pictures of 96 × 96, channels last. Milliseconds, the best of the rounds.
`networks/encoders/efficientnet.py` runs in float32 under autocast what is slower in bfloat16 here.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from hashigo.networks.encoders.efficientnet import EfficientNetLite0

ROUNDS = 7


def main() -> None:
    """Prints a row for each shape."""
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print("channels side kernel stride  bfloat16  float32  ratio")
    for channels, side, kernel, stride in shapes():
        best = {torch.bfloat16: float("inf"), torch.float32: float("inf")}
        for _ in range(ROUNDS):
            for kind in best:
                best[kind] = min(best[kind], 1000 * step(kind, channels, side, kernel, stride))
        low, full = best.values()
        print(f"{channels:8} {side:4} {kernel:6} {stride:6}  {low:8.1f}  {full:7.1f}  {low / full:5.2f}")


def shapes() -> list[tuple[int, int, int, int]]:
    """(channels, side, kernel, stride) of every depthwise convolution of the encoder, each once."""
    found: dict[tuple[int, int, int, int], None] = {}

    def keep(conv: nn.Conv2d, _inputs: tuple[Tensor], output: Tensor) -> None:
        stride = conv.stride[0]
        found[conv.in_channels, output.shape[-1] * stride, conv.kernel_size[0], stride] = None

    encoder = EfficientNetLite0(1).eval()
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.register_forward_hook(keep)
    with torch.no_grad():
        encoder.encode(torch.zeros(1, 1, 96, 96))
    return list(found)


def step(kind: torch.dtype, channels: int, side: int, kernel: int, stride: int) -> float:
    """Seconds of one forward and backward pass."""
    weight = torch.randn(channels, 1, kernel, kernel, dtype=kind, requires_grad=True)
    x = torch.randn(32, channels, side, side, dtype=kind).contiguous(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.ones_like(conv2d(x, weight, None, stride, kernel // 2, groups=channels))
    start = time.perf_counter()
    y = conv2d(x, weight, None, stride, kernel // 2, groups=channels)
    torch.autograd.grad(y, (x, weight), gradient)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
