"""The purity study's page, in English and Japanese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.clustering import matched
from hashigo.data.pictures import evenly
from hashigo.image.photo import photo_of
from hashigo.pages.page import Page
from hashigo.pages.panels import grid
from hashigo.pages.plots import LEGEND, Row, curves, intervals, matrix, scatter
from hashigo.pages.words import Text, Words, filled
from hashigo.studies.claims import range_of
from hashigo.studies.folder import Facts, StudyFolder
from hashigo.studies.labelled import LabelledPictures, rgb_of
from hashigo.studies.purity import texts
from hashigo.studies.purity.network import raw_values, reconstructions, stored_latents
from hashigo.studies.purity.results import (
    BaselineSummary,
    ConditionSummary,
    Map,
    PurityResults,
    ScoresSummary,
)
from hashigo.studies.purity.settings import CONDITIONS, PRESETS, PuritySettings
from hashigo.studies.purity.summary import trained_on
from hashigo.studies.reporting import Departure, command, departures, memory, say_claims, say_departures, say_how_made

MAPPED = 2000
"""Test pictures on each map."""
SHOWN = 12
"""Test pictures whose reconstructions are shown."""
ARTICLE_RAW = (0.5900, 0.0023)
"""Mean and standard deviation of the raw pixels' purity in the article."""
ARTICLE_PICTURES, ARTICLE_SIDE = 60_000, 28
"""MNIST's training pictures and their side. They were trained on in float32, as Keras does unless told otherwise."""


def write_report(
    settings: PuritySettings, pictures: LabelledPictures, study: StudyFolder, results: PurityResults, facts: Facts
) -> Path:
    """Writes `report.html` from the results and the stored models; returns its path."""
    page = Page(texts.TITLE)
    introduction(page, settings, results)
    say_claims(page, results.claims)
    _table(page, settings, results)
    _along_epochs(page, settings, results)
    _untaught(page, settings, pictures, results)
    _other_measures(page, results)
    _controls(page, results)
    _others(page, results)
    _remedies(page, settings, results)
    _contingency(page, settings, pictures, results)
    _maps(page, settings, pictures, study)
    _reconstructions(page, settings, pictures, study)
    _foot(page, settings, results, facts)
    path = study.path / "report.html"
    page.write(path)
    return path


def introduction(page: Page, settings: PuritySettings, results: PurityResults) -> None:
    """What was done, how it differs from the article's setting, and what was left out."""
    data = results.data
    height, width = data.size
    page.text(
        filled(
            texts.INTRODUCTION,
            channels=f"{settings.width}-{2 * settings.width}-{4 * settings.width}",
            train=data.train,
            test=data.test,
            source=data.source,
            height=height,
            width=width,
            epochs=settings.epochs,
            batch=settings.batch_size,
            times=texts.ONCE if settings.seeds == 1 else filled(texts.TIMES, seeds=settings.seeds),
            labels=data.labels,
            kmeans=settings.kmeans_seeds,
        )
    )
    differing = _departures(settings, results)
    flags = "--preset article"
    if any(departure.label == texts.PRECISION for departure in differing):
        flags += " --precision fp32"
    say_departures(page, settings.preset == "quick", differing, flags)
    if data.left_out:
        page.text(filled(texts.LEFT_OUT, count=data.left_out), soft=True)


def _departures(settings: PuritySettings, results: PurityResults) -> list[Departure]:
    """Differences from the article's setting; for data, size and precision, where 0 and "auto" may equal it, the actual
    values."""
    data = results.data
    height, width = data.size
    differing = departures(settings, PRESETS["article"], texts.SETTINGS)
    if data.train < ARTICLE_PICTURES:
        differing.insert(0, Departure(texts.PICTURES, data.train, ARTICLE_PICTURES))
    if (height, width) != (ARTICLE_SIDE, ARTICLE_SIDE):
        differing.append(Departure(texts.SIZE, f"{height} × {width}", f"{ARTICLE_SIDE} × {ARTICLE_SIDE}"))
    if any("bfloat16" in condition.machine for condition in results.conditions.values()):
        differing.append(Departure(texts.PRECISION, "bfloat16", "float32"))
    return differing


def _table(page: Page, settings: PuritySettings, results: PurityResults) -> None:
    page.heading(texts.TABLE)
    rows: list[list[Text]] = []
    for name, condition in results.conditions.items():
        if condition.article is not None:
            ranges = [range_of(condition.train.purity), range_of(condition.single_run)]
            rows.append([_name(name, condition), f"{condition.article:.4f}", _with_sd(condition.train), *ranges,
                         f"{condition.test.purity.mean:.4f}"])  # fmt: skip
    raw = results.raw
    article = f"{ARTICLE_RAW[0]:.4f} ± {ARTICLE_RAW[1]:.4f}"
    rows.append([_name("raw", raw), article, _with_sd(raw.train), "–", "–", f"{raw.test.purity.mean:.4f}"])
    page.table(texts.TABLE_HEAD, rows, texts.TABLE_CAPTION)
    several = settings.seeds > 1
    page.plot(
        intervals(
            [_row(name, results) for name in _articles(results)],
            x=texts.PURITY_AXIS,
            references=[(texts.CONDITIONS["raw"], raw.train.purity.mean)],
            legend=LEGEND if several else (texts.ONE_KMEANS_RUN, *LEGEND[1:]),
        ),
        texts.INTERVALS_CAPTION if several else texts.ONE_RUN_CAPTION,
    )


def _name(name: str, summary: ConditionSummary | BaselineSummary) -> Words:
    return filled(texts.FEATURES, name=texts.CONDITIONS[name], values=summary.values)


def _with_sd(scores: ScoresSummary) -> str:
    return f"{scores.purity.mean:.4f} ± {scores.purity.kmeans_sd:.4f}"


def _row(name: str, results: PurityResults) -> Row:
    purity, runs = results.conditions[name].train.purity, results.runs[name]
    points = [run.purity for run in runs] if len(runs) > 1 else runs[0].train.purity
    return Row(texts.CONDITIONS[name], points, purity.low, purity.mean, purity.high, CONDITIONS[name].article)


def purity_along_epochs(name: str, settings: PuritySettings, results: PurityResults) -> str:
    """One condition's purity against epochs as a plot, with that of the raw pixels; all conditions' plots have the same axes."""
    line, raw = Words("", ""), results.raw.train.purity.mean
    purities = [(row.epoch, row.train.purity) for row in results.conditions[name].sweep]
    band = [(epoch, purity.low, purity.high) for epoch, purity in purities if np.isfinite(purity.low)]
    series = {
        line: [(epoch, purity.mean) for epoch, purity in purities],
        texts.CONDITIONS["raw"]: [(0, raw), (settings.epochs, raw)],
    }
    values = [
        value
        for condition in _articles(results).values()
        for row in condition.sweep
        for value in (row.train.purity.mean, row.train.purity.low, row.train.purity.high)
        if np.isfinite(value)
    ]
    limits = max(0.0, min(*values, raw) - 0.03), min(1.0, max(*values, raw) + 0.03)
    return curves(
        series,
        x=texts.EPOCH,
        y=texts.PURITY,
        log=False,
        bands={line: band} if settings.seeds > 1 else None,
        y_limits=limits,
    )


def _along_epochs(page: Page, settings: PuritySettings, results: PurityResults) -> None:
    page.heading(texts.ALONG_EPOCHS)
    page.text(texts.ALONG_EPOCHS_TEXT)
    several = settings.seeds > 1
    page.plots(
        [(texts.CONDITIONS[name], purity_along_epochs(name, settings, results)) for name in _articles(results)],
        texts.MEAN_WITH_INTERVAL_CAPTION if several else texts.MEAN_CAPTION,
    )
    losses = {
        texts.CONDITIONS[name]: [(i + 1, float(loss)) for i, loss in enumerate(condition.train_loss)]
        for name, condition in results.conditions.items()
        if condition.article is not None
    }
    page.plot(curves(losses, x=texts.EPOCH, y=texts.LOSS), texts.LOSS_CAPTION)


def _other_measures(page: Page, results: PurityResults) -> None:
    page.heading(texts.OTHER_MEASURES)
    probes = {name: condition.probe.test.mean for name, condition in results.conditions.items()}
    probes |= {"raw": results.raw.probe.test, "pca": results.pca.probe.test}
    rows: list[list[Text]] = []
    for name, summary in _with_baselines(results).items():
        test = summary.test
        means = [measure.mean for measure in (test.purity, test.accuracy, test.nmi, test.ari)]
        rows.append([texts.CONDITIONS[name], *[f"{value:.3f}" for value in (*means, probes[name])]])
    page.table(texts.OTHER_MEASURES_HEAD, rows, texts.OTHER_MEASURES_CAPTION)


def _with_baselines(results: PurityResults) -> Mapping[str, ConditionSummary | BaselineSummary]:
    return {**_articles(results), "raw": results.raw, "pca": results.pca}


def _controls(page: Page, results: PurityResults) -> None:
    page.heading(texts.CONTROLS)
    rows: list[list[Text]] = []
    for name, condition in _articles(results).items():
        pooled, untrained, trained = condition.pooled, condition.untrained.train.purity, condition.train.purity
        row = [f"{untrained.mean:.3f}", range_of(untrained), f"{trained.mean:.3f}", range_of(trained)]
        row += ["–", "–"] if pooled is None else [f"{pooled.train.purity.mean:.3f}", f"{pooled.lost.points.mean:.3f}"]
        rows.append([_name(name, condition), *row])
    page.table(texts.CONTROLS_HEAD, rows, texts.CONTROLS_CAPTION)
    raw, pca = results.raw, results.pca
    page.text(
        filled(
            texts.BASELINES,
            raw_values=raw.values,
            raw=raw.train.purity.mean,
            pca_values=pca.values,
            pca=pca.train.purity.mean,
        )
    )


SHOWN_PARTS = ("article", "controls")
"""Parts of the study whose conditions every section shows; the others have a section each."""


def _articles(results: PurityResults) -> Mapping[str, ConditionSummary]:
    """The article's conditions and the controls."""
    return {name: condition for name, condition in results.conditions.items() if CONDITIONS[name].part in SHOWN_PARTS}


def _others(page: Page, results: PurityResults) -> None:
    others = {name: condition for name, condition in results.conditions.items() if CONDITIONS[name].part == "others"}
    if not others:
        return
    page.heading(texts.OTHERS)
    shown = {
        name: condition for name, condition in results.conditions.items() if condition.article is not None
    } | others
    rows: list[list[Text]] = [
        [_name(name, condition), f"{condition.train.purity.mean:.3f}", range_of(condition.train.purity), f"{condition.test.accuracy.mean:.3f}",
         f"{condition.test.nmi.mean:.3f}", f"{condition.probe.test.mean:.3f}", f"{condition.test_loss:.2f}"]
        for name, condition in shown.items()
    ]  # fmt: skip
    pca = results.pca
    rows.append(
        [
            _name("pca", pca),
            f"{pca.train.purity.mean:.3f}",
            "–",
            f"{pca.test.accuracy.mean:.3f}",
            f"{pca.test.nmi.mean:.3f}",
            f"{pca.probe.test:.3f}",
            "–",
        ]
    )
    page.table(texts.OTHERS_HEAD, rows, texts.OTHERS_CAPTION)


def _remedies(page: Page, settings: PuritySettings, results: PurityResults) -> None:
    remedies = [name for name in results.conditions if CONDITIONS[name].part == "remedies"]
    if not remedies:
        return
    page.heading(texts.REMEDIES)
    page.text(texts.REMEDIES_TEXT)
    shown = ["bottleneck", "both", *remedies]
    rows: list[list[Text]] = []
    for name in shown:
        condition, losses = results.conditions[name], [run.sweep[-1].test_loss for run in results.runs[name]]
        error = f"{condition.test_loss:.2f}" + (f" ({min(losses):.2f} … {max(losses):.2f})" if len(losses) > 1 else "")
        rows.append([texts.CONDITIONS[name], f"{condition.train.purity.mean:.3f}", range_of(condition.train.purity), f"{condition.test.accuracy.mean:.3f}",
                     f"{condition.test.nmi.mean:.3f}", f"{condition.probe.test.mean:.3f}", error])  # fmt: skip
    page.table((texts.NETWORK, *texts.OTHERS_HEAD[1:]), rows, texts.REMEDIES_CAPTION)
    page.plot(
        intervals(
            [_row(name, results) for name in shown],
            x=texts.PURITY_AXIS,
            references=[(texts.CONDITIONS["raw"], results.raw.train.purity.mean)],
            legend=LEGEND if settings.seeds > 1 else (texts.ONE_KMEANS_RUN, *LEGEND[1:]),
        ),
        texts.INTERVALS_CAPTION if settings.seeds > 1 else texts.ONE_RUN_CAPTION,
    )


ALIKE = 0.98
"""A network whose squared error is at least this share of that of the average picture has learned nothing about single pictures: it may have found an average a little better."""


def _untaught(page: Page, settings: PuritySettings, pictures: LabelledPictures, results: PurityResults) -> None:
    """Names the conditions with networks that answer every picture alike, if there are any."""
    average = (pictures.train.array().mean(axis=0).ravel() / 255).astype(np.float32)
    test = raw_values(pictures.test)
    blocks = [np.square(test[start : start + 1000] - average).sum() for start in range(0, len(test), 1000)]
    error = float(np.sum(blocks)) / len(test) / pictures.test.channels
    names = []
    for name, runs in results.runs.items():
        count = sum(not run.sweep[-1].test_loss < ALIKE * error for run in runs)
        if count:
            names.append(filled(texts.OF_RUNS, name=texts.CONDITIONS[name], count=count, runs=settings.seeds))
    if names:
        page.text(filled(texts.UNTAUGHT, error=error, names=_listed(names)))


def _listed(names: Sequence[Words]) -> Words:
    return Words(", ".join(name.en for name in names), "、".join(name.ja for name in names))


def _contingency(page: Page, settings: PuritySettings, pictures: LabelledPictures, results: PurityResults) -> None:
    page.heading(texts.CONTINGENCY)
    classes = list(pictures.train.classes)
    tables = {name: results.runs[name][0].contingency for name in _articles(results)} | {
        "raw": results.raw.part.contingency
    }
    plots = []
    for name, counts in tables.items():
        table = np.asarray(counts)
        columns = [str(i + 1) for i in range(table.shape[1])]
        figure = matrix(table[:, matched(table)], rows=classes, columns=columns, x=texts.CLUSTER, y=texts.LABEL)
        plots.append((texts.CONDITIONS[name], figure))
    page.plots(plots, filled(texts.CONTINGENCY_CAPTION, seed=settings.seed))


def _maps(page: Page, settings: PuritySettings, pictures: LabelledPictures, study: StudyFolder) -> None:
    page.heading(texts.MAPS)
    some = pictures.test.subset(evenly(len(pictures.test), MAPPED))
    plots, without = [], []
    for name in [*(name for name in settings.conditions() if CONDITIONS[name].part in SHOWN_PARTS), "raw"]:
        stored = study.finished(f"map-{name}", Map)
        if stored is None or len(stored.points) != len(some):
            if name == "raw":
                values = raw_values(some)
            else:
                values = stored_latents(study.path / "models" / f"{name}-{settings.seed}", some)
            points = _tsne(values, settings.seed)
            if points is None:
                without.append(texts.CONDITIONS[name])
                continue
            stored = Map(points=np.round(points, 2).tolist())
            study.keep(f"map-{name}", stored)
        labels = pictures.labels(some)
        plots.append((texts.CONDITIONS[name], scatter(np.asarray(stored.points), labels, classes=list(some.classes))))
    page.plots(plots, filled(texts.MAPS_CAPTION, count=len(some), seed=settings.seed))
    if without:
        page.text(filled(texts.NO_MAP, names=_listed(without)))


def _tsne(values: NDArray[np.float32], seed: int) -> NDArray[np.float32] | None:
    """Points in the plane, (N, 2); None if there is nothing to spread out (t-SNE crashes on equal rows)."""
    from sklearn.manifold import TSNE

    if len(values) < 4 or not np.isfinite(values).all() or float(np.ptp(values, axis=0).max()) < 1e-6:
        return None
    init = "pca" if values.shape[1] > 1 else "random"
    perplexity = min(30.0, max(2.0, len(values) / 4))
    points: NDArray[np.float32] = TSNE(init=init, perplexity=perplexity, random_state=seed).fit_transform(values)
    return points


def _reconstructions(page: Page, settings: PuritySettings, pictures: LabelledPictures, study: StudyFolder) -> None:
    page.heading(texts.RECONSTRUCTIONS)
    some = pictures.test.subset(evenly(len(pictures.test), SHOWN))
    sheets = {texts.ORIGINAL: rgb_of(some).numpy()} | {
        texts.CONDITIONS[name]: reconstructions(study.path / "models" / f"{name}-{settings.seed}", some)
        for name, condition in settings.conditions().items()
        if condition.part != "controls"
    }
    for label, sheet in sheets.items():
        page.row([(label, photo_of(grid([sheet], columns=SHOWN)))], pixels=True)


def _foot(page: Page, settings: PuritySettings, results: PurityResults, facts: Facts) -> None:
    summary = filled(
        texts.HOW_IT_WAS_MADE,
        minutes=facts.seconds / 60,
        memory=memory(facts),
        device=facts.environment.device,
        trained=trained_on([run for runs in results.runs.values() for run in runs]),
    )
    say_how_made(page, command("purity", settings, PRESETS), summary, facts)
