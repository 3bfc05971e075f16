"""The demo: colorize bundled photos, train two small autoencoders, and show both in one report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from hashigo.apply.jobs import Options, run
from hashigo.apply.model import Model, load
from hashigo.apply.planning import plan
from hashigo.files import locked
from hashigo.image.photo import Photo, read, write
from hashigo.machine import has_torch
from hashigo.metrics import colourfulness, delta_e
from hashigo.pages.page import Page
from hashigo.pages.words import Text, Words, filled
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, Recipe, TaskRecipe

SAMPLES = Path(__file__).with_name("samples")
EPOCHS = 30
SHOWN = (1, 5, EPOCHS)
CONDITIONS = {"concat": Words("with skip connections", "スキップ接続あり"), "none": Words("without", "なし")}
Say = Callable[[str], None]

TITLE = Words("hashigo: pictures in, pictures back", "hashigo：画像から画像へ")
_ABOUT = Words(
    "“hashigo demo” made this page on this computer. The bundled model colorized four photos, and two small U-Net "
    "autoencoders were trained on handwritten digits.",
    "このページは、このコンピューターで「hashigo demo」が作成しました。付属のモデルが写真4枚をカラー化し、手書き数字で小さなU-Net自己符号化器を2つ学習しました。",
)
_ABOUT_PHOTOS_ONLY = Words(
    "“hashigo demo” made this page on this computer. The bundled model colorized four photos. To also train two small "
    "autoencoders, install the extra: pip install 'hashigo[train]'",
    "このページは、このコンピューターで「hashigo demo」が作成しました。付属のモデルが写真4枚をカラー化しました。小さな自己符号化器の学習も行うには、pip install 'hashigo[train]' を実行してください。",
)
_PHOTOS = Words("Colorizing black-and-white photos", "白黒写真のカラー化")
_PHOTOS_ABOUT = Words(
    "{count} photos in {seconds:.1f} s, including reading and writing the files ({engine}). The network sees a reduced grey photo "
    "and predicts its colours. They are scaled up and combined with the photo's own full-size brightness, so no detail is lost. "
    "CIEDE2000 is the colour difference from the original (0 means equal).",
    "{count}枚を{seconds:.1f}秒で処理（ファイルの読み書きを含む、{engine}）。ネットワークは縮小した白黒写真から色を予測します。"
    "その色を拡大し、写真本来の明るさと組み合わせるため、細部は失われません。CIEDE2000は元画像との色差です（0は同一）。",
)
_PHOTO = Words(
    "{name}: CIEDE2000 {after:.1f}, grey photo {before:.1f}; colourfulness {result:.0f}, original {original:.0f}",
    "{name}：CIEDE2000 {after:.1f}（白黒 {before:.1f}）、カラフルさ {result:.0f}（元画像 {original:.0f}）",
)
_YOURS = Words(
    "Colorize your own photos, in the browser or on the command line:",
    "自分の写真をカラー化（ブラウザーまたはコマンドラインで）：",
)
_CARD = Words("Model card: training data, results and limits", "モデルカード：学習データ、結果、限界")
_DIGITS = Words("Two autoencoders: what skip connections do", "2つの自己符号化器：スキップ接続の働き")
_DIGITS_ABOUT = Words(
    "The article's small U-Net (4, 8 and 16 channels) learns to reproduce handwritten digits, once with skip connections and once "
    "without. The loss is the squared error summed over a digit's 28 × 28 pixels. The validation loss is high in the first epochs "
    "because BatchNorm's running averages, with Keras's momentum of 0.99, need time to catch up.",
    "記事の小さなU-Net（4・8・16チャンネル）が、スキップ接続ありとなしで手書き数字の再構成を学習します。損失は28×28画素の二乗誤差の和です。"
    "最初の数エポックで検証損失が高いのは、BatchNormの移動平均（Kerasのモメンタム0.99）が追いつくまで時間がかかるためです。",
)
_PANELS = Words(
    "{condition}: 25 digits that were not used in training; each panel shows the reconstructions, then the originals",
    "{condition}：学習に使わなかった数字25枚。各パネルは再構成、続いて元画像",
)
_SECONDS = Words("Made in {seconds:.0f} seconds.", "{seconds:.0f}秒で作成。")


def demo(folder: str | Path, say: Say = lambda _: None) -> Path:
    """Colorizes the bundled photos, trains two small networks on digits if torch is installed, and writes `report.html`.

    folder: for `photos/original`, `photos/grey`, `photos/color`, `digits/…` (the two training runs) and the report; what an
    earlier demo left there is replaced. say: called with a line for each step. Returns the report's path.

    Raises:
        BusyError: another demo is running in the folder.
    """
    folder = Path(folder)
    with locked(
        folder / ".lock", f"{folder}: another demo is running there; wait for it, or name another folder with -o"
    ):
        return _demo(folder, say)


def _demo(folder: Path, say: Say) -> Path:
    photos, start, page = bundled_photos(), time.perf_counter(), Page(TITLE)
    page.text(_ABOUT if has_torch() else _ABOUT_PHOTOS_ONLY)
    say(f"colorizing {len(photos)} photos")
    _colorize(photos, folder / "photos", page)
    if has_torch():
        say(f"training two small networks on digits, {EPOCHS} epochs each (about a minute)")
        _digits(folder / "digits", page, say)
    else:
        say("not training: that needs pip install 'hashigo[train]'")
    page.text(filled(_SECONDS, seconds=time.perf_counter() - start), soft=True)
    page.write(folder / "report.html")
    return folder / "report.html"


def bundled_photos() -> dict[str, Photo]:
    """The colour photos that come with hashigo, by name; see `samples/README.md` for their authors."""
    return {path.stem: read(path) for path in sorted(SAMPLES.glob("*.jpg"))}


def _colorize(photos: dict[str, Photo], folder: Path, page: Page) -> None:
    for name, photo in photos.items():
        write(photo, folder / "original" / f"{name}.jpg")
        grey = np.asarray(Image.fromarray(photo.on_white()).convert("L"))
        write(replace(photo, pixels=grey), folder / "grey" / f"{name}.jpg")
    model = load("colorizer")
    start = time.perf_counter()
    jobs = plan([folder / "grey" / f"{name}.jpg" for name in photos], folder / "color", model.task.suffix)
    outcomes = list(run(model, jobs, Options(existing="overwrite")))
    seconds = time.perf_counter() - start
    page.heading(_PHOTOS)
    page.text(filled(_PHOTOS_ABOUT, count=len(outcomes), seconds=seconds, engine=model.engine.description))
    for outcome in outcomes:
        _before_and_after(photos[outcome.job.source.stem], outcome.job.source, outcome.job.target, page)
    page.text(_YOURS)
    page.code("hashigo serve\nhashigo colorize my-album --page -o colorized")
    page.details(_CARD, _card(model))


def _before_and_after(original: Photo, grey: Path, colorized: Path, page: Page) -> None:
    before, after, rgb = read(grey), read(colorized), original.rgb()
    pictures: list[tuple[Text, Photo]] = [
        (Words("grey", "白黒"), before), (Words("colorized", "カラー化"), after), (Words("original", "元画像"), original)
    ]  # fmt: skip
    caption = filled(
        _PHOTO, name=grey.stem, after=delta_e(rgb, after.rgb()), before=delta_e(rgb, before.rgb()),
        result=colourfulness(rgb, after.rgb()), original=colourfulness(rgb, rgb),
    )  # fmt: skip
    page.row(pictures, caption)


def _card(model: Model) -> str:
    card = model.folder.path / "README.md"
    return card.read_text(encoding="utf-8") if card.is_file() else ""


def _digits(folder: Path, page: Page, say: Say) -> None:
    from hashigo.pages.plots import curves
    from hashigo.training.run import train

    series: dict[Words, list[tuple[float, float]]] = {}
    rows: list[list[Text]] = []
    runs: dict[Words, Path] = {}
    for skips, label in CONDITIONS.items():
        run_folder = folder / skips
        _clear(run_folder)
        result = train(digits_recipe(skips), run_folder, onnx=False)
        validation = filled(Words("{label}, validation", "{label}、検証"), label=label)
        training = filled(Words("{label}, training", "{label}、学習"), label=label)
        series[validation] = [(row["epoch"], row["val_loss"]) for row in result.metrics]
        series[training] = [(row["epoch"], row["train_loss"]) for row in result.metrics]
        last = result.metrics[-1]
        rows.append([label, f"{last['train_loss']:.2f}", f"{last['val_loss']:.2f}", f"{result.seconds:.0f} s"])
        runs[label] = run_folder
        say(f"{label.en}: validation loss {last['val_loss']:.2f} after {EPOCHS} epochs")
    page.heading(_DIGITS)
    page.text(_DIGITS_ABOUT)
    dashed = [name for name in series if name.en.endswith("training")]
    epoch, error = Words("epoch", "エポック"), Words("squared error per digit", "数字1枚あたりの二乗誤差")
    page.plot(curves(series, x=epoch, y=error, dashed=dashed), Words("Loss (logarithmic scale)", "損失（対数目盛り）"))
    head: list[Text] = [
        "",
        Words("training loss", "学習損失"),
        Words("validation loss", "検証損失"),
        Words("time", "時間"),
    ]
    page.table(head, rows)
    for label, run_folder in runs.items():
        panels: list[tuple[Text, Path]] = [
            (Words(f"epoch {epoch}", f"エポック{epoch}"), run_folder / "panels" / f"epoch-{epoch:04d}.png")
            for epoch in SHOWN
        ]
        page.row(panels, filled(_PANELS, condition=label), True)


def digits_recipe(skips: str) -> Recipe:
    """The article's small U-Net on scikit-learn's digits, enlarged to 28×28."""
    return Recipe(
        task=TaskRecipe("autoencode-grey"),
        network=NetworkRecipe(options={"width": 4, "depth": 2, "latent_activation": "tanh", "skips": skips}),
        data=DataRecipe(train="digits", validation="digits", size=28, flip=False),
        machine=MachineRecipe(compile="off"),
        epochs=EPOCHS,
        panels=25,
        checkpoint_minutes=0,
    )


def _clear(folder: Path) -> None:
    """Removes what an earlier demo left, and nothing else."""
    for name in ("checkpoints", "panels", "tensorboard"):
        for file in sorted((folder / name).glob("*")):
            file.unlink()
