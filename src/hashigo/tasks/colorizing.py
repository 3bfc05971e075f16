"""Tasks that remove colour. The network predicts RGB, chroma, or a class of chroma for each pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from array_api_compat import array_namespace

from hashigo import color
from hashigo.color import Array
from hashigo.errors import RecipeError
from hashigo.randomness import PictureRng
from hashigo.tasks import losses
from hashigo.tasks.base import Task
from hashigo.tasks.classes import LEAST_CLASSES, REBALANCE, STEPS, ChromaBins, every_bin, fitted_bins
from hashigo.tasks.damage import old_photo
from hashigo.tasks.hints import CHANNELS, RADIUS, Hint, no_hints, random_hints, set_hints
from hashigo.tasks.spread import spread_hints

if TYPE_CHECKING:
    from torch import Tensor

VIVID = 0.95
"""Default vividness of newly trained models; bundled models have their own, chosen with `benchmarks/vividness.py`."""

MOST_STEPS = 64
"""The finest grid of classes has this many steps along each axis: four of 255 levels each, and about a thousand classes."""

MOST_REWARD = 46.0
"""Largest reward for chroma, see `ChromaBins.decide`; with it, the default model's photos are about as colourful as their originals."""


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
    """Luma in, chroma out: the photo keeps its own luma exactly; only the colour comes from the network.

    Colour varies slowly, so the network sees a reduced photo, and its chroma is enlarged; a large photo takes the
    network no longer than a small one.
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
    """Like `colorize`, but the network predicts a chroma class for each pixel, and accepts colour hints.

    Its input is the luma and three channels of hints (`hints`), its output one value per class (`bins`).

    Args:
        vivid: 0 favours accuracy (muted colours), 1 favours saturation.
        damaged: Share of training pictures that are artificially aged.
        hinted: Share of training pictures that get random colour hints.
        rebalance: How much rare colours are weighted up in training: 0 weights all pixels equally, 1 all classes.
        steps: Steps of the classes' grid along Cb and along Cr, an even number; more make finer classes.
        cells: The classes, (Cb, Cr) in grid steps; determined from the training pictures.
        frequencies: The share of pixels in each class; determined from the training pictures.
    """

    name: ClassVar[str] = "colorize-bins"
    in_channels: ClassVar[int] = 1 + CHANNELS
    loss: ClassVar[str] = "rebalanced_cross_entropy"
    vivid: float = VIVID
    damaged: float = 0.0
    hinted: float = 0.0
    rebalance: float = REBALANCE
    steps: int = STEPS
    cells: tuple[tuple[int, int], ...] = ()
    frequencies: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("vivid", "damaged", "hinted", "rebalance"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
                raise RecipeError(f"colorize-bins: {name}: expected a number from 0 to 1, got {value!r}")
        if not isinstance(self.steps, int) or self.steps % 2 or not 4 <= self.steps <= MOST_STEPS:
            raise RecipeError(
                f"colorize-bins: steps: expected an even number from 4 to {MOST_STEPS}, got {self.steps!r}"
            )
        try:  # JSON has lists
            object.__setattr__(self, "cells", tuple((int(cb), int(cr)) for cb, cr in self.cells))
            object.__setattr__(self, "frequencies", tuple(float(share) for share in self.frequencies))
        except (TypeError, ValueError, OverflowError) as error:
            raise RecipeError(
                "colorize-bins: expected cells as pairs of whole numbers and frequencies as numbers; leave both out"
            ) from error
        if any(not 0 <= share < float("inf") for share in self.frequencies):
            raise RecipeError("colorize-bins: frequencies: expected numbers of at least 0; leave them out")
        if 0 < len(self.cells) < LEAST_CLASSES:
            raise RecipeError(
                f"colorize-bins: expected at least {LEAST_CLASSES} cells, got {len(self.cells)}; leave both out"
            )
        reach = self.steps // 2
        if len(self.cells) != len(self.frequencies) or any(abs(place) > reach for cell in self.cells for place in cell):
            raise RecipeError(
                f"colorize-bins: expected a frequency for each cell and cells within {reach}; leave both out"
            )

    @cached_property
    def bins(self) -> ChromaBins:
        """The classes of the training pictures, or all possible ones."""
        return ChromaBins(self.cells, self.frequencies, self.steps) if self.cells else every_bin(self.steps)

    @property
    def network_channels(self) -> int:
        """One per class."""
        return len(self.bins)

    def fitted(self, pictures: Iterable[Array]) -> ColorizeBins:
        """The task with the classes of the pictures, unless it already has some."""
        if self.cells:
            return self
        bins = fitted_bins(pictures, self.steps)
        return replace(self, cells=bins.cells, frequencies=bins.frequencies)

    def fitted_as(self, other: Task) -> ColorizeBins:
        """The task with the classes of `other`.

        Raises:
            RecipeError: it has different classes, which would not match the network.
        """
        if not isinstance(other, ColorizeBins):
            return self
        if self.steps != other.steps or (self.cells and self.cells != other.cells):
            raise RecipeError(
                "start, teachers or task.statistics: expected models with the same classes, got others; leave task.options.cells out, "
                f"and task.options.steps {other.steps}"
            )
        return replace(self, cells=other.cells, frequencies=other.frequencies)

    @property
    def classes(self) -> tuple[tuple[int, int], ...]:
        """(Cb, Cr) of each class, in grid steps."""
        return self.bins.cells

    def logits(self, output: Array) -> Array:
        """A network's output (..., K, h, w), corrected for the weights of training."""
        return self.bins.unweighted(output, self.rebalance)

    def opinion(self, output: Array) -> Array:
        """The distributions over the classes: a network's output (N, K, h, w) → (N, K, h, w)."""
        return self.bins.odds(self.logits(output))

    def imitation(self, output: Tensor, opinion: Tensor) -> Tensor:
        """Cross-entropy with distributions (N, K, h, w), with rare classes weighted up as in training."""
        return losses.soft_cross_entropy(output, opinion, self.bins, self.rebalance)

    def criterion(self, loss: str) -> Callable[[Tensor, Tensor], Tensor]:
        """A loss over classes."""
        return losses.get_class_loss(loss, self.bins, self.rebalance, MOST_REWARD * self.vivid)

    def encode(self, rgb: Array) -> Array:
        """The luma, without hints: (..., 4, H, W)."""
        y = color.luma(rgb)
        return array_namespace(y).concat([y, no_hints(y)], axis=-3)

    def vary(self, x: Array, rgb: Array, rng: PictureRng) -> Array:
        """The luma of an old photo, and random hints."""
        y = old_photo(rgb, rng, self.damaged) if self.damaged else x[:, :1]
        hints = random_hints(color.chroma(rgb), rng, self.hinted) if self.hinted else x[:, 1:]
        return array_namespace(x).concat([y, hints], axis=-3)

    def decoder_input(self, rgb: Array) -> Array:
        """The luma, (..., 1, H, W)."""
        return color.luma(rgb)

    def answer(self, output: Array) -> Array:
        """The chroma decided from the classes with the vividness `vivid`: (..., 2, H, W).

        Zhang et al. 2016 use an annealed mean. `ChromaBins.decide` also considers the expected CIEDE2000, which is more accurate from
        about 0.6 of the originals' colourfulness (`benchmarks/decoding.py`). The weights of training are
        undone first. Chroma is returned unchanged.
        """
        if output.shape[-3] == self.out_channels and len(self.bins) != self.out_channels:
            return output  # chroma already
        return self.bins.decide(self.logits(output), MOST_REWARD * self.vivid)

    def decode(self, input: Array, output: Array) -> Array:
        """The luma of `input` with the chroma of `output`; chroma outside the gamut goes toward grey."""
        return color.merge(input[..., :1, :, :], output)

    def with_hints(self, x: Array, hints: Sequence[Hint], size: tuple[int, int]) -> Array:
        """An input (4, h, w) with colour hints for a photo of `size` (H, W).

        A hint's colour gets the photo's brightness at that spot, as in the result, and is thus in gamut.
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

    def follow_hints(self, answer: Array, x: Array, output: Array, features: Array | None = None) -> Array:
        """The chroma (2, h, w) with the hints' colours spread to similar places (`spread.spread_hints`).

        Places are similar if the network thinks so, too: if its distributions over the classes are, and its features.
        """
        if not x[3].any():
            return answer
        odds = None
        if len(output) == len(self.bins):
            odds = self.opinion(output)
        return spread_hints(answer, x, odds, features)

    def check_hints(self, hints: Sequence[Hint], size: tuple[int, int]) -> None:
        """Checks only that they are within the photo."""
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
