"""The article's claims about purity, each with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hashigo.pages.page import VERDICTS
from hashigo.pages.words import Words, filled
from hashigo.studies.claims import Claim, Interval, Verdict, both, higher, interval, with_range
from hashigo.studies.purity import texts
from hashigo.studies.purity.results import ClusterScores, Lost, TrainingRun
from hashigo.studies.purity.settings import CONDITIONS, PuritySettings


def claims(runs: Mapping[str, Sequence[TrainingRun]], raw: ClusterScores, settings: PuritySettings) -> list[Claim]:
    """The article's claims with their verdicts.

    For networks, a comparison has one value per training run. The k-means runs of a single training run are no
    substitute: they leave out the effect of the initial weights, which is the larger part of the spread. So
    with one training run every claim is within noise.
    """
    basis = filled(texts.SEVERAL_RUNS, seeds=settings.seeds) if settings.seeds > 1 else texts.ONE_RUN
    values = {name: [run.purity for run in of_condition] for name, of_condition in runs.items()}
    values["raw"] = raw.train.purity

    def compare(claim: str, left: str, right: str) -> Claim:
        """Whether the purity of `left` is above that of `right`."""
        verdict, difference = higher(values[left], values[right])
        evidence = filled(
            texts.COMPARISON,
            left=texts.CONDITIONS[left],
            a=difference.a,
            right=texts.CONDITIONS[right],
            b=difference.b,
            gap=with_range(difference.difference, difference.low, difference.high, "+.3f"),
            basis=basis,
        )
        return Claim(texts.CLAIMS[claim], verdict, evidence, difference.numbers())

    control = [compare("flow", "zeroed-bottleneck", "both")] if "zeroed-bottleneck" in runs else []
    awake = [_awake(runs)] if any(CONDITIONS[name].part == "remedies" for name in runs) else []
    return [
        *awake,
        compare("bottleneck", "bottleneck", "raw"),
        compare("harm", "bottleneck", "both"),
        compare("both", "raw", "both"),
        *control,
        compare("neither", "raw", "neither"),
        compare("skips", "raw", "skips"),
        compare("same", "skips", "neither"),
        _pooling_claim(runs["neither"], texts.CONDITIONS["neither"], basis),
        _pooling_claim(runs["skips"], texts.CONDITIONS["skips"], basis),
    ]


def _awake(runs: Mapping[str, Sequence[TrainingRun]]) -> Claim:
    """Whether a remedy gives a purity of the article's bottleneck, and reconstructions nearly as sharp as with skip connections."""
    sharp = TOLERATED * float(np.mean([run.sweep[-1].test_loss for run in runs["both"]]))
    judged: dict[str, tuple[Verdict, Interval, Interval]] = {}
    for name, of_condition in runs.items():
        if CONDITIONS[name].part == "remedies":
            purity, loss = (
                interval([run.purity for run in of_condition]),
                interval([run.sweep[-1].test_loss for run in of_condition]),
            )
            parts: list[Verdict] = [
                "holds" if purity.low >= AWAKE else "does not hold" if purity.high < AWAKE else "within noise",
                "holds" if loss.high <= sharp else "does not hold" if loss.low > sharp else "within noise",
            ]
            judged[name] = both(parts), purity, loss
    order: list[Verdict] = ["holds", "within noise", "does not hold"]
    name = min(judged, key=lambda name: (order.index(judged[name][0]), -judged[name][1].mean))
    verdict, purity, loss = judged[name]
    without = interval([run.purity for run in runs["bottleneck"]])
    evidence = filled(
        texts.AWAKE, name=texts.CONDITIONS[name], purity=with_range(purity.mean, purity.low, purity.high, ".3f"),
        loss=with_range(loss.mean, loss.low, loss.high, ".2f"), sharp=sharp, count=len(judged),
        without=with_range(without.mean, without.low, without.high, ".3f"),
        blurred=float(np.mean([run.sweep[-1].test_loss for run in runs["bottleneck"]])),
    )  # fmt: skip
    return Claim(filled(texts.CLAIMS["awake"], awake=AWAKE, times=TOLERATED), verdict, evidence, purity.numbers())


AWAKE, TOLERATED = 0.70, 1.5
"""A bottleneck counts as awake from this purity, about the article's without skip connections, and reconstructions as sharp up to so many times the error with them."""


def lost_by_pooling(runs: Sequence[TrainingRun]) -> Lost:
    """The loss of purity when latents are averaged over their maps, over training runs whose latents are maps."""
    pairs = [(run.purity, run.pooled.purity) for run in runs if run.pooled is not None]
    return Lost(
        share=interval([1 - pooled / flat for flat, pooled in pairs]),
        points=interval([flat - pooled for flat, pooled in pairs]),
    )


def _pooling_claim(runs: Sequence[TrainingRun], name: Words, basis: Words) -> Claim:
    """The article says per cent, so the verdict is about per cent of the purity. It could mean percentage points, so the
    evidence includes them too."""
    lost = lost_by_pooling(runs)
    by_unit = {"share": lost.share, "points": lost.points}
    evidence = filled(
        texts.LOST,
        basis=basis,
        verdict=VERDICTS[_between(lost.points, 0.20, 0.30)][2],
        **{unit: with_range(of.mean, of.low, of.high, ".0f", 100) for unit, of in by_unit.items()},
    )
    numbers = {f"{unit}_{key}": value for unit, of in by_unit.items() for key, value in of.numbers().items()}
    return Claim(filled(texts.CLAIMS["pooling"], name=name), _between(lost.share, 0.20, 0.30), evidence, numbers)


def _between(lost: Interval, least: float, most: float) -> Verdict:
    if least <= lost.low and lost.high <= most:
        return "holds"
    return "does not hold" if lost.low > most or lost.high < least else "within noise"
