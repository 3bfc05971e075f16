"""The study `autoencode`: a U-Net gives pictures back, with skip connections, without, and with zeros flowing in them.

The article: with skip connections it learns far faster (20 epochs about as good as 200 without) and ends sharper. The
third network is a control that the article did not have: it has the parameters of the first, but nothing flows through
its skip connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashigo.pages.words import Words
from hashigo.studies.claims import Claim, Verdict, both, interval, paired_higher
from hashigo.studies.restoration.data import load_pictures
from hashigo.studies.restoration.report import write_autoencode
from hashigo.studies.restoration.settings import AUTOENCODE as PRESETS
from hashigo.studies.restoration.settings import ONCE, AutoencodeSettings, Condition
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

LABELS = {
    "with": Words("with skips", "スキップあり"),
    "without": Words("without skips", "スキップなし"),
    "zeroed": Words("zeroed skips", "ゼロ化スキップ"),
}
"""What the page calls each network."""

SKIPS = {"with": "concat", "without": "none", "zeroed": "zeroed"}

FAST = 0.2
"""The claim of speed holds if the network with skips needs at most this share of the epochs. The article's 20 of 200 are
0.1; twice that still counts as far faster, and leaves room for the bumps of one run's curve."""

SAME = 0.25
"""The zeroed network does as the one without if their PSNR differ by less than this share of what skips bring."""


def run_autoencode(settings: AutoencodeSettings, folder: str | Path, say: Say = lambda _: None) -> Path:
    """Runs the study, or goes on with it where it was stopped; returns the path of `report.html`.

    Grey pictures go through networks of one channel. say: called with a line for each thing that is done.

    Raises:
        RecipeError: settings that cannot be, or the folder holds another study.
        DataError: the pictures are not there or are too small.
    """
    say(f"reading {settings.data}")
    pictures = load_pictures(settings)
    study = open_folder(settings, folder, "autoencode", pictures)
    task = "autoencode-grey" if pictures.grey else "autoencode"
    conditions = {name: Condition(task, SKIPS[name], label) for name, label in LABELS.items()}
    say(
        f"{len(pictures.train):,} training, {len(pictures.validation):,} validation and {len(pictures.test):,} held-out "
        f"pictures of {pictures.crop} × {pictures.crop}; {len(conditions)} networks × {settings.epochs} epochs"
    )
    originals = measure_originals(pictures, study)
    parts = {name: train_and_measure(name, one, settings, pictures, study, say) for name, one in conditions.items()}
    results = {
        "pictures": pictures.about,
        "conditions": summarize(parts),
        "originals": originals,
        "claims": [claim.as_dict() for claim in claims(parts)],
    }
    study.write_results(results)
    return write_autoencode(settings, study, results, command("autoencode", settings, PRESETS))


def claims(parts: dict[str, Part]) -> list[Claim]:
    """The article's two claims and the control, with their verdicts."""
    return [speed(parts["with"], parts["without"]), sharper(parts["with"], parts["without"]), control(parts)]


def first_epoch_at(curves: Sequence[dict[str, float]], loss: str, target: float) -> int | None:
    """The first epoch whose `loss` is at most `target`, None if none is."""
    return next((int(row["epoch"]) for row in curves if row[loss] <= target), None)


def speed(skips: Part, plain: Part) -> Claim:
    """Whether the network with skips reaches the last loss of the one without within `FAST` of the epochs.

    By the training loss, which BatchNorm's lagging averages do not touch. Where there are so few epochs that even the
    first is more than `FAST` of them, reaching it in the first tells nothing.
    """
    epochs = len(plain["curves"])
    found: dict[str, int | None] = {
        loss: first_epoch_at(skips["curves"], loss, plain["curves"][-1][loss]) for loss in ("train_loss", "val_loss")
    }
    epoch = found["train_loss"]
    verdict: Verdict = "holds" if epoch is not None and epoch <= FAST * epochs else "does not hold"
    if epoch == 1 and verdict != "holds":
        verdict = "within noise"
    share = float("nan") if epoch is None else epoch / epochs
    told = "was never reached with skips"
    if epoch is not None:
        told = f"was reached with skips in epoch {epoch} of {epochs} ({100 * share:.0f} %)"
    ja = "届かなかった" if epoch is None else f"{epochs}エポック中{epoch}エポック目（{100 * share:.0f}%）で届いた"
    late = found["val_loss"]
    evidence = Words(
        f"The last training loss of the network without skips, {plain['curves'][-1]['train_loss']:.4g}, {told}; "
        f"by validation loss {'never' if late is None else f'in epoch {late}'}. "
        f"The claim holds up to {100 * FAST:.0f} % of the epochs.",
        f"スキップなしの最終訓練損失 {plain['curves'][-1]['train_loss']:.4g} に、スキップありは{ja}。検証損失では"
        f"{'届かなかった' if late is None else f'{late}エポック目'}。全エポックの{100 * FAST:.0f}%以内なら成り立つとする。",
    )
    text = Words(
        "With skip connections it learns far faster (20 epochs are worth about 200 without)",
        "スキップ接続があると学習がはるかに速い（ありの20エポックが、なしの200エポックに相当）",
    )
    numbers = {
        "epoch": float(epoch or "nan"),
        "validation_epoch": float(late or "nan"),
        "epochs": epochs,
        "share": share,
    }
    return Claim(text, verdict, evidence, numbers)


def sharper(skips: Part, plain: Part) -> Claim:
    """Whether held-out pictures come back sharper and nearer to the original with skips, picture by picture."""
    by_detail, detail = paired_higher(skips["each"]["sharpness"], plain["each"]["sharpness"])
    by_psnr, psnr = paired_higher(skips["each"]["psnr"], plain["each"]["psnr"])
    count = len(plain["each"]["psnr"])
    evidence = Words(
        f"Fine detail kept: {100 * detail['a']:.0f} % with skips, {100 * detail['b']:.0f} % without, difference "
        f"{gap(detail, 0, 100)} percentage points. PSNR: {psnr['a']:.2f} and {psnr['b']:.2f} dB, difference {gap(psnr)} dB. "
        f"95 % intervals over {count} held-out pictures, in pairs; {ONCE.en}.",
        f"細部の保持率はスキップあり{100 * detail['a']:.0f}%、なし{100 * detail['b']:.0f}%、差 {gap(detail, 0, 100)} ポイント。"
        f"PSNRは {psnr['a']:.2f} dB と {psnr['b']:.2f} dB、差 {gap(psnr)} dB。テスト画像{count}枚を対にした95%信頼区間。{ONCE.ja}。",
    )
    text = Words("With skip connections pictures end sharper", "スキップ接続があると最終的な画像がより鮮明になる")
    numbers = {
        **{f"sharpness_{key}": value for key, value in detail.items()},
        **{f"psnr_{key}": value for key, value in psnr.items()},
    }
    return Claim(text, both([by_detail, by_psnr]), evidence, numbers)


def control(parts: dict[str, Part]) -> Claim:
    """Whether the zeroed network's PSNR differs from that of the one without by less than `SAME` of what skips bring.

    Both bounds are tested picture by picture. Where skips bring nothing there is nothing to explain: within noise.
    """
    skips, plain, zeroed = (np.asarray(parts[name]["each"]["psnr"]) for name in ("with", "without", "zeroed"))
    brought, excess = skips - plain, zeroed - plain
    above, below = interval(excess - SAME * brought), interval(excess + SAME * brought)
    verdict: Verdict = "within noise"
    if interval(brought).low > 0:
        if above.high < 0 < below.low:
            verdict = "holds"
        elif above.low > 0 or below.high < 0:
            verdict = "does not hold"
    numbers = paired_higher(zeroed, plain)[1] | {"skips_bring": float(brought.mean())}
    evidence = Words(
        f"PSNR: {numbers['a']:.2f} dB with zeroed skips, {numbers['b']:.2f} dB without, difference {gap(numbers)} dB; "
        f"skips that work bring {numbers['skips_bring']:+.2f} dB. The claim holds if the difference is surely (95 %) less "
        f"than {100 * SAME:.0f} % of that; {ONCE.en}.",
        f"PSNRはゼロ化スキップ {numbers['a']:.2f} dB、スキップなし {numbers['b']:.2f} dB、差 {gap(numbers)} dB。実際に働く"
        f"スキップがもたらすのは {numbers['skips_bring']:+.2f} dB。差が確実に（95%）その{100 * SAME:.0f}%未満なら成り立つとする。{ONCE.ja}。",
    )
    text = Words(
        "It is what flows through the skips, not their parameters: with zeros flowing it does as without (control, not in "
        "the article)",
        "効いているのはスキップを流れる情報であり、増えたパラメータではない：ゼロを流すとスキップなしと同等（対照実験、記事にはない）",
    )
    return Claim(text, verdict, evidence, numbers)
