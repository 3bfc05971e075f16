"""A dense autoencoder: fully connected layers down to a small latent and back, as in the Keras blog ("Building Autoencoders in Keras", Chollet 2016).

784 ─ 128 ─ 64 ─ 32 ─ 64 ─ 128 ─ 784
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from hashigo.errors import RecipeError
from hashigo.networks.base import Network
from hashigo.networks.blocks import ACTIVATIONS, check_activations, keras_initialize
from hashigo.networks.contract import LARGEST_SIDE, Contract, is_whole


class Dense(Network, tags=["dense"]):
    """A dense autoencoder for pictures of one size: (N, in_channels, H, W) → (N, out_channels, H, W).

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        size: (H, W) of pictures.
        units: Values of the layers from the input's side to the latent; the decoder has them in reverse order. [32] is the Keras blog's
            simplest autoencoder.
        latent_activation: Activation of the latent.
        output_activation: Activation of the answer.

    Raises:
        RecipeError: an invalid option.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        out_channels: int = 1,
        size: Sequence[int] = (28, 28),
        units: Sequence[int] = (128, 64, 32),
        latent_activation: str = "relu",
        output_activation: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        sides = list(size) if isinstance(size, list | tuple) else []
        if len(sides) != 2 or not all(is_whole(side, 1, LARGEST_SIDE) for side in sides):
            raise RecipeError(f"size: expected height and width, two whole numbers, got {size!r}")
        layers = list(units) if isinstance(units, list | tuple) else []
        if not layers or not all(is_whole(count, 1, 1 << 20) for count in layers):
            raise RecipeError(f"units: expected whole numbers, one for each layer down to the latent, got {units!r}")
        check_activations(latent_activation, output_activation)
        first, last = in_channels * math.prod(sides), out_channels * math.prod(sides)
        if max(first, last) * layers[0] > 1 << 31:
            raise RecipeError("units: expected at most 2**31 weights, got more; take a smaller size or fewer units")
        self.size = (sides[0], sides[1])
        self.narrow = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairwise([first, *layers]))
        self.widen = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in pairwise([*reversed(layers), last])
        )
        self.latent_activation, self.activation = ACTIVATIONS[latent_activation](), ACTIVATIONS[output_activation]()
        self.apply(keras_initialize)
        self.contract = Contract(fixed_size=self.size)

    def encode(self, x: Tensor) -> tuple[Tensor, None]:
        """(N, in_channels, H, W) → the latent (N, units[-1]); `decode` needs nothing else."""
        self.check_batch(x)
        y = x.flatten(1)
        for layer in self.narrow[:-1]:
            y = layer(y).relu()
        return self.latent_activation(self.narrow[-1](y)), None

    def decode(self, latent: Tensor, _: None = None) -> Tensor:
        """A latent (N, units[-1]) → (N, out_channels, H, W)."""
        y = latent
        for layer in self.widen[:-1]:
            y = layer(y).relu()
        answer: Tensor = self.activation(self.widen[-1](y)).unflatten(1, (self.out_channels, *self.size))
        return answer

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        return self.decode(self.encode(x)[0])
