"""Colour hints in a film: each is for one frame, and moves with what it is on, forwards and backwards to the ends of its scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import RecipeError
from hashigo.tasks.hints import Hint, TimedHint
from hashigo.video.film import Film
from hashigo.video.frames import read_small
from hashigo.video.steady import Motion, Scenes

AROUND = 2
"""A hint moves with the mean motion of so many pixels around it, on each side, at the size at which motion is estimated."""

Small = NDArray[np.uint8]


def tracked(film: Film, hints: Sequence[TimedHint], motion: Motion) -> Mapping[int, Sequence[Hint]]:
    """The hints of each frame, by its number; frames without any are missing.

    Raises:
        RecipeError: a hint is outside the picture, or after the film's end.
    """
    for timed in hints:
        if not (0 <= timed.hint.x < film.width and 0 <= timed.hint.y < film.height):
            raise RecipeError(
                f"expected a hint within {film.width} × {film.height} pixels, got x = {timed.hint.x:g}, y = {timed.hint.y:g}"
            )
    waiting = sorted(hints, key=lambda timed: timed.seconds)
    found: dict[int, list[Hint]] = {}
    scene: list[tuple[Fraction, Small]] = []
    scenes = Scenes()
    first = 0
    size = motion.reduced(np.zeros((film.height, film.width), np.uint8)).shape
    frames = read_small(film, (size[0], size[1]))
    for time, luma in frames:
        if scenes.begins(luma) and scene:
            waiting = _take(film, waiting, scene, time, first, motion, found)
            first += len(scene)
            scene = []
            if not waiting:
                break
        scene.append((time, luma))
    else:
        waiting = _take(film, waiting, scene, scene[-1][0] + 1 if scene else Fraction(0), first, motion, found)
    frames.close()
    if waiting:
        raise RecipeError(f"expected a hint within the film, got one at {waiting[0].seconds:g} s, after its end")
    return found


def _take(
    film: Film, waiting: list[TimedHint], scene: Sequence[tuple[Fraction, Small]], end: Fraction, first: int, motion: Motion,
    found: dict[int, list[Hint]],
) -> list[TimedHint]:  # fmt: skip
    """Follows the hints of a scene, which ends before the time `end`; returns the others."""
    own = [timed for timed in waiting if timed.seconds < end]
    lumas = [luma for _, luma in scene]
    for timed in own:
        start = max(0, sum(time <= timed.seconds for time, _ in scene) - 1)
        for direction in (1, -1):
            for number, hint in _followed(film, timed.hint, lumas, start, direction, motion):
                if direction == 1 or number != start:
                    found.setdefault(first + number, []).append(hint)
    return waiting[len(own) :]


def _followed(
    film: Film, hint: Hint, lumas: Sequence[Small], start: int, direction: int, motion: Motion
) -> list[tuple[int, Hint]]:
    """The hint from frame `start` on, in one direction, until it leaves the picture."""
    scale = np.array([lumas[0].shape[1] / film.width, lumas[0].shape[0] / film.height])
    place = (np.array([hint.x, hint.y]) + 0.5) * scale
    frames = [(start, hint)]
    number = start
    while 0 <= number + direction < len(lumas):
        flow = motion.between(lumas[number], lumas[number + direction])
        column, row = (int(value) for value in place)
        near = flow[max(0, row - AROUND) : row + AROUND + 1, max(0, column - AROUND) : column + AROUND + 1]
        place = place + np.median(near.reshape(-1, 2), axis=0)
        if not (0 <= place[0] < lumas[0].shape[1] and 0 <= place[1] < lumas[0].shape[0]):
            break
        number += direction
        x, y = place / scale - 0.5
        inside = float(np.clip(x, 0, film.width - 1)), float(np.clip(y, 0, film.height - 1))
        frames.append((number, Hint(*inside, hint.rgb)))
    return frames
