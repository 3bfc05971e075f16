"""A study's folder: finished parts stay finished, so that a stopped study continues where it was.

The folder holds `settings.json`, `parts/…/NAME.json` (one for each finished condition), and at the end `results.json`
and `report.html`; what else lies there belongs to the study.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Protocol, TypeVar

from hashigo.errors import DataError, RecipeError
from hashigo.files import atomic_path, locked
from hashigo.machine import Environment, environment, peak_gpu_memory, peak_memory
from hashigo.studies.serializing import Json, from_json, json_object, to_json
from hashigo.studies.settings import Say, Settings

T = TypeVar("T")
S = TypeVar("S")


def alone(run: Callable[[S, str | Path, Say], Path]) -> Callable[..., Path]:
    """A study's function that holds its folder while it runs; a second one for the same folder raises BusyError at once."""

    @wraps(run)
    def held(settings: S, folder: str | Path, say: Say = lambda _: None) -> Path:
        with locked(
            Path(folder) / ".lock",
            f"{folder}: another process is working on this study; wait for it, or give another --run",
        ):
            return run(settings, folder, say)

    return held


class AboutPictures(Protocol):
    """What a study tells of its pictures: a dataclass with at least these two."""

    @property
    def source(self) -> str:
        """Where they are from."""

    @property
    def digest(self) -> str:
        """A text that changes with them."""


@dataclass(frozen=True)
class Facts:
    """How a study's results came about.

    Args:
        study: Its name.
        settings: Its settings as plain values.
        environment: Machine and versions of the sitting that finished the last part.
        seconds: What it took, over all sittings.
        peak_memory_mb: The most memory it held, over all sittings; None where that is not known.
        peak_gpu_memory_mb: The most memory its tensors took on a GPU; 0 where none was used.
        earlier_environments: Those of other parts, where they differ.
    """

    study: str
    settings: dict[str, Json]
    environment: Environment
    seconds: float
    peak_memory_mb: int | None
    peak_gpu_memory_mb: int
    earlier_environments: tuple[Environment, ...] = ()

    def as_dict(self) -> dict[str, Json]:
        """Plain values for results.json."""
        earlier = [to_json(before.as_dict()) for before in self.earlier_environments]
        return {
            "study": self.study,
            "settings": self.settings,
            "environment": to_json(self.environment.as_dict()),
            **({"earlier_environments": list(earlier)} if earlier else {}),
            "seconds": self.seconds,
            "peak_memory_mb": self.peak_memory_mb,
            "peak_gpu_memory_mb": self.peak_gpu_memory_mb,
        }


@dataclass(frozen=True)
class _Sittings:
    """What time.json keeps: the seconds and the memory of all sittings so far, and where they were."""

    seconds: float = 0.0
    memory_mb: float = 0.0
    gpu_memory_mb: float = 0.0
    environments: list[dict[str, str | int]] = field(default_factory=list)


class StudyFolder:
    """The folder of one study with one set of settings.

    Args:
        folder: made if needed.
        study: the study's name.
        settings: everything that decides on the numbers, a dataclass or a mapping.
        may_grow: settings that may differ from those that the folder was started with, because the finished parts stay
            right (more training seeds, for instance).
        pictures: what the pictures are; kept for later sittings.
        defaults: what a setting had been before it could be set, for a folder that was started then and does not hold it.

    Raises:
        RecipeError: the folder holds another study, or this one with other settings. DataError: the study was begun with
            other pictures. What is refused leaves the folder as it was.
    """

    def __init__(
        self,
        folder: str | Path,
        study: str,
        settings: Settings | Mapping[str, object],
        may_grow: Collection[str] = (),
        pictures: AboutPictures | None = None,
        defaults: Settings | Mapping[str, object] | None = None,
    ) -> None:
        self.path, self.study = Path(folder), study
        self.settings = _every_setting(settings)
        self._start = time.monotonic()
        self._here = environment().as_dict()  # before anything changes the number of threads
        before = self._read("settings.json")
        if before is not None:
            held, started = before.get("study"), before.get("settings")
            if held != study or not isinstance(started, dict):
                content = f"the study {held!r}" if held else "the settings of something else"
                raise RecipeError(f"{folder} holds {content}, not the study {study!r}; use another folder with --run")
            self._check_same({**_every_setting(defaults), **started}, may_grow)
        if pictures is not None:
            self._check_pictures(pictures)
        self._write("settings.json", {"study": study, "settings": self.settings})
        if pictures is not None:
            self._write("parts/pictures.json", json_object(pictures))
        self._before = from_json(_Sittings, self._read("time.json") or {})
        self._environments = self._before.environments

    def _check_same(self, before: Mapping[str, Json], may_grow: Collection[str]) -> None:
        keys = sorted({*before, *self.settings} - {*may_grow})
        changed = [key for key in keys if before.get(key) != self.settings.get(key)]
        if changed:
            changes = "; ".join(f"{key} was {before.get(key)!r}, now {self.settings.get(key)!r}" for key in changed)
            raise RecipeError(
                f"expected the settings that the study in {self.path} was started with, got others: {changes}; "
                "give the same, or another folder with --run"
            )

    def finished(self, name: str, kind: type[T]) -> T | None:
        """The dataclass that `finish` stored under the name, or None if that part is still to be done.

        Raises:
            RecipeError: the file is not what a study wrote.
        """
        values = self._read(f"parts/{name}.json")
        if values is None:
            return None
        try:
            return from_json(kind, values)
        except DataError as error:
            path = self.path / "parts" / f"{name}.json"
            raise RecipeError(f"{path}: {error}; remove it to redo this part") from error

    def finish(self, name: str, part: object) -> None:
        """Stores a finished part, a dataclass; NaN and infinity become null."""
        self._environments = [there for there in self._environments if there != self._here] + [self._here]
        self.keep(name, part)

    def keep(self, name: str, part: object) -> None:
        """Like `finish`, for what only the page shows: the results do not name the machine that made it."""
        self._write(f"parts/{name}.json", json_object(part))
        self._note_time()

    def _note_time(self) -> None:
        sittings = _Sittings(self.seconds, self.memory, self.gpu_memory, self._environments)
        self._write("time.json", json_object(sittings))

    def _check_pictures(self, about: AboutPictures) -> None:
        before = self._read("parts/pictures.json")
        if before is not None and before.get("digest") != about.digest:
            raise DataError(
                f"{self.path}: expected the pictures that the study was begun with, found others in {about.source}; "
                "use another folder with --run"
            )

    @property
    def seconds(self) -> float:
        """Seconds that the study took, over all sittings, up to the last finished part and since this one's start."""
        return self._before.seconds + time.monotonic() - self._start

    @property
    def memory(self) -> float:
        """The most memory that the study has held, over all sittings, in MB; see `peak_memory`."""
        return max(peak_memory(), self._before.memory_mb)  # of NaN and a number, the NaN: it comes first

    @property
    def gpu_memory(self) -> float:
        """The most memory that the study's tensors have taken on a GPU, over all sittings, in MB; 0 where none was used."""
        return max(peak_gpu_memory(), self._before.gpu_memory_mb)

    def facts(self) -> Facts:
        """How the results came about.

        Machine and versions are those of the sitting that finished the last part, which a later sitting that only writes
        the page again does not replace.
        """
        *earlier, last = map(Environment.from_dict, self._environments or [self._here])
        return Facts(
            study=self.study,
            settings=self.settings,
            environment=last,
            seconds=round(self.seconds, 1),
            peak_memory_mb=None if math.isnan(self.memory) else round(self.memory),
            peak_gpu_memory_mb=round(self.gpu_memory),
            earlier_environments=tuple(earlier),
        )

    def write_results(self, results: object) -> Facts:
        """Writes `results.json`: the study's facts beside the fields of `results`, a dataclass; returns the facts."""
        self._note_time()
        facts = self.facts()
        self._write("results.json", {**facts.as_dict(), **json_object(results)})
        return facts

    def _read(self, name: str) -> dict[str, Json] | None:
        path = self.path / name
        if not path.is_file():
            return None
        try:
            values: object = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecipeError(
                f"{path}: expected JSON that a study wrote: {error}; remove it to redo this part"
            ) from error
        if not isinstance(values, dict):
            raise RecipeError(f"{path}: expected what a study wrote, got other JSON; use another folder with --run")
        return values

    def _write(self, name: str, values: Mapping[str, Json]) -> None:
        path = self.path / name
        with atomic_path(path) as temporary:
            text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def _every_setting(settings: Settings | Mapping[str, object] | None) -> dict[str, Json]:
    """The settings as plain values, those that have their default too: it may change with a later version."""
    return json_object(asdict(settings) if is_dataclass(settings) else settings or {})
