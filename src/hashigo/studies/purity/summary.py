"""The purity study's numbers over training runs: means with intervals, and the results as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from hashigo.studies.claims import interval
from hashigo.studies.folder import StudyFolder
from hashigo.studies.labelled import LabelledPictures
from hashigo.studies.purity.claims import claims, lost_by_pooling
from hashigo.studies.purity.results import (
    BaselineSummary,
    ClusterScores,
    ConditionSummary,
    EpochSummary,
    FeatureMeasures,
    MeasureSummary,
    PooledSummary,
    ProbeSummary,
    PurityResults,
    Range,
    Scores,
    ScoresSummary,
    Summary,
    TrainingRun,
)
from hashigo.studies.purity.settings import PuritySettings


def summarize(settings: PuritySettings, pictures: LabelledPictures, study: StudyFolder) -> PurityResults:
    """All numbers of a study whose parts are finished.

    Raises:
        DataError: a part is missing.
    """
    seeds = range(settings.seed, settings.seed + settings.seeds)
    runs = {name: [study.part(f"{name}-{seed}", TrainingRun) for seed in seeds] for name in settings.conditions()}
    raw, pca = (study.part(name, FeatureMeasures) for name in ("raw", "pca"))
    return PurityResults(
        data=pictures.about,
        raw=_baseline(raw),
        pca=_baseline(pca),
        conditions={
            name: _condition(runs[name], condition.article) for name, condition in settings.conditions().items()
        },
        claims=claims(runs, raw, settings),
        runs=runs,
    )


def _baseline(part: FeatureMeasures) -> BaselineSummary:
    summary = _summary([part])
    return BaselineSummary(train=summary.train, test=summary.test, probe=part.probe, values=part.values, part=part)


def _condition(runs: Sequence[TrainingRun], article: float | None) -> ConditionSummary:
    summary, first = _summary(runs), runs[0]
    return ConditionSummary(
        article=article,
        train=summary.train,
        test=summary.test,
        values=first.values,
        parameters=first.parameters,
        single_run=_single_run([run.purity for run in runs]),
        probe=ProbeSummary(
            train=interval([run.probe.train for run in runs]), test=interval([run.probe.test for run in runs])
        ),
        untrained=_summary([run.after(0) for run in runs]),
        sweep=[_epoch(runs, row.epoch) for row in first.sweep],
        train_loss=np.mean([run.train_loss for run in runs], axis=0).tolist(),
        test_loss=float(np.mean([run.sweep[-1].test_loss for run in runs])),
        seconds=sum(run.seconds for run in runs),
        machine=trained_on(runs),
        pooled=_pooled(runs),
    )


def _epoch(runs: Sequence[TrainingRun], epoch: int) -> EpochSummary:
    summary = _summary([run.after(epoch) for run in runs])
    return EpochSummary(train=summary.train, test=summary.test, epoch=epoch)


def _pooled(runs: Sequence[TrainingRun]) -> PooledSummary | None:
    pooled = [run.pooled for run in runs if run.pooled is not None]
    if len(pooled) < len(runs):
        return None
    summary = _summary(pooled)
    return PooledSummary(train=summary.train, test=summary.test, lost=lost_by_pooling(runs))


def trained_on(runs: Sequence[TrainingRun]) -> str:
    """The machines and precisions of training, each once: sessions may have used several machines."""
    return "; ".join(sorted({run.machine for run in runs if run.machine})) or "unknown"


def _summary(runs: Sequence[ClusterScores]) -> Summary:
    return Summary(train=_scores([run.train for run in runs]), test=_scores([run.test for run in runs]))


def _scores(scores: Sequence[Scores]) -> ScoresSummary:
    return ScoresSummary(
        purity=_measure([run.purity for run in scores]),
        accuracy=_measure([run.accuracy for run in scores]),
        nmi=_measure([run.nmi for run in scores]),
        ari=_measure([run.ari for run in scores]),
    )


def _measure(values: Sequence[Sequence[float]]) -> MeasureSummary:
    """A measure's mean over the training runs with its interval, and the spread over the k-means runs of one; values (runs,
    k-means runs)."""
    within = float(np.mean([np.std(run, ddof=1) for run in values]))
    over_runs = interval([float(np.mean(run)) for run in values])
    return MeasureSummary(
        mean=over_runs.mean,
        low=over_runs.low,
        high=over_runs.high,
        count=over_runs.count,
        sd=over_runs.sd,
        kmeans_sd=within,
    )


def _single_run(means: Sequence[float]) -> Range | None:
    """95 % prediction interval for the purity of one more training run; None for a single run."""
    if len(means) < 2:
        return None
    reach = float(stats.t.ppf(0.975, len(means) - 1) * np.std(means, ddof=1) * np.sqrt(1 + 1 / len(means)))
    return Range(low=float(np.mean(means)) - reach, high=float(np.mean(means)) + reach)
