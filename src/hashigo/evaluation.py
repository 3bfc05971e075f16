"""Evaluation: pictures through a model and against their originals, measure by measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashigo.apply import Model, cores
from hashigo.data import PictureSet
from hashigo.image import Photo, photo_of
from hashigo.metrics import METRICS
from hashigo.randomness import PictureRng


@dataclass(frozen=True)
class Scores:
    """One picture's measures: of the model's result, of its input as it would look untreated, and of the original.

    Each is a dictionary by the names of `METRICS`; `input` and `original` are compared with the original too.
    """

    name: str
    result: dict[str, float]
    input: dict[str, float]
    original: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Scores of all pictures, in order."""

    model: str
    scores: list[Scores] = field(default_factory=list)

    def mean(self, part: str) -> dict[str, float]:
        """Mean of every measure over all pictures, of the "result", "input" or "original"."""
        rows = [getattr(one, part) for one in self.scores]
        return {name: float(np.mean([row[name] for row in rows])) for name in METRICS}

    def share_better(self) -> float:
        """Share of pictures whose result is nearer to the original (CIEDE2000) than the input was, 0..1."""
        return float(np.mean([one.result["delta_e"] < one.input["delta_e"] for one in self.scores]))

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON; an infinite PSNR does not occur (it is capped at 100 dB)."""
        return {
            "model": self.model,
            "pictures": len(self.scores),
            "mean": {part: self.mean(part) for part in ("result", "input", "original")},
            "colourfulness_ratio": self.mean("result")["colourfulness"]
            / max(1e-9, self.mean("original")["colourfulness"]),
            "share_better_than_input": self.share_better(),
            "each": [
                {"name": one.name, "result": one.result, "input": one.input, "original": one.original}
                for one in self.scores
            ],
        }


def evaluate(
    model: Model, sets: Sequence[PictureSet], *, progress: Callable[[int], None] | None = None, seed: int = 0
) -> Evaluation:
    """Puts every picture through the model's task and measures what comes back, at the picture's own size.

    What is random in a task (the noise of `denoise`) is the same at every call with the same `seed`.
    `progress` is called with 1 for each picture done.
    """
    with ThreadPoolExecutor(cores()) as pool:
        scores = []
        for one in pool.map(lambda job: _scores(model, job, seed), _jobs(sets)):
            scores.append(one)
            if progress is not None:
                progress(1)
    return Evaluation(str(model.folder.path.name), scores)


def _jobs(sets: Sequence[PictureSet]) -> Iterator[tuple[int, str, Photo]]:
    number = 0
    for pictures in sets:
        for i in range(len(pictures)):
            yield number, str(pictures.names[i]), photo_of(np.ascontiguousarray(pictures.picture(i)))
            number += 1


def _scores(model: Model, job: tuple[int, str, Photo], seed: int) -> Scores:
    number, name, original = job
    rgb = original.rgb()
    damaged = model.task.degrade(rgb[None], PictureRng(seed, 0, np.array([number])))[0]
    seen = original if damaged is rgb or np.array_equal(damaged, rgb) else original.with_rgb(damaged)
    x = model.task.encode(seen.rgb())
    shown = np.repeat(x, 3, axis=0) if x.shape[0] == 1 else x
    result = model.apply(seen).rgb()
    return Scores(name, _measures(rgb, result), _measures(rgb, shown), _measures(rgb, rgb))


def _measures(original: Any, picture: Any) -> dict[str, float]:
    return {name: float(measure(original, picture)) for name, measure in METRICS.items()}
