"""The recipe of a training run: plain dataclasses, whose fields are at once YAML keys and command-line flags."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from hashigo.errors import RecipeError, did_you_mean
from hashigo.files import open_file
from hashigo.networks.contract import LARGEST_SIDE

Switch = Literal["auto", "on", "off"]
Options = dict[str, Any]  # whatever the task or network takes; jsonargparse shows the type in its help


@dataclass
class TaskRecipe:
    """What the network is trained for.

    Args:
        name: Name of the task, such as colorize; a wrong name lists the right ones.
        options: The task's own options, such as {strongest: 0.1} for denoise.
        statistics: A model from which to take the task's statistics, such as its colour classes, instead of computing
            them from the training pictures; needed for models whose outputs will be averaged.
    """

    name: str = "autoencode"
    options: Options = field(default_factory=dict)
    statistics: str = ""


@dataclass
class NetworkRecipe:
    """Which network is trained.

    Args:
        name: Name of the network, such as unet; a wrong name lists the right ones.
        options: The arguments of the network's class, such as {width: 64, depth: 4, skips: none} of unet; channels and the
            output activation come from the task unless given here.
        pretrained: Initialize the encoder with ImageNet-pretrained weights, if the network has such an encoder; needs
            hashigo[pretrained]. Cannot be combined with start.
    """

    name: str = "unet"
    options: Options = field(default_factory=dict)
    pretrained: bool = False


@dataclass
class DataRecipe:
    """Which pictures the network is trained on, and how they are cropped.

    Args:
        train: The training pictures: a dataset's name, or a folder, pattern, tar shards, .npz file or pack.
        split: Which split of `train` to use.
        validation: The validation pictures; if empty, `validation_share` of `train` is held out.
        validation_split: Which split of `validation` to use; if empty, test when `validation` is the same dataset as `train`,
            otherwise train, which is all that most folders have.
        validation_share: Share of `train` to hold out for validation if `validation` is empty.
        root: Folder with the named datasets; if empty, HASHIGO_DATA or the user's cache.
        size: Reduce pictures from folders and shards to this short side when they are read; 0 keeps their size.
        crop: Side of the square crops that the network sees: random in training, central in validation; 0 uses
            whole pictures, which must then all have the same size.
        flip: Flip half of the training pictures horizontally, at random.
        zoom: Random-resized crop: the side is drawn between `zoom` × `crop` and the short side; 0 crops without resizing.
        colourful: Leave out training pictures less colourful than this (M3, 0 to about 100; below 15 is nearly grey), because
            grey scans among colour photos teach a colorizer to leave photos grey; 0 keeps all.
        variants: Number of fixed versions (crops and other random variations) of each training picture, shown in turn.
            The features of a network's backbone are then computed only once per version and stored in the run's folder
            during training, which makes steps many times faster and takes 0.6 MB per version with dinov2-lite0 and a
            crop of 128. 0 makes a new version in every epoch.
        features: Folder for what `variants` stores, so that other runs on the same pictures can start at once; if
            empty, it is stored in the run's folder and deleted at the end.
        limit: Use at most this many training pictures, evenly spaced; 0 uses all.
        validation_limit: Use at most this many validation pictures, evenly spaced; 0 uses all.
    """

    train: str = ""
    split: str = "train"
    validation: str = ""
    validation_split: str = ""
    validation_share: float = 0.05
    root: str = ""
    size: int = 0
    crop: int = 0
    flip: bool = True
    zoom: float = 0.0
    colourful: float = 0.0
    variants: int = 0
    features: str = ""
    limit: int = 0
    validation_limit: int = 0


@dataclass
class OptimizerRecipe:
    """The optimizer and its schedule.

    Args:
        name: sgd or adamw.
        lr: Peak learning rate.
        momentum: Momentum of sgd.
        weight_decay: Weight decay.
        schedule: constant, or cosine decay to zero at the last step.
        warmup: Steps of linear warmup from zero.
        clip: Clip the gradient's norm to this; 0 does not clip.
        encoder_lr: Learning rate of a pretrained encoder (network.options.encoder), as a share of lr; a smaller one preserves more of
            what it has learned. 0 freezes its weights (not its BatchNorm statistics), which is faster, but the encoder then cannot
            learn to use colour hints.
        backbone_lr: Learning rate of the encoder's backbone, if it has one (dinov2-lite0 has), as a share of lr; 0 freezes it.
        backbone_blocks: How many of the backbone's last blocks are trained with it; 0 trains the whole backbone.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 0
    clip: float = 0.0
    encoder_lr: float = 1.0
    backbone_lr: float = 0.0
    backbone_blocks: int = 0


@dataclass
class MachineRecipe:
    """How the computer is used; "auto" picks the fastest option, and the run reports what was picked.

    Args:
        accelerator: auto, cpu, gpu, tpu or mps.
        devices: Number of devices per computer; -1 uses all. They share the pictures of each step.
        nodes: Number of computers. Start the same command on each, for instance with torchrun or Slurm; the run's
            folder and the pictures must have the same path on all of them.
        precision: auto, bf16 (bfloat16 autocast, weights float32) or fp32.
        channels_last: auto, on or off: the memory format of pictures and weights.
        compile: auto (if there is a compiler and the run is long enough to benefit), on or off.
        threads: CPU threads; 0 leaves torch's default.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    channels_last: Switch = "auto"
    compile: Switch = "auto"
    threads: int = 0


@dataclass
class Recipe:
    """Everything that defines a training run; the same recipe on the same computer gives the same weights.

    Args:
        task: What the network is trained for.
        network: Which network is trained.
        data: Which pictures the network is trained on.
        optimizer: The optimizer and its schedule.
        machine: How the computer is used.
        loss: Name of the loss; if empty, the task's own.
        epochs: Passes over the training pictures. 0, with `start`, trains nothing: the model is what training would begin with, such as the
            mean of two models.
        batch_size: Pictures per step.
        seed: Seed for the initial weights, the order of the pictures and all augmentation.
        panels: Number of fixed validation pictures in each epoch's panel; 0 makes no panels.
        checkpoint_minutes: Write a checkpoint this often within epochs, besides the one after each epoch; 0 writes none within epochs.
        weights: How the finished model's weights are stored: float32; float16, at half the size; or int8, which stores large ones as 8-bit
            integers with a scale per channel, at a quarter.
        ema: Decay of an exponential moving average of the weights, such as 0.999; the average is validated, shown and saved.
            0 turns it off.
        start: A model to fine-tune: its weights and its task's statistics are the starting point. Or two models to
            combine, such as "runs/tokens, fast" for a unet with the encoder dinov2-lite0: training starts from the mean
            of their outputs or, with "runs/tokens=0.7, fast=0.3", from a weighted sum.
        teachers: Trained models of the task colorize-bins whose outputs the network also learns to match
            (distillation), such as "runs/mean", or "runs/a=0.7, fast=0.3" for a weighted mean of their outputs. Grey
            photos, which have no colours to learn from, are then used too, unless data.colourful leaves them out.
        teacher_share: Weight of the teachers in the loss, 0 to 1.
    """

    task: TaskRecipe = field(default_factory=TaskRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    machine: MachineRecipe = field(default_factory=MachineRecipe)
    loss: str = ""
    epochs: int = 10
    batch_size: int = 32
    seed: int = 0
    panels: int = 100
    checkpoint_minutes: float = 10.0
    weights: Literal["float32", "float16", "int8"] = "float32"
    ema: float = 0.0
    start: str = ""
    teachers: str = ""
    teacher_share: float = 0.5

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = attrgetter(name)(self)
            if not _is_number(value) or not least <= value <= most:
                raise RecipeError(f"{name}: expected a number from {least:g} to {most:g}, got {value!r}")
        if self.machine.devices < 1 and self.machine.devices != -1:
            raise RecipeError(f"machine.devices: expected at least 1, or -1 for all, got {self.machine.devices}")
        if not _is_number(self.data.validation_share) or not 0.0 < self.data.validation_share < 1.0:
            raise RecipeError(f"data.validation_share: expected between 0 and 1, got {self.data.validation_share}")
        if self.start and self.network.pretrained:
            raise RecipeError("network.pretrained: expected false where training starts from a model (start), got true")
        if self.data.variants and self.optimizer.backbone_lr:
            raise RecipeError(
                f"optimizer.backbone_lr: expected 0 where features of the backbone are computed only once (data.variants), got {self.optimizer.backbone_lr}"
            )
        if self.optimizer.backbone_blocks and not self.optimizer.backbone_lr:
            raise RecipeError(
                f"optimizer.backbone_blocks: expected 0 where the backbone is not trained (optimizer.backbone_lr), got {self.optimizer.backbone_blocks}"
            )
        if self.data.features and not self.data.variants:
            raise RecipeError("data.variants: expected at least 1 where features are kept (data.features), got 0")
        if not self.epochs and not self.start:
            raise RecipeError("epochs: expected at least 1, or 0 together with start, got 0 without")
        if not self.epochs and self.teachers:
            raise RecipeError("teachers: expected none where nothing is trained (epochs: 0), got some")
        if self.ema >= 1.0:
            raise RecipeError(f"ema: expected below 1, such as 0.999, got {self.ema}")
        if not _is_number(self.optimizer.lr) or not 0 < self.optimizer.lr < float("inf"):
            raise RecipeError(f"optimizer.lr: expected a number above 0, got {self.optimizer.lr}")

    @property
    def starts(self) -> list[tuple[str, float]]:
        """The models named by `start`, and the weight of each one's answer."""
        return _models(self.start)

    @property
    def taught_by(self) -> list[tuple[str, float]]:
        """The models named by `teachers`, and the weight of each one's opinion."""
        return _models(self.teachers)

    def as_dict(self) -> dict[str, object]:
        """The recipe as nested plain values, as its YAML file has them."""
        return asdict(self)


def _models(text: str) -> list[tuple[str, float]]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [_weighted(part, 1 / len(parts)) for part in parts]


def _weighted(text: str, usual: float) -> tuple[str, float]:
    """A model's name and its weight, from "name" or "name=0.3"."""
    name, _, weight = text.rpartition("=")
    try:
        return (name.strip(), float(weight)) if name else (text, usual)
    except ValueError:
        return text, usual  # a path with this character


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_BOUNDS: dict[str, tuple[float, float]] = {
    "epochs": (0, 1_000_000),
    "batch_size": (1, 65_536),
    "seed": (0, 2**32 - 1),
    "panels": (0, 10_000),
    "checkpoint_minutes": (0, 1_000_000),
    "ema": (0, 1),
    "teacher_share": (0, 1),
    "data.size": (0, LARGEST_SIDE),
    "data.crop": (0, LARGEST_SIDE),
    "data.limit": (0, 10**9),
    "data.variants": (0, 10_000),
    "data.zoom": (0, 1_000),
    "data.colourful": (0, 1_000),
    "data.validation_limit": (0, 10**9),
    "optimizer.momentum": (0, 1),
    "optimizer.weight_decay": (0, 1_000),
    "optimizer.warmup": (0, 10**9),
    "optimizer.clip": (0, 10**9),
    "optimizer.encoder_lr": (0, 1_000),
    "optimizer.backbone_lr": (0, 1_000),
    "optimizer.backbone_blocks": (0, 1_000),
    "machine.threads": (0, 4_096),
    "machine.devices": (-1, 1_024),
}
"""The smallest and largest value of each number in a recipe. The largest are far beyond use: they are there so that
a typing mistake is an immediate error and does not exhaust memory."""

RECIPES = Path(__file__).parents[1] / "recipes"
"""The bundled recipes."""


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of a bundled recipe, such as vivid.

    Raises:
        RecipeError: neither; the message lists the bundled recipes.
    """
    path = Path(name)
    if os.path.exists(path):  # noqa: PTH110 (Path's raises for too long names)
        return path
    bundled = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    wanted = path.stem if path.name == name or path.parent.name == "recipes" else ""
    if wanted in bundled:
        return bundled[wanted]
    raise RecipeError(
        f"{name}: expected a recipe (a YAML file) or the name of a bundled one; {did_you_mean(name, bundled)}"
    )


MOST_BYTES = 1 << 20
"""Largest recipe file in bytes; real ones have a few hundred."""


def read_yaml(path: str | Path) -> dict[str, object]:
    """The keys and values of a recipe's YAML file. Aliases are refused, because nine levels of them exhaust memory.

    Raises:
        RecipeError: the file cannot be read, is too large, is not YAML, has aliases, or has no keys and values.
    """
    import yaml

    path = Path(path)
    try:
        with open_file(path) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise RecipeError(f"{path}: expected a recipe of at most {MOST_BYTES // 1024:,} kB, got a larger file")
    try:
        text = content.decode("utf-8")
        _refuse_aliases(yaml, text)
        values = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: expected a recipe (a YAML file), got a binary file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: expected a recipe (a YAML file): {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise RecipeError(f"{path}: expected a recipe's keys and values, such as 'epochs: 10', got {_kind(values)}")
    return values


def _refuse_aliases(yaml: ModuleType, text: str) -> None:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(
                f"aliases are not allowed in a recipe, got *{event.anchor} in line {event.start_mark.line + 1}"
            )


def _kind(value: object) -> str:
    return {type(None): "an empty file", list: "a list", str: "a text", dict: "other keys"}.get(
        type(value), "a single value"
    )
