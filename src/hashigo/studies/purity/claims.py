"""What the purity study found: summaries over training runs, and a verdict on each of the article's claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from hashigo.pages.page import VERDICTS
from hashigo.pages.words import Words
from hashigo.studies.claims import Claim, Interval, Verdict, higher, interval
from hashigo.studies.folder import StudyFolder
from hashigo.studies.purity.data import Pictures
from hashigo.studies.purity.settings import PuritySettings

MEASURES = ("purity", "accuracy", "nmi", "ari")
ARTICLE_RAW = (0.5900, 0.0023)
"""Mean and standard deviation of the raw pixels' purity in the article."""

Part = dict[str, Any]


def summarize(settings: PuritySettings, pictures: Pictures, study: StudyFolder) -> dict[str, Any]:
    """All numbers of the study as one dictionary: data, baselines, every run, summaries, claims."""
    seeds = range(settings.seed, settings.seed + settings.seeds)
    runs = {name: [study.finished(f"{name}-{seed}") or {} for seed in seeds] for name in settings.conditions()}
    raw, pca = study.finished("raw") or {}, study.finished("pca") or {}
    conditions = {
        name: {"article": condition.article, **_condition_summary(runs[name])}
        for name, condition in settings.conditions().items()
    }
    return {
        "data": pictures.about,
        "raw": {**_scores_summary([raw]), "probe": raw["probe"], "values": raw["values"], "part": raw},
        "pca": {**_scores_summary([pca]), "probe": pca["probe"], "values": pca["values"], "part": pca},
        "conditions": conditions,
        "claims": [claim.as_dict() for claim in claims(runs, raw, settings)],
        "runs": runs,
    }


def _condition_summary(runs: Sequence[Part]) -> dict[str, Any]:
    last = _scores_summary(runs)
    summary = {
        **last,
        "values": runs[0]["values"],
        "parameters": runs[0]["parameters"],
        "single_run": _single_run(run_means(runs)),
        "probe": {part: interval([run["probe"][part] for run in runs])._asdict() for part in ("train", "test")},
        "untrained": _scores_summary([_at(run, 0) for run in runs]),
        "sweep": [
            {"epoch": row["epoch"], **_scores_summary([_at(run, row["epoch"]) for run in runs])}
            for row in runs[0]["sweep"]
        ],
        "train_loss": np.mean([run["train_loss"] for run in runs], axis=0),
        "test_loss": float(np.mean([run["sweep"][-1]["test_loss"] for run in runs])),
        "seconds": sum(run["seconds"] for run in runs),
        "machine": trained_on(runs),
    }
    if "pooled" in runs[0]:
        summary["pooled"] = _scores_summary([run["pooled"] for run in runs])
        summary["pooled"]["lost"] = {unit: lost._asdict() for unit, lost in _lost(runs).items()}
    return summary


def trained_on(runs: Sequence[Part]) -> str:
    """What the runs were trained on and in which precision, each once: sittings may have been on several machines."""
    return "; ".join(sorted({run["machine"] for run in runs if "machine" in run})) or "unknown"


def _at(run: Part, epoch: int) -> Part:
    """What was measured in a run after `epoch`."""
    found: Part = next(row for row in run["sweep"] if row["epoch"] == epoch)
    return found


def run_means(runs: Sequence[Part], measure: str = "purity", part: str = "train") -> list[float]:
    """The mean over the k-means runs, for each training run."""
    return [float(np.mean(run[part][measure])) for run in runs]


def _scores_summary(runs: Sequence[Part]) -> dict[str, Any]:
    """For the training and the test pictures: every measure's mean, 95 % interval over training runs, and the spread
    over k-means seeds within a run."""
    found: dict[str, Any] = {}
    for part in ("train", "test"):
        found[part] = {}
        for measure in MEASURES:
            within = float(np.mean([np.std(run[part][measure], ddof=1) for run in runs]))
            found[part][measure] = {**interval(run_means(runs, measure, part))._asdict(), "kmeans_sd": within}
    return found


def _single_run(means: Sequence[float]) -> dict[str, float] | None:
    """Where the mean purity of one more training run would lie, with 95 %; None from a single run."""
    if len(means) < 2:
        return None
    reach = float(stats.t.ppf(0.975, len(means) - 1) * np.std(means, ddof=1) * np.sqrt(1 + 1 / len(means)))
    return {"low": float(np.mean(means)) - reach, "high": float(np.mean(means)) + reach}


def _lost(runs: Sequence[Part]) -> dict[str, Interval]:
    """What averaging over the maps loses, over training runs: as a `share` of the purity and in `points`, purity minus
    purity."""
    pairs = list(zip(run_means(runs), run_means([run["pooled"] for run in runs]), strict=True))
    return {"share": interval([1 - b / a for a, b in pairs]), "points": interval([a - b for a, b in pairs])}


def claims(runs: dict[str, list[Part]], raw: Part, settings: PuritySettings) -> list[Claim]:
    """The article's claims with their verdicts.

    Of a network a comparison has one value for each training run. The k-means runs of a single training run are no
    substitute: they leave out what another draw of the first weights does, which is the larger part of the spread. So
    from one training run every claim is within noise.
    """
    basis = _basis(settings)
    of = {name: run_means(found) for name, found in runs.items()}
    pixels = list(map(float, raw["train"]["purity"]))

    def compare(text: Words, a: Sequence[float], b: Sequence[float], left: Words, right: Words) -> Claim:
        verdict, numbers = higher(a, b)
        return Claim(text, verdict, _evidence(a, b, left, right, numbers, basis), numbers)

    named = {name: NAMES[name] for name in runs} | {"raw": NAMES["raw"]}
    found = [
        compare(_CLAIMS["bottleneck"], of["bottleneck"], pixels, named["bottleneck"], named["raw"]),
        compare(_CLAIMS["harm"], of["bottleneck"], of["both"], named["bottleneck"], named["both"]),
        compare(_CLAIMS["both"], pixels, of["both"], named["raw"], named["both"]),
        compare(_CLAIMS["neither"], pixels, of["neither"], named["raw"], named["neither"]),
        compare(_CLAIMS["skips"], pixels, of["skips"], named["raw"], named["skips"]),
        compare(_CLAIMS["same"], of["skips"], of["neither"], named["skips"], named["neither"]),
        _pooling_claim(runs["neither"], named["neither"], basis),
        _pooling_claim(runs["skips"], named["skips"], basis),
    ]
    if "zeroed-bottleneck" in runs:
        text, zeroed = _CLAIMS["flow"], "zeroed-bottleneck"
        found.insert(3, compare(text, of[zeroed], of["both"], named[zeroed], named["both"]))
    return found


def _pooling_claim(runs: Sequence[Part], name: Words, basis: Words) -> Claim:
    """Per cent of the purity is what the article writes, so that gets the verdict; they could be meant as points, so the
    evidence has those too."""
    lost = _lost(runs)
    verdict, in_points = (_between(lost[unit], 0.20, 0.30) for unit in ("share", "points"))
    text = Words(
        f"Global average pooling instead of flattening loses 20–30 % of the purity ({name.en})",
        f"平坦化の代わりに大域平均プーリングを使うと純度の20～30%が失われる（{name.ja}）",
    )
    share, points = (_with_range(one.mean, one.low, one.high, ".0f", 100) for one in lost.values())
    evidence = Words(
        f"Lost: {share} % of the flattened features' purity, {basis.en}. In percentage points that is {points}; were that "
        f"what the article's “20–30 %” means, the verdict would be: {VERDICTS[in_points][2].en}.",
        f"低下は平坦化した特徴の純度の {share} %、{basis.ja}。ポイントでは {points} で、記事の「20～30%」がポイントの意味なら判定は"
        f"「{VERDICTS[in_points][2].ja}」となる。",
    )
    numbers = {f"{unit}_{key}": value for unit, one in lost.items() for key, value in one._asdict().items()}
    return Claim(text, verdict, evidence, numbers)


def _between(found: Interval, least: float, most: float) -> Verdict:
    if least <= found.low and found.high <= most:
        return "holds"
    return "does not hold" if found.low > most or found.high < least else "within noise"


def _basis(settings: PuritySettings) -> Words:
    if settings.seeds > 1:
        return Words(
            f"95 % interval over {settings.seeds} training runs", f"{settings.seeds}回の学習にわたる95%信頼区間"
        )
    return Words(
        "but one training run per condition cannot tell this from the luck of its first weights; --seeds 3 or more does",
        "ただし各条件1回の学習では初期の重みの偶然と区別できない。--seeds 3 以上で判定できる",
    )


def _with_range(mean: float, low: float, high: float, form: str, unit: float = 1.0) -> str:
    """ "+0.094 (+0.068 … +0.120)", times `unit`; the mean alone where there is no interval."""
    shown = [f"{unit * value:{form}}" for value in (mean, low, high)]
    return shown[0] if np.isnan(low) else f"{shown[0]} ({shown[1]} … {shown[2]})"


def _evidence(
    a: Sequence[float], b: Sequence[float], left: Words, right: Words, numbers: dict[str, float], basis: Words
) -> Words:
    gap = _with_range(numbers["difference"], numbers["low"], numbers["high"], "+.3f")
    figures = f"{np.mean(a):.3f}", f"{np.mean(b):.3f}"
    return Words(
        f"{left.en} {figures[0]}, {right.en} {figures[1]}; difference {gap}, {basis.en}.",
        f"{left.ja} {figures[0]}、{right.ja} {figures[1]}。差 {gap}、{basis.ja}。",
    )


NAMES: dict[str, Words] = {
    "neither": Words("neither", "どちらもなし"),
    "bottleneck": Words("bottleneck", "ボトルネックのみ"),
    "skips": Words("skips", "スキップのみ"),
    "both": Words("skips + bottleneck", "スキップ＋ボトルネック"),
    "zeroed": Words("zeroed skips", "ゼロ化スキップ"),
    "zeroed-bottleneck": Words("zeroed skips + bottleneck", "ゼロ化スキップ＋ボトルネック"),
    "raw": Words("raw pixels", "生の画素"),
    "pca": Words("principal components", "主成分"),
}
"""What the page calls each condition."""

_CLAIMS: dict[str, Words] = {
    "bottleneck": Words(
        "A bottleneck without skip connections gives features that cluster better than raw pixels (0.6998 against 0.5900)",
        "スキップなしのボトルネックの特徴は、生の画素よりもよくクラスタに分かれる（0.6998対0.5900）",
    ),
    "harm": Words(
        "Skip connections take the meaning out of the bottleneck (0.3752 with them, 0.6998 without)",
        "スキップ接続はボトルネックの特徴から意味を奪う（ありで0.3752、なしで0.6998）",
    ),
    "both": Words(
        "With skip connections the bottleneck is even worse than raw pixels (0.3752 against 0.5900)",
        "スキップ接続があると、ボトルネックの特徴は生の画素にも劣る（0.3752対0.5900）",
    ),
    "flow": Words(
        "It is what flows through the skip connections that does it, not their parameters (control: the same network "
        "with zeros flowing; not in the article)",
        "原因はスキップを流れる情報であり、パラメータ数ではない（対照実験：同じネットワークにゼロを流す。記事にはない）",
    ),
    "neither": Words(
        "Without bottleneck and without skip connections the features are worse than raw pixels (0.5123 against 0.5900)",
        "ボトルネックもスキップもないと、特徴は生の画素に劣る（0.5123対0.5900）",
    ),
    "skips": Words(
        "Without bottleneck and with skip connections the features are worse than raw pixels (0.5217 against 0.5900)",
        "ボトルネックなし・スキップありでも、特徴は生の画素に劣る（0.5217対0.5900）",
    ),
    "same": Words(
        "Without bottleneck skip connections raise purity a little (0.5217 with them, 0.5123 without)",
        "ボトルネックがなければ、スキップ接続は純度をわずかに上げる（ありで0.5217、なしで0.5123）",
    ),
}
