"""The study's claims, each with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hashigo.pages.words import Words, filled
from hashigo.studies.claims import Claim, Difference, Verdict, both, higher, interval, with_range
from hashigo.studies.generate import texts
from hashigo.studies.generate.results import TrainingRun
from hashigo.studies.generate.settings import GenerateSettings


def claims(runs: Mapping[str, Sequence[TrainingRun]], settings: GenerateSettings) -> list[Claim]:
    """The claims with their verdicts; a comparison has one value per training run, so with one run every claim is within noise."""
    basis = filled(texts.SEVERAL_RUNS, seeds=settings.seeds) if settings.seeds > 1 else texts.ONE_RUN
    return [_broken(runs, basis), _unbroken(runs, basis), _better(runs, basis), _levels(runs["ladder"], basis)]


def _frechet(runs: Sequence[TrainingRun], way: str) -> list[float]:
    return [run.quality[way].frechet for run in runs]


def _broken(runs: Mapping[str, Sequence[TrainingRun]], basis: Words) -> Claim:
    """Deterministic skip connections break generation: with zeros in them pictures are worse, with another picture's they are that picture."""
    worse, gap = higher(_frechet(runs["skips"], "zeroed"), _frechet(runs["vae"], "prior"))
    donors = interval([run.quality["borrowed"].donor or 0.0 for run in runs["skips"]])
    copied: Verdict = "holds" if donors.low > 0.5 else "does not hold" if donors.high < 0.5 else "within noise"
    evidence = filled(
        texts.BROKEN, zeroed=gap.a, vae=gap.b, gap=_gap(gap, "+.1f"), donor=with_range(donors.mean, donors.low, donors.high, ".0f", 100), basis=basis,
    )  # fmt: skip
    return Claim(texts.CLAIMS["broken"], both([worse, copied]), evidence, gap.numbers("frechet") | donors.numbers())


def _unbroken(runs: Mapping[str, Sequence[TrainingRun]], basis: Words) -> Claim:
    """Stochastic skip connections do not: pictures are at least as good as without skip connections."""
    verdict, gap = higher(_frechet(runs["vae"], "prior"), _frechet(runs["ladder"], "prior"))
    evidence = filled(texts.UNBROKEN, ladder=gap.b, vae=gap.a, gap=_gap(gap, "+.1f"), basis=basis)
    return Claim(texts.CLAIMS["unbroken"], verdict, evidence, gap.numbers())


def _better(runs: Mapping[str, Sequence[TrainingRun]], basis: Words) -> Claim:
    """They give a better bound."""
    verdict, gap = higher([run.bound for run in runs["ladder"]], [run.bound for run in runs["vae"]])
    evidence = filled(texts.BETTER, ladder=gap.a, vae=gap.b, gap=_gap(gap, "+.2f"), basis=basis)
    return Claim(texts.CLAIMS["better"], verdict, evidence, gap.numbers())


def _levels(runs: Sequence[TrainingRun], basis: Words) -> Claim:
    """The uppermost level decides which class a picture has, the others how it is drawn."""
    lower = [float(np.mean([level.same_class for level in run.levels[1:]])) for run in runs]
    verdict, gap = higher(lower, [run.levels[0].same_class for run in runs])
    evidence = filled(texts.LEVELS, upper=100 * gap.b, lower=100 * gap.a, gap=_gap(gap, "+.0f", 100), basis=basis)
    return Claim(texts.CLAIMS["levels"], verdict, evidence, gap.numbers())


def _gap(gap: Difference, form: str, unit: float = 1.0) -> str:
    return with_range(gap.difference, gap.low, gap.high, form, unit)
