"""An evaluation as a page: means in a table, and the pictures with the best, typical and worst results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hashigo.apply.model import Model
from hashigo.data import PictureSet
from hashigo.errors import plural
from hashigo.evaluation.measure import Evaluation, Scores, originals, shown_metrics, treated
from hashigo.image.photo import Photo, photo_of
from hashigo.metrics import METRICS
from hashigo.pages.page import Page
from hashigo.pages.words import Text, Words, filled

SIDE = 640
"""Pictures wider than this are reduced for the page."""

PARTS: dict[str, Text] = {
    "result": Words("result", "結果"),
    "input": Words("input", "入力"),
    "mean chroma": Words("mean chroma", "平均色"),
    "original": Words("original", "元画像"),
}

LABELS: dict[str, Text] = {
    "delta_e": "CIEDE2000",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "sharpness": Words("sharpness", "鮮明さ"),
    "colourfulness": Words("colourfulness", "カラフルさ"),
    "chroma_distance": Words("chroma distance", "色分布の距離"),
}

ARROWS = {"lower": "↓", "higher": "↑", "same": "→"}

_LEGEND = Words(
    "↓ lower is better, ↑ higher is better, → closer to the original is better. Means over all pictures at their own size; {engine}{hints}.",
    "↓は低いほど、↑は高いほど、→は元画像に近いほど良い。元の大きさで計算した全画像の平均。{engine}{hints}。",
)
_HINTS = Words(", {count} random hints per picture", "、1枚につき無作為なヒント{count}個")
_RATIO = Words(
    "The results are {ratio:.2f} times as colourful as the originals.", "結果のカラフルさは元画像の{ratio:.2f}倍。"
)
_BETTER = Words(
    "{better:.0f} % of the results are closer to their original (CIEDE2000) than the input was, {worse:.0f} % are further away.",
    "結果の{better:.0f}%は入力より元画像に近く（CIEDE2000）、{worse:.0f}%は遠い。",
)
_GREY = Words(
    "Set apart, because a grey original has no colours to compare with: {names}.",
    "白黒の元画像は比べる色がないため除外：{names}。",
)
_ROW = Words(
    "{name}: CIEDE2000 {before:.1f} → {after:.1f}; colourfulness {result:.0f}, original {original:.0f}",
    "{name}：CIEDE2000 {before:.1f} → {after:.1f}、カラフルさ {result:.0f}（元画像 {original:.0f}）",
)
_ROW_UNCHANGED = Words(
    "{name}: CIEDE2000 {after:.1f}; colourfulness {result:.0f}, original {original:.0f}",
    "{name}：CIEDE2000 {after:.1f}、カラフルさ {result:.0f}（元画像 {original:.0f}）",
)


def write_page(
    evaluation: Evaluation, model: Model, sets: Sequence[PictureSet], path: Path, *, each: int = 8, seed: int = 0
) -> Path:
    """Writes one self-contained HTML file.

    Args:
        evaluation: the result of `evaluate` for `model` and `sets` with the same `seed`.
        model: the model.
        sets: the pictures.
        path: the file.
        each: most pictures per heading: best, typical and worst by how much closer to the original (CIEDE2000) the result is
            than the input. No picture is shown twice.
        seed: for random choices.
    """
    count = len(evaluation.scores)
    page = Page(
        Words(
            f"{evaluation.model} on {plural(count, 'picture')}",
            f"{evaluation.model}：{count:,}枚の評価",
        )
    )
    _means(page, evaluation, model)
    groups = groups_of(evaluation, each)
    wanted = {score.number for scores in groups.values() for score in scores}
    photos = {i: photo for i, (_, photo) in enumerate(originals(sets)) if i in wanted}
    for title, scores in groups.items():
        page.heading(title)
        for score in scores:
            _row(page, evaluation, model, score, photos[score.number], seed)
    page.write(path)
    return path


def groups_of(evaluation: Evaluation, each: int) -> dict[Words, list[Scores]]:
    """The scores to show under each heading, best first; none twice, and only one heading for fewer than three."""
    order = sorted(evaluation.scores, key=lambda score: -score.gained)
    if len(order) < 3:
        return {Words("Pictures", "画像"): order}
    count = min(each, len(order) // 3)
    typical = len(order) - 2 * count if len(order) <= 3 * each else count
    middle = (len(order) - typical) // 2
    return {
        Words("Best results", "最も良い結果"): order[:count],
        Words("Typical results", "平均的な結果"): order[middle : middle + typical],
        Words("Worst results", "最も悪い結果"): order[len(order) - count :],
    }


def table_of(evaluation: Evaluation, model: Model) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """(names of measures, rows): each row is a part and its means as text, "–" if a value is constant by definition."""
    names = shown_metrics(model.task)
    parts = [part for part in evaluation.scores[0].parts if part != "input" or evaluation.has_input]
    rows = []
    for part in parts:
        means = evaluation.mean(part)
        shown = [f"{means[name]:.2f}" if part != "original" or name == "colourfulness" else "–" for name in names]
        rows.append((part, shown))
    return names, rows


def _means(page: Page, evaluation: Evaluation, model: Model) -> None:
    names, rows = table_of(evaluation, model)
    head = [filled(Words("{label} {arrow}", "{label} {arrow}"), label=LABELS[name], arrow=ARROWS[METRICS[name].better]) for name in names]  # fmt: skip
    page.table(["", *head], [[PARTS[part], *values] for part, values in rows])
    hints = filled(_HINTS, count=evaluation.hints) if evaluation.hints else ""
    page.text(filled(_LEGEND, engine=model.engine.description, hints=hints), soft=True)
    if model.task.adds_colour:
        page.text(filled(_RATIO, ratio=evaluation.ratio()))
    if evaluation.has_input:
        figures = evaluation.as_dict()
        better, worse = figures["share_better_than_input"], figures["share_worse_than_input"]
        page.text(filled(_BETTER, better=100 * better, worse=100 * worse))
    if evaluation.grey:
        page.text(filled(_GREY, names=", ".join(evaluation.grey)))


def _row(page: Page, evaluation: Evaluation, model: Model, score: Scores, photo: Photo, seed: int) -> None:
    shown, result = treated(model, photo, score.number, evaluation.hints, seed)
    pictures = {"input": photo_of(shown.clip(0, 1)), "result": result, "original": photo}
    if not evaluation.has_input:
        del pictures["input"]
    caption = filled(
        _ROW if evaluation.has_input else _ROW_UNCHANGED,
        name=score.name,
        before=score.parts["input"]["delta_e"],
        after=score.parts["result"]["delta_e"],
        result=score.parts["result"]["colourfulness"],
        original=score.parts["original"]["colourfulness"],
    )
    page.row([(PARTS[part], _small(picture)) for part, picture in pictures.items()], caption)


def _small(photo: Photo) -> Photo:
    if photo.width <= SIDE:
        return photo
    return photo_of(photo.resized(round(photo.height * SIDE / photo.width), SIDE).clip(0, 1))
