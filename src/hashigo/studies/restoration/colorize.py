"""The study `colorize`: grey pictures in, RGB out, with and without skip connections, tested on cats.

The article: skip connections are better, colorizing is harder than reconstructing, and the colours come out dull. For the
second claim, the same two networks are also trained to reconstruct the same pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import DataError
from hashigo.pages.words import filled
from hashigo.studies.claims import Claim, both, interval, paired_higher
from hashigo.studies.folder import alone
from hashigo.studies.restoration import texts
from hashigo.studies.restoration.data import DividedPictures, is_grey, load_pictures
from hashigo.studies.restoration.measuring import measure_originals, summarize
from hashigo.studies.restoration.report import COLOURING, write_colorize
from hashigo.studies.restoration.results import (
    ColorizeResults,
    ColourRatio,
    Epoch,
    NoColourRatio,
    Originals,
    TrainedNetwork,
)
from hashigo.studies.restoration.settings import RestorationSettings
from hashigo.studies.restoration.shown import epochs_to_show, read_shown
from hashigo.studies.restoration.train import NetworkCondition, open_folder, trained_network
from hashigo.studies.settings import Say

CATS = ("cat", "cats")
"""Names of the class that is kept out of training."""

CONDITIONS = {
    "with": NetworkCondition("colorize-rgb", "concat", texts.COLORIZE["with"]),
    "without": NetworkCondition("colorize-rgb", "none", texts.COLORIZE["without"]),
    "autoencode-with": NetworkCondition("autoencode", "concat", texts.COLORIZE["autoencode-with"]),
    "autoencode-without": NetworkCondition("autoencode", "none", texts.COLORIZE["autoencode-without"]),
}
"""The networks that are trained."""

DULL = 0.9
"""Colours are dull if they certainly have less than this share of the originals' colourfulness: a few per cent less
would not be dull."""

COLOURED = 5.0
"""Originals below this colourfulness (M3) are nearly grey, so the share of restored colour cannot be measured."""


@alone
def run_colorize(settings: RestorationSettings, folder: str | Path, say: Say = lambda _: None) -> Path:
    """Runs the study, or continues it where it stopped; returns the path of `report.html`.

    If a set has a class "cat", cats are excluded from training and are the test pictures unless `settings.test` names
    others. say: called with a line for each step.

    Raises:
        RecipeError: invalid settings, or the folder contains another study.
        DataError: the pictures are missing, too small, or have no colour.
    """
    say(f"reading {settings.data}")
    pictures = load_pictures(settings, keep_out=CATS)
    _check_coloured(settings, pictures)
    study = open_folder(settings, folder, "colorize", pictures)
    say(
        f"{len(pictures.train):,} training, {len(pictures.validation):,} validation and {len(pictures.test):,} held-out "
        f"pictures{' of cats' if pictures.by_class else ''}, {pictures.crop} × {pictures.crop}; {len(CONDITIONS)} networks "
        f"× {settings.epochs} epochs"
    )
    originals = measure_originals(pictures, study, say)
    networks = {
        name: trained_network(name, condition, settings, pictures, study, say) for name, condition in CONDITIONS.items()
    }
    results = ColorizeResults(
        pictures=pictures.about,
        cats=pictures.by_class,
        conditions=summarize(networks),
        originals=originals,
        colourfulness_ratio={name: _summarized(colour_ratios(networks[name], originals)) for name in COLOURING},
        claims=claims(networks, originals),
    )
    facts = study.write_results(results)
    shown = read_shown(study.path, COLOURING, epochs_to_show(settings), say)
    return write_colorize(settings, results, shown, facts, study.path)


def _check_coloured(settings: RestorationSettings, pictures: DividedPictures) -> None:
    for name, picture_set in ((settings.data, pictures.train), (settings.test or settings.data, pictures.test)):
        if is_grey(picture_set):
            raise DataError(
                f"{name}: expected colour pictures, because colours are to be learned, found grey ones; give a set in colour, "
                "such as stl10, cifar10 or a folder of photos"
            )


def colour_ratios(network: TrainedNetwork, originals: Originals) -> NDArray[np.float64]:
    """Each result's share of its original's colourfulness, except for nearly grey originals."""
    before = np.asarray(originals.originals["colourfulness"])
    coloured = before >= COLOURED
    ratios: NDArray[np.float64] = np.asarray(network.each["colourfulness"])[coloured] / before[coloured]
    return ratios


def _summarized(ratios: NDArray[np.float64]) -> ColourRatio | NoColourRatio:
    each: list[float] = ratios.tolist()
    return ColourRatio(**vars(interval(ratios)), each=each) if each else NoColourRatio(each=each)


def claims(networks: Mapping[str, TrainedNetwork], originals: Originals) -> list[Claim]:
    """The article's three claims with their verdicts."""
    return [better(networks["with"], networks["without"]), harder(networks), dull(networks, originals)]


def better(skips: TrainedNetwork, plain: TrainedNetwork) -> Claim:
    """Whether results with skips are better in loss, CIEDE2000 and PSNR, in pairs."""
    by_loss, loss = paired_higher(plain.each["loss"], skips.each["loss"])  # lower is better
    by_delta_e, delta_e = paired_higher(plain.each["delta_e"], skips.each["delta_e"])
    by_psnr, psnr = paired_higher(skips.each["psnr"], plain.each["psnr"])
    evidence = filled(
        texts.BETTER,
        loss=loss,
        loss_gap=texts.gap(loss, 1),
        delta_e=delta_e,
        delta_e_gap=texts.gap(delta_e),
        psnr=psnr,
        psnr_gap=texts.gap(psnr),
        count=len(plain.each["psnr"]),
        once=texts.ONCE,
    )
    numbers = {**loss.numbers("loss"), **delta_e.numbers("delta_e"), **psnr.numbers("psnr")}
    return Claim(texts.BETTER_CLAIM, both([by_loss, by_delta_e, by_psnr]), evidence, numbers)


def harder(networks: Mapping[str, TrainedNetwork]) -> Claim:
    """Whether the loss of colorizing is higher than that of reconstructing, for both networks, each with the weights of its best
    epoch."""
    pairs = {name: (networks[name], networks[f"autoencode-{name}"]) for name in COLOURING}
    compared = {
        name: paired_higher(colouring.each["loss"], reconstructing.each["loss"])
        for name, (colouring, reconstructing) in pairs.items()
    }
    epochs_above = {
        name: _epochs_above(colouring.curves, reconstructing.curves)
        for name, (colouring, reconstructing) in pairs.items()
    }
    (_, skips), (_, plain) = compared["with"], compared["without"]
    evidence = filled(
        texts.HARDER,
        skips=skips,
        skips_gap=texts.gap(skips, 1),
        skips_epochs=epochs_above["with"],
        plain=plain,
        plain_gap=texts.gap(plain, 1),
        plain_epochs=epochs_above["without"],
        epochs=len(networks["with"].curves),
        once=texts.ONCE,
    )
    numbers = {**skips.numbers("with"), **plain.numbers("without")}
    return Claim(texts.HARDER_CLAIM, both(verdict for verdict, _ in compared.values()), evidence, numbers)


def _epochs_above(curves: Sequence[Epoch], others: Sequence[Epoch]) -> int:
    return sum(row.val_loss > other.val_loss for row, other in zip(curves, others, strict=True))


def dull(networks: Mapping[str, TrainedNetwork], originals: Originals) -> Claim:
    """Whether results with skips have less than `DULL` of their originals' colourfulness, from each picture's ratio."""
    skips, plain = (colour_ratios(networks[name], originals) for name in COLOURING)
    if not len(skips):
        return Claim(texts.DULL_CLAIM, "within noise", texts.NO_COLOUR, {})
    verdict, _ = paired_higher(np.full_like(skips, DULL), skips)
    ratio, without = interval(skips), interval(plain)
    evidence = filled(
        texts.DULL,
        skips=texts.percent(ratio),
        plain=texts.percent(without),
        count=ratio.count,
        most=100 * DULL,
        once=texts.ONCE,
    )
    numbers = {"ratio": ratio.mean, "low": ratio.low, "high": ratio.high, "ratio_without": without.mean}
    return Claim(texts.DULL_CLAIM, verdict, evidence, numbers)
