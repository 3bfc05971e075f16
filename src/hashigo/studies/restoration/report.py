"""The pages of the studies `autoencode` and `colorize`, in English and Japanese."""

from __future__ import annotations

from pathlib import Path

from hashigo.pages.page import Page
from hashigo.pages.words import Text, Words, filled
from hashigo.studies.folder import Facts
from hashigo.studies.reporting import Departure, command, departures, memory, say_claims, say_departures, say_how_made
from hashigo.studies.restoration import texts
from hashigo.studies.restoration.figures import (
    close_ups,
    epoch_pictures,
    held_out,
    interval_plot,
    loss_curves,
    measures_table,
    ratio_plot,
    training_table,
)
from hashigo.studies.restoration.results import AboutPictures, AboutSet, ColorizeResults, RestorationResults
from hashigo.studies.restoration.settings import AUTOENCODE, COLORIZE, RestorationSettings
from hashigo.studies.restoration.shown import ShownPictures
from hashigo.studies.serializing import json_object, to_json

ARTICLE = RestorationSettings()
"""The article's setting, with which the page compares its own."""

FEW_STEPS, FEW_PICTURES = 300, 10
"""Training steps and held-out pictures below which the page warns that its numbers mean little."""

COLOURING = ("with", "without")
"""The networks of the study `colorize` whose results are shown; the other two are trained for their losses."""


def write_autoencode(
    settings: RestorationSettings, results: RestorationResults, shown: ShownPictures, facts: Facts, folder: Path
) -> Path:
    """Writes the page of the study `autoencode` into its folder; returns its path."""
    page = Page(texts.AUTOENCODE_TITLE)
    page.text(filled(texts.AUTOENCODE_INTRODUCTION, size=_size(settings, results.pictures)))
    cautions(page, settings, results.pictures)
    say_claims(page, results.claims)
    loss_curves(page, results, mark=("with", "without"))
    epoch_pictures(page, results, shown)
    held_out(page, results, shown)
    close_ups(page, results, shown, ("psnr", "sharpness"))
    page.heading(texts.MEASURES)
    plots: list[tuple[Text, str]] = [
        (texts.AXES[measure], interval_plot(results, measure, list(results.conditions)))
        for measure in ("loss", "psnr", "ssim", "sharpness")
    ]
    page.plots(plots, texts.PLOTS_CAPTION)
    measures_table(page, results, ("loss", "psnr", "ssim", "sharpness"))
    page.text(texts.DETAIL_TEXT, soft=True)
    return _finished(page, results, facts, command("autoencode", settings, AUTOENCODE), folder)


def write_colorize(
    settings: RestorationSettings, results: ColorizeResults, shown: ShownPictures, facts: Facts, folder: Path
) -> Path:
    """Writes the page of the study `colorize` into its folder; returns its path."""
    page = Page(texts.COLORIZE_TITLE)
    tested = texts.TESTED_ON_CATS if results.cats else texts.TESTED_ON_PICTURES
    page.text(
        filled(
            texts.COLORIZE_INTRODUCTION,
            size=_size(settings, results.pictures),
            tested=filled(tested, count=results.pictures.test.pictures),
        )
    )
    cautions(page, settings, results.pictures)
    say_claims(page, results.claims)
    held_out(page, results, shown, grey=True)
    close_ups(page, results, shown, ("delta_e", "colourfulness"))
    loss_curves(page, results)
    epoch_pictures(page, results, shown)
    page.heading(texts.MEASURES)
    plots: list[tuple[Text, str]] = [
        (texts.AXES["loss"], interval_plot(results, "loss", list(results.conditions))),
        (texts.AXES["delta_e"], interval_plot(results, "delta_e", COLOURING, grey=True)),
        (texts.AXES["psnr"], interval_plot(results, "psnr", COLOURING, grey=True)),
        (texts.RATIO_AXIS, ratio_plot(results)),
    ]
    page.plots(plots, texts.PLOTS_CAPTION)
    measures_table(page, results, ("loss", "delta_e", "psnr", "ssim", "colourfulness"), grey=True)
    page.text(texts.COLOURFULNESS_TEXT, soft=True)
    return _finished(page, results, facts, command("colorize", settings, COLORIZE), folder)


def _size(settings: RestorationSettings, pictures: AboutPictures) -> Words:
    """The study's size in plain words."""
    return filled(
        texts.SIZE,
        train=pictures.train,
        validation=pictures.validation,
        side=pictures.side,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
    )


def cautions(page: Page, settings: RestorationSettings, pictures: AboutPictures) -> None:
    """How this differs from the article's setting, and the limits of the intervals."""
    say_departures(page, settings.preset == "quick", _departures(settings, pictures))
    trained_on, count = pictures.train.pictures, pictures.test.pictures
    steps = settings.epochs * (trained_on // min(settings.batch_size, trained_on))
    if steps < FEW_STEPS or count < FEW_PICTURES:
        page.text(filled(texts.FEW, steps=steps, count=count, few_steps=FEW_STEPS))
    if pictures.unreadable:
        page.text(filled(texts.UNREADABLE, count=pictures.unreadable), soft=True)
    page.text(filled(texts.TRAINED_ONCE, seed=settings.seed), soft=True)


def _departures(settings: RestorationSettings, pictures: AboutPictures) -> list[Departure]:
    """What differs from the article's setting."""
    used = pictures.train.pictures + pictures.validation.pictures
    of_pictures: list[Departure] = []
    if used < 0.85 * ARTICLE.pictures:  # fewer: held-out pictures or cats are taken away
        of_pictures.append(Departure(texts.PICTURES, used, ARTICLE.pictures))
    if pictures.side != ARTICLE.crop:
        of_pictures.append(Departure(texts.SIDE, pictures.side, ARTICLE.crop))
    return of_pictures + departures(settings, ARTICLE, texts.SETTINGS)


def _finished(page: Page, results: RestorationResults, facts: Facts, command_line: str, folder: Path) -> Path:
    """Adds how the results were obtained and writes the page."""
    training_table(page, results)
    summary = filled(
        texts.SUMMARY,
        minutes=facts.seconds / 60,
        memory=memory(facts),
        device=facts.environment.device,
        machine=next(iter(results.conditions.values())).machine,
    )
    test = results.pictures.test
    without_names = AboutSet(pictures=test.pictures, source=test.source)
    pictures = {**json_object(results.pictures), "test": to_json(without_names)}
    say_how_made(page, command_line, summary, facts, pictures=pictures)
    path = folder / "report.html"
    page.write(path)
    return path
