"""The generation study's results. Each class is an object in results.json with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hashigo.studies.claims import Claim, Interval
from hashigo.studies.labelled import AboutPictures


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good generated pictures are, in a classifier's features, compared with test pictures.

    Args:
        frechet: Fréchet distance; 0 is best.
        precision: Share of the generated pictures that are as close to test pictures as these are to one another.
        recall: Share of the test pictures that are as close to generated pictures as these are to one another.
        entropy: Entropy of the classes of all pictures together, in nats; log(classes) if all are equally frequent.
        nearest: Median distance to the nearest training picture, relative to that of test pictures; far below 1 means copies.
        copies: Share that is nearer to a training picture than 99 % of the test pictures are.
        donor: Share whose nearest training picture is the one whose skips were used; None without one.
    """

    frechet: float
    precision: float
    recall: float
    entropy: float
    nearest: float
    copies: float
    donor: float | None = None


@dataclass(frozen=True, kw_only=True)
class ClassifierMeasures:
    """The study's own classifier: its accuracy on test pictures, and the quality of real training pictures as if they had been generated."""

    accuracy: float
    real: Quality


@dataclass(frozen=True, kw_only=True)
class LevelEffect:
    """What changes in pictures when one level is drawn again.

    Args:
        level: Its name.
        same_class: Share of pictures that keep their class, when the random numbers of the other levels stay: levels below follow the new prior.
        change: Mean absolute change of a pixel then, 0..1.
        same_class_held: The same share when the values of the other levels stay.
        change_held: The change then.
    """

    level: str
    same_class: float
    change: float
    same_class_held: float
    change_held: float


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One trained network. Log-likelihoods are in nats per picture, on test pictures.

    Args:
        seed: Its training seed.
        parameters: Their number.
        width: Channels of its outermost level.
        train_loss: Mean loss of each epoch.
        seconds: Duration of training.
        machine: The machine.
        elbo: The evidence lower bound.
        bound: The importance-weighted bound.
        reconstruction: log p(x | z), the part of the elbo without the divergences.
        squared_error: Mean squared error of a reconstructed pixel.
        kl: Each level's divergence, from the top down.
        quality: Of its generated pictures, by the way of generating them.
        levels: What each level stores.
    """

    seed: int
    parameters: int
    width: int
    train_loss: list[float]
    seconds: float
    machine: str
    elbo: float
    bound: float
    reconstruction: float
    squared_error: float
    kl: list[float]
    quality: dict[str, Quality]
    levels: list[LevelEffect]


@dataclass(frozen=True, kw_only=True)
class History:
    """A network in training so far: losses of the epochs, seconds."""

    losses: list[float]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """A network over its training runs; `kl` from the top down, `quality` by the way of generating and by measure."""

    parameters: int
    width: int
    elbo: Interval
    bound: Interval
    bits_per_dimension: Interval
    reconstruction: Interval
    squared_error: Interval
    kl: Mapping[str, Interval]
    quality: Mapping[str, Mapping[str, Interval]]
    train_loss: list[float]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class GenerateResults:
    """All numbers of the study."""

    data: AboutPictures
    classifier: ClassifierMeasures
    models: Mapping[str, ModelSummary]
    claims: list[Claim]
    runs: Mapping[str, list[TrainingRun]]
