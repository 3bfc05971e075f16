"""The purity study's settings (conditions, epochs, seeds) and presets.

Nothing heavy is imported here, because the command's help needs these settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hashigo.errors import RecipeError
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe


class Shaped(Protocol):
    """What a recipe needs from a `PictureSet`.

    `PictureSet` itself is not imported even for type checkers, because the command line's parser resolves types and would run that import.
    """

    @property
    def channels(self) -> int:
        """1 or 3."""

    @property
    def uniform(self) -> tuple[int, int] | None:
        """(height, width) if all pictures have the same."""

    def __len__(self) -> int:
        """The number of pictures."""


@dataclass(frozen=True)
class Condition:
    """One way to build the network.

    Args:
        skips: As in `UNet`.
        bottleneck: Whether there is one.
        article: The article's purity; None if the article does not have this condition.
        part: The part of the study that it belongs to.
        network: The kind of network; those other than `unet` are trained with Adam, because the article's SGD was chosen for its U-Net.
        options: Further options of the network.
        masked: Share of the pixels that are hidden from the network in training.
        loss: The training loss; if empty, the article's squared error (`vae` and `ladder` have their own).
        fades: Share of the training after which the skip connections have faded, with `skip_fade` among the options.
    """

    skips: str | tuple[str, ...] = "none"
    bottleneck: bool = False
    article: float | None = None
    part: Literal["article", "controls", "others", "remedies"] = "article"
    network: str = "unet"
    options: Mapping[str, object] = field(default_factory=dict)
    loss: str = ""
    masked: float = 0.0
    fades: float = 0.0


CONDITIONS: dict[str, Condition] = {
    "neither": Condition("none", False, 0.5123),
    "bottleneck": Condition("none", True, 0.6998),
    "skips": Condition("concat", False, 0.5217),
    "both": Condition("concat", True, 0.3752),
    "zeroed": Condition("zeroed", False, part="controls"),
    "zeroed-bottleneck": Condition("zeroed", True, part="controls"),
    "dense": Condition(part="others", network="dense", loss="binary_cross_entropy"),
    "conv": Condition(part="others", network="conv", loss="binary_cross_entropy"),
    "denoising": Condition(bottleneck=True, part="others", masked=0.5),
    "vae": Condition(part="others", network="vae"),
    "ladder": Condition(part="others", network="ladder"),
    "masked": Condition("concat", True, part="remedies", masked=0.5),
    "dropped": Condition("concat", True, part="remedies", options={"skip_dropout": 0.5}),
    "fade-in": Condition("concat", True, part="remedies", options={"skip_fade": "in"}, fades=1.0),
    "fade-out": Condition("concat", True, part="remedies", options={"skip_fade": "out"}, fades=1.0),
    "gated": Condition("gated", True, part="remedies"),
    "outermost": Condition(("concat", "none"), True, part="remedies"),
    "innermost": Condition(("none", "concat"), True, part="remedies"),
    "alone": Condition("concat", True, part="remedies", options={"alone": 1.0}),
}
"""The article's four conditions; as controls two with zeroed skip connections; other autoencoders, those of the Keras blog with its loss; and
remedies that may keep a bottleneck beside skip connections awake."""

SWEEP = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Epochs after which purity is measured; 0 is the untrained encoder."""


@dataclass(frozen=True)
class PuritySettings:
    """Settings of the study that affect its results.

    Args:
        preset: `quick` (about 5 minutes) or `article` (the full setting, hours).
        data: A labelled dataset: its name, or a folder, pack or .npz file.
        data_root: Folder with the named datasets; if empty, HASHIGO_DATA or the user's cache.
        size: Side of the pictures; 0 keeps it (digits are enlarged to the article's 28).
        pictures: Use at most this many training pictures, evenly spaced; 0 uses all.
        test_pictures: Use at most this many test pictures; 0 uses all.
        seeds: Training runs per condition.
        kmeans_seeds: k-means runs per set of features.
        epochs: Passes over the training pictures; 0 chooses enough for about 1,000 steps, from 10 to 100.
        batch_size: Pictures per step.
        lr: Learning rate.
        momentum: Momentum.
        width: Channels of the outermost level; each deeper level has twice as many.
        units: Units of the bottleneck.
        controls: Also train two controls, with and without a bottleneck, whose skip connections carry only zeros.
        parts: What else to train: `others` (other kinds of autoencoders), `remedies` (ways to make a network with skip
            connections use its bottleneck), `all` of these, or only the `article`'s networks.
        precision: auto, bf16 or fp32.
        seed: The first training seed; the others follow.
    """

    preset: str = "article"
    data: str = "mnist"
    data_root: str = ""
    size: int = 0
    pictures: int = 0
    test_pictures: int = 0
    seeds: int = 1
    kmeans_seeds: int = 10
    epochs: int = 10
    batch_size: int = 256
    lr: float = 1e-3
    momentum: float = 0.9
    width: int = 4
    units: int = 16
    controls: bool = True
    parts: Literal["article", "others", "remedies", "all"] = "article"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"seeds": 1, "kmeans_seeds": 2, "epochs": 0, "batch_size": 1, "width": 1, "units": 1,
                            "size": 0, "pictures": 0, "test_pictures": 0, "seed": 0}.items():  # fmt: skip
            if getattr(self, name) < least:
                raise RecipeError(f"{name}: expected at least {least}, got {getattr(self, name)}")

    def conditions(self) -> dict[str, Condition]:
        """The conditions to train."""
        parts = {
            "article",
            *(("controls",) if self.controls else ()),
            *(("others", "remedies") if self.parts == "all" else (self.parts,)),
        }
        return {name: condition for name, condition in CONDITIONS.items() if condition.part in parts}

    def recipe(self, condition: Condition, pictures: Shaped) -> Recipe:
        """The training recipe of a condition, for pictures of one size."""
        optimizer = OptimizerRecipe("sgd", lr=self.lr, momentum=self.momentum)
        return Recipe(
            task=TaskRecipe(
                "autoencode-grey" if pictures.channels == 1 else "autoencode",
                {"masked": condition.masked} if condition.masked else {},
            ),
            network=NetworkRecipe(condition.network, options=self._options(condition, pictures)),
            data=DataRecipe(train=self.data, flip=False),
            optimizer=optimizer if condition.network == "unet" else OptimizerRecipe("adamw", lr=1e-3),
            machine=MachineRecipe(compile="off", precision=self.precision),
            loss=condition.loss,
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def _options(self, condition: Condition, pictures: Shaped) -> dict[str, object]:
        """A network's options; the other autoencoders' are those of the Keras blog, or like the article's U-Net."""
        size = list(pictures.uniform or (0, 0))
        if condition.network == "conv":
            return {}
        if condition.network == "dense":
            return {"size": size}
        options: dict[str, object] = {"width": self.width, "depth": 2}
        if condition.network in ("vae", "ladder"):
            return options | {"units": self.units, "size": size, **condition.options}
        options |= {
            "latent_activation": "tanh",
            "skips": condition.skips if isinstance(condition.skips, str) else list(condition.skips),
        }
        if condition.bottleneck:
            options |= {"bottleneck": self.units, "size": size}
        if condition.fades:
            steps = self.epochs * math.ceil(len(pictures) / self.batch_size)
            options["skip_steps"] = max(1, int(condition.fades * steps))
        return options | dict(condition.options)


PRESETS: dict[str, PuritySettings] = {
    "article": PuritySettings(),
    "quick": PuritySettings(preset="quick", pictures=4_000, test_pictures=1_000, seeds=3, epochs=0, batch_size=64),
}
"""The article's setting (60,000 digits, 10 epochs, one training run), and one that takes at most six minutes on two cores, or nineteen with all parts."""
