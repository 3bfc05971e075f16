"""BatchNorm over the pictures of all processes, on CPUs; on GPUs, torch has its own."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose means and variances in training are those of all processes' pictures, which are equally many in each.

    So a network learns the same from a step's pictures, however many processes share them. Parameters and running statistics are those of `nn.BatchNorm2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        values = x.double()  # a small variance around a large mean is lost in float32
        sums = all_reduce(torch.stack([values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3))]))  # type: ignore[no-untyped-call]
        mean = sums[0] / count
        variance = (sums[1] / count - mean.square()).clamp(min=0)
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                self.running_var.lerp_((variance * (count / max(1, count - 1))).to(self.running_var.dtype), share)
        values, mean, variance = x.float(), mean.float(), variance.float()
        scale = torch.rsqrt(variance + self.eps)
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        normal: Tensor = (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)
        return normal


def share_batch_norms(network: nn.Module) -> None:
    """Makes every BatchNorm in the network one of these; they keep their parameters, which optimizers may already know."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d
