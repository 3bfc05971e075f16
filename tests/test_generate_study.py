"""The generation study on scikit-learn's digits, its measures of generated pictures, and `hashigo generate`."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image

import hashigo
import hashigo.studies.generate.classifier as classifier_module
import hashigo.studies.generate.train as train_module
from hashigo.cli.main import main
from hashigo.errors import RecipeError
from hashigo.evaluation.samples import distances, entropy, frechet_distance, nearest, precision_recall
from hashigo.models.folder import save_model
from hashigo.networks.registry import make_network
from hashigo.pages.page import Page
from hashigo.studies.generate.claims import claims
from hashigo.studies.generate.results import LevelEffect, Quality, TrainingRun
from hashigo.studies.generate.run import run_generate
from hashigo.studies.generate.settings import MODELS, PRESETS, GenerateSettings
from hashigo.studies.generate.train import widths
from hashigo.studies.lanes import Lanes
from hashigo.tasks import make_task

TINY = GenerateSettings(
    preset="quick", data="digits", pictures=128, test_pictures=60, seeds=2, epochs=2, batch_size=32, width=2, units=4, bounded=8, samples=6,
    generated=60,
)  # fmt: skip


# --- measures of generated pictures -------------------------------------------------------------------------


def test_the_frechet_distance_is_that_of_scipys_root() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)), 0.5 + rng.normal(size=(400, 6))
    covariances = [np.cov(rows, rowvar=False) for rows in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(first, first + np.array([3, 0, 0, 0, 4, 0])) == pytest.approx(25)


def test_precision_falls_with_strange_pictures_and_recall_with_missing_ones() -> None:
    rng = np.random.default_rng(1)
    real = np.concatenate([rng.normal(size=(200, 4)), 40 + rng.normal(size=(200, 4))])
    alike = np.concatenate([rng.normal(size=(200, 4)), 40 + rng.normal(size=(200, 4))])
    one_kind, strange = rng.normal(size=(400, 4)), 500 + rng.normal(size=(400, 4))
    assert min(precision_recall(real, alike)) > 0.85
    precision, recall = precision_recall(real, one_kind)
    assert precision > 0.85
    assert recall == pytest.approx(0.5, abs=0.05)
    assert precision_recall(real, strange) == (0, 0)


def test_nearest_and_entropy() -> None:
    rows = np.random.default_rng(2).normal(size=(30, 5)).astype(np.float32)
    length, place = nearest(rows, rows[::-1], at_once=7)
    assert place.tolist() == list(range(29, -1, -1))
    assert length.max() < 1e-2
    assert distances(rows[:2], rows[:2])[0, 1] == pytest.approx(np.linalg.norm(rows[0] - rows[1]), rel=1e-4)
    assert entropy(np.eye(10)) == pytest.approx(np.log(10))
    assert entropy(np.eye(10)[[3, 3]]) == pytest.approx(0, abs=1e-9)


# --- the study ----------------------------------------------------------------------------------------------


def results_of(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier_module, "STEPS", 40)
        run_generate(TINY, folder)
    return folder


def test_networks_have_about_as_many_parameters() -> None:
    for settings in (TINY, *PRESETS.values()):
        counts = {
            name: sum(
                parameter.numel()
                for parameter in make_network(
                    MODELS[name].network, **settings.options(MODELS[name], width, (28, 28))
                ).parameters()
            )
            for name, width in widths(settings, (28, 28)).items()
        }
        assert max(counts.values()) < 1.25 * min(counts.values()), counts


def test_what_is_measured(finished: Path) -> None:
    results = results_of(finished)
    assert set(results["models"]) == set(results["runs"]) == set(MODELS)
    assert set(results["models"]["skips"]["quality"]) == {"zeroed", "borrowed"}
    assert "donor" in results["models"]["skips"]["quality"]["borrowed"]
    assert set(results["models"]["ladder"]["kl"]) == {"bottleneck", "14×14", "28×28"}
    for name, runs in results["runs"].items():
        for run in runs:
            assert run["bound"] > run["elbo"], "with several draws, the bound is tighter"
            assert run["elbo"] == pytest.approx(run["reconstruction"] - sum(run["kl"]), abs=0.1 * abs(run["elbo"]))
            assert len(run["train_loss"]) == 2
            assert [level["level"] for level in run.get("levels", [])] == (
                list(results["models"][name]["kl"]) if name != "skips" else []
            )
    assert [claim["verdict"] for claim in results["claims"]]
    assert 0.2 < results["classifier"]["accuracy"] <= 1
    assert results["classifier"]["real"]["frechet"] < results["models"]["vae"]["quality"]["prior"]["frechet"]["mean"]


def test_the_page_is_in_both_languages_and_shows_animations(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    for text in (
        "Generated pictures",
        "生成された画像",
        "data:image/webp;base64,",
        "What each level stores",
        "各段が持つもの",
    ):
        assert text in page
    assert not re.search(r"\bnan\b", re.sub(r"<script.*?</script>|base64,[^\"]*", "", page, flags=re.S))
    frames = [path.name for path in sorted((finished / "frames" / "ladder").iterdir())]
    assert frames == ["epoch-0000.png", "epoch-0001.png", "epoch-0002.png"]


def test_a_second_run_trains_nothing(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results_of(finished)
    monkeypatch.setattr(train_module, "Together", None)
    monkeypatch.setattr(classifier_module, "cross_entropy", None)
    run_generate(TINY, finished)
    after = results_of(finished)
    for changing in ("seconds", "peak_memory_mb"):
        before.pop(changing), after.pop(changing)
    assert before == after


def test_a_killed_run_goes_on_with_the_same_numbers(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    together = train_module.Together

    class Dying(together):  # type: ignore[misc, valid-type]
        def train_epoch(self, go_on: Any = lambda: True) -> list[float]:
            if len(trained) == 3:
                raise MemoryError("as if killed")
            trained.append(self.epoch)
            return super().train_epoch(go_on)  # type: ignore[no-any-return]

    monkeypatch.setattr(classifier_module, "STEPS", 40)
    monkeypatch.setattr(train_module, "SAVED_EVERY", 0)
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "Together", Dying)
        patch.setattr(Lanes, "run", lambda _, jobs: [job(lambda: True) for job in jobs])
        with pytest.raises(MemoryError):
            run_generate(TINY, tmp_path)
    assert len(list((tmp_path / "states").iterdir())) == 1
    run_generate(TINY, tmp_path)
    ours, theirs = results_of(finished), results_of(tmp_path)
    for name, runs in ours["runs"].items():
        for a, b in zip(runs, theirs["runs"][name], strict=True):
            assert {**a, "seconds": 0} == {**b, "seconds": 0}
    assert not list((tmp_path / "states").iterdir())


def run_of(frechet: float, bound: float, way: str, donor: float | None = None, upper: float = 0.2) -> TrainingRun:
    quality = Quality(frechet=frechet, precision=1, recall=1, entropy=1, nearest=1, copies=0, donor=donor)
    return TrainingRun(
        seed=0, parameters=1, width=1, train_loss=[], seconds=0, machine="", elbo=0, bound=bound, reconstruction=0, squared_error=0, kl=[],
        quality={way: quality, "borrowed": quality},
        levels=[LevelEffect(level=level, same_class=same, change=0, same_class_held=0.5, change_held=0) for level, same in (("bottleneck", upper), ("14×14", 0.9))],
    )  # fmt: skip


def test_verdicts() -> None:
    def verdicts(zeroed: float, ladder: float, bound: float, donor: float, upper: float) -> list[str]:
        runs = {
            "vae": [run_of(10 + noise, -100 + noise, "prior") for noise in (0, 0.1, 0.2)],
            "skips": [run_of(zeroed + noise, 0, "zeroed", donor + noise / 100) for noise in (0, 0.1, 0.2)],
            "ladder": [
                run_of(ladder + noise, bound + noise, "prior", upper=upper + noise / 100) for noise in (0, 0.1, 0.2)
            ],
        }
        return [claim.verdict for claim in claims(runs, replace(TINY, seeds=3))]

    assert verdicts(90, 5, -90, 0.9, 0.2) == ["holds"] * 4
    assert verdicts(5, 15, -110, 0.1, 0.95) == ["does not hold"] * 4
    assert verdicts(90, 10, -100, 0.1, 0.9) == ["does not hold", "within noise", "within noise", "within noise"]


@pytest.mark.parametrize("changes", [{"samples": 1}, {"generated": 10}, {"warmup": 1.5}, {"epochs": 0}])
def test_settings_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(changes))):
        replace(TINY, **changes)


def test_an_animation_is_embedded_unchanged(finished: Path) -> None:
    page = Page("test")
    file = finished / "samples-ladder.webp"
    page.animations([("ladder", file)])
    assert base64.b64decode(page.parts[0].partition("base64,")[2].partition('"')[0]) == file.read_bytes()


# --- hashigo generate ---------------------------------------------------------------------------------------


def test_pictures_from_a_trained_model(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(finished / "models" / "ladder-0")
    assert main(["generate", model, "-n", "9", "-o", str(tmp_path / "all.png")]) == 0
    with Image.open(tmp_path / "all.png") as sheet:
        assert min(sheet.size) >= 3 * 28
    assert main(["generate", model, "-n", "3", "-o", str(tmp_path / "each"), "--seed", "4"]) == 0
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == ["1.png", "2.png", "3.png"]
    pictures = hashigo.sample(model, 3, seed=4)
    assert pictures.shape == (3, 3, 28, 28)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert np.array_equal(pictures, hashigo.sample(model, 3, seed=4))
    assert not np.array_equal(pictures, hashigo.sample(model, 3))
    with Image.open(tmp_path / "each" / "2.png") as file:
        assert np.abs(np.asarray(file).transpose(2, 0, 1) / 255 - pictures[1]).max() < 0.003
    assert "wrote" in capsys.readouterr().err


def test_what_cannot_generate_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tmp_path / "dense", make_network("dense"), make_task("autoencode-grey"), size=28, onnx=False)
    assert main(["generate", str(tmp_path / "dense"), "-o", str(tmp_path / "x.png")]) == 2
    assert "vae, ladder" in capsys.readouterr().err
    assert main(["generate", str(tmp_path / "dense"), "-o", str(tmp_path / "x.jpg")]) == 2
    with pytest.raises(RecipeError, match="at least 1"):
        hashigo.sample(str(tmp_path / "dense"), 0)


def test_any_level_of_a_ladder_is_a_feature(finished: Path) -> None:
    model, pictures = finished / "models" / "ladder-0", hashigo.open_dataset("digits", size=28, limit=5)
    assert hashigo.features(model, pictures).shape == (5, 4)
    assert hashigo.features(model, pictures, layer="rungs.0.mean").shape == (5, 2 * 28 * 28)
    assert hashigo.features(model, pictures, layer="rungs.1.mean").shape == (5, 2 * 14 * 14)
    assert torch.is_inference_mode_enabled() is False
