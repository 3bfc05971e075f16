"""The study `colorize`: grey pictures in, RGB out, with and without skip connections, tested on cats.

The article: skip connections are better, colouring is harder than reconstructing, and the colours come out dull. For the
second the same two networks learn to give the same pictures back as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import DataError
from hashigo.pages.words import Words
from hashigo.studies.claims import Claim, Interval, both, interval, paired_higher
from hashigo.studies.restoration.data import Pictures, is_grey, load_pictures
from hashigo.studies.restoration.report import write_colorize
from hashigo.studies.restoration.settings import COLORIZE as PRESETS
from hashigo.studies.restoration.settings import ONCE, ColorizeSettings, Condition
from hashigo.studies.restoration.train import (
    Part,
    Say,
    gap,
    measure_originals,
    open_folder,
    summarize,
    train_and_measure,
)
from hashigo.studies.setting import command

CATS = ("cat", "cats")
"""Names of the class that is kept out of training."""

CONDITIONS = {
    "with": Condition("colorize-rgb", "concat", Words("colouring, with skips", "カラー化・スキップあり")),
    "without": Condition("colorize-rgb", "none", Words("colouring, without", "カラー化・スキップなし")),
    "autoencode-with": Condition("autoencode", "concat", Words("reconstructing, with skips", "復元・スキップあり")),
    "autoencode-without": Condition("autoencode", "none", Words("reconstructing, without", "復元・スキップなし")),
}
"""The networks that are trained."""

DULL = 0.9
"""Colours are dull if they have surely less than this share of their originals' colourfulness: a few per cent less
would be no reason to call them so."""

COLOURED = 5.0
"""Originals below this colourfulness (M3) are all but grey: what share of their colour came back cannot be told."""


def run_colorize(settings: ColorizeSettings, folder: str | Path, say: Say = lambda _: None) -> Path:
    """Runs the study, or goes on with it where it was stopped; returns the path of `report.html`.

    say: called with a line for each thing that is done.

    Raises:
        RecipeError: settings that cannot be, or the folder holds another study.
        DataError: the pictures are not there, are too small, or have no colour.
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
    originals = measure_originals(pictures, study)
    parts = {name: train_and_measure(name, one, settings, pictures, study, say) for name, one in CONDITIONS.items()}
    ratios = {name: colour_ratios(parts[name], originals) for name in ("with", "without")}
    results: dict[str, Any] = {
        "pictures": pictures.about,
        "cats": pictures.by_class,
        "conditions": summarize(parts),
        "originals": originals,
        "colourfulness_ratio": {
            name: {**(interval(values)._asdict() if len(values) else {}), "each": values}
            for name, values in ratios.items()
        },
        "claims": [claim.as_dict() for claim in claims(parts, originals)],
    }
    study.write_results(results)
    return write_colorize(settings, study, results, command("colorize", settings, PRESETS))


def _check_coloured(settings: ColorizeSettings, pictures: Pictures) -> None:
    for name, one in ((settings.data, pictures.train), (settings.test or settings.data, pictures.test)):
        if is_grey(one):
            raise DataError(
                f"{name}: expected colour pictures, since colours are to be learnt, found grey ones; give a set in colour, "
                "such as stl10, cifar10 or a folder of photos"
            )


def colour_ratios(part: Part, originals: dict[str, Part]) -> NDArray[np.float64]:
    """The share of its original's colourfulness that each result has, of originals that are not all but grey."""
    before = np.asarray(originals["originals"]["colourfulness"])
    coloured = before >= COLOURED
    ratios: NDArray[np.float64] = np.asarray(part["each"]["colourfulness"])[coloured] / before[coloured]
    return ratios


def claims(parts: dict[str, Part], originals: dict[str, Part]) -> list[Claim]:
    """The article's three claims with their verdicts."""
    return [better(parts["with"], parts["without"]), harder(parts), dull(parts, originals)]


def better(skips: Part, plain: Part) -> Claim:
    """Whether results with skips are better by the loss, CIEDE2000 and PSNR, picture by picture."""
    compared = {
        name: paired_higher(skips["each"][name], plain["each"][name])
        if name == "psnr"
        else paired_higher(plain["each"][name], skips["each"][name])  # the lower the better
        for name in ("loss", "delta_e", "psnr")
    }
    loss, delta, psnr = (compared[name][1] for name in ("loss", "delta_e", "psnr"))
    count = len(plain["each"]["psnr"])
    evidence = Words(
        f"Loss: {loss['b']:.4g} with skips, {loss['a']:.4g} without, lower by {gap(loss, 1)}. CIEDE2000: {delta['b']:.2f} and "
        f"{delta['a']:.2f}, lower by {gap(delta)}. PSNR: {psnr['a']:.2f} and {psnr['b']:.2f} dB, higher by {gap(psnr)} dB. "
        f"95 % intervals over {count} held-out pictures, in pairs; {ONCE.en}.",
        f"損失はスキップあり {loss['b']:.4g}、なし {loss['a']:.4g}、{gap(loss, 1)} 低い。CIEDE2000は {delta['b']:.2f} と "
        f"{delta['a']:.2f}、{gap(delta)} 低い。PSNRは {psnr['a']:.2f} dB と {psnr['b']:.2f} dB、{gap(psnr)} dB 高い。"
        f"テスト画像{count}枚を対にした95%信頼区間。{ONCE.ja}。",
    )
    text = Words("Skip connections colour better", "スキップ接続があるほうがうまくカラー化できる")
    numbers = {f"{name}_{key}": value for name, (_, found) in compared.items() for key, value in found.items()}
    return Claim(text, both(verdict for verdict, _ in compared.values()), evidence, numbers)


def harder(parts: dict[str, Part]) -> Claim:
    """Whether the loss of colouring is above that of reconstructing, for both networks, each with the weights of its best
    epoch."""
    found = {
        name: paired_higher(parts[name]["each"]["loss"], parts[f"autoencode-{name}"]["each"]["loss"])
        for name in ("with", "without")
    }
    above = {name: _epochs_above(parts[name]["curves"], parts[f"autoencode-{name}"]["curves"]) for name in found}
    epochs = len(parts["with"]["curves"])
    (_, skips), (_, plain) = found["with"], found["without"]
    evidence = Words(
        f"Loss on held-out pictures with skips: {skips['a']:.4g} colouring, {skips['b']:.4g} reconstructing, difference "
        f"{gap(skips, 1)}; without: {plain['a']:.4g} and {plain['b']:.4g}, difference {gap(plain, 1)} (95 % intervals, in "
        f"pairs; {ONCE.en}). The validation loss of colouring was the higher one in {above['with']} of {epochs} epochs with skips, in "
        f"{above['without']} without.",
        f"テスト画像の損失：スキップありではカラー化 {skips['a']:.4g}、復元 {skips['b']:.4g}、差 {gap(skips, 1)}。なしでは "
        f"{plain['a']:.4g} と {plain['b']:.4g}、差 {gap(plain, 1)}（対にした95%信頼区間、{ONCE.ja}）。検証損失は、スキップありで{epochs}"
        f"エポック中{above['with']}、なしで{above['without']}エポックにおいてカラー化のほうが高かった。",
    )
    text = Words(
        "Colouring is harder than reconstructing (the same network, each at its best epoch)",
        "カラー化は復元より難しい（同じネットワーク、それぞれの最良エポックで比較）",
    )
    numbers = {f"{name}_{key}": value for name, (_, one) in found.items() for key, value in one.items()}
    return Claim(text, both(verdict for verdict, _ in found.values()), evidence, numbers)


def _epochs_above(curves: Sequence[dict[str, float]], others: Sequence[dict[str, float]]) -> int:
    return sum(one["val_loss"] > other["val_loss"] for one, other in zip(curves, others, strict=True))


def dull(parts: dict[str, Part], originals: dict[str, Part]) -> Claim:
    """Whether results with skips have less than `DULL` of their originals' colourfulness, by the ratio of each picture."""
    text = Words("The colours come out dull", "色はくすむ")
    skips, plain = (colour_ratios(parts[name], originals) for name in ("with", "without"))
    if not len(skips):
        nothing = Words("The test pictures are all but grey.", "テスト画像にはほとんど色がない。")
        return Claim(text, "within noise", nothing)
    verdict, _ = paired_higher(np.full_like(skips, DULL), skips)
    found, other = interval(skips), interval(plain)
    evidence = Words(
        f"With skips the pictures have {_percent(found)} of their "
        f"originals' colourfulness, without {_percent(other)}. Mean "
        f"of each picture's ratio with its 95 % interval, over {found.count} pictures whose originals are not all but grey; {ONCE.en}. "
        f"Dull is what is surely below {100 * DULL:.0f} %.",
        f"カラフルさは元の画像に対し、スキップありで{_percent(found)}、"
        f"なしで{_percent(other)}。画像ごとの比の平均と95%信頼区間。元が"
        f"ほぼ灰色のものを除く{found.count}枚。{ONCE.ja}。確実に{100 * DULL:.0f}%未満ならくすんでいるとする。",
    )
    numbers = {"ratio": found.mean, "low": found.low, "high": found.high, "ratio_without": other.mean}
    return Claim(text, verdict, evidence, numbers)


def _percent(found: Interval) -> str:
    mean, low, high = (f"{100 * value:.0f}" for value in (found.mean, found.low, found.high))
    return f"{mean} %" if found.count < 2 else f"{mean} % ({low} … {high} %)"
