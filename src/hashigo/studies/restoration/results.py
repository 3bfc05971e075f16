"""The restoration studies' results: for each trained network, for the originals, and for the whole study.

Each class is an object in a part's JSON or results.json with the same keys. Lists of measures have one value per
held-out picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hashigo.pages.words import Words
from hashigo.studies.claims import Claim, Interval

Measures = dict[str, list[float]]
"""The values of each measure, by its name in `hashigo.metrics.METRICS`; for networks also "loss"."""


@dataclass(frozen=True, kw_only=True)
class AboutSet:
    """A set's size and source."""

    pictures: int
    source: str


@dataclass(frozen=True, kw_only=True)
class AboutTestSet(AboutSet):
    """Size and source of the held-out pictures, with their names."""

    names: list[str]


@dataclass(frozen=True, kw_only=True)
class AboutPictures:
    """The pictures' description in results.json.

    Args:
        train: For training.
        validation: For loss curves, panels and the choice of the best epoch.
        test: For measurements.
        side: Side of the squares that the networks see.
        grey: Whether the pictures have no colour.
        classes_kept_out: Classes excluded from training.
        left_out: Number of pictures that were too small, or test pictures that were also in the training set.
        unreadable: Files that could not be read.
        digest: A checksum of the pictures.
    """

    train: AboutSet
    validation: AboutSet
    test: AboutTestSet
    side: int
    grey: bool
    classes_kept_out: list[str]
    left_out: int
    unreadable: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class StoredPictures(AboutPictures):
    """The pictures' description in the study's folder, including how they were requested."""

    source: str


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """A row of a network's metrics.csv."""

    epoch: int
    """Counted from 1."""
    step: int
    """Number of steps so far."""
    train_loss: float
    val_loss: float
    lr: float


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """One network that was trained for one task, and its measures.

    Args:
        label: Its name on the page.
        task: The task's name in recipes.
        skips: The skip connections' setting in recipes.
        curves: All epochs.
        best_epoch: The epoch with the lowest validation loss, whose weights were measured.
        seconds: Duration of training over all sessions, with validation and panels.
        pictures_per_second: Training pictures per second of this time.
        parameters: Their number.
        machine: The machine used for training.
        each: The measures and the loss of each held-out picture.
    """

    label: Words
    task: str
    skips: str
    curves: list[Epoch]
    best_epoch: int
    seconds: float
    pictures_per_second: float
    parameters: int
    machine: str
    each: Measures


@dataclass(frozen=True, kw_only=True)
class NetworkSummary(TrainedNetwork):
    """The same with each measure's mean over the held-out pictures."""

    mean: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Originals:
    """The measures of the held-out pictures themselves, and of their luma as a grey picture."""

    originals: Measures
    grey: Measures


@dataclass(frozen=True, kw_only=True)
class ColourRatio(Interval):
    """Each result's share of its original's colourfulness, with the mean."""

    each: list[float]


@dataclass(frozen=True, kw_only=True)
class NoColourRatio:
    """The same if all originals are nearly grey: `each` is empty, and there is no mean."""

    each: list[float]


@dataclass(frozen=True, kw_only=True)
class RestorationResults:
    """All numbers of the study `autoencode`."""

    pictures: AboutPictures
    conditions: Mapping[str, NetworkSummary]
    originals: Originals
    claims: list[Claim]


@dataclass(frozen=True, kw_only=True)
class ColorizeResults(RestorationResults):
    """All numbers of the study `colorize`; `cats`: whether the held-out pictures belong to the excluded class."""

    cats: bool
    colourfulness_ratio: Mapping[str, ColourRatio | NoColourRatio]
