"""What the restoration studies store and pass on: of each trained network, of the originals, and all results.

Each class is an object of a part's JSON or of results.json with the same keys. Lists of measures have one value for each
held-out picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hashigo.pages.words import Words
from hashigo.studies.claims import Claim, Interval

Measures = dict[str, list[float]]
"""The values of each measure, by its name in `hashigo.metrics.METRICS`; of networks "loss" too."""


@dataclass(frozen=True, kw_only=True)
class AboutSet:
    """How many pictures a set has and where they are from."""

    pictures: int
    source: str


@dataclass(frozen=True, kw_only=True)
class AboutTestSet(AboutSet):
    """The same of the held-out pictures, with their names."""

    names: list[str]


@dataclass(frozen=True, kw_only=True)
class AboutPictures:
    """What results.json says of the pictures.

    Args:
        train: Those that the networks learn from.
        validation: Those for the loss curves, the panels and the choice of the best epoch.
        test: Those held out for the measures.
        side: Side of the squares that the networks see.
        grey: Whether they have no colour.
        classes_kept_out: Classes that no network has seen in training.
        left_out: How many were too small or, of the test pictures, in the training set too.
        unreadable: Files that could not be read.
        digest: A text that changes with the pictures.
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
    """What the study's folder keeps of the pictures: also what they were asked for as."""

    source: str


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """A row of a network's metrics.csv."""

    epoch: int
    """Counted from 1."""
    step: int
    """Steps so far."""
    train_loss: float
    val_loss: float
    lr: float


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """One network that was trained for one task, and its measures.

    Args:
        label: What the page calls it.
        task: The task, as recipes name it.
        skips: The skip connections, as recipes name them.
        curves: All epochs.
        best_epoch: The epoch with the lowest validation loss, whose weights were measured.
        seconds: What its training took over all sittings, with validation and panels.
        pictures_per_second: Training pictures in each of these seconds.
        parameters: How many it has.
        machine: What it was trained on.
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
    """The share of its original's colourfulness that each result has, with the mean."""

    each: list[float]


@dataclass(frozen=True, kw_only=True)
class NoColourRatio:
    """The same where all originals are all but grey: `each` is empty, and there is no mean."""

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
    """All numbers of the study `colorize`; `cats` is whether the held-out pictures are of the class that was kept out."""

    cats: bool
    colourfulness_ratio: Mapping[str, ColourRatio | NoColourRatio]
