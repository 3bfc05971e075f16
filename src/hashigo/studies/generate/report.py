"""The generation study's page, in English and Japanese."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hashigo.image.photo import Photo
from hashigo.networks.vae import VAE
from hashigo.pages.page import Page
from hashigo.pages.panels import save_animation
from hashigo.pages.plots import curves
from hashigo.pages.words import Text, Words, filled
from hashigo.studies.claims import range_of
from hashigo.studies.folder import Facts, StudyFolder
from hashigo.studies.generate import texts
from hashigo.studies.generate.classifier import dots
from hashigo.studies.generate.figures import SHOWN, borrowed, interpolations, levels_again, sheet, with_nearest
from hashigo.studies.generate.measure import Reference, generated, ways
from hashigo.studies.generate.results import GenerateResults
from hashigo.studies.generate.settings import PRESETS, GenerateSettings
from hashigo.studies.reporting import command, memory, say_claims, say_how_made


def write_report(
    settings: GenerateSettings,
    networks: Mapping[str, VAE],
    reference: Reference,
    study: StudyFolder,
    results: GenerateResults,
    facts: Facts,
) -> Path:
    """Writes `report.html` from the results and the first training run's networks; returns its path."""
    page = Page(texts.TITLE)
    _introduction(page, settings, results)
    say_claims(page, results.claims, texts.CLAIMS_HEADING)
    _samples(page, settings, networks, reference)
    _quality(page, settings, results, reference)
    _bounds(page, settings, results)
    _levels(page, settings, networks["ladder"], results)
    _interpolations(page, networks, reference)
    _animations(page, networks, study)
    summary = filled(
        texts.HOW_IT_WAS_MADE, minutes=facts.seconds / 60, device=facts.environment.device, memory=memory(facts)
    )
    say_how_made(page, command("generate", settings, PRESETS), summary, facts)
    path = study.path / "report.html"
    page.write(path)
    return path


def _introduction(page: Page, settings: GenerateSettings, results: GenerateResults) -> None:
    data = results.data
    height, width = data.size
    times = texts.ONCE if settings.seeds == 1 else filled(texts.TIMES, seeds=settings.seeds)
    page.text(
        filled(
            texts.INTRODUCTION,
            train=data.train,
            source=Path(settings.data).name,
            height=height,
            width=width,
            epochs=settings.epochs,
            times=times,
        )
    )
    page.text(filled(texts.BINARIZED, bounded=min(settings.bounded, data.test), samples=settings.samples), soft=True)
    if settings.preset == "quick":
        page.text(texts.QUICK)
    if data.left_out:
        page.text(filled(texts.LEFT_OUT, count=data.left_out), soft=True)


def _samples(page: Page, settings: GenerateSettings, networks: Mapping[str, VAE], reference: Reference) -> None:
    page.heading(texts.SAMPLES)
    sheets: list[tuple[Text, Photo]] = []
    for name, network in networks.items():
        for way in ways(network):
            if way != "borrowed":
                pictures, _ = generated(network, way, SHOWN, reference.train, settings.seed)
                sheets.append((_made_by(name, way), sheet(pictures)))
    page.row(sheets, texts.SAMPLES_CAPTION, pixels=True)
    donors, made = borrowed(networks["skips"], reference.train, settings.seed)
    page.row([(texts.DONORS, donors), (texts.DRAWN, made)], texts.BORROWED_CAPTION, pixels=True)
    made, near = with_nearest(networks["ladder"], reference.train, settings.seed)
    page.row([(texts.MODELS["ladder"], made), (texts.NEAREST, near)], texts.NEAREST_CAPTION, pixels=True)


def _made_by(name: str, way: str) -> Words:
    """A network and how it generates; that there are random numbers need not be said."""
    if way == "prior":
        return texts.MODELS[name]
    return Words(f"{texts.MODELS[name].en}: {texts.WAYS[way].en}", f"{texts.MODELS[name].ja}：{texts.WAYS[way].ja}")


def _quality(page: Page, settings: GenerateSettings, results: GenerateResults, reference: Reference) -> None:
    page.heading(texts.QUALITY)
    rows: list[list[Text]] = []
    for name, model in results.models.items():
        for way, quality in model.quality.items():
            label = _made_by(name, way)
            means = {measure: value.mean for measure, value in quality.items()}
            rows.append([label, *_quality_cells(means)])
    real = results.classifier.real
    rows.append([texts.WAYS["real"], *_quality_cells(vars(real))])
    caption = filled(
        texts.QUALITY_CAPTION, accuracy=100 * results.classifier.accuracy, generated=settings.generated, test=len(reference.test),
        most=math.log(results.data.labels),
    )  # fmt: skip
    page.table(texts.QUALITY_HEAD, rows, caption)


def _quality_cells(values: Mapping[str, float]) -> list[Text]:
    def shown(name: str, form: str, unit: float = 1.0, sign: str = "") -> str:
        value = values[name]
        return "–" if math.isnan(value) else f"{unit * value:{form}}{sign}"

    return [
        shown("frechet", ".1f"), shown("precision", ".2f"), shown("recall", ".2f"), shown("entropy", ".2f"), shown("nearest", ".2f"),
        shown("copies", ".1f", 100, " %"),
    ]  # fmt: skip


def _bounds(page: Page, settings: GenerateSettings, results: GenerateResults) -> None:
    page.heading(texts.BOUNDS)
    rows: list[list[Text]] = [
        [texts.MODELS[name], f"{model.parameters:,}", f"{model.elbo.mean:.2f}", f"{model.bound.mean:.2f}", range_of(model.bound, 2),
         f"{model.bits_per_dimension.mean:.4f}", f"{model.reconstruction.mean:.2f}", f"{model.squared_error.mean:.4f}"]
        for name, model in results.models.items()
    ]  # fmt: skip
    page.table(texts.BOUNDS_HEAD, rows, texts.BOUNDS_CAPTION)
    page.heading(texts.KL)
    page.table(
        texts.KL_HEAD,
        [
            [
                texts.MODELS[name],
                texts.BOTTLENECK if level == "bottleneck" else level,
                f"{kl.mean:.2f}",
                range_of(kl, 2),
            ]
            for name, model in results.models.items()
            for level, kl in model.kl.items()
        ],
    )
    losses = {
        texts.MODELS[name]: [(i + 1, float(loss)) for i, loss in enumerate(model.train_loss)]
        for name, model in results.models.items()
        if name != "skips"
    }
    least = min(loss for line in losses.values() for _, loss in line)
    limits = (0.98 * least, 1.3 * least)  # the first epochs would hide the rest
    page.plot(curves(losses, x=texts.EPOCH, y=texts.LOSS, log=False, y_limits=limits), texts.LOSS_CAPTION)


def _levels(page: Page, settings: GenerateSettings, ladder: VAE, results: GenerateResults) -> None:
    page.heading(texts.LEVELS_HEADING)
    first, *again = levels_again(ladder, settings.seed)
    labels = [texts.UNCHANGED, *(filled(texts.DRAWN_AGAIN, level=_level(level)) for level in ladder.levels)]
    page.row(list(zip(labels, [first, *again], strict=True)), texts.LEVELS_CAPTION, pixels=True)
    runs = results.runs["ladder"]
    rows: list[list[Text]] = []
    for place, level in enumerate(ladder.levels):
        effects = [run.levels[place] for run in runs]
        names = ("same_class", "change", "same_class_held", "change_held")
        same, change, held, change_held = (
            float(np.mean([getattr(effect, name) for effect in effects])) for name in names
        )
        rows.append(
            [_level(level), f"{100 * same:.0f} %", f"{change:.3f}", f"{100 * held:.0f} %", f"{change_held:.3f}"]
        )
    page.table(texts.LEVELS_HEAD, rows, texts.LEVELS_TABLE_CAPTION)


def _level(name: str) -> Words:
    return texts.BOTTLENECK if name == "bottleneck" else Words(name, name)


def _interpolations(page: Page, networks: Mapping[str, VAE], reference: Reference) -> None:
    page.heading(texts.INTERPOLATIONS)
    test = dots(reference.test, 1)
    page.row(
        [(texts.MODELS[name], interpolations(networks[name], test)) for name in ("vae", "ladder")],
        texts.INTERPOLATIONS_CAPTION, pixels=True,
    )  # fmt: skip


def _animations(page: Page, networks: Mapping[str, VAE], study: StudyFolder) -> None:
    """The frames that were drawn while networks were trained, as animations beside the page and in it."""
    shown = []
    for name in networks:
        frames = sorted((study.path / "frames" / name).glob("epoch-*.png"))
        if frames:
            path = study.path / f"samples-{name}.webp"
            save_animation(frames, path)
            shown.append((texts.MODELS[name], path))
    if shown:
        page.heading(texts.ALONG)
        page.animations(shown, texts.ALONG_CAPTION)
