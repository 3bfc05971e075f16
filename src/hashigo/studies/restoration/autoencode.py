"""The study `autoencode`: U-Nets that reproduce pictures, with skip connections, without, and with zeroed ones.

The article: with skip connections a U-Net learns far faster (20 epochs do as much as 200 without) and is sharper in the end. The
third network is a control that is not in the article: it has the parameters of the first, but no information passes through
its skip connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hashigo.pages.words import filled
from hashigo.studies.claims import Claim, Verdict, both, interval, paired_higher
from hashigo.studies.folder import alone
from hashigo.studies.restoration import texts
from hashigo.studies.restoration.data import load_pictures
from hashigo.studies.restoration.measuring import measure_originals, summarize
from hashigo.studies.restoration.report import write_autoencode
from hashigo.studies.restoration.results import Epoch, RestorationResults, TrainedNetwork
from hashigo.studies.restoration.settings import RestorationSettings
from hashigo.studies.restoration.shown import epochs_to_show, read_shown
from hashigo.studies.restoration.train import NetworkCondition, open_folder, trained_network
from hashigo.studies.settings import Say

SKIPS = {"with": "concat", "without": "none", "zeroed": "zeroed"}
"""The skip connections of each network."""

FAST = 0.2
"""The claim about speed holds if the network with skips needs at most this share of the epochs. The article's 20 of 200 are
0.1; twice that still counts as far faster and allows for noise in a single run's curve."""

SAME = 0.25
"""The zeroed network equals the one without skips if their PSNR differs by less than this share of the gain by skips."""


@alone
def run_autoencode(settings: RestorationSettings, folder: str | Path, say: Say = lambda _: None) -> Path:
    """Runs the study, or continues it where it stopped; returns the path of `report.html`.

    Grey pictures are processed by networks with one channel. say: called with a line for each step.

    Raises:
        RecipeError: invalid settings, or the folder contains another study.
        DataError: the pictures are missing or too small.
    """
    say(f"reading {settings.data}")
    pictures = load_pictures(settings)
    study = open_folder(settings, folder, "autoencode", pictures)
    task = "autoencode-grey" if pictures.grey else "autoencode"
    conditions = {name: NetworkCondition(task, skips, texts.AUTOENCODE[name]) for name, skips in SKIPS.items()}
    say(
        f"{len(pictures.train):,} training, {len(pictures.validation):,} validation and {len(pictures.test):,} held-out "
        f"pictures of {pictures.crop} × {pictures.crop}; {len(conditions)} networks × {settings.epochs} epochs"
    )
    originals = measure_originals(pictures, study, say)
    networks = {
        name: trained_network(name, condition, settings, pictures, study, say) for name, condition in conditions.items()
    }
    results = RestorationResults(
        pictures=pictures.about, conditions=summarize(networks), originals=originals, claims=claims(networks)
    )
    facts = study.write_results(results)
    shown = read_shown(study.path, list(networks), epochs_to_show(settings), say)
    return write_autoencode(settings, results, shown, facts, study.path)


def claims(networks: Mapping[str, TrainedNetwork]) -> list[Claim]:
    """The article's two claims and the control, with their verdicts."""
    skips, plain = networks["with"], networks["without"]
    return [speed(skips, plain), sharper(skips, plain), control(networks)]


def first_epoch_at(curves: Sequence[Epoch], loss: Callable[[Epoch], float], target: float) -> int | None:
    """The first epoch whose `loss` is at most `target`, None if none is."""
    return next((row.epoch for row in curves if loss(row) <= target), None)


def speed(skips: TrainedNetwork, plain: TrainedNetwork) -> Claim:
    """Whether the network with skips reaches the other's final loss within `FAST` of the epochs.

    Uses the training loss, which does not depend on BatchNorm's lagging averages. If there are so few epochs that even the
    first is more than `FAST` of them, reaching the loss in the first says nothing.
    """
    epochs, last = len(plain.curves), plain.curves[-1]
    epoch = first_epoch_at(skips.curves, lambda row: row.train_loss, last.train_loss)
    by_validation = first_epoch_at(skips.curves, lambda row: row.val_loss, last.val_loss)
    verdict: Verdict = "holds" if epoch is not None and epoch <= FAST * epochs else "does not hold"
    if epoch == 1 and verdict != "holds":
        verdict = "within noise"
    share = float("nan") if epoch is None else epoch / epochs
    training, validation = texts.SPEED_NEVER_REACHED, texts.SPEED_NEVER
    if epoch is not None:
        training = filled(texts.SPEED_REACHED, epoch=epoch, epochs=epochs, share=100 * share)
    if by_validation is not None:
        validation = filled(texts.SPEED_IN_EPOCH, epoch=by_validation)
    evidence = filled(texts.SPEED, loss=last.train_loss, training=training, validation=validation, most=100 * FAST)
    numbers = {
        "epoch": float(epoch or "nan"),
        "validation_epoch": float(by_validation or "nan"),
        "epochs": epochs,
        "share": share,
    }
    return Claim(texts.SPEED_CLAIM, verdict, evidence, numbers)


def sharper(skips: TrainedNetwork, plain: TrainedNetwork) -> Claim:
    """Whether held-out pictures are sharper and closer to the original with skips, in pairs."""
    by_detail, detail = paired_higher(skips.each["sharpness"], plain.each["sharpness"])
    by_psnr, psnr = paired_higher(skips.each["psnr"], plain.each["psnr"])
    evidence = filled(
        texts.SHARPER,
        with_skips=100 * detail.a,
        without=100 * detail.b,
        detail_gap=texts.gap(detail, 0, 100),
        psnr=psnr,
        psnr_gap=texts.gap(psnr),
        count=len(plain.each["psnr"]),
        once=texts.ONCE,
    )
    numbers = {**detail.numbers("sharpness"), **psnr.numbers("psnr")}
    return Claim(texts.SHARPER_CLAIM, both([by_detail, by_psnr]), evidence, numbers)


def control(networks: Mapping[str, TrainedNetwork]) -> Claim:
    """Whether the zeroed network's PSNR differs from that without skips by less than `SAME` of the gain by skips.

    Both bounds are tested in pairs. If skips gain nothing, there is nothing to explain: within noise.
    """
    skips, plain, zeroed = (np.asarray(networks[name].each["psnr"]) for name in ("with", "without", "zeroed"))
    brought, excess = skips - plain, zeroed - plain
    above, below = interval(excess - SAME * brought), interval(excess + SAME * brought)
    verdict: Verdict = "within noise"
    if interval(brought).low > 0:
        if above.high < 0 < below.low:
            verdict = "holds"
        elif above.low > 0 or below.high < 0:
            verdict = "does not hold"
    _, psnr = paired_higher(zeroed, plain)
    skips_bring = float(brought.mean())
    evidence = filled(
        texts.CONTROL, psnr=psnr, gap=texts.gap(psnr), brought=skips_bring, most=100 * SAME, once=texts.ONCE
    )
    return Claim(texts.CONTROL_CLAIM, verdict, evidence, {**psnr.numbers(), "skips_bring": skips_bring})
