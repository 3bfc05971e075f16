"""An evaluation as a page: means in a table, and the pictures that came out best, middling and worst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashigo.apply.model import Model
from hashigo.data import PictureSet
from hashigo.evaluation.measure import Evaluation, originals, treated
from hashigo.image.photo import Photo, photo_of
from hashigo.metrics import METRICS
from hashigo.pages.page import Page
from hashigo.pages.words import Text, Words

SIDE = 320
"""Pictures wider than this are reduced for the page."""

PARTS: dict[str, Text] = {
    "result": Words("result", "結果"),
    "input": Words("input", "入力"),
    "mean chroma": Words("mean chroma", "平均色"),
    "original": Words("original", "元画像"),
}


def write_page(
    evaluation: Evaluation, model: Model, sets: Sequence[PictureSet], path: Path, *, each: int = 8, seed: int = 0
) -> Path:
    """Writes one self-contained HTML file.

    Args:
        evaluation: what `evaluate` gave for `model` and `sets` with the same `seed`.
        model: the model.
        sets: the pictures.
        path: the file.
        each: pictures of each kind: best, middling, worst by how much nearer to the original (CIEDE2000) the result is.
        seed: what is random.
    """
    page = Page(
        Words(
            f"{evaluation.model} on {len(evaluation.scores):,} pictures",
            f"{evaluation.model}：{len(evaluation.scores):,}枚の評価",
        )
    )
    _means(page, evaluation, model)
    order = np.argsort([-score.gained for score in evaluation.scores])
    count = min(each, len(order))
    middle = (len(order) - count) // 2
    groups = {
        Words("Best", "最も良い"): order[:count],
        Words("Middling", "中程度"): order[middle : middle + count],
        Words("Worst", "最も悪い"): order[len(order) - count :],
    }
    wanted = {int(i) for chosen in groups.values() for i in chosen}
    photos = {i: photo for i, (_, photo) in enumerate(originals(sets)) if i in wanted}
    for title, chosen in groups.items():
        page.heading(title)
        for i in chosen.tolist():
            _row(page, evaluation, model, i, photos[i], seed)
    page.write(path)
    return path


def _means(page: Page, evaluation: Evaluation, model: Model) -> None:
    parts = list(evaluation.scores[0].parts)
    hints_en, hints_ja = (
        (f", {evaluation.hints} random hints each", f"、ヒント各{evaluation.hints}個") if evaluation.hints else ("", "")
    )
    page.text(
        Words(
            f"Means over all pictures at their own size; {model.engine.description}{hints_en}.",
            f"全画像の平均（元の大きさで計算）。{model.engine.description}{hints_ja}。",
        )
    )
    rows = [[PARTS[part], *(f"{value:.2f}" for value in evaluation.mean(part).values())] for part in parts]
    page.table(["", *METRICS], rows)
    better = 100 * evaluation.share_better()
    page.text(
        Words(
            f"Colourfulness is {evaluation.ratio():.2f} of the originals'. {better:.0f} % of the results are nearer to their "
            "original (CIEDE2000) than the input was.",
            f"カラフルさは元画像の{evaluation.ratio():.2f}倍。結果の{better:.0f}%は、入力より元画像に近い（CIEDE2000）。",
        )
    )


def _row(page: Page, evaluation: Evaluation, model: Model, number: int, photo: Photo, seed: int) -> None:
    score = evaluation.scores[number]
    shown, result = treated(model, photo, number, evaluation.hints, seed)
    pictures = {"input": photo_of(shown.clip(0, 1)), "result": result, "original": photo}
    measures = {part: score.parts[part] for part in pictures}
    figures = "; ".join(
        f"{english} ΔE {measures[part]['delta_e']:.1f}, colourfulness {measures[part]['colourfulness']:.0f}"
        for part, english in (("input", "input"), ("result", "result"))
    )
    page.row(
        [(PARTS[part], _small(picture)) for part, picture in pictures.items()],
        f"{score.name}: {figures}; original {measures['original']['colourfulness']:.0f}",
    )


def _small(photo: Photo) -> Photo:
    if photo.width <= SIDE:
        return photo
    return photo_of(photo.resized(round(photo.height * SIDE / photo.width), SIDE).clip(0, 1))
