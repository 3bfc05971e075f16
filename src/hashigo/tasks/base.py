"""The base class of tasks: what is removed from a picture, and how a network's answer is put back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from array_api_compat import array_namespace

from hashigo.color import Array
from hashigo.errors import RecipeError
from hashigo.randomness import PictureRng
from hashigo.tasks import losses
from hashigo.tasks.enlarging import enlarged

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Task:
    """The base class of tasks. Its defaults are those of a plain autoencoder.

    The law, tested for every task: if `(x, y) = pair(rgb)` without randomness, then `restore(x, y) ≈ rgb`. `pair` and
    `restore` are written once, here, and used by all code that trains, applies, shows or measures.
    """

    name: ClassVar[str]
    in_channels: ClassVar[int] = 3
    out_channels: ClassVar[int] = 3
    loss: ClassVar[str] = "sum_squared_error"
    output_activation: ClassVar[str] = "sigmoid"
    suffix: ClassVar[str] = "out"
    """The part of a result's file name before the extension: stem.SUFFIX.ext."""
    adds_colour: ClassVar[bool] = False
    """Whether the task removes colour, which the network must restore."""
    reduces: ClassVar[bool] = False
    """True: the network sees a reduced photo and its answer is scaled up to the photo before `decode`.
    False: the network sees the photo at its own size."""

    @property
    def result_scale(self) -> int:
        """How many times as high and wide as the photo the result is; the photo is enlarged to that size before the network sees it."""
        return 1

    @property
    def network_channels(self) -> int:
        """Channels of the network's output: `out_channels` unless `answer` converts it."""
        return self.out_channels

    def criterion(self, loss: str) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss of that name, a function of (network's output, target): torch (N, network_channels, H, W) and (N, out_channels, H, W).

        Raises:
            RecipeError: no such loss, or not for this task; the message lists the right ones.
        """
        if loss in losses.FROM_0_TO_1 and self.output_activation != "sigmoid":
            raise RecipeError(
                f"loss: expected one that suits the task {self.name}, got {loss!r}, which is for answers from 0 to 1; take {self.loss!r}"
            )
        return losses.get_loss(loss)

    def drawn(self, rgb: Array, rng: PictureRng) -> Array:
        """The picture, where it is itself random, such as one of black and white dots; (N, 3, H, W). Input and target are made of it."""
        return rgb

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The picture with the random damage that the task repairs; (N, 3, H, W). None by default."""
        return rgb

    def encode(self, rgb: Array) -> Array:
        """What the network sees: (..., 3, H, W) → (..., in_channels, H, W)."""
        return rgb

    def vary(self, x: Array, rgb: Array, rng: PictureRng) -> Array:
        """Varies an input (N, in_channels, H, W) as in real use, for training only; `rgb` is the picture. Does nothing by default."""
        return x

    def target(self, rgb: Array) -> Array:
        """What the network should answer: (..., 3, H, W) → (..., out_channels, H, W)."""
        return rgb

    def answer(self, output: Array) -> Array:
        """The network's output in the form of `target`: (..., network_channels, H, W) → (..., out_channels, H, W).

        An answer that already has this form, such as a target, is returned unchanged.
        """
        return output

    def decoder_input(self, rgb: Array) -> Array:
        """The part of a photo that `decode` needs as its input: what the network sees, or less."""
        return self.encode(rgb)

    def decode(self, input: Array, output: Array) -> Array:
        """The picture from the network's input and answer (same H and W): → (..., 3, H, W), 0..1."""
        return array_namespace(output).clip(output, 0.0, 1.0)

    @final
    def restore(self, x: Array, output: Array) -> Array:
        """The picture (..., 3, H, W), 0..1, from an input (..., in_channels, H, W) and the network's output for it.

        output: (..., network_channels, h, w), or an answer in the form of `target`; smaller ones are enlarged. Never overridden.
        """
        return self.decode(x, enlarged(self.answer(output), *x.shape[-2:]))

    @final
    def pair(self, rgb: Array, rng: PictureRng | None = None) -> tuple[Array, Array]:
        """Training pair (input, target) of a picture or a batch; without `rng` nothing is degraded. Never overridden."""
        if rng is None:
            return self.encode(rgb), self.target(rgb)
        rgb = self.drawn(rgb, rng)
        return self.vary(self.encode(self.degrade(rgb, rng)), rgb, rng), self.target(rgb)

    def shown(self, x: Array) -> Array:
        """An input as a picture: (..., in_channels, H, W) → (..., 3, H, W)."""
        if x.shape[-3] == 3:
            return x
        grey = x[..., :1, :, :]
        return array_namespace(x).concat([grey, grey, grey], axis=-3)
