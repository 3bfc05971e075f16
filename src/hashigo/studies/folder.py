"""A study's folder: finished parts are stored, so that an interrupted study can continue.

The folder contains `settings.json`, `parts/…/NAME.json` (one per finished condition), and at the end `results.json`
and `report.html`; all other files in it belong to the study.
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
    """Locks a study's folder while its function runs; a second run in the same folder raises BusyError immediately."""

    @wraps(run)
    def held(settings: S, folder: str | Path, say: Say = lambda _: None) -> Path:
        with locked(
            Path(folder) / ".lock",
            f"{folder}: another process is working on this study; wait for it, or give another --run",
        ):
            return run(settings, folder, say)

    return held


class AboutPictures(Protocol):
    """What a study stores about its pictures: a dataclass with at least these two fields."""

    @property
    def source(self) -> str:
        """Their source."""

    @property
    def digest(self) -> str:
        """A checksum."""


@dataclass(frozen=True)
class Facts:
    """How a study's results were obtained.

    Args:
        study: Its name.
        settings: Its settings as plain values.
        environment: Machine and versions of the session that finished the last part.
        seconds: Total duration, over all sessions.
        peak_memory_mb: Peak memory over all sessions; None if unknown.
        peak_gpu_memory_mb: Peak memory of its tensors on a GPU; 0 without a GPU.
        earlier_environments: Those of other parts, if they differ.
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
    """The contents of time.json: duration and memory of all sessions so far, and their environments."""

    seconds: float = 0.0
    memory_mb: float = 0.0
    gpu_memory_mb: float = 0.0
    environments: list[dict[str, str | int]] = field(default_factory=list)


class StudyFolder:
    """The folder of one study with one set of settings.

    Args:
        folder: created if needed.
        study: the study's name.
        settings: everything that influences the numbers, as a dataclass or a mapping.
        may_grow: settings that may differ from those that the folder was started with, because finished parts remain
            valid (more training seeds, for instance).
        pictures: the pictures' description, stored for later sessions.
        defaults: values of settings that older versions did not store.

    Raises:
        RecipeError: the folder contains another study, or this one with other settings. DataError: the study was started with
            other pictures. After an error, the folder is unchanged.
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
        self._here = environment().as_dict()  # before the number of threads changes
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
        """The dataclass that `finish` stored under the name, or None if that part is not finished.

        Raises:
            RecipeError: the file was not written by a study.
        """
        values = self._read(f"parts/{name}.json")
        if values is None:
            return None
        try:
            return from_json(kind, values)
        except DataError as error:
            path = self.path / "parts" / f"{name}.json"
            raise RecipeError(f"{path}: {error}; remove it to redo this part") from error

    def part(self, name: str, kind: type[T]) -> T:
        """Like `finished`, for a part that must be there.

        Raises:
            DataError: it is not finished. RecipeError: as `finished`.
        """
        part = self.finished(name, kind)
        if part is None:
            raise DataError(f"{self.path}: the finished part {name!r} is missing; run the study again")
        return part

    def finish(self, name: str, part: object) -> None:
        """Stores a finished part, a dataclass; NaN and infinity become null."""
        self._environments = [there for there in self._environments if there != self._here] + [self._here]
        self.keep(name, part)

    def keep(self, name: str, part: object) -> None:
        """Like `finish`, for parts that only the page shows: the results do not name their machine."""
        self._write(f"parts/{name}.json", json_object(part))
        self._note_time()

    def _note_time(self) -> None:
        sittings = _Sittings(self.seconds, self.memory, self.gpu_memory, self._environments)
        self._write("time.json", json_object(sittings))

    def _check_pictures(self, about: AboutPictures) -> None:
        before = self._read("parts/pictures.json")
        if before is not None and before.get("digest") != about.digest:
            raise DataError(
                f"{self.path}: expected the pictures that the study was started with, found others in {about.source}; "
                "use another folder with --run"
            )

    @property
    def seconds(self) -> float:
        """The study's duration in seconds over all sessions: up to the last finished part, plus this session."""
        return self._before.seconds + time.monotonic() - self._start

    @property
    def memory(self) -> float:
        """The study's peak memory over all sessions, in MB; see `peak_memory`."""
        return max(peak_memory(), self._before.memory_mb)  # max returns NaN if it comes first

    @property
    def gpu_memory(self) -> float:
        """The peak memory of the study's tensors on a GPU, over all sessions, in MB; 0 without a GPU."""
        return max(peak_gpu_memory(), self._before.gpu_memory_mb)

    def facts(self) -> Facts:
        """How the results were obtained.

        Machine and versions are those of the session that finished the last part; a later session that only writes
        the page again does not replace them.
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
    """All settings as plain values, including defaults, which a later version may change."""
    return json_object(asdict(settings) if is_dataclass(settings) else settings or {})
