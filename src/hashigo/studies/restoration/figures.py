"""Figures of the studies `autoencode` and `colorize`: curves, panels, enlarged pictures, intervals, tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hashigo.image.photo import Photo, photo_of
from hashigo.pages.page import Page
from hashigo.pages.panels import grid
from hashigo.pages.plots import Points, Row, curves, intervals
from hashigo.pages.words import Text, Words, filled
from hashigo.studies.claims import Interval
from hashigo.studies.restoration import texts
from hashigo.studies.restoration.results import ColorizeResults, ColourRatio, Epoch, NetworkSummary, RestorationResults
from hashigo.studies.restoration.shown import Pixels, ShownPictures

CLOSE_UPS = 3
"""Number of held-out pictures that are shown enlarged."""

PLOT_UNITS = {"sharpness": 100.0}
"""Factors for measures in plots: shares are shown in per cent."""

FORMATS = {"loss": ".4g", "psnr": ".2f", "ssim": ".3f", "sharpness": ".2f", "delta_e": ".2f", "colourfulness": ".1f"}
"""Number formats of measures in the table."""


def loss_curves(page: Page, results: RestorationResults, mark: tuple[str, str] | None = None) -> None:
    """The losses of all epochs; a dot where the first network of `mark` reaches the last training loss of the second."""
    page.heading(texts.CURVES)
    marks: dict[Words, Points] = {}
    caption = texts.CURVES_CAPTION
    if mark:
        first, second = (results.conditions[name] for name in mark)
        last = second.curves[-1].train_loss
        if reached := next((row for row in first.curves if row.train_loss <= last), None):
            marks = {first.label: [(reached.epoch, reached.train_loss)]}
            caption = filled(texts.DOT_CAPTION, caption=caption)
    plots: list[tuple[Text, str]] = [
        (texts.TRAINING_PICTURES, _loss_plot(results, lambda row: row.train_loss, marks)),
        (texts.VALIDATION_PICTURES, _loss_plot(results, lambda row: row.val_loss)),
    ]
    page.plots(plots, caption)


def _loss_plot(
    results: RestorationResults, loss: Callable[[Epoch], float], marks: dict[Words, Points] | None = None
) -> str:
    series = {
        network.label: [(row.epoch, loss(row)) for row in network.curves] for network in results.conditions.values()
    }
    return curves(series, x=texts.EPOCH, y=texts.ERROR, marks=marks)


def epoch_pictures(page: Page, results: RestorationResults, shown: ShownPictures) -> None:
    """A row per epoch: the same pictures, reproduced by each network, and the originals."""
    if not shown.epochs:
        return
    page.heading(texts.EPOCHS)
    page.text(filled(texts.EPOCHS_TEXT, count=len(shown.epochs[0].originals)))
    for epoch in shown.epochs:
        panels: list[tuple[Text, Pixels]] = [
            (results.conditions[name].label, pictures) for name, pictures in epoch.results.items()
        ]
        _panels(page, [*panels, (texts.ORIGINAL, epoch.originals)], filled(texts.AFTER_EPOCH, epoch=epoch.epoch))


def _panels(page: Page, panels: Sequence[tuple[Text, Pixels]], caption: Text) -> None:
    small = panels[0][1].shape[-1] < 96
    page.row([(label, photo_of(grid([pictures]))) for label, pictures in panels], caption, pixels=small)


def held_out(page: Page, results: RestorationResults, shown: ShownPictures, grey: bool = False) -> None:
    """The first held-out pictures, reproduced by each network, with the originals and perhaps the `grey` inputs."""
    panels: list[tuple[Text, Pixels]] = [(texts.GREY, shown.grey)] if grey else []
    panels += [(results.conditions[name].label, pictures) for name, pictures in shown.held_out.items()]
    page.heading(texts.HELD_OUT)
    caption = filled(texts.HELD_OUT_CAPTION, shown=len(shown.originals), test=results.pictures.test)
    _panels(page, [*panels, (texts.ORIGINAL, shown.originals)], caption)


def close_ups(page: Page, results: RestorationResults, shown: ShownPictures, measures: Sequence[str]) -> None:
    """The very first held-out pictures enlarged, each with its measures."""
    colourfulness = results.originals.originals["colourfulness"]
    for i, original in enumerate(shown.originals[:CLOSE_UPS]):
        cells: list[tuple[Text, Photo]] = []
        for name, pictures in shown.held_out.items():
            network = results.conditions[name]
            values = [_with_value(measure, network.each[measure][i]) for measure in measures]
            cells.append((_joined([network.label, *values]), _enlarged(pictures[i])))
        colours = [_with_value("colourfulness", colourfulness[i])] if "colourfulness" in measures else []
        page.row([*cells, (_joined([texts.ORIGINAL, *colours]), _enlarged(original))], pixels=True)


def _enlarged(picture: Pixels) -> Photo:
    return photo_of(grid([picture[None]]))


def _with_value(measure: str, value: float) -> Words:
    return filled(texts.PICTURE_MEASURES[measure], value=value, percent=100 * value)


def _joined(parts: Sequence[Words]) -> Words:
    return Words(", ".join(part.en for part in parts), "、".join(part.ja for part in parts))


def interval_plot(results: RestorationResults, measure: str, names: Sequence[str], grey: bool = False) -> str:
    """A measure's mean over the held-out pictures with its interval, perhaps beside that of the `grey` input."""
    unit = PLOT_UNITS.get(measure, 1.0)
    networks = [results.conditions[name] for name in names]
    rows = [_row(network.label, network.mean[measure], unit) for network in networks]
    references = [(texts.GREY, float(np.mean(results.originals.grey[measure])))] if grey else []
    return intervals(rows, x="", references=references)


def ratio_plot(results: ColorizeResults) -> str:
    """The results' share of their originals' colourfulness, in per cent."""
    rows = [
        _row(results.conditions[name].label, ratio, 100)
        for name, ratio in results.colourfulness_ratio.items()
        if isinstance(ratio, ColourRatio)
    ]
    return intervals(rows, x="", references=[(texts.ORIGINAL, 100.0)])


def _row(label: Words, values: Interval, unit: float) -> Row:
    return Row(label, (), unit * values.low, unit * values.mean, unit * values.high)


def measures_table(page: Page, results: RestorationResults, measures: Sequence[str], grey: bool = False) -> None:
    """The measures of all networks, and perhaps those of the `grey` inputs and the originals."""
    rows: list[list[Text]] = [
        [network.label, *[_cell(network.mean[measure], FORMATS[measure]) for measure in measures]]
        for network in results.conditions.values()
    ]
    if grey:
        for label, each in ((texts.GREY, results.originals.grey), (texts.ORIGINAL, results.originals.originals)):
            means = [f"{np.mean(each[name]):{FORMATS[name]}}" if name in each else "" for name in measures]
            rows.append([label, *means])
    page.table(["", *[texts.COLUMNS[measure] for measure in measures]], rows, texts.MEASURES_CAPTION)


def _cell(values: Interval, form: str) -> str:
    if np.isnan(values.low):
        return f"{values.mean:{form}}"
    half = (values.high - values.low) / 2
    return f"{values.mean:{form}} ± {half:{'.2g' if form.endswith('g') else form}}"


def training_table(page: Page, results: RestorationResults) -> None:
    """Each network's training time and final losses."""
    rows = [_training_row(network) for network in results.conditions.values()]
    page.table(texts.TRAINING_HEAD, rows, texts.TRAINING_CAPTION)


def _training_row(network: NetworkSummary) -> list[Text]:
    last, best = network.curves[-1], network.curves[network.best_epoch - 1]
    losses = [f"{last.train_loss:.4g}", f"{last.val_loss:.4g}", f"{best.val_loss:.4g} ({network.best_epoch})"]
    pace = [f"{network.parameters:,}", f"{network.seconds / 60:.1f}", f"{network.pictures_per_second:.0f}"]
    return [network.label, *losses, *pace]
