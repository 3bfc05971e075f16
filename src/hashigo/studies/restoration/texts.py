"""The restoration studies' texts, in English and Japanese: claims, evidence and pages.

Texts with places in braces are templates for `hashigo.pages.words.filled`.
"""

from __future__ import annotations

import math

from hashigo.pages.words import Words
from hashigo.studies.claims import Difference, Interval

# The networks

AUTOENCODE: dict[str, Words] = {
    "with": Words("with skips", "スキップあり"),
    "without": Words("without skips", "スキップなし"),
    "zeroed": Words("zeroed skips", "ゼロ化スキップ"),
}
"""The networks' names on the page of `autoencode`."""

COLORIZE: dict[str, Words] = {
    "with": Words("colorizing, with skips", "カラー化・スキップあり"),
    "without": Words("colorizing, without", "カラー化・スキップなし"),
    "autoencode-with": Words("reconstructing, with skips", "復元・スキップあり"),
    "autoencode-without": Words("reconstructing, without", "復元・スキップなし"),
}
"""The networks' names on the page of `colorize`."""

ORIGINAL = Words("original", "元の画像")
GREY = Words("grey input", "白黒の入力")

# Claims and their evidence

ONCE = Words("one training run each", "学習は各1回")
"""The basis of a claim's evidence: intervals over pictures do not include differences between runs."""

SPEED_CLAIM = Words(
    "With skip connections the network learns far faster (20 epochs achieve as much as about 200 without)",
    "スキップ接続があると学習がはるかに速い（ありの20エポックが、なしの200エポックに相当）",
)
SPEED = Words(
    "The final training loss without skips, {loss:.4g}, {training} with skips; by validation loss, {validation}. "
    "The claim holds if it takes at most {most:.0f} % of the epochs.",
    "スキップなしの最終訓練損失 {loss:.4g} に、スキップありは{training}。検証損失では{validation}。"
    "全エポックの{most:.0f}%以内なら成り立つとする。",
)
SPEED_REACHED = Words(
    "was reached in epoch {epoch} of {epochs} ({share:.0f} %)",
    "{epochs}エポック中{epoch}エポック目（{share:.0f}%）で届いた",
)
SPEED_NEVER_REACHED = Words("was never reached", "届かなかった")
SPEED_IN_EPOCH = Words("in epoch {epoch}", "{epoch}エポック目")
SPEED_NEVER = Words("never", "届かなかった")

SHARPER_CLAIM = Words(
    "With skip connections the final pictures are sharper", "スキップ接続があると最終的な画像がより鮮明になる"
)
SHARPER = Words(
    "Fine detail preserved: {with_skips:.0f} % with skips, {without:.0f} % without, difference {detail_gap} percentage points. "
    "PSNR: {psnr.a:.2f} and {psnr.b:.2f} dB, difference {psnr_gap} dB. 95 % intervals over {count} held-out pictures, "
    "paired; {once}.",
    "細部の保持率はスキップあり{with_skips:.0f}%、なし{without:.0f}%、差 {detail_gap} ポイント。"
    "PSNRは {psnr.a:.2f} dB と {psnr.b:.2f} dB、差 {psnr_gap} dB。テスト画像{count}枚を対にした95%信頼区間。{once}。",
)

CONTROL_CLAIM = Words(
    "What matters is the information in the skips, not their parameters: with zeroed skips the network is no better than without "
    "(control, not in the article)",
    "効いているのはスキップを流れる情報であり、増えたパラメータではない：ゼロを流すとスキップなしと同等（対照実験、記事にはない）",
)
CONTROL = Words(
    "PSNR: {psnr.a:.2f} dB with zeroed skips, {psnr.b:.2f} dB without, difference {gap} dB; working skips gain "
    "{brought:+.2f} dB. The claim holds if the difference is below {most:.0f} % of that gain with 95 % confidence; {once}.",
    "PSNRはゼロ化スキップ {psnr.a:.2f} dB、スキップなし {psnr.b:.2f} dB、差 {gap} dB。実際に働くスキップがもたらすのは "
    "{brought:+.2f} dB。差が確実に（95%）その{most:.0f}%未満なら成り立つとする。{once}。",
)

BETTER_CLAIM = Words("Skip connections colorize better", "スキップ接続があるほうがうまくカラー化できる")
BETTER = Words(
    "Loss: {loss.b:.4g} with skips, {loss.a:.4g} without, improvement {loss_gap}. CIEDE2000: {delta_e.b:.2f} and "
    "{delta_e.a:.2f}, improvement {delta_e_gap}. PSNR: {psnr.a:.2f} and {psnr.b:.2f} dB, improvement {psnr_gap} dB. "
    "A negative improvement means worse. 95 % intervals over {count} held-out pictures, paired; {once}.",
    "損失はスキップあり {loss.b:.4g}、なし {loss.a:.4g}、改善 {loss_gap}。CIEDE2000は {delta_e.b:.2f} と "
    "{delta_e.a:.2f}、改善 {delta_e_gap}。PSNRは {psnr.a:.2f} dB と {psnr.b:.2f} dB、改善 {psnr_gap} dB。負の値は悪化を示す。"
    "テスト画像{count}枚を対にした95%信頼区間。{once}。",
)

HARDER_CLAIM = Words(
    "Colorizing is harder than reconstructing (same network, each at its best epoch)",
    "カラー化は復元より難しい（同じネットワーク、それぞれの最良エポックで比較）",
)
HARDER = Words(
    "Loss on held-out pictures with skips: {skips.a:.4g} colorizing, {skips.b:.4g} reconstructing, difference {skips_gap}; "
    "without: {plain.a:.4g} and {plain.b:.4g}, difference {plain_gap} (95 % intervals, paired; {once}). Colorizing had "
    "the higher validation loss in {skips_epochs} of {epochs} epochs with skips, and in {plain_epochs} without.",
    "テスト画像の損失：スキップありではカラー化 {skips.a:.4g}、復元 {skips.b:.4g}、差 {skips_gap}。なしでは "
    "{plain.a:.4g} と {plain.b:.4g}、差 {plain_gap}（対にした95%信頼区間、{once}）。検証損失は、スキップありで{epochs}"
    "エポック中{skips_epochs}、なしで{plain_epochs}エポックにおいてカラー化のほうが高かった。",
)

DULL_CLAIM = Words("The colours come out dull", "色はくすむ")
DULL = Words(
    "With skips the pictures have {skips} of their originals' colourfulness, without skips {plain}. Mean ratio and 95 % interval "
    "over {count} pictures, leaving out nearly grey originals; {once}. Dull means below {most:.0f} % with 95 % confidence.",
    "カラフルさは元の画像に対し、スキップありで{skips}、なしで{plain}。画像ごとの比の平均と95%信頼区間。元がほぼ灰色のものを除く"
    "{count}枚。{once}。確実に{most:.0f}%未満ならくすんでいるとする。",
)
NO_COLOUR = Words("The test pictures are nearly grey.", "テスト画像にはほとんど色がない。")

# Introductions

AUTOENCODE_TITLE = Words(
    "Autoencoder: what skip connections do to the picture", "オートエンコーダ：スキップ接続は画像の復元をどう変えるか"
)
AUTOENCODE_INTRODUCTION = Words(
    "Three U-Nets learned to reproduce pictures, {size}: one with skip connections, one without, and one that has the "
    "parameters of the first but receives only zeros through its skip connections.",
    "3つのU-Netに画像の復元を学習させた（{size}）。スキップ接続のあるもの、ないもの、そしてパラメータはスキップありと"
    "同じだがスキップにゼロしか流れないもの（ゼロ化スキップ）である。",
)
COLORIZE_TITLE = Words(
    "Colorizing: what skip connections do, and how vivid the colours are",
    "カラー化：スキップ接続の働きと、色の鮮やかさ",
)
COLORIZE_INTRODUCTION = Words(
    "Two U-Nets learned to turn grey pictures into colour (RGB), {size}: one with skip connections, one without. "
    "The same two networks also learned to reproduce colour pictures, to see which is harder. Everything is measured on {tested} "
    "that were not used in training.",
    "2つのU-Net（スキップ接続あり・なし）に、白黒画像からカラー（RGB）画像を出すことを学習させた（{size}）。どちらが"
    "難しいかを見るため、同じ2つのネットワークにカラー画像の復元も学習させた。測定はすべて、学習に使っていない{tested}による。",
)
TESTED_ON_CATS = Words("{count:,} cats", "猫の画像{count:,}枚")
TESTED_ON_PICTURES = Words("{count:,} pictures", "画像{count:,}枚")
SIZE = Words(
    "from {train.pictures:,} pictures of {train.source}, {side} × {side} pixels, for {epochs} epochs in batches of {batch_size}, "
    "with {validation.pictures:,} more pictures for validation",
    "{train.source} の{train.pictures:,}枚、{side}×{side}画素、{epochs}エポック、バッチサイズ{batch_size}、"
    "ほかに検証用{validation.pictures:,}枚",
)
FEW = Words(
    "With only {steps:,} training steps and {count:,} held-out pictures, this shows how the study works but says little about "
    "the claims. BatchNorm's averages need about {few_steps} steps to settle; use more pictures or --epochs.",
    "学習は{steps:,}ステップ、テスト画像は{count:,}枚しかない。動作の確認にはなるが、主張の検証には足りない。"
    "約{few_steps}ステップ未満ではBatchNormの平均が落ち着かない。画像か --epochs を増やすこと。",
)
UNREADABLE = Words("{count:,} files could not be read.", "{count:,}個のファイルは読めなかった。")
TRAINED_ONCE = Words(
    "Each network was trained once (seed {seed}). The intervals cover the variation between pictures, not between training "
    "runs; to see the latter, run the study again with another --seed and --run.",
    "各ネットワークの学習は1回だけである（シード{seed}）。信頼区間は画像についてのもので、学習をやり直したときのばらつきは"
    "含まない。それを見るには、別のフォルダで --seed を変えて実行する。",
)

PICTURES = Words("pictures", "画像")
SIDE = Words("side", "一辺")
SETTINGS: dict[str, Words] = {
    "data": Words("data", "データ"),
    "width": Words("width", "チャネル数"),
    "depth": Words("depth", "深さ"),
    "epochs": Words("epochs", "エポック数"),
    "batch_size": Words("batch size", "バッチサイズ"),
    "lr": Words("learning rate", "学習率"),
    "momentum": Words("momentum", "モーメンタム"),
    "schedule": Words("learning rate schedule", "学習率の変化"),
}
"""The settings that may differ from the article's."""

# Curves

CURVES = Words("Training curves", "学習の進み方")
EPOCH = Words("epoch", "エポック")
ERROR = Words("squared error per picture", "1枚あたりの二乗誤差")
TRAINING_PICTURES = Words("training pictures", "訓練画像")
VALIDATION_PICTURES = Words("validation pictures", "検証画像")
CURVES_CAPTION = Words(
    "The validation loss of the first epochs is high because BatchNorm's running averages, with Keras's momentum of 0.99, "
    "need time to catch up.",
    "最初のほうのエポックで検証損失が高いのは、BatchNormの移動平均（Kerasのモーメンタム0.99）が追いつかないためである。",
)
DOT_CAPTION = Words(
    "Large dot: where the network with skips reaches the final loss of the one without. {caption}",
    "大きな点は、スキップありの損失がスキップなしの最終損失に届いたエポック。{caption}",
)

# Pictures

EPOCHS = Words("Results during training", "学習につれて何を返すか")
EPOCHS_TEXT = Words(
    "The same {count} validation pictures after each epoch; they were not used in training.",
    "毎回同じ検証画像{count}枚。どのネットワークも学習には使っていない。",
)
AFTER_EPOCH = Words("After epoch {epoch}", "{epoch}エポック後")
HELD_OUT = Words("Pictures not used in training", "一度も見たことのない画像")
HELD_OUT_CAPTION = Words(
    "The first {shown} of {test.pictures:,} held-out pictures ({test.source}), not selected.",
    "テスト画像{test.pictures:,}枚（{test.source}）の最初の{shown}枚。選別はしていない。",
)
PICTURE_MEASURES: dict[str, Words] = {
    "psnr": Words("{value:.1f} dB", "{value:.1f} dB"),
    "sharpness": Words("{percent:.0f} % of the detail", "細部 {percent:.0f}%"),
    "delta_e": Words("CIEDE2000 {value:.1f}", "CIEDE2000 {value:.1f}"),
    "colourfulness": Words("colourfulness {value:.0f}", "カラフルさ {value:.0f}"),
}
"""A measure in a picture's label."""

# Measures

MEASURES = Words("Measures on held-out pictures", "学習に使っていない画像での性能")
PLOTS_CAPTION = Words("Mean over the held-out pictures and its 95 % interval.", "テスト画像の平均とその95%信頼区間。")
AXES: dict[str, Words] = {
    "loss": Words("loss (lower is better)", "損失（低いほどよい）"),
    "psnr": Words("PSNR, dB (higher is better)", "PSNR、dB（高いほどよい）"),
    "ssim": Words("SSIM (1: equal)", "SSIM（1で一致）"),
    "sharpness": Words("fine detail preserved, %", "細部の保持率（%）"),
    "delta_e": Words("CIEDE2000 (lower is better)", "CIEDE2000（低いほどよい）"),
}
"""The axis label of a measure's plot."""
RATIO_AXIS = Words("colourfulness, % of the original's", "カラフルさ（元の画像に対する%）")
COLUMNS: dict[str, Words] = {
    "loss": Words("loss", "損失"),
    "psnr": Words("PSNR, dB", "PSNR（dB）"),
    "ssim": Words("SSIM", "SSIM"),
    "sharpness": Words("detail preserved", "細部の保持率"),
    "delta_e": Words("CIEDE2000", "CIEDE2000"),
    "colourfulness": Words("colourfulness", "カラフルさ"),
}
"""The heading of a measure's column in the table."""
MEASURES_CAPTION = Words(
    "Means over the held-out pictures ± the 95 % margin of error. Loss: squared error, averaged over channels and summed over a "
    "picture's pixels.",
    "テスト画像の平均 ± 誤差範囲（95%）。損失：二乗誤差をチャネルで平均し、1枚の全画素で合計したもの。",
)
DETAIL_TEXT = Words(
    "Detail preserved: energy of the luma minus its Gaussian blur (sigma 1.5), relative to the original. It does not show whether "
    "the detail is right; for that, see SSIM (of the luma) and PSNR.",
    "細部の保持率：輝度からガウスぼかし（σ = 1.5）を引いた成分のエネルギーの、元の画像に対する比。正しい細部かどうかは"
    "問わないので、SSIM（輝度による）とPSNRもあわせて見る。",
)
COLOURFULNESS_TEXT = Words(
    "Colourfulness is M3 of Hasler & Süsstrunk 2003 (15 slightly, 33 moderately, 59 quite colourful). By CIEDE2000 and PSNR, "
    "a muted brownish grey, or the grey input itself, often beats vivid colours, so read them together.",
    "カラフルさはHasler & Süsstrunk (2003) のM3（15で少し、33で中程度、59でかなりカラフル）。CIEDE2000やPSNRでは、鮮やかな"
    "色よりも無難な茶灰色や白黒の入力そのもののほうが良い値になりがちなので、あわせて読む必要がある。",
)

# How the results were obtained

TRAINING_HEAD = (
    "",
    Words("last training loss", "最終訓練損失"),
    Words("last validation loss", "最終検証損失"),
    Words("lowest (epoch)", "最小（エポック）"),
    Words("parameters", "パラメータ"),
    Words("minutes", "分"),
    Words("pictures/s", "枚/秒"),
)
TRAINING_CAPTION = Words(
    "Measured with the weights that have the lowest validation loss. Minutes and pictures/s include validation and panels.",
    "測定には検証損失が最小のときの重みを用いた。時間と速度は検証とパネル作成を含む。",
)
SUMMARY = Words(
    "{minutes:.1f} minutes in total, {memory}, on {device} ({machine}). All numbers are in results.json, and each network's training run "
    "is in the folder with its name.",
    "所要時間 {minutes:.1f} 分、{memory}、{device}（{machine}）。すべての数値は results.json に、"
    "各ネットワークの学習記録はその名前のフォルダにある。",
)

# Figures within texts


def gap(difference: Difference, digits: int = 2, unit: float = 1.0) -> str:
    """A difference with its interval, "+1.20 (+0.90 … +1.50)", times `unit`; "+1.20" for one value."""
    numbers = (difference.difference, difference.low, difference.high)
    middle, low, high = (f"{unit * number:+.{digits}f}" for number in numbers)
    return middle if math.isnan(difference.low) else f"{middle} ({low} … {high})"


def percent(share: Interval) -> str:
    """A share with its interval in per cent, "80 % (75 … 85 %)"; "80 %" for one value."""
    mean, low, high = (f"{100 * value:.0f}" for value in (share.mean, share.low, share.high))
    return f"{mean} %" if share.count < 2 else f"{mean} % ({low} … {high} %)"
