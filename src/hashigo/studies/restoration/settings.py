"""The settings and presets of the studies `autoencode` and `colorize`, and what a condition of theirs is.

Nothing heavy is imported here: the help of a command passes by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hashigo.errors import RecipeError
from hashigo.pages.words import Words
from hashigo.training.recipe import DataRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe

ONCE = Words("one training run each", "学習は各1回")
"""What the evidence of a claim says of its basis, since intervals over pictures leave out what another run would give."""


@dataclass(frozen=True)
class RestorationSettings:
    """Everything that decides on the numbers of a restoration study; the defaults are the article's setting.

    Args:
        preset: Name of the preset that these settings started from.
        data: Pictures to train on: the name of a dataset, or a folder, tar shards, pack or .npz file.
        data_root: Folder where named datasets lie; empty: HASHIGO_DATA or the user's cache.
        test: Other pictures to measure on; empty: the set's own test split, or a share that is kept apart.
        pictures: At most so many pictures, evenly spread, of which some are kept for validation; 0 takes all. A named
            set whose training split is smaller is taken whole.
        test_pictures: At most so many pictures to measure on.
        crop: Side of the squares that the networks see, if the pictures are not smaller: random ones in training,
            central ones otherwise.
        size: Short side to which pictures are reduced when read; 0: the side of the squares.
        width: Channels of the network's outermost level; doubled with each level.
        depth: Number of poolings.
        epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        lr: Learning rate.
        momentum: Momentum.
        schedule: constant, or cosine down to zero at the last step.
        seed: Decides the first weights and the order of the pictures.
        panels: Validation pictures on the panel of each epoch; 0 makes none.
    """

    preset: str = "article"
    data: str = "stl10"
    data_root: str = ""
    test: str = ""
    pictures: int = 13_000
    test_pictures: int = 500
    crop: int = 96
    size: int = 0
    width: int = 64
    depth: int = 4
    epochs: int = 200
    batch_size: int = 256
    lr: float = 1e-3
    momentum: float = 0.9
    schedule: Literal["constant", "cosine"] = "constant"
    seed: int = 0
    panels: int = 100

    def __post_init__(self) -> None:
        for name, least in {"pictures": 0, "test_pictures": 1, "crop": 8, "size": 0, "width": 1, "depth": 1}.items():
            if getattr(self, name) < least:
                raise RecipeError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        if self.size and self.size < self.crop:
            raise RecipeError(
                f"size: expected at least the crop, {self.crop}, got {self.size}; lower crop or leave size out"
            )
        if self.schedule not in ("constant", "cosine"):
            raise RecipeError(f"schedule: expected constant or cosine, got {self.schedule!r}")
        self.recipe(Condition("autoencode", "none", Words("", "")), self.crop)  # it checks the rest

    def recipe(self, condition: Condition, crop: int) -> Recipe:
        """The training recipe of a condition, for squares of side `crop`."""
        return Recipe(
            task=TaskRecipe(condition.task),
            network=NetworkRecipe(options={"width": self.width, "depth": self.depth, "skips": condition.skips}),
            data=DataRecipe(train=self.data, size=self.size or self.crop, crop=crop, flip=False, limit=self.pictures),
            optimizer=OptimizerRecipe("sgd", lr=self.lr, momentum=self.momentum, schedule=self.schedule),
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            panels=self.panels,
        )


@dataclass(frozen=True)
class Condition:
    """One network for one task: `task` and `skips` as recipes name them, and what the page calls it."""

    task: str
    skips: str
    label: Words


@dataclass(frozen=True)
class AutoencodeSettings(RestorationSettings):
    """Everything that decides on the numbers of the study `autoencode`; the defaults are the article's setting."""


AUTOENCODE: dict[str, AutoencodeSettings] = {
    "article": AutoencodeSettings(),
    "quick": AutoencodeSettings(
        preset="quick",
        pictures=900,
        test_pictures=200,
        width=16,
        epochs=20,
        batch_size=16,
        lr=2e-4,
        schedule="cosine",
        panels=25,
    ),
}
"""The article's setting in full, and one that fits two processor cores in about ten minutes by fewer pictures, channels
and epochs. Small batches make up for few pictures: BatchNorm's running averages, with Keras's momentum of 0.99, take some
hundred steps to settle. At the article's learning rate so small batches make the loss jump and the averages never catch
up: hence a lower one that ends at zero (on 700 photos after 410 steps the validation loss was 25 so, 46 with the article's
rate going to zero)."""


@dataclass(frozen=True)
class ColorizeSettings(RestorationSettings):
    """Everything that decides on the numbers of the study `colorize`; the defaults are the article's setting.

    Of a set with a class "cat" the cats are kept out of training, and are the test pictures unless `test` names others.
    """


COLORIZE: dict[str, ColorizeSettings] = {
    "article": ColorizeSettings(),
    "quick": ColorizeSettings(
        preset="quick",
        pictures=700,
        test_pictures=200,
        width=16,
        epochs=20,
        batch_size=16,
        lr=2e-4,
        schedule="cosine",
        panels=25,
    ),
}
"""The article's setting in full, and one that fits two processor cores in about ten minutes (see `AUTOENCODE`)."""
