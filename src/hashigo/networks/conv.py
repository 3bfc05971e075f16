"""A convolutional autoencoder without skip connections, as in the Keras blog ("Building Autoencoders in Keras", Chollet 2016).

1×28×28 ─ 16 ─ pool ─ 8 ─ pool ─ 8 ─ pool ─ 8×4×4 ─ 8 ─ enlarge ─ 8 ─ enlarge ─ 16 ─ enlarge ─ 1×28×28
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from hashigo.errors import RecipeError
from hashigo.networks.base import Network
from hashigo.networks.blocks import ACTIVATIONS, check_activations, keras_initialize
from hashigo.networks.contract import Contract, is_whole


class Conv(Network, tags=["conv"]):
    """A convolutional autoencoder for pictures of any size: (N, in_channels, H, W) → (N, out_channels, H, W).

    Its latent has 1/2**len(channels) of the height and width, rounded up. The blog's last convolution but one cuts off a border to get from 32 to 28 rows;
    here the answer is cropped, which needs the same weights. The blog trains it with the loss `binary_cross_entropy`; on mostly black pictures, such as
    digits, squared error can drive it to plain black.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        channels: Channels after each 3×3 convolution, from the input's side to the latent; each is followed by a halving of height and width.
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
        channels: Sequence[int] = (16, 8, 8),
        latent_activation: str = "relu",
        output_activation: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        layers = list(channels) if isinstance(channels, list | tuple) else []
        if not 1 <= len(layers) <= 10 or not all(is_whole(count, 1, 1 << 14) for count in layers):
            raise RecipeError(
                f"channels: expected whole numbers, one for each layer down to the latent, got {channels!r}"
            )
        check_activations(latent_activation, output_activation)
        self.down = nn.ModuleList(_conv(inputs, outputs) for inputs, outputs in pairwise([in_channels, *layers]))
        self.up = nn.ModuleList(_conv(inputs, outputs) for inputs, outputs in pairwise([layers[-1], *reversed(layers)]))
        self.head = _conv(layers[0], out_channels)
        self.latent_activation, self.activation = ACTIVATIONS[latent_activation](), ACTIVATIONS[output_activation]()
        self.apply(keras_initialize)
        step = 2 ** len(layers)
        self.contract = Contract(multiple=step, context_pixels=REACH * step)

    def encode(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(N, in_channels, H, W) → the latent (N, channels[-1], h, w), and the answer's height and width."""
        self.check_batch(x)
        y = x
        for number, layer in enumerate(self.down, 1):
            y = layer(y)
            y = max_pool2d(self.latent_activation(y) if number == len(self.down) else y.relu(), 2, ceil_mode=True)
        return y, (x.shape[-2], x.shape[-1])

    def decode(self, latent: Tensor, size: Sequence[int] = ()) -> Tensor:
        """A latent (N, channels[-1], h, w) → (N, out_channels, H, W). size: (H, W), by default h and w times 2**len(channels)."""
        y = latent
        for layer in self.up:
            y = interpolate(layer(y).relu(), scale_factor=2.0, mode="nearest")
        answer: Tensor = self.activation(self.head(y))
        return answer[..., : size[0], : size[1]] if size else answer

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        return self.decode(*self.encode(x))


REACH = 3
"""An answer looks less than this many times 2**len(channels) pixels around: a pixel for each convolution of its own size, one of 2 for each after
the first pooling and so on, on both sides, less than 2 · (1 + 2 + 4 + …)."""


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
