"""Evaluation: pictures through a model and against their originals, measure by measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from hashigo import color
from hashigo.apply.model import Model
from hashigo.data import PictureSet
from hashigo.errors import DataError, plural
from hashigo.image.photo import Photo, photo_of
from hashigo.machine import cores
from hashigo.metrics import LUMA_ONLY, METRICS, is_grey
from hashigo.randomness import PictureRng
from hashigo.tasks import Task
from hashigo.tasks.hints import RADIUS, Hint

Floats = NDArray[np.float32]
Measures = dict[str, float]


@dataclass(frozen=True)
class Scores:
    """One picture's measures, named as in `METRICS`, for each part; all relative to the original.

    "result": the model's result; "input": its input as a picture; "mean chroma" (if the task
    adds colour): the grey picture with the mean colour of all originals; "original": the original itself.
    """

    name: str
    parts: dict[str, Measures]
    number: int = 0
    """The picture's index in `originals`."""

    @property
    def gained(self) -> float:
        """How much closer to the original the result is than the input was, in CIEDE2000."""
        return self.parts["input"]["delta_e"] - self.parts["result"]["delta_e"]


class Figures(TypedDict):
    """All figures of an evaluation, as in its JSON file."""

    model: str
    pictures: int
    hints: int
    mean: dict[str, Measures]
    colourfulness_ratio: float
    colourfulness_ratio_median: float
    share_better_than_input: float
    share_worse_than_input: float
    grey_originals: list[str]
    """Names of originals without colours, which are excluded if the task adds colour."""
    each: list[dict[str, str | Measures]]
    """The name and the parts of each picture's scores."""


def shown_metrics(task: Task) -> list[str]:
    """The measures to show: without those of the luma alone if the task keeps the luma."""
    return [name for name in METRICS if not (task.reduces and name in LUMA_ONLY)]


@dataclass(frozen=True)
class Evaluation:
    """Scores of all pictures, in order, with this many `hints` each."""

    model: str
    scores: list[Scores] = field(default_factory=list)
    hints: int = 0
    grey: list[str] = field(default_factory=list)
    """Names of the originals that were set apart because they have no colours."""

    @property
    def has_input(self) -> bool:
        """Whether the input differs from the original, so that a result can be closer or further away."""
        return any(score.parts["input"]["delta_e"] > 1e-3 for score in self.scores)

    def mean(self, part: str) -> Measures:
        """Mean of every measure over all pictures."""
        rows = [score.parts[part] for score in self.scores]
        return {name: float(np.mean([row[name] for row in rows])) for name in METRICS}

    def share_better(self) -> float:
        """Share of pictures whose result is closer to the original (CIEDE2000) than the input, 0..1."""
        return float(np.mean([score.gained > 0 for score in self.scores]))

    def ratio(self) -> float:
        """Mean colourfulness of the results divided by that of the originals."""
        return self.mean("result")["colourfulness"] / max(1e-9, self.mean("original")["colourfulness"])

    def median_ratio(self) -> float:
        """Median over pictures of the result's colourfulness divided by its original's; robust against a few vivid results."""
        shares = [
            score.parts["result"]["colourfulness"] / max(1e-9, score.parts["original"]["colourfulness"])
            for score in self.scores
        ]
        return float(np.median(shares))

    def as_dict(self) -> Figures:
        """Everything as plain values for JSON; an infinite PSNR does not occur (it is capped at 100 dB)."""
        return {
            "model": self.model,
            "pictures": len(self.scores),
            "hints": self.hints,
            "mean": {part: self.mean(part) for part in self.scores[0].parts},
            "colourfulness_ratio": self.ratio(),
            "colourfulness_ratio_median": self.median_ratio(),
            "share_better_than_input": self.share_better(),
            "share_worse_than_input": float(np.mean([score.gained < 0 for score in self.scores])),
            "grey_originals": self.grey,
            "each": [{"name": score.name, **score.parts} for score in self.scores],
        }


def evaluate(
    model: Model,
    sets: Sequence[PictureSet],
    *,
    hints: int = 0,
    progress: Callable[[int], None] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Runs the model's task on every picture and measures the results, at the picture's own size.

    Random choices (the noise of `denoise`, the positions of hints) are the same for every call with the same `seed`.
    hints: the model is given this many random colour hints per picture. `progress` is called with 1 for each picture done.
    If the task adds colour, originals without colours are set apart, because there is nothing to compare with.

    Raises:
        RecipeError: the model takes no hints. DataError: no pictures, or only grey ones for a task that adds colour.
    """
    grey = _grey(sets) if model.task.adds_colour else {}
    count = sum(map(len, sets))
    if len(grey) == count:
        wanted = "a colour picture" if model.task.adds_colour else "a picture"
        raise DataError(
            f"expected at least {wanted} to compare results with, got {plural(count, 'grey picture')}; "
            "give the colour originals: they are turned grey, colorized and compared"
        )
    mean_chroma = _mean_chroma(sets, grey) if model.task.adds_colour else None
    with ThreadPoolExecutor(cores()) as pool:
        scores = []
        for score in pool.map(lambda job: _scores(model, job, hints, seed, mean_chroma), _jobs(sets, grey)):
            scores.append(score)
            if progress is not None:
                progress(1)
    return Evaluation(str(model.folder.path.name), scores, hints, list(grey.values()))


def originals(sets: Sequence[PictureSet]) -> Iterator[tuple[str, Photo]]:
    """Every picture with its name, in the order of an evaluation's scores."""
    for pictures in sets:
        for i in range(len(pictures)):
            yield str(pictures.names[i]), photo_of(np.ascontiguousarray(pictures.picture(i)))


def treated(model: Model, original: Photo, number: int, hints: int = 0, seed: int = 0) -> tuple[Floats, Photo]:
    """The model's input for picture `number`, as a picture (3, H, W), and its result."""
    rgb = original.rgb()
    damaged = model.task.degrade(rgb[None], PictureRng(seed, 0, np.array([number])))[0]
    seen = original if damaged is rgb or np.array_equal(damaged, rgb) else original.with_rgb(damaged)
    known = hints_from_original(
        rgb, hints, model.network_size(original.size), PictureRng(seed + 1, 0, np.array([number]))
    )
    return model.task.shown(model.task.encode(seen.rgb())), model.restored(seen, model.call(known))


def hints_from_original(rgb: Floats, count: int, seen: tuple[int, int], rng: PictureRng) -> list[Hint]:
    """The colours at `count` random positions of a picture (3, H, W) that the network sees at the size `seen`.

    Each is the mean of the area that a hint covers.
    """
    height, width = rgb.shape[1:]
    reach_y, reach_x = ((2 * RADIUS + 1) * side / small / 2 for side, small in zip(rgb.shape[1:], seen, strict=True))
    hints = []
    for y, x in rng.uniform(count, 2)[0].tolist():
        top, left = int(y * height), int(x * width)
        rows = slice(max(0, round(top - reach_y)), max(top + 1, round(top + reach_y)))
        columns = slice(max(0, round(left - reach_x)), max(left + 1, round(left + reach_x)))
        red, green, blue = rgb[:, rows, columns].mean(axis=(1, 2)).tolist()
        hints.append(Hint(left, top, (red, green, blue)))
    return hints


def _grey(sets: Sequence[PictureSet]) -> dict[int, str]:
    """Numbers and names of the originals without colours."""
    return {number: name for number, name, photo in _jobs(sets, {}) if photo.is_grey or is_grey(photo.sample())}


def _mean_chroma(sets: Sequence[PictureSet], grey: Mapping[int, str]) -> Floats:
    """Mean Cb and Cr of all colour pictures, equally weighted: (2, 1, 1)."""
    means = np.stack([color.chroma(photo.rgb()).mean(axis=(1, 2)) for _, _, photo in _jobs(sets, grey)])
    mean: Floats = means.mean(axis=0)[:, None, None].astype(np.float32)
    return mean


def _jobs(sets: Sequence[PictureSet], but: Mapping[int, str]) -> Iterator[tuple[int, str, Photo]]:
    yield from ((number, name, photo) for number, (name, photo) in enumerate(originals(sets)) if number not in but)


def _scores(model: Model, job: tuple[int, str, Photo], hints: int, seed: int, mean_chroma: Floats | None) -> Scores:
    number, name, original = job
    rgb = original.rgb()
    shown, result = treated(model, original, number, hints, seed)
    pictures = {"result": result.rgb(), "input": shown}
    if mean_chroma is not None:
        pictures["mean chroma"] = color.merge(color.luma(rgb), np.broadcast_to(mean_chroma, (2, *rgb.shape[1:])))
    pictures["original"] = rgb
    return Scores(name, {part: _measures(rgb, picture) for part, picture in pictures.items()}, number)


def _measures(original: Floats, picture: Floats) -> Measures:
    return {name: float(measure(original, picture)) for name, measure in METRICS.items()}
