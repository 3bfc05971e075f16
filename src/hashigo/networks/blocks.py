"""Building blocks of networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from hashigo.errors import RecipeError, did_you_mean

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class Block(nn.Module):
    """Two 3×3 convolutions, each with BatchNorm and an activation: (N, in, H, W) → (N, out, H, W).

    The last activation can be different; with `residual`, a 1×1 projection of the input is added before it.
    """

    def __init__(self, inputs: int, outputs: int, last: str = "relu", residual: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm1 = keras_batch_norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm2 = keras_batch_norm(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if residual else None
        self.last = ACTIVATIONS[last]()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) → (N, out, H, W)."""
        h = self.norm1(self.conv1(x)).relu()
        h = self.norm2(self.conv2(h))
        y: Tensor = self.last(h if self.shortcut is None else h + self.shortcut(x))
        return y


def keras_batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with Keras's defaults: momentum 0.99 (0.01 in torch's terms), epsilon 1e-3."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Within it, BatchNorm in training uses the batch's statistics but does not count them in its running ones.

    For what a network is shown only in training: running statistics of both would be right for neither.
    """
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum


def check_activations(*names: str) -> None:
    """Raises RecipeError unless there are activations with these names."""
    for name in names:
        if name not in ACTIVATIONS:
            raise RecipeError(f"unknown activation {name!r}; {did_you_mean(str(name), ACTIVATIONS)}")


def keras_initialize(module: nn.Module) -> None:
    """Initializes a layer as Keras does: Glorot-uniform weights and zero biases. For `nn.Module.apply`."""
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return
    if isinstance(module, nn.Conv2d) and module.groups > 1:  # depthwise: Glorot would count all channels
        nn.init.kaiming_normal_(module.weight)
    else:
        nn.init.xavier_uniform_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
