"""Tasks: what is taken away from a picture, and how a network's answer is put back.

`photo → Task.encode → network → Task.decode → photo`. A task is a frozen dataclass; the network knows nothing of it.
All methods take and return floating-point pictures of shape (3, H, W) or (N, 3, H, W), sRGB, 0..1, as NumPy arrays or
torch tensors. To add a task: one class here and one line in `TASKS`; the law test finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from hashigo import color, losses
from hashigo.bins import REACH, REBALANCE, ChromaBins, every_bin, fitted_bins
from hashigo.color import Array
from hashigo.damage import old_photo
from hashigo.errors import RecipeError, did_you_mean
from hashigo.hints import CHANNELS, RADIUS, Hint, no_hints, random_hints, set_hints
from hashigo.randomness import PictureRng

VIVID = 0.95
"""How vivid answers are by default: chosen with `benchmarks/vividness.py`."""

MOST_REWARD = 46.0
"""What chroma is worth at most, see `ChromaBins.decide`: at about this the default model's photos are as colourful as their originals."""


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
    adds_colour: ClassVar[bool] = False
    """Whether what is taken away is colour."""
    reduces: ClassVar[bool] = False
    """True: the network sees a reduced photo and its answer is scaled up to the photo before `decode`.
    False: the network sees the photo at its own size."""

    @property
    def network_channels(self) -> int:
        """Channels of the network's output; `out_channels` unless `answer` makes something else of it."""
        return self.out_channels

    def fitted(self, pictures: Iterable[Array]) -> Task:
        """The task with what it must know of the training pictures, batches (N, 3, H, W), 0..1. Itself by default."""
        return self

    def fitted_as(self, other: Task) -> Task:
        """The task with what `other`, a task of the same kind, knows of its training pictures. Itself by default."""
        return self

    def criterion(self, loss: str) -> Callable[[Any, Any], Any]:
        """The loss of that name, of (network's output, target): torch (N, network_channels, H, W) and (N, out_channels, H, W).

        Raises:
            RecipeError: no such loss, or not one for this task; the right ones are listed.
        """
        return losses.get_loss(loss)

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        """The picture with the random damage that the task is about; (N, 3, H, W). Nothing by default."""
        return rgb

    def encode(self, rgb: Array) -> Array:
        """What the network sees: (..., 3, H, W) → (..., in_channels, H, W)."""
        return rgb

    def vary(self, x: Array, rgb: Array, rng: PictureRng) -> Array:
        """An input (N, in_channels, H, W) as it may come in use, for training only; `rgb` is the picture. Nothing by default."""
        return x

    def target(self, rgb: Array) -> Array:
        """What the network should answer: (..., 3, H, W) → (..., out_channels, H, W)."""
        return rgb

    def answer(self, output: Array) -> Array:
        """The network's output as `target` would have it: (..., network_channels, H, W) → (..., out_channels, H, W)."""
        return output

    def kept(self, rgb: Array) -> Array:
        """What `decode` needs of a photo as its input: what the network sees, or less."""
        return self.encode(rgb)

    def decode(self, input: Array, output: Array) -> Array:
        """The picture from the network's input and answer (same H and W): → (..., 3, H, W), 0..1."""
        return array_namespace(output).clip(output, 0.0, 1.0)

    def pair(self, rgb: Array, rng: PictureRng | None = None) -> tuple[Array, Array]:
        """Training pair (input, target) of a picture or a batch; without `rng` nothing is degraded. Never overridden."""
        if rng is None:
            return self.encode(rgb), self.target(rgb)
        return self.vary(self.encode(self.degrade(rgb, rng)), rgb, rng), self.target(rgb)

    def shown(self, x: Array) -> Array:
        """An input as a person sees it: (..., in_channels, H, W) → (..., 3, H, W)."""
        if x.shape[-3] == 3:
            return x
        grey = x[..., :1, :, :]
        return array_namespace(x).concat([grey, grey, grey], axis=-3)

    def check_hints(self, hints: Sequence[Hint], size: tuple[int, int]) -> None:
        """Whether the task takes these hints, of which there are some, for a photo of `size` (H, W).

        Raises:
            RecipeError: the task takes none, or a hint lies outside the photo.
        """
        raise RecipeError(
            f"the task {self.name!r} takes no colour hints; use the model 'colorizer', or one trained for colorize-bins"
        )

    def with_hints(self, x: Array, hints: Sequence[Hint], size: tuple[int, int]) -> Array:
        """An input (in_channels, h, w) with colours that are known, in a photo of `size` (H, W).

        Raises:
            RecipeError: as `check_hints`.
        """
        if hints:
            self.check_hints(hints, size)
        return x

    def with_vivid(self, vivid: float) -> Task:
        """The task with answers from 0, calm, to 1, vivid.

        Raises:
            RecipeError: the task has no such choice, or `vivid` is not within 0..1.
        """
        raise RecipeError(
            f"the task {self.name!r} cannot be made more or less vivid; use the model 'colorizer', or one trained for colorize-bins"
        )


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
    adds_colour: ClassVar[bool] = True

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
    adds_colour: ClassVar[bool] = True
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
class ColorizeBins(Colorize):
    """Like `colorize`, but the network names a class of chroma for each pixel, and may be given colour hints.

    Its input is the luma and three channels of hints (`hints`), its output one value per class (`bins`).

    Args:
        vivid: What strong colours are worth beside true ones in an answer, 0 (as near as can be to what it may be, calm) to 1
            (strong wherever that is hardly farther off, vivid).
        damaged: Share of training pictures whose luma is made to look like an old photo's.
        hinted: Share of training pictures that get random hints.
        rebalance: How far training weights rare colours up, 0 (all pixels count the same) to 1 (all classes do).
        cells: The classes, (Cb, Cr) in grid steps; found from the training pictures.
        frequencies: The share of pixels in each class; found from the training pictures.
    """

    name: ClassVar[str] = "colorize-bins"
    in_channels: ClassVar[int] = 1 + CHANNELS
    loss: ClassVar[str] = "rebalanced_cross_entropy"
    vivid: float = VIVID
    damaged: float = 0.0
    hinted: float = 0.0
    rebalance: float = REBALANCE
    cells: tuple[tuple[int, int], ...] = ()
    frequencies: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("vivid", "damaged", "hinted", "rebalance"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
                raise RecipeError(f"colorize-bins: {name}: expected a number from 0 to 1, got {value}")
        object.__setattr__(self, "cells", tuple((int(cb), int(cr)) for cb, cr in self.cells))  # JSON has lists
        object.__setattr__(self, "frequencies", tuple(float(share) for share in self.frequencies))
        if len(self.cells) != len(self.frequencies) or any(abs(place) > REACH for cell in self.cells for place in cell):
            raise RecipeError(
                f"colorize-bins: expected a frequency for each cell and cells within {REACH}; leave both out"
            )

    @cached_property
    def bins(self) -> ChromaBins:
        """The classes: those of the training pictures, or all there can be."""
        return ChromaBins(self.cells, self.frequencies) if self.cells else every_bin()

    @property
    def network_channels(self) -> int:
        """One for each class."""
        return len(self.bins)

    def fitted(self, pictures: Iterable[Array]) -> ColorizeBins:
        """The task with the classes of the pictures, unless it has some."""
        if self.cells:
            return self
        found = fitted_bins(pictures)
        return replace(self, cells=found.cells, frequencies=found.frequencies)

    def fitted_as(self, other: Task) -> ColorizeBins:
        """The task with the classes of `other`.

        Raises:
            RecipeError: it has classes of its own, which would not be what the network has learnt.
        """
        if not isinstance(other, ColorizeBins):
            return self
        if self.cells and self.cells != other.cells:
            raise RecipeError("start: expected the classes of the model to start from, got other cells; leave them out")
        return replace(self, cells=other.cells, frequencies=other.frequencies)

    def criterion(self, loss: str) -> Callable[[Any, Any], Any]:
        """A loss over classes."""
        return losses.get_class_loss(loss, self.bins, self.rebalance, MOST_REWARD * self.vivid)

    def encode(self, rgb: Array) -> Array:
        """The luma, and no hints: (..., 4, H, W)."""
        y = color.luma(rgb)
        return array_namespace(y).concat([y, no_hints(y)], axis=-3)

    def vary(self, x: Array, rgb: Array, rng: PictureRng) -> Array:
        """The luma of an old photo, and random hints."""
        y = old_photo(rgb, rng, self.damaged) if self.damaged else x[:, :1]
        hints = random_hints(color.chroma(rgb), rng, self.hinted) if self.hinted else x[:, 1:]
        return array_namespace(x).concat([y, hints], axis=-3)

    def kept(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def answer(self, output: Array) -> Array:
        """The chroma that the classes make likely, as strong as `vivid` says: (..., 2, H, W).

        Where Zhang et al. 2016 take an annealed mean, `ChromaBins.decide` looks at expected CIEDE2000 too: for as much colour it
        is nearer to the originals (`benchmarks/decoding.py`). What training has weighted up is taken back first.
        """
        return self.bins.decide(self.bins.unweighted(output, self.rebalance), MOST_REWARD * self.vivid)

    def decode(self, input: Array, output: Array) -> Array:
        """The luma of `input` with the chroma of `output`; chroma outside the gamut goes toward grey."""
        return color.merge(input[..., :1, :, :], output)

    def with_hints(self, x: Array, hints: Sequence[Hint], size: tuple[int, int]) -> Array:
        """An input (4, h, w) with colours that are known, in a photo of `size` (H, W).

        A hint's colour is brought to the brightness that the photo has there, as the result will be, and so into gamut.
        """
        if not hints:
            return x
        self.check_hints(hints, size)
        points = [((hint.x + 0.5) / size[1], (hint.y + 0.5) / size[0]) for hint in hints]
        rgb = np.array([hint.rgb for hint in hints], np.float32).T[:, :, None]
        places = [(int(down * x.shape[-2]), int(across * x.shape[-1])) for across, down in points]
        around = [[slice(max(0, at - RADIUS), at + RADIUS + 1) for at in place] for place in places]
        y = np.array([x[0, rows, columns].mean() for rows, columns in around], np.float32)
        known = color.chroma(color.merge(y[None, :, None], color.chroma(rgb)))[:, :, 0].T
        return np.concatenate([x[:1], set_hints(points, known, *x.shape[-2:])]).astype(np.float32)

    def check_hints(self, hints: Sequence[Hint], size: tuple[int, int]) -> None:
        """Only that they lie within the photo."""
        height, width = size
        for hint in hints:
            if not (0 <= hint.x < width and 0 <= hint.y < height):
                raise RecipeError(
                    f"a hint at x {hint.x:g}, y {hint.y:g}: expected a place within the photo, {width} pixels wide and "
                    f"{height} high"
                )

    def with_vivid(self, vivid: float) -> ColorizeBins:
        """The task with answers from 0, calm, to 1, vivid."""
        return replace(self, vivid=vivid)


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
    task.name: task for task in (Autoencode, AutoencodeGrey, ColorizeRgb, Colorize, ColorizeBins, Denoise)
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
