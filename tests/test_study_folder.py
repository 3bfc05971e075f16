"""A study's folder keeps what is finished and refuses what does not belong to it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hashigo.data import PictureSet
from hashigo.errors import DataError, RecipeError
from hashigo.pages.words import Words
from hashigo.studies.folder import StudyFolder, environment, peak_gpu_memory, peak_memory
from hashigo.studies.reporting import memory
from hashigo.studies.restoration.data import DividedPictures
from hashigo.studies.restoration.settings import RestorationSettings
from hashigo.studies.restoration.train import open_folder


@dataclass(frozen=True)
class Part:
    purity: float
    table: list[list[int]]
    unknown: float
    label: Words
    pooled: float | None = None


@dataclass(frozen=True)
class About:
    source: str
    digest: str


def test_finished_parts_are_kept(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "a", "purity", {"seeds": 1})
    assert study.finished("both-0", Part) is None
    study.finish("both-0", Part(0.5, [[1, 0], [0, 1]], math.nan, Words("both", "両方")))
    again = StudyFolder(tmp_path / "a", "purity", {"seeds": 1}).finished("both-0", Part)
    assert again is not None
    assert (again.purity, again.table, again.label) == (0.5, [[1, 0], [0, 1]], Words("both", "両方"))
    assert math.isnan(again.unknown)
    stored = json.loads((tmp_path / "a" / "parts" / "both-0.json").read_text())
    assert stored["unknown"] is None
    assert "pooled" not in stored, "a part that an older version could not have is left out"


def test_numbers_of_numpy_are_stored(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path, "purity", {})
    study.finish("raw", {"purity": np.float32(0.5), "table": np.eye(2), "sizes": (np.int64(28), 28)})
    stored = json.loads((tmp_path / "parts" / "raw.json").read_text())
    assert stored == {"purity": 0.5, "table": [[1, 0], [0, 1]], "sizes": [28, 28]}


def test_another_study_or_other_settings_are_refused(tmp_path: Path) -> None:
    StudyFolder(tmp_path, "purity", {"epochs": 10, "seeds": 1})
    with pytest.raises(RecipeError, match="holds the study 'purity'"):
        StudyFolder(tmp_path, "colorize", {"epochs": 10, "seeds": 1})
    with pytest.raises(RecipeError, match="epochs was 10, now 20"):
        StudyFolder(tmp_path, "purity", {"epochs": 20, "seeds": 1})


def test_what_may_grow_may_differ(tmp_path: Path) -> None:
    StudyFolder(tmp_path, "purity", {"epochs": 10, "seeds": 1}, may_grow=("seeds",))
    StudyFolder(tmp_path, "purity", {"epochs": 10, "seeds": 5}, may_grow=("seeds",))
    assert json.loads((tmp_path / "settings.json").read_text())["settings"]["seeds"] == 5


def test_a_setting_that_is_new_had_its_default(tmp_path: Path) -> None:
    defaults = {"epochs": 10, "schedule": "constant", "sides": (1, 2)}
    StudyFolder(tmp_path, "purity", {"epochs": 20})
    with pytest.raises(RecipeError, match="schedule was 'constant', now 'cosine'"):
        StudyFolder(tmp_path, "purity", {**defaults, "epochs": 20, "schedule": "cosine"}, defaults=defaults)
    with pytest.raises(RecipeError, match="epochs was 20, now 10"):
        StudyFolder(tmp_path, "purity", defaults, defaults=defaults)
    StudyFolder(tmp_path, "purity", {**defaults, "epochs": 20}, defaults=defaults)
    assert json.loads((tmp_path / "settings.json").read_text())["settings"]["schedule"] == "constant"


def test_a_setting_that_has_its_default_is_stored_too(tmp_path: Path) -> None:
    StudyFolder(tmp_path, "purity", RestorationSettings())
    assert set(json.loads((tmp_path / "settings.json").read_text())["settings"]) == {
        field.name for field in fields(RestorationSettings)
    }


def test_the_studies_go_on_where_a_setting_is_new(tmp_path: Path) -> None:
    photos = PictureSet.from_array(np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3))
    pictures = DividedPictures(
        photos, photos, photos, crop=8, grey=False, kept_out=(), by_class=False, dropped=0, unreadable=0, digest="a1"
    )
    settings = RestorationSettings(epochs=3)
    open_folder(settings, tmp_path, "colorize", pictures)
    path = tmp_path / "settings.json"
    held = json.loads(path.read_text())
    del held["settings"]["schedule"]
    path.write_text(json.dumps(held))
    with pytest.raises(RecipeError, match="schedule was 'constant', now 'cosine'"):
        open_folder(replace(settings, schedule="cosine"), tmp_path, "colorize", pictures)
    open_folder(settings, tmp_path, "colorize", pictures)


def test_a_broken_part_is_told(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path, "purity", {})
    study.finish("raw", {})
    (tmp_path / "parts" / "raw.json").write_text("{")
    with pytest.raises(RecipeError, match=r"raw\.json.*remove it"):
        study.finished("raw", Part)
    (tmp_path / "parts" / "raw.json").write_text('{"purity": 0.5}')
    with pytest.raises(RecipeError, match=r"raw\.json: expected Part.*table.*remove it"):
        study.finished("raw", Part)


def test_results_tell_machine_versions_time_and_memory(tmp_path: Path) -> None:
    facts = StudyFolder(tmp_path, "purity", {"seeds": 2}).write_results({"raw": 0.59})
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["raw"] == 0.59
    assert results["settings"] == facts.settings == {"seeds": 2}
    assert results["environment"]["torch"] == environment().packages["torch"] != "not installed"
    assert facts.environment == environment()
    assert results["seconds"] == facts.seconds >= 0
    assert facts.peak_memory_mb is not None
    assert results["peak_memory_mb"] == facts.peak_memory_mb > 10


def test_other_pictures_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    photos, others = (About("photos", digest) for digest in ("a1", "b2"))
    StudyFolder(tmp_path, "purity", {"seeds": 1}, ("seeds",), photos)
    with pytest.raises(DataError, match="the pictures that the study was started with, found others in photos"):
        StudyFolder(tmp_path, "purity", {"seeds": 5}, ("seeds",), others)
    assert json.loads((tmp_path / "settings.json").read_text())["settings"] == {"seeds": 1}
    again = StudyFolder(tmp_path, "purity", {"seeds": 5}, ("seeds",), photos)
    assert again.finished("pictures", About) == photos


def test_the_machine_is_that_of_the_last_finished_part(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        for threads, name in ((3, "a"), (2, "b"), (1, "")):  # the third sitting only writes the page again
            torch.set_num_threads(threads)
            study = StudyFolder(tmp_path, "purity", {})
            torch.set_num_threads(1)  # as lanes do
            if name:
                study.finish(name, {})
            else:
                study.keep("map", {})
            facts = study.write_results({})
    finally:
        torch.set_num_threads(before)
    assert facts.environment.threads == 2
    assert [environment.threads for environment in facts.earlier_environments] == [3]
    assert facts.environment.cores >= 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert [there["threads"] for there in (results["environment"], *results["earlier_environments"])] == [2, 3]


def test_time_adds_up_over_sittings(tmp_path: Path) -> None:
    (tmp_path / "time.json").write_text('{"seconds": 1000, "memory_mb": 123456.7}')
    study = StudyFolder(tmp_path, "purity", {})
    assert 1000 <= study.seconds < 1010
    assert study.write_results({}).peak_memory_mb == 123457, "the most of all sittings"
    study.finish("raw", {})
    assert json.loads((tmp_path / "time.json").read_text())["memory_mb"] == 123456.7


def test_a_gpus_memory_is_a_figure_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_initialized():
        assert peak_gpu_memory() == 0
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 512_300_000)
    StudyFolder(tmp_path, "purity", {}).finish("raw", {})
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1000)
    facts = StudyFolder(tmp_path, "purity", {}).write_results({})
    assert facts.peak_gpu_memory_mb == 512, "the most of all sittings"
    assert facts.peak_memory_mb is not None
    assert facts.peak_memory_mb > 10
    assert "512 MB of the GPU's" in memory(facts).en
    assert "GPU" not in "".join(memory(replace(facts, peak_gpu_memory_mb=0)))


def test_peak_memory_is_in_megabytes() -> None:
    assert 20 < peak_memory() < 20_000
