"""The base class of networks: their contract, and their way from a picture to the latent and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError
from torch import Tensor, nn

from hashigo.errors import ModelError, RecipeError
from hashigo.networks.contract import Contract


class Network(nn.Module, PyTorchModelHubMixin, library_name="hashigo", tags=["autoencoder"], license="apache-2.0"):
    """The base of all networks: (N, in_channels, H, W) → (N, out_channels, H/answer_scale, W/answer_scale), rounded up.

    A network takes keyword arguments only, which the hub mixin saves, calls `super().__init__()`, sets `in_channels` and
    `out_channels`, and defines `forward`. If the defaults below are wrong for it, it sets `contract`. With a latent it
    defines `encode` and `decode`, which accept every size that `forward` accepts.
    """

    in_channels: int
    out_channels: int
    contract: Contract = Contract()
    """By default, any size is accepted, and the answer has the input's size and may depend on the whole picture."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:  # as the mixin's
        """A network with the options and weights of a model folder, or of a repository on the Hugging Face hub.

        Raises:
            ModelError: nothing is there, or config.json or model.safetensors is damaged or belongs to another network.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **options)
        except (OSError, ValueError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{pretrained_model_name_or_path}: expected a model folder with a config.json and a model.safetensors of a "
                f"{cls.__name__}, got none that can be read: {str(error)[:300]}"
            ) from error

    @property
    def multiple(self) -> int:
        """Heights and widths that are multiples of this need no padding."""
        return self.contract.multiple

    @property
    def answer_scale(self) -> int:
        """The answer has 1/answer_scale of the input's height and width."""
        return self.contract.answer_scale

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """The only accepted (H, W), or None."""
        return self.contract.fixed_size

    @property
    def context_pixels(self) -> int | None:
        """How far an answer looks around; None if it sees the whole picture and must not be tiled."""
        return self.contract.context_pixels

    def check_batch(self, x: object) -> None:
        """Checks the shape of an input.

        Raises:
            RecipeError: x is no tensor (N, in_channels, H, W), or of another size than the network's.
        """
        sides = ("height", "width") if self.fixed_size is None else self.fixed_size
        right = isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] == self.in_channels and 0 not in x.shape
        if not right or not isinstance(x, Tensor) or self.fixed_size not in (None, tuple(x.shape[-2:])):
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise RecipeError(f"expected a tensor (N, {self.in_channels}, {sides[0]}, {sides[1]}), got {got}")

    @property
    def pretrainable(self) -> nn.Module | None:
        """The part that can have pretrained weights and its own learning rate, or None."""
        return None

    def encode(self, x: Tensor) -> tuple[Tensor, object]:
        """(N, in_channels, H, W) → the latent (N, …) and everything else that `decode` needs.

        Raises:
            RecipeError: the network has no latent.
        """
        raise RecipeError(f"{type(self).__name__} has no latent: expected a network with `encode`; name another layer")

    def latent(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → the latent, (N, …).

        Raises:
            RecipeError: the network has none.
        """
        return self.encode(x)[0]

    @property
    def backbone(self) -> nn.Module | None:
        """A large pretrained part that need not be trained, or None. With one, the network defines `backbone_features`, and `forward` accepts them."""
        return None

    @property
    def backbone_blocks(self) -> Sequence[nn.Module]:
        """The backbone's blocks, first to last."""
        return ()

    @property
    def backbone_key(self) -> str:
        """What `backbone_features` depends on besides the backbone's weights: networks for which both are equal have the same features."""
        return type(self).__name__

    def backbone_features(self, x: Tensor) -> Tensor:
        """What the backbone computes of x, for `forward(x, features)`: (N, in_channels, H, W) → (N, features, h, w).

        Raises:
            RecipeError: the network has no backbone.
        """
        raise RecipeError(
            f"{type(self).__name__} has no backbone: expected a network with one, such as unet with the encoder dinov2-lite0"
        )

    def answer_and_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The answer to x, and features of places, by which they can be compared: (N, `contract.features`, h, w), each of a square of x whose side is a power
        of 2, or None if the contract promises none.

        It must not call `self(x)`: in an exported network, that is this method.
        """
        return type(self).forward(self, x), None

    def own_loss(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The answer to x, and the network's own loss, which is added to the task's, such as a VAE's KL divergence: a scalar, or None.

        features: of `backbone_features`, if they are known.
        """
        return (self(x) if features is None else self(x, features)), None

    @property
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """The network's own measure of an answer, which replaces the task's loss, such as a VAE's negative log likelihood: a function of (answer, target), or None."""
        return None
