"""The generation study's settings (networks, epochs, seeds) and presets.

Nothing heavy is imported here, because the command's help needs these settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hashigo.errors import RecipeError
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe


@dataclass(frozen=True)
class Model:
    """A kind of network.

    network: its name. options: its options, besides those that all have.
    """

    network: str
    options: Mapping[str, object] = field(default_factory=dict)


MODELS: dict[str, Model] = {
    "vae": Model("vae"),
    "skips": Model("vae", {"skips": "concat"}),
    "ladder": Model("ladder"),
}
"""The networks that are compared: no skip connections, deterministic ones as in a U-Net, and stochastic ones."""

DEPTH = 2
"""How often the networks halve height and width, as the article's small U-Net does."""


@dataclass(frozen=True)
class GenerateSettings:
    """Settings of the study that affect its results.

    Args:
        preset: `quick` (about 5 minutes) or `article` (MNIST, about an hour).
        data: A labelled dataset: its name, or a folder, pack or .npz file. Colour pictures are studied by their luma.
        data_root: Folder with the named datasets; if empty, HASHIGO_DATA or the user's cache.
        size: Side of the pictures; 0 keeps it (digits are enlarged to 28).
        pictures: Use at most this many training pictures, evenly spaced; 0 uses all.
        test_pictures: Use at most this many test pictures; 0 uses all.
        seeds: Training runs per network.
        epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        lr: Peak learning rate.
        width: Channels of the ladder's outermost level; the other networks get a width that gives
            them about the same number of parameters.
        units: Values of the bottleneck's latent.
        warmup: Share of the steps over which the KL divergence's weight rises to 1.
        bounded: Test pictures for the bounds on the log-likelihood.
        samples: Draws per picture for the importance-weighted bound.
        generated: Pictures to generate with each network.
        precision: auto, bf16 or fp32.
        seed: The first training seed; the others follow.
    """

    preset: str = "article"
    data: str = "mnist"
    data_root: str = ""
    size: int = 0
    pictures: int = 0
    test_pictures: int = 0
    seeds: int = 3
    epochs: int = 10
    batch_size: int = 128
    lr: float = 2e-3
    width: int = 8
    units: int = 16
    warmup: float = 0.2
    bounded: int = 1_000
    samples: int = 500
    generated: int = 2_000
    precision: Literal["auto", "bf16", "fp32"] = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"seeds": 1, "epochs": 1, "batch_size": 1, "width": 1, "units": 1, "bounded": 1, "samples": 2, "generated": 50,
                            "size": 0, "pictures": 0, "test_pictures": 0, "seed": 0}.items():  # fmt: skip
            if getattr(self, name) < least:
                raise RecipeError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        if not 0 <= self.warmup <= 1:
            raise RecipeError(f"warmup: expected a share from 0 to 1, got {self.warmup}")

    def recipe(self, model: Model, width: int, size: tuple[int, int], count: int) -> Recipe:
        """The training recipe of a network of this width, for `count` pictures of `size` (H, W)."""
        steps = self.epochs * max(1, count // self.batch_size)
        return Recipe(
            task=TaskRecipe("autoencode-binary"),
            network=NetworkRecipe(
                model.network, options=self.options(model, width, size) | {"warmup": int(self.warmup * steps)}
            ),
            data=DataRecipe(train=self.data, flip=False),
            optimizer=OptimizerRecipe("adamw", lr=self.lr, schedule="cosine", warmup=min(100, steps // 10)),
            machine=MachineRecipe(compile="off", precision=self.precision),
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def options(self, model: Model, width: int, size: tuple[int, int]) -> dict[str, object]:
        """A network's options."""
        return {"width": width, "depth": DEPTH, "units": self.units, "size": list(size), **model.options}


PRESETS: dict[str, GenerateSettings] = {
    "article": GenerateSettings(),
    "quick": GenerateSettings(
        preset="quick", data="digits", epochs=60, batch_size=64, width=4, bounded=200, samples=100, generated=500
    ),
}
"""MNIST (60,000 digits, three training runs per network), and a setting that takes about five minutes on two cores."""
