"""A study's folder: what is finished stays finished, so that a study that was stopped goes on where it stood.

The folder holds `settings.json`, `parts/…/NAME.json` (one for each finished condition), and at the end `results.json`
and `report.html`; what else lies there belongs to the study.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hashigo.errors import DataError, RecipeError
from hashigo.files import atomic_path
from hashigo.machine import environment, peak_gpu_memory, peak_memory


class StudyFolder:
    """The folder of one study with one set of settings.

    Args:
        folder: made if needed.
        study: the study's name.
        settings: everything that decides on the numbers, as plain values.
        may_grow: keys that may differ from those that the folder was started with, because the finished parts stay
            right (more training seeds, for instance).
        pictures: what the pictures are, by their `source` and a `digest` that changes with them, kept for later sittings.
        defaults: what a setting had been before it could be set, for a folder that was started then and does not hold it.

    Raises:
        RecipeError: the folder holds another study, or this one with other settings. DataError: the study was begun with
            other pictures. What is refused leaves the folder as it was.
    """

    def __init__(
        self,
        folder: str | Path,
        study: str,
        settings: dict[str, Any],
        may_grow: Collection[str] = (),
        pictures: dict[str, Any] | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        self.path, self.study = Path(folder), study
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._start = time.monotonic()
        self._here = environment().as_dict()  # before anything changes the number of threads
        before = self._read("settings.json")
        if before is not None:
            held, started = before.get("study"), before.get("settings")
            if held != study or not isinstance(started, dict):
                found = f"the study {held!r}" if held else "the settings of something else"
                raise RecipeError(f"{folder} holds {found}, not the study {study!r}; give another folder with --run")
            self._check_same({**json.loads(json.dumps(defaults or {})), **started}, may_grow)
        if pictures is not None:
            self._check_pictures(pictures)
        self._write("settings.json", {"study": study, "settings": self.settings})
        if pictures is not None:
            self._write("parts/pictures.json", pictures)
        before = self._read("time.json") or {}
        self._seconds_before, self._memory_before = (float(before.get(key) or 0.0) for key in ("seconds", "memory_mb"))
        self._gpu_before = float(before.get("gpu_memory_mb") or 0.0)
        self._environments: list[dict[str, Any]] = before.get("environments") or []

    def _check_same(self, before: dict[str, Any], may_grow: Collection[str]) -> None:
        keys = sorted({*before, *self.settings} - {*may_grow})
        changed = [key for key in keys if before.get(key) != self.settings.get(key)]
        if changed:
            told = "; ".join(f"{key} was {before.get(key)!r}, now {self.settings.get(key)!r}" for key in changed)
            raise RecipeError(
                f"expected the settings that the study in {self.path} was started with, got others: {told}; "
                "give the same, or another folder with --run"
            )

    def finished(self, name: str) -> dict[str, Any] | None:
        """What `finish` stored under the name, or None if that part is still to be done."""
        return self._read(f"parts/{name}.json")

    def finish(self, name: str, values: dict[str, Any]) -> None:
        """Stores the numbers of a finished part; NaN and infinity become null."""
        self._environments = [one for one in self._environments if one != self._here] + [self._here]
        self.keep(name, values)

    def keep(self, name: str, values: dict[str, Any]) -> None:
        """Like `finish`, for what only the page shows: the results do not name the machine that made it."""
        self._write(f"parts/{name}.json", values)
        self._note_time()

    def _note_time(self) -> None:
        memory = {"memory_mb": self.memory, "gpu_memory_mb": self.gpu_memory}
        self._write("time.json", {"seconds": self.seconds, **memory, "environments": self._environments})

    def _check_pictures(self, about: dict[str, Any]) -> None:
        before = self.finished("pictures")
        if before is not None and before.get("digest") != about["digest"]:
            raise DataError(
                f"{self.path}: expected the pictures that the study was begun with, found others in {about['source']}; "
                "give another folder with --run"
            )

    @property
    def seconds(self) -> float:
        """Seconds that the study took, over all sittings, up to the last finished part and since this one's start."""
        return self._seconds_before + time.monotonic() - self._start

    @property
    def memory(self) -> float:
        """The most memory that the study has held, over all sittings, in MB; see `peak_memory`."""
        return max(peak_memory(), self._memory_before)  # of NaN and a number, the NaN: it comes first

    @property
    def gpu_memory(self) -> float:
        """The most memory that the study's tensors have taken on a GPU, over all sittings, in MB; 0 where none was used."""
        return max(peak_gpu_memory(), self._gpu_before)

    def write_results(self, values: dict[str, Any]) -> Path:
        """Writes `results.json`: the study, its settings, machine and versions, time, memory, and `values`.

        Machine and versions are those of the sitting that finished the last part, which a later sitting that only writes
        the page again does not replace; `earlier_environments` are those of other parts, where they differ.
        """
        self._note_time()
        *earlier, last = self._environments or [self._here]
        about = {
            "study": self.study,
            "settings": self.settings,
            "environment": last,
            **({"earlier_environments": earlier} if earlier else {}),
            "seconds": round(self.seconds, 1),
            "peak_memory_mb": None if math.isnan(self.memory) else round(self.memory),
            "peak_gpu_memory_mb": round(self.gpu_memory),
        }
        return self._write("results.json", {**about, **values})

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        if not path.is_file():
            return None
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecipeError(f"{path}: expected JSON that a study wrote: {error}; remove it to do it again") from error
        if not isinstance(values, dict):
            raise RecipeError(f"{path}: expected what a study wrote, got other JSON; give another folder with --run")
        return values

    def _write(self, name: str, values: dict[str, Any]) -> Path:
        path = self.path / name
        with atomic_path(path) as temporary:
            text = json.dumps(_plain(values), indent=1, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")
        return path


def _plain(value: Any) -> Any:
    """The value in what JSON has: NumPy's numbers and arrays as Python's, NaN and infinity as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
