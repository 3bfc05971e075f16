"""The pages of the studies `autoencode` and `colorize`, in English and Japanese."""

from __future__ import annotations

import json
from pathlib import Path

from hashigo.pages.page import Page
from hashigo.pages.words import Text, Words
from hashigo.studies.folder import StudyFolder
from hashigo.studies.restoration.figures import (
    Results,
    close_ups,
    held_out,
    interval_plot,
    loss_curves,
    measures_table,
    panels,
    ratio_plot,
    training_table,
)
from hashigo.studies.restoration.settings import RestorationSettings
from hashigo.studies.setting import departures, memory, say_departures

ARTICLE = RestorationSettings()
"""The article's setting, with which the page compares its own."""

FEW_STEPS, FEW_PICTURES = 300, 10
"""Training steps and held-out pictures below which the page warns that its numbers mean little."""

COLOURING = ("with", "without")
"""The networks of the study `colorize` whose results are shown; the other two are there for their losses."""

_LOSS = Words("loss (lower is better)", "損失（低いほどよい）")
_PSNR = Words("PSNR, dB (higher is better)", "PSNR、dB（高いほどよい）")
_SSIM = Words("SSIM (1: equal)", "SSIM（1で一致）")
_DETAIL = Words("fine detail kept, %", "細部の保持率（%）")
_CIEDE = Words("CIEDE2000 (lower is better)", "CIEDE2000（低いほどよい）")
_RATIO = Words("colourfulness, % of the original's", "カラフルさ（元の画像に対する%）")
_PLOTS = Words("Mean over the held-out pictures and its 95 % interval.", "テスト画像の平均とその95%信頼区間。")
_MEASURES = Words("How good are they on held-out pictures?", "学習に使っていない画像での性能")


def write_autoencode(settings: RestorationSettings, study: StudyFolder, results: Results, command: str) -> Path:
    """Writes the page of the study `autoencode` from its results and panels; returns its path."""
    title = "Autoencoder: what skip connections do to the picture"
    page = Page(Words(title, "オートエンコーダ：スキップ接続は画像の復元をどう変えるか"))
    size = _size(settings, results)
    page.text(
        Words(
            f"Three U-Nets learned to give pictures back, {size.en}: one with skip connections, one without, and one with "
            "the parameters of the first but only zeros flowing through its skip connections.",
            f"3つのU-Netに画像の復元を学習させた（{size.ja}）。スキップ接続のあるもの、ないもの、そしてパラメータはスキップありと"
            "同じだがスキップにゼロしか流れないもの（ゼロ化スキップ）である。",
        )
    )
    _cautions(page, settings, results)
    _claims(page, results)
    names = list(results["conditions"])
    loss_curves(page, results, mark=("with", "without"))
    panels(page, settings, study, results, names)
    held_out(page, study, results, names)
    close_ups(page, study, results, names, ("psnr", "sharpness"))
    page.heading(_MEASURES)
    shown = (("loss", _LOSS, 1.0), ("psnr", _PSNR, 1.0), ("ssim", _SSIM, 1.0), ("sharpness", _DETAIL, 100.0))
    page.plots([(x, interval_plot(results, key, "", names, unit=unit)) for key, x, unit in shown], _PLOTS)
    measures_table(page, results, ("loss", "psnr", "ssim", "sharpness"))
    page.text(
        Words(
            "Detail kept: energy of the luma less its Gaussian blur (sigma 1.5), as a share of the original's. Whether it "
            "is the right detail does not count; for that look at SSIM (of the luma) and PSNR.",
            "細部の保持率：輝度からガウスぼかし（σ = 1.5）を引いた成分のエネルギーの、元の画像に対する比。正しい細部かどうかは"
            "問わないので、SSIM（輝度による）とPSNRもあわせて見る。",
        ),
        soft=True,
    )
    return _finished(page, study, results, command)


def write_colorize(settings: RestorationSettings, study: StudyFolder, results: Results, command: str) -> Path:
    """Writes the page of the study `colorize` from its results and panels; returns its path."""
    title = "Colouring: what skip connections do, and how vivid it gets"
    page = Page(Words(title, "カラー化：スキップ接続の働きと、色の鮮やかさ"))
    size, count = _size(settings, results), results["pictures"]["test"]["pictures"]
    tested = (
        Words(f"{count:,} cats", f"猫の画像{count:,}枚")
        if results["cats"]
        else Words(f"{count:,} pictures", f"画像{count:,}枚")
    )
    page.text(
        Words(
            f"Two U-Nets saw grey pictures and learned to give them in colour (RGB), {size.en}: one with skip connections, "
            "one without. The same two networks also learned to give colour pictures back, to see which is harder. All "
            f"measures are on {tested.en} that no network saw in training.",
            f"2つのU-Net（スキップ接続あり・なし）に、白黒画像からカラー（RGB）画像を出すことを学習させた（{size.ja}）。どちらが"
            "難しいかを見るため、同じ2つのネットワークにカラー画像の復元も学習させた。測定はすべて、学習に使っていない"
            f"{tested.ja}による。",
        )
    )
    _cautions(page, settings, results)
    _claims(page, results)
    held_out(page, study, results, COLOURING, grey=True)
    close_ups(page, study, results, COLOURING, ("delta_e", "colourfulness"))
    loss_curves(page, results)
    panels(page, settings, study, results, COLOURING)
    page.heading(_MEASURES)
    plots: list[tuple[Text, str]] = [(_LOSS, interval_plot(results, "loss", "", list(results["conditions"])))]
    plots += [
        (x, interval_plot(results, key, "", COLOURING, grey=True)) for key, x in (("delta_e", _CIEDE), ("psnr", _PSNR))
    ]
    page.plots([*plots, (_RATIO, ratio_plot(results, ""))], _PLOTS)
    measures_table(page, results, ("loss", "delta_e", "psnr", "ssim", "colourfulness"), grey=True)
    page.text(
        Words(
            "Colourfulness is M3 of Hasler & Süsstrunk 2003 (15 slightly, 33 moderately, 59 quite colourful). By CIEDE2000 "
            "and PSNR a cautious brown-grey, or the grey input itself, often beats vivid colours: read them together.",
            "カラフルさはHasler & Süsstrunk (2003) のM3（15で少し、33で中程度、59でかなりカラフル）。CIEDE2000やPSNRでは、鮮やかな"
            "色よりも無難な茶灰色や白黒の入力そのもののほうが良い値になりがちなので、あわせて読む必要がある。",
        ),
        soft=True,
    )
    return _finished(page, study, results, command)


def _size(settings: RestorationSettings, results: Results) -> Words:
    """The study's size in plain words."""
    about, side = results["pictures"], results["pictures"]["side"]
    train, validation, source = about["train"]["pictures"], about["validation"]["pictures"], about["train"]["source"]
    return Words(
        f"from {train:,} of {source}, {side} × {side} pixels, for {settings.epochs} epochs in batches of "
        f"{settings.batch_size}, with {validation:,} more for validation",
        f"{source} の{train:,}枚、{side}×{side}画素、{settings.epochs}エポック、バッチサイズ{settings.batch_size}、"
        f"ほかに検証用{validation:,}枚",
    )


_NAMES = {
    "data": Words("data", "データ"),
    "width": Words("width", "チャネル数"),
    "depth": Words("depth", "深さ"),
    "epochs": Words("epochs", "エポック数"),
    "batch_size": Words("batch size", "バッチサイズ"),
    "lr": Words("learning rate", "学習率"),
    "momentum": Words("momentum", "モーメンタム"),
    "schedule": Words("learning rate's course", "学習率の変化"),
}


def _cautions(page: Page, settings: RestorationSettings, results: Results) -> None:
    """How far this is from the article's setting, and what the intervals do not tell."""
    about = results["pictures"]
    used = about["train"]["pictures"] + about["validation"]["pictures"]
    found: list[tuple[Words, object, object]] = []
    if used < 0.85 * ARTICLE.pictures:  # less than what held-out pictures or cats take away
        found.append((Words("pictures", "画像"), used, ARTICLE.pictures))
    if about["side"] != ARTICLE.crop:
        found.append((Words("side", "一辺"), about["side"], ARTICLE.crop))
    say_departures(page, settings.preset == "quick", found + departures(settings, ARTICLE, _NAMES))
    steps = settings.epochs * (about["train"]["pictures"] // min(settings.batch_size, about["train"]["pictures"]))
    held_out = about["test"]["pictures"]
    if steps < FEW_STEPS or held_out < FEW_PICTURES:
        page.text(
            Words(
                f"Only {steps:,} steps of training and {held_out:,} held-out pictures: that shows how the study works, and "
                f"says little of the claims. Below about {FEW_STEPS} steps BatchNorm's averages have not settled; give more "
                "pictures or --epochs.",
                f"学習は{steps:,}ステップ、テスト画像は{held_out:,}枚しかない。動作の確認にはなるが、主張の検証には足りない。"
                f"約{FEW_STEPS}ステップ未満ではBatchNormの平均が落ち着かない。画像か --epochs を増やすこと。",
            )
        )
    if about["unreadable"]:
        page.text(
            Words(
                f"{about['unreadable']:,} files could not be read.",
                f"{about['unreadable']:,}個のファイルは読めなかった。",
            ),
            soft=True,
        )
    page.text(
        Words(
            f"Each network was trained once (seed {settings.seed}). The intervals tell how sure a difference is over pictures, "
            "not over training runs: for that, run it again with another --seed in another folder.",
            f"各ネットワークの学習は1回だけである（シード{settings.seed}）。信頼区間は画像についてのもので、学習をやり直したときの"
            "ばらつきは含まない。それを見るには、別のフォルダで --seed を変えて実行する。",
        ),
        soft=True,
    )


def _claims(page: Page, results: Results) -> None:
    page.heading(Words("The article's claims", "記事の主張"))
    for claim in results["claims"]:
        page.verdict(Words(**claim["claim"]), claim["verdict"], Words(**claim["evidence"]))


def _finished(page: Page, study: StudyFolder, results: Results, command: str) -> Path:
    """Adds how it was made, and writes the page."""
    training_table(page, results)
    stored = json.loads((study.path / "results.json").read_text(encoding="utf-8"))
    machine, minutes, held = stored["environment"], stored["seconds"] / 60, memory(stored)
    page.heading(Words("How it was made", "実行条件"))
    page.code(command)
    used = next(iter(stored["conditions"].values()))["machine"]
    device = machine["processor"] if machine["gpu"] == "none" else machine["gpu"]
    page.text(
        Words(
            f"{minutes:.1f} minutes in all, {held.en}, on {device} ({used}). All numbers are in "
            "results.json, each network's run is in a folder of its name.",
            f"所要時間 {minutes:.1f} 分、{held.ja}、{device}（{used}）。すべての数値は results.json に、"
            "各ネットワークの学習記録はその名前のフォルダにある。",
        )
    )
    pictures = {**stored["pictures"]}
    pictures["test"] = {key: value for key, value in pictures["test"].items() if key != "names"}
    about = {"settings": stored["settings"], "pictures": pictures, "environment": machine}
    text = json.dumps(about, indent=1, ensure_ascii=False)
    page.details(Words("Settings, machine and versions", "設定・環境・バージョン"), text)
    path = study.path / "report.html"
    page.write(path)
    return path
