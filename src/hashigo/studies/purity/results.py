"""The purity study's results: measures of features and of training runs, and their summaries.

Each class is an object in results.json with the same keys. Lists of scores have one value per k-means run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hashigo.studies.claims import Claim, Interval
from hashigo.studies.labelled import AboutPictures


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How well clusters agree with labels, by each measure."""

    purity: list[float]
    accuracy: list[float]
    nmi: list[float]
    ari: list[float]


@dataclass(frozen=True, kw_only=True)
class ClusterScores:
    """Results of k-means on features: the runs' inertia and iterations, and their scores on training and test pictures."""

    inertia: list[float]
    iterations: list[int]
    train: Scores
    test: Scores

    @property
    def purity(self) -> float:
        """The mean purity of the training pictures over the k-means runs."""
        return float(np.mean(self.train.purity))


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Accuracy of a linear probe."""

    train: float
    test: float


@dataclass(frozen=True, kw_only=True)
class FeatureMeasures(ClusterScores):
    """All measures of one set of features.

    Args:
        values: Number of values per picture.
        contingency: Pictures of each label (rows) in each cluster of the k-means run with the lowest inertia.
        probe: The linear probe's accuracy.
        measuring_seconds: Duration of measuring.
        machine: The machine for measuring, or for training the network; empty in folders from early versions.
        explained_variance: For principal components only: their share of the pixels' variance.
    """

    values: int
    contingency: list[list[int]]
    probe: Probe
    measuring_seconds: float
    machine: str = ""
    explained_variance: float | None = None


@dataclass(frozen=True, kw_only=True)
class SweepRow(ClusterScores):
    """Measurements after an epoch."""

    epoch: int
    test_loss: float


@dataclass(frozen=True, kw_only=True)
class TrainingRun(FeatureMeasures):
    """One trained network: the measures of its latents during and after training, and the network itself.

    Args:
        parameters: Their number.
        seed: Its training seed.
        sweep: Measurements during training, ending with the last epoch.
        train_loss: Mean loss of each epoch.
        seconds: Duration of training.
        pooled: The scores of its latents averaged over their maps; None if they are not maps.
        loss: The loss that it was trained with; empty for the article's or the network's own.
    """

    parameters: int
    seed: int
    sweep: list[SweepRow]
    train_loss: list[float]
    seconds: float
    pooled: ClusterScores | None = None
    loss: str = ""

    def after(self, epoch: int) -> SweepRow:
        """The measurements after `epoch`.

        Raises:
            StopIteration: there are none.
        """
        return next(row for row in self.sweep if row.epoch == epoch)


@dataclass(frozen=True, kw_only=True)
class History:
    """Measurements of a network in training so far: rows of the sweep, losses of the epochs, seconds."""

    rows: list[SweepRow]
    losses: list[float]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Map:
    """Features mapped to the plane, a point (x, y) for each picture."""

    points: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class MeasureSummary(Interval):
    """A measure over training runs; `kmeans_sd` is the standard deviation over the k-means runs of one training run."""

    kmeans_sd: float


@dataclass(frozen=True, kw_only=True)
class ScoresSummary:
    """Every measure over training runs."""

    purity: MeasureSummary
    accuracy: MeasureSummary
    nmi: MeasureSummary
    ari: MeasureSummary


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The scores on training and test pictures over training runs."""

    train: ScoresSummary
    test: ScoresSummary


@dataclass(frozen=True, kw_only=True)
class BaselineSummary(Summary):
    """A baseline's scores and all its measurements."""

    probe: Probe
    values: int
    part: FeatureMeasures


@dataclass(frozen=True, kw_only=True)
class EpochSummary(Summary):
    """The scores after an epoch."""

    epoch: int


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The loss by pooling, over training runs: as a share of the purity, and in percentage points."""

    share: Interval
    points: Interval


@dataclass(frozen=True, kw_only=True)
class PooledSummary(Summary):
    """The scores of pooled latents, and the loss by pooling."""

    lost: Lost


@dataclass(frozen=True, kw_only=True)
class Range:
    """From `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ProbeSummary:
    """The linear probe's accuracy over training runs."""

    train: Interval
    test: Interval


@dataclass(frozen=True, kw_only=True)
class ConditionSummary(Summary):
    """A condition over its training runs.

    Args:
        article: The article's purity; None for a control.
        values: Number of values per picture.
        parameters: Number of the network's parameters.
        single_run: 95 % prediction interval for the purity of one more training run; None for a single run.
        probe: The linear probe's accuracy.
        untrained: Scores of the untrained encoder.
        sweep: Scores during training.
        train_loss: Mean loss of each epoch.
        test_loss: Final squared error of the test pictures, whatever the training loss.
        seconds: Total duration of training.
        machine: The machines used for training.
        pooled: Scores of the pooled latents; None if they are not maps.
    """

    article: float | None
    values: int
    parameters: int
    single_run: Range | None
    probe: ProbeSummary
    untrained: Summary
    sweep: list[EpochSummary]
    train_loss: list[float]
    test_loss: float
    seconds: float
    machine: str
    pooled: PooledSummary | None = None


@dataclass(frozen=True, kw_only=True)
class PurityResults:
    """All numbers of the study."""

    data: AboutPictures
    raw: BaselineSummary
    pca: BaselineSummary
    conditions: Mapping[str, ConditionSummary]
    claims: list[Claim]
    runs: Mapping[str, list[TrainingRun]]
