"""What the pages of the studies `autoencode` and `colorize` show: curves, panels, enlarged pictures, intervals, tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.image.photo import photo_of
from hashigo.pages.page import Page
from hashigo.pages.panels import grid
from hashigo.pages.plots import Row, curves, intervals
from hashigo.pages.words import Text, Words
from hashigo.studies.folder import StudyFolder
from hashigo.studies.restoration.settings import RestorationSettings
from hashigo.studies.restoration.train import SHOWN, Part, epochs_to_show, tiles

Results = dict[str, Any]
"""What is in results.json, see `run_autoencode` and `run_colorize`."""

ORIGINAL = Words("original", "元の画像")
GREY = Words("grey input", "白黒の入力")

CLOSE_UPS = 3
"""Held-out pictures that are shown enlarged."""


def label_of(results: Results, name: str) -> Words:
    """What the page calls a condition."""
    return Words(**results["conditions"][name]["label"])


def loss_curves(page: Page, results: Results, mark: tuple[str, str] | None = None) -> None:
    """The losses of all epochs; a dot where the first network of `mark` reaches the last training loss of the second."""
    page.heading(Words("How they learn", "学習の進み方"))
    conditions: dict[str, Part] = results["conditions"]

    def plot(loss: str, marks: dict[Words, list[tuple[float, float]]] | None = None) -> str:
        series = {
            label_of(results, name): [(row["epoch"], row[loss]) for row in one["curves"]]
            for name, one in conditions.items()
        }
        y = Words("squared error per picture", "1枚あたりの二乗誤差")
        return curves(series, x=Words("epoch", "エポック"), y=y, marks=marks)

    marks = {}
    caption = Words(
        "The validation loss of the first epochs is high because BatchNorm's running averages, with Keras's momentum of "
        "0.99, lag behind.",
        "最初のほうのエポックで検証損失が高いのは、BatchNormの移動平均（Kerasのモーメンタム0.99）が追いつかないためである。",
    )
    if mark:
        first, second = (conditions[name]["curves"] for name in mark)
        last = second[-1]["train_loss"]
        if reached := next((row for row in first if row["train_loss"] <= last), None):
            marks = {label_of(results, mark[0]): [(float(reached["epoch"]), float(reached["train_loss"]))]}
            caption = Words(
                f"The large dot: here the network with skips is as good as the one without is at the end. {caption.en}",
                f"大きな点は、スキップありの損失がスキップなしの最終損失に届いたエポック。{caption.ja}",
            )
    plots = [(Words("training pictures", "訓練画像"), plot("train_loss", marks))]
    page.plots([*plots, (Words("validation pictures", "検証画像"), plot("val_loss"))], caption)


def panels(
    page: Page, settings: RestorationSettings, study: StudyFolder, results: Results, names: Sequence[str]
) -> None:
    """For each epoch that is shown a row: the same pictures as each network gives them back, and the originals."""
    about = results["pictures"]
    total = min(settings.panels, about["validation"]["pictures"])
    folders = {name: study.path / name / "panels" for name in names}
    epochs = epochs_to_show(settings.epochs, folders[names[0]]) if total else []
    if not epochs:
        return
    side, count = about["side"], min(SHOWN, total)
    page.heading(Words("What they give back as they learn", "学習につれて何を返すか"))
    page.text(
        Words(
            f"{count} validation pictures, the same ones every time; no network learned from them.",
            f"毎回同じ検証画像{count}枚。どのネットワークも学習には使っていない。",
        )
    )
    originals = tiles(folders[names[0]] / f"epoch-{epochs[0]:04d}.png", side, total, right=True)
    for epoch in epochs:
        shown: list[tuple[Text, NDArray[Any]]] = [
            (label_of(results, name), tiles(folder / f"epoch-{epoch:04d}.png", side, total))
            for name, folder in folders.items()
        ]
        _sheets(page, [*shown, (ORIGINAL, originals)], Words(f"After epoch {epoch}", f"{epoch}エポック後"))


def _sheets(page: Page, sheets: Sequence[tuple[Text, NDArray[Any]]], caption: Text) -> None:
    small = sheets[0][1].shape[-1] < 96
    page.row([(label, photo_of(grid([pictures]))) for label, pictures in sheets], caption, pixels=small)


def held_out(page: Page, study: StudyFolder, results: Results, names: Sequence[str], grey: bool = False) -> None:
    """The first held-out pictures as each network gives them back, with the originals and perhaps the `grey` inputs."""
    about = results["pictures"]
    side, count = about["side"], about["test"]["pictures"]
    total = min(SHOWN, count)
    files = [(GREY, study.path / "grey.png")] if grey else []
    files += [(label_of(results, name), study.path / name / "test.png") for name in names]
    files += [(ORIGINAL, study.path / "originals.png")]
    page.heading(Words("Pictures that they never saw", "一度も見たことのない画像"))
    caption = Words(
        f"The first {total} of {count:,} held-out pictures ({about['test']['source']}), not chosen.",
        f"テスト画像{count:,}枚（{about['test']['source']}）の最初の{total}枚。選別はしていない。",
    )
    _sheets(page, [(label, tiles(file, side, total)) for label, file in files], caption)


_SHORT: dict[str, Callable[[float], Words]] = {
    "psnr": lambda value: Words(f"{value:.1f} dB", f"{value:.1f} dB"),
    "sharpness": lambda value: Words(f"{100 * value:.0f} % of the detail", f"細部 {100 * value:.0f}%"),
    "delta_e": lambda value: Words(f"CIEDE2000 {value:.1f}", f"CIEDE2000 {value:.1f}"),
    "colourfulness": lambda value: Words(f"colourfulness {value:.0f}", f"カラフルさ {value:.0f}"),
}
"""How a picture's label tells a measure."""


def close_ups(page: Page, study: StudyFolder, results: Results, names: Sequence[str], measures: Sequence[str]) -> None:
    """The very first held-out pictures enlarged, each with its measures."""
    about = results["pictures"]
    total = min(SHOWN, about["test"]["pictures"])
    sheets = {name: tiles(study.path / name / "test.png", about["side"], total) for name in names}
    originals = tiles(study.path / "originals.png", about["side"], total)
    own = results["originals"]["originals"]
    for i in range(min(CLOSE_UPS, total)):
        cells = []
        for name in names:
            each = results["conditions"][name]["each"]
            told = [_SHORT[measure](each[measure][i]) for measure in measures]
            cells.append((_joined([label_of(results, name), *told]), photo_of(sheets[name][i])))
        colours = [_SHORT["colourfulness"](own["colourfulness"][i])] if "colourfulness" in measures else []
        page.row([*cells, (_joined([ORIGINAL, *colours]), photo_of(originals[i]))], pixels=True)


def _joined(parts: Sequence[Words]) -> Words:
    return Words(", ".join(part.en for part in parts), "、".join(part.ja for part in parts))


def interval_plot(
    results: Results, key: str, x: Text, names: Sequence[str], *, unit: float = 1.0, grey: bool = False
) -> str:
    """A measure's mean over the held-out pictures with its interval, times `unit`, perhaps beside that of the `grey` input."""
    rows = [
        Row(label_of(results, name), (), *_bounds(results["conditions"][name]["mean"][key], unit)) for name in names
    ]
    references = [(GREY, float(np.mean(results["originals"]["grey"][key])))] if grey else []
    return intervals(rows, x=x, references=references)


def ratio_plot(results: Results, x: Text) -> str:
    """The share of their originals' colourfulness that the results have, in per cent."""
    rows = [
        Row(label_of(results, name), (), *_bounds(found, 100))
        for name, found in results["colourfulness_ratio"].items()
        if "mean" in found
    ]
    return intervals(rows, x=x, references=[(ORIGINAL, 100.0)])


def _bounds(mean: Part, unit: float) -> tuple[float, float, float]:
    low, middle, high = (unit * (np.nan if mean[key] is None else mean[key]) for key in ("low", "mean", "high"))
    return low, middle, high


_COLUMNS: dict[str, tuple[Words, str]] = {
    "loss": (Words("loss", "損失"), ".4g"),
    "psnr": (Words("PSNR, dB", "PSNR（dB）"), ".2f"),
    "ssim": (Words("SSIM", "SSIM"), ".3f"),
    "sharpness": (Words("detail kept", "細部の保持率"), ".2f"),
    "delta_e": (Words("CIEDE2000", "CIEDE2000"), ".2f"),
    "colourfulness": (Words("colourfulness", "カラフルさ"), ".1f"),
}
"""A measure's column and how its figures are written."""


def measures_table(page: Page, results: Results, keys: Sequence[str], grey: bool = False) -> None:
    """The measures of all networks, and perhaps those of the `grey` inputs and the originals."""
    rows: list[list[Text]] = []
    for name, one in results["conditions"].items():
        rows.append([label_of(results, name), *[_cell(one["mean"][key], _COLUMNS[key][1]) for key in keys]])
    for kind, label in (("grey", GREY), ("originals", ORIGINAL)) if grey else ():
        own = results["originals"][kind]
        rows.append([label, *[f"{np.mean(own[key]):{_COLUMNS[key][1]}}" if key in own else "" for key in keys]])
    caption = Words(
        "Means over the held-out pictures ± half of the 95 % interval. Loss: squared error, mean over channels, summed over "
        "a picture's pixels.",
        "テスト画像の平均 ± 95%信頼区間の半幅。損失：二乗誤差をチャネルで平均し、1枚の全画素で合計したもの。",
    )
    page.table(["", *[_COLUMNS[key][0] for key in keys]], rows, caption)


def _cell(mean: Part, form: str) -> str:
    if mean["low"] is None or np.isnan(mean["low"]):
        return f"{mean['mean']:{form}}"
    half = (mean["high"] - mean["low"]) / 2
    return f"{mean['mean']:{form}} ± {half:{'.2g' if form.endswith('g') else form}}"


def training_table(page: Page, results: Results) -> None:
    """What training each network took and where its losses ended."""
    rows: list[list[Text]] = []
    for name, one in results["conditions"].items():
        last, best = one["curves"][-1], one["curves"][one["best_epoch"] - 1]
        losses = [
            f"{last['train_loss']:.4g}",
            f"{last['val_loss']:.4g}",
            f"{best['val_loss']:.4g} ({one['best_epoch']})",
        ]
        pace = [f"{one['parameters']:,}", f"{one['seconds'] / 60:.1f}", f"{one['pictures_per_second']:.0f}"]
        rows.append([label_of(results, name), *losses, *pace])
    head: list[Text] = ["", Words("last training loss", "最終訓練損失"), Words("last validation loss", "最終検証損失"),
            Words("lowest (epoch)", "最小（エポック）"), Words("parameters", "パラメータ"), Words("minutes", "分"),
            Words("pictures/s", "枚/秒")]  # fmt: skip
    caption = Words(
        "The measures are those of the weights with the lowest validation loss. Minutes and pictures/s include validation "
        "and panels.",
        "測定には検証損失が最小のときの重みを用いた。時間と速度は検証とパネル作成を含む。",
    )
    page.table(head, rows, caption)
