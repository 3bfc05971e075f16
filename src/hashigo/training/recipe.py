"""The recipe of a training run: plain dataclasses, whose fields are at once YAML keys and command-line flags."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Any, Literal

from hashigo.errors import RecipeError

Switch = Literal["auto", "on", "off"]
Options = dict[str, Any]  # whatever the task or network takes; jsonargparse shows the type in its help


@dataclass
class TaskRecipe:
    """What the network is trained for.

    Args:
        name: Name of the task: autoencode, autoencode-grey, colorize-rgb, colorize, colorize-bins, denoise.
        options: The task's own options, such as {strongest: 0.1} for denoise.
    """

    name: str = "autoencode"
    options: Options = field(default_factory=dict)


@dataclass
class NetworkRecipe:
    """Which network is trained.

    Args:
        name: Name of the network: unet.
        options: The network's own options (width, depth, skips, bottleneck, residual, stem, context, encoder …); channels and the output
            activation come from the task unless given here.
        pretrained: Begins with an encoder that has learnt ImageNet's classes: with options.encoder efficientnet-lite0 only, needs
            hashigo[pretrained]. Not together with start.
    """

    name: str = "unet"
    options: Options = field(default_factory=dict)
    pretrained: bool = False


@dataclass
class DataRecipe:
    """Which pictures it is trained on, and how they are cut.

    Args:
        train: Name of a dataset, or path of a folder, glob, tar shards, .npz or pack.
        split: The split of `train` to use.
        validation: Name or path of the validation pictures; empty: `validation_share` of `train` is kept apart.
        validation_split: The split of `validation` to use; empty: test where `validation` is the same set as `train`,
            else train, which is all there is in most folders.
        validation_share: Share of `train` for validation where `validation` is empty.
        root: Folder where named datasets lie; empty: HASHIGO_DATA or the user's cache.
        size: Short side to which pictures of folders and shards are reduced when read; 0 keeps them as they are.
        crop: Side of the square crops that the network sees: random in training, central in validation; 0 takes
            the whole pictures, which then must be of one size.
        flip: Mirrors every other training picture at random.
        zoom: Training crops show squares of random size, from so many times `crop` to the picture's short side, brought
            to `crop`; 0: all of the size of `crop`.
        colourful: Training pictures whose colourfulness (M3, 0 to about 100; below 15 is all but grey) is lower are left
            out, as grey scans among colour photos teach a colorizer to leave photos grey; 0 keeps all.
        limit: At most so many training pictures, evenly spread; 0 takes all.
        validation_limit: At most so many validation pictures, evenly spread; 0 takes all.
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
    limit: int = 0
    validation_limit: int = 0


@dataclass
class OptimizerRecipe:
    """How the weights are moved.

    Args:
        name: sgd or adamw.
        lr: Learning rate, at the height of the schedule.
        momentum: Momentum of sgd.
        weight_decay: Weight decay.
        schedule: constant, or cosine down to zero at the last step.
        warmup: Steps over which the learning rate rises linearly from zero.
        clip: Largest norm of the gradient; 0 does not clip.
        encoder_lr: Learning rate of an encoder that is a network of its own (network.options.encoder), as a share of lr: less
            keeps more of what it has learnt before. 0 keeps its weights as they are (not its BatchNorms' statistics) and is
            faster; a pretrained encoder then learns nothing of hints.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 0
    clip: float = 0.0
    encoder_lr: float = 1.0


@dataclass
class MachineRecipe:
    """How the machine is used; "auto" takes the fastest that it has, and the run shows what was taken.

    Args:
        accelerator: auto, cpu, gpu, tpu or mps.
        devices: Number of devices, or -1 for all there are.
        precision: auto, bf16 (bfloat16 autocast, weights float32) or fp32.
        channels_last: auto, on or off: memory format of pictures and weights.
        compile: auto (where there is a compiler and the run is long enough to pay for it), on or off.
        threads: CPU threads; 0 leaves torch's default.
    """

    accelerator: str = "auto"
    devices: int = 1
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    channels_last: Switch = "auto"
    compile: Switch = "auto"
    threads: int = 0


@dataclass
class Recipe:
    """Everything that makes a training run; the same recipe on the same machine gives the same weights.

    Args:
        task: What the network is trained for.
        network: Which network is trained.
        data: Which pictures it is trained on.
        optimizer: How the weights are moved.
        machine: How the machine is used.
        loss: Name of the loss; empty takes the task's own.
        epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        seed: Decides the first weights, the order of the pictures and all augmentation.
        panels: Number of fixed validation pictures on the panel of each epoch; 0 makes none.
        checkpoint_minutes: A checkpoint is written at each epoch's end and, within epochs, this often; 0: at epochs' ends only.
        half: Stores the finished model's weights as float16, half the size.
        ema: Share of its past that a running mean of the weights keeps at each step, such as 0.999; the mean is what is
            validated, shown and saved. 0 does without.
        start: Name or folder of a model whose weights, and whose task's statistics, training starts from.
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
    half: bool = False
    ema: float = 0.0
    start: str = ""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = attrgetter(name)(self)
            if not least <= value < float("inf"):
                raise RecipeError(f"{name}: expected a number of at least {least}, got {value}")
        if self.machine.devices < 1 and self.machine.devices != -1:
            raise RecipeError(f"machine.devices: expected at least 1, or -1 for all, got {self.machine.devices}")
        if not 0.0 < self.data.validation_share < 1.0:
            raise RecipeError(f"data.validation_share: expected between 0 and 1, got {self.data.validation_share}")
        if self.start and self.network.pretrained:
            raise RecipeError("network.pretrained: expected false where training starts from a model (start), got true")
        if self.ema >= 1.0:
            raise RecipeError(f"ema: expected below 1, such as 0.999, got {self.ema}")
        if self.optimizer.lr <= 0:
            raise RecipeError(f"optimizer.lr: expected above 0, got {self.optimizer.lr}")

    def as_dict(self) -> dict[str, object]:
        """The recipe as nested plain values, as its YAML file has them."""
        return asdict(self)


_LEAST = {
    "epochs": 1,
    "batch_size": 1,
    "seed": 0,
    "panels": 0,
    "checkpoint_minutes": 0,
    "data.size": 0,
    "data.crop": 0,
    "data.limit": 0,
    "data.zoom": 0,
    "data.colourful": 0,
    "ema": 0,
    "data.validation_limit": 0,
    "optimizer.momentum": 0,
    "optimizer.weight_decay": 0,
    "optimizer.warmup": 0,
    "optimizer.clip": 0,
    "optimizer.encoder_lr": 0,
    "machine.threads": 0,
}
"""The smallest value that each number of a recipe may have."""
