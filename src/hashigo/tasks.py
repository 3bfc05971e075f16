"""Tasks: what is taken away from a picture, and how a network's answer is put back.

`photo → Task.encode → network → Task.decode → photo`. A task is a frozen dataclass; the network knows nothing of it.
All methods take and return floating-point pictures of shape (3, H, W) or (N, 3, H, W), sRGB, 0..1, as NumPy arrays or
torch tensors. To add a task: one class here and one line in `TASKS`; the law test finds it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from array_api_compat import array_namespace

from hashigo import color
from hashigo.color import Array
from hashigo.errors import RecipeError, did_you_mean
from hashigo.randomness import PictureRng


@dataclass(frozen=True)
class Task:
    """What a network is trained for: the base of all tasks, itself the plain autoencoder's behaviour.

    The law, tested for every task: if `(x, y) = pair(rgb)` without randomness, then `decode(x, y) ≈ rgb`.
    """

    name: ClassVar[str]
    in_channels: ClassVar[int] = 3
    out_channels: ClassVar[int] = 3
    loss: ClassVar[str] = "sum_squared_error"
    output_activation: ClassVar[str] = "sigmoid"
    suffix: ClassVar[str] = "out"
    """What a result's file name gets before its extension: stem.SUFFIX.ext."""
    reduces: ClassVar[bool] = False
    """True: the network sees a reduced photo and its answer is scaled up to the photo before `decode`.
    False: the network sees the photo at its own size."""

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The picture with random damage, for training only; (N, 3, H, W). Nothing by default."""
        return rgb

    def encode(self, rgb: Array) -> Array:
        """What the network sees: (..., 3, H, W) → (..., in_channels, H, W)."""
        return rgb

    def target(self, rgb: Array) -> Array:
        """What the network should answer: (..., 3, H, W) → (..., out_channels, H, W)."""
        return rgb

    def decode(self, input: Array, output: Array) -> Array:
        """The picture from the network's input and answer (same H and W): → (..., 3, H, W), 0..1."""
        return array_namespace(output).clip(output, 0.0, 1.0)

    def pair(self, rgb: Array, rng: PictureRng | None = None) -> tuple[Array, Array]:
        """Training pair (input, target) of a picture or a batch; without `rng` nothing is degraded. Never overridden."""
        degraded = rgb if rng is None else self.degrade(rgb, rng)
        return self.encode(degraded), self.target(rgb)


@dataclass(frozen=True)
class Autoencode(Task):
    """The picture itself, through the network and back (the article's first experiment)."""

    name: ClassVar[str] = "autoencode"


@dataclass(frozen=True)
class AutoencodeGrey(Task):
    """Like `autoencode` with luma only: one channel in, one out (the article's MNIST networks)."""

    name: ClassVar[str] = "autoencode-grey"
    in_channels: ClassVar[int] = 1
    out_channels: ClassVar[int] = 1

    def encode(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def target(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def decode(self, input: Array, output: Array) -> Array:
        """A grey picture of three equal channels."""
        xp = array_namespace(output)
        grey = xp.clip(output, 0.0, 1.0)
        return xp.concat([grey, grey, grey], axis=-3)


@dataclass(frozen=True)
class ColorizeRgb(Task):
    """Luma in, all of RGB out (the article's second experiment): the answer replaces the photo."""

    name: ClassVar[str] = "colorize-rgb"
    in_channels: ClassVar[int] = 1
    suffix: ClassVar[str] = "color"

    def encode(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)


@dataclass(frozen=True)
class Colorize(Task):
    """Luma in, chroma out: the photo keeps its own luma exactly and only its colour is the network's.

    Colour varies slowly, so the network sees a reduced photo and its chroma is scaled up; a large photo costs the
    network no more than a small one.
    """

    name: ClassVar[str] = "colorize"
    in_channels: ClassVar[int] = 1
    out_channels: ClassVar[int] = 2
    loss: ClassVar[str] = "huber"
    output_activation: ClassVar[str] = "linear"
    suffix: ClassVar[str] = "color"
    reduces: ClassVar[bool] = True

    def encode(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def target(self, rgb: Array) -> Array:
        """Cb and Cr, (..., 2, H, W), -0.5..0.5."""
        return color.chroma(rgb)

    def decode(self, input: Array, output: Array) -> Array:
        """The luma of `input` with the chroma of `output`; chroma outside the gamut goes toward grey."""
        return color.merge(input, output)


@dataclass(frozen=True)
class Denoise(Task):
    """Takes Gaussian noise of an unknown strength away.

    Args:
        weakest: Smallest standard deviation of the noise in training, in units of the picture's 0..1 range.
        strongest: Largest standard deviation; each picture gets its own, uniform between the two.
    """

    name: ClassVar[str] = "denoise"
    suffix: ClassVar[str] = "clean"
    weakest: float = 0.0
    strongest: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 <= self.weakest <= self.strongest < float("inf"):
            raise RecipeError(
                f"denoise: expected 0 <= weakest <= strongest, both finite, got {self.weakest} and {self.strongest}; swap or raise them"
            )

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The batch with noise of a random strength per picture; not clipped, as sensors' noise is not."""
        strength = rng.uniform(1, 1, 1, low=self.weakest, high=self.strongest)
        return rgb + strength * rng.normal(*rgb.shape[1:])


TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Autoencode, AutoencodeGrey, ColorizeRgb, Colorize, Denoise)
}
"""Every task by its name."""


def make_task(name: str, **options: Any) -> Task:
    """The task called `name` with its options.

    Raises:
        RecipeError: no such task (the right names are listed) or an option that it does not have.
    """
    if name not in TASKS:
        raise RecipeError(f"expected the name of a task, got {name!r}; {did_you_mean(name, TASKS)}")
    known = [field.name for field in fields(TASKS[name])]
    for option in options:
        if option not in known:
            hint = did_you_mean(option, known) if known else "it takes none"
            raise RecipeError(f"task {name!r} has no option {option!r}; {hint}")
    try:
        return TASKS[name](**options)
    except TypeError as error:
        raise RecipeError(f"task {name!r}: {error}") from error


def task_config(task: Task) -> dict[str, Any]:
    """The task as plain values for a model's config.json: `{"name": …, option: value, …}`."""
    return {"name": task.name, **asdict(task)}
