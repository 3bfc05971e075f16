"""The settings and presets of the studies `autoencode` and `colorize`.

Nothing heavy is imported here, because the command's help needs these settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hashigo.errors import RecipeError
from hashigo.training.recipe import DataRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe


@dataclass(frozen=True)
class RestorationSettings:
    """Settings of a restoration study that affect its results; the class's own defaults are the article's.

    Args:
        preset: `quick` (about 5 minutes) or `article` (the full setting, hours).
        data: Pictures to train on: the name of a dataset, or a folder, tar shards, pack or .npz file.
        data_root: Folder with the named datasets; if empty, HASHIGO_DATA or the user's cache.
        test: Pictures for measuring the results; if empty, the dataset's own test split, or a held-out share. The study
            colorize holds a class "cat" out of training, and measures on it unless other pictures are given here.
        pictures: Use at most this many pictures, evenly spaced, some of them for validation; 0 uses all. A named
            dataset with a smaller training split is used completely.
        test_pictures: Use at most this many test pictures.
        crop: Side of the square crops that the networks see, unless the pictures are smaller: random in training,
            central otherwise.
        size: Reduce pictures to this short side when they are read; 0 uses the side of the crops.
        width: Channels of the network's outermost level; each deeper level has twice as many.
        depth: Number of pooling layers.
        epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        lr: Learning rate.
        momentum: Momentum.
        schedule: constant, or cosine decay to zero at the last step.
        seed: Seed for the initial weights and the order of the pictures.
        panels: Number of validation pictures in each epoch's panel; 0 makes no panels.
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
        self.recipe("autoencode", "none", self.crop)  # it checks the rest

    def recipe(self, task: str, skips: str, crop: int) -> Recipe:
        """The training recipe of a network with these skip connections for a task, for squares of side `crop`."""
        return Recipe(
            task=TaskRecipe(task),
            network=NetworkRecipe(options={"width": self.width, "depth": self.depth, "skips": skips}),
            data=DataRecipe(train=self.data, size=self.size or self.crop, crop=crop, flip=False, limit=self.pictures),
            optimizer=OptimizerRecipe("sgd", lr=self.lr, momentum=self.momentum, schedule=self.schedule),
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            panels=self.panels,
        )


AUTOENCODE: dict[str, RestorationSettings] = {
    "article": RestorationSettings(),
    "quick": RestorationSettings(
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
"""The article's full setting, and one that takes about ten minutes on two cores with fewer pictures, channels
and epochs. Small batches make up for few pictures: BatchNorm's running averages, with Keras's momentum of 0.99, need some
hundred steps to settle. At the article's learning rate, such small batches make the loss jump, and the averages never catch
up. Hence a lower one with decay to zero (with 700 photos and 410 steps, validation loss was 25; with the article's rate and
decay it was 46)."""


COLORIZE: dict[str, RestorationSettings] = {
    "article": RestorationSettings(),
    "quick": RestorationSettings(
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
"""The article's full setting, and one that takes about ten minutes on two cores (see `AUTOENCODE`)."""
