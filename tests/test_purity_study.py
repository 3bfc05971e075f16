"""The purity study on scikit-learn's digits: what it measures, that it goes on where it stopped, and its verdicts."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import hashigo.clustering.kmeans as kmeans_module
import hashigo.latents.extract as latents_module
import hashigo.studies.purity.network as network_module
import hashigo.studies.purity.report as report_module
import hashigo.studies.purity.run as study_module
from hashigo.data import PictureSet, open_dataset
from hashigo.errors import DataError, RecipeError
from hashigo.models import open_model
from hashigo.pages.page import Page
from hashigo.studies.folder import StudyFolder
from hashigo.studies.labelled import AboutPictures, load_pictures
from hashigo.studies.lanes import Lanes
from hashigo.studies.purity import texts
from hashigo.studies.purity.claims import claims
from hashigo.studies.purity.results import ClusterScores, Probe, Scores, SweepRow, TrainingRun
from hashigo.studies.purity.run import run_purity
from hashigo.studies.purity.settings import CONDITIONS, PRESETS, SWEEP, PuritySettings

TINY = PuritySettings(
    preset="quick", data="digits", size=8, seeds=2, kmeans_seeds=3, epochs=2, batch_size=64, controls=False, lr=3e-3,
    pictures=512, test_pictures=128,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def small_maps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_module, "MAPPED", 60)
        patch.setattr(report_module, "_tsne", lambda values, _: values[:, :2])  # seconds for each map; tested below
        yield


REAL_TSNE = report_module._tsne


def test_maps_put_like_digits_near_one_another() -> None:
    digits = open_dataset("digits", limit=150)
    points = REAL_TSNE(digits.array().reshape(150, -1).astype(np.float32), 0)
    assert points.shape == (150, 2)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(150)
    assert digits.labels is not None
    assert (digits.labels[distances.argmin(1)] == digits.labels).mean() > 0.7


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.fixture(scope="module")
def finished(small_maps: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    run_purity(TINY, folder)
    return folder


def test_everything_is_measured(finished: Path) -> None:
    results = results_of(finished)
    assert set(results["conditions"]) == {"neither", "bottleneck", "skips", "both"}
    for name, one in results["conditions"].items():
        assert one["values"] == (16 if CONDITIONS[name].bottleneck else 2 * 2 * 16)
        assert [row["epoch"] for row in one["sweep"]] == [0, 1, 2]
        assert len(one["train_loss"]) == 2
        assert one["train_loss"][1] < one["train_loss"][0]
        for part in ("train", "test"):
            purity = one[part]["purity"]
            assert purity["low"] < purity["mean"] < purity["high"]
            assert purity["mean"] > 0.15
            assert 0.1 < one[part]["accuracy"]["mean"] <= purity["mean"]
        assert 0.1 < one["probe"]["test"]["mean"] < one["probe"]["train"]["mean"] <= 1
        assert ("pooled" in one) != CONDITIONS[name].bottleneck
    assert results["raw"]["values"] == 64
    assert results["raw"]["train"]["purity"]["mean"] > 0.6  # scikit-learn's digits are easy: about 0.75
    assert results["raw"]["probe"]["test"] > 0.8
    assert len(results["claims"]) == 8


def test_runs_hold_what_the_summary_says(finished: Path) -> None:
    results = results_of(finished)
    runs = results["runs"]["bottleneck"]
    assert [run["seed"] for run in runs] == [0, 1]
    assert runs[0]["train"]["purity"] != runs[1]["train"]["purity"]
    mean = np.mean([np.mean(run["train"]["purity"]) for run in runs])
    assert results["conditions"]["bottleneck"]["train"]["purity"]["mean"] == pytest.approx(mean)
    assert np.sum(runs[0]["contingency"]) == 512


def test_every_part_says_on_what_it_was_made(finished: Path) -> None:
    results = results_of(finished)
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    for runs in results["runs"].values():
        for run in runs:
            assert re.fullmatch(
                f"{kind}, (float32|bfloat16 autocast), channels (first|last), not compiled", run["machine"]
            )
    assert results["conditions"]["both"]["machine"] == results["runs"]["both"][0]["machine"]
    assert results["raw"]["part"]["machine"] == f"{kind}, float32"
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert page.count(results["conditions"]["both"]["machine"]) == 2, "in the foot, in both languages"


def test_the_models_are_there(finished: Path) -> None:
    model = open_model(finished / "models" / "both-1")
    assert model.task.name == "autoencode-grey"
    assert model.options["bottleneck"] == 16
    assert not list((finished / "states").iterdir())


def test_the_page_is_in_both_languages(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    for text in ("The article&#x27;s claims", "記事の主張", "0.6998", "Maps of the latents", "潜在特徴の地図"):
        assert text in page
    assert not re.search(r"\bnan\b", re.sub(r"<script.*?</script>|base64,[^\"]*", "", page, flags=re.S))


def test_a_second_run_trains_nothing(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results_of(finished)
    monkeypatch.setattr(study_module, "train_and_measure", None)
    monkeypatch.setattr(network_module, "cluster", None)
    run_purity(TINY, finished)
    after = results_of(finished)
    for changing in ("seconds", "peak_memory_mb"):
        before.pop(changing), after.pop(changing)
    assert before == after


def test_the_same_seed_gives_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    run_purity(replace(TINY, seeds=1), tmp_path / "again")
    ours, theirs = (results_of(folder)["runs"]["both"][0] for folder in (finished, tmp_path / "again"))
    for key in ("train", "test", "train_loss", "contingency", "probe"):
        assert ours[key] == theirs[key]


def test_a_killed_run_goes_on_with_the_same_numbers(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []

    class Dying(network_module.Together):
        def train_epoch(self, go_on: Any = lambda: True) -> list[float]:
            if len(trained) == 5:
                raise MemoryError("as if killed")
            trained.append(self.epoch)
            return super().train_epoch(go_on)

    with monkeypatch.context() as patch:
        patch.setattr(network_module, "Together", Dying)
        patch.setattr(Lanes, "__init__", lambda self, _: self.__dict__.update(count=1, _stop=threading.Event()))
        with pytest.raises(MemoryError):
            run_purity(TINY, tmp_path)
    assert len(list((tmp_path / "parts").glob("neither-*.json"))) == 2
    assert list((tmp_path / "states").iterdir())
    run_purity(TINY, tmp_path)
    ours, theirs = results_of(finished), results_of(tmp_path)
    for name in ours["runs"]:
        for a, b in zip(ours["runs"][name], theirs["runs"][name], strict=True):
            assert {**a, "seconds": 0, "measuring_seconds": 0} == {**b, "seconds": 0, "measuring_seconds": 0}


class Killed(BaseException):
    """As if the process ended here."""


def in_one_group(
    seeds: list[int], folder: Path, name: str = "bottleneck", lines: list[str] | None = None
) -> dict[int, TrainingRun]:
    """A condition's runs from several seeds trained as one batched network, as on a GPU."""
    settings = replace(TINY, epochs=3)
    pictures = load_pictures(settings)
    study = StudyFolder(folder, "purity", {})
    say = (lines if lines is not None else []).append
    recipe = settings.recipe(CONDITIONS[name], pictures.train)
    missing = [seed for seed in seeds if study.finished(f"{name}-{seed}", TrainingRun) is None]
    network_module.train_and_measure(name, recipe, missing, settings, pictures, study, say, lambda: True)
    runs = {seed: study.finished(f"{name}-{seed}", TrainingRun) for seed in seeds}
    return {seed: run for seed, run in runs.items() if run is not None}


def comparable(run: TrainingRun) -> TrainingRun:
    return replace(run, seconds=0, measuring_seconds=0)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> dict[int, TrainingRun]:
    folder = tmp_path_factory.mktemp("grouped")
    runs = in_one_group([0, 1], folder)
    assert not list((folder / "states").iterdir())
    return runs


def test_several_seeds_in_one_network(grouped: dict[int, TrainingRun], tmp_path: Path) -> None:
    alone = in_one_group([1], tmp_path)
    assert grouped[1].train_loss == pytest.approx(alone[1].train_loss, rel=2e-2)
    assert grouped[0].train_loss != grouped[1].train_loss
    assert [row.epoch for row in grouped[1].sweep] == [0, 1, 2, 3]


def test_a_killed_group_goes_on_with_the_same_numbers(
    grouped: dict[int, TrainingRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(network_module.Together):
        def train_epoch(self, go_on: Any = lambda: True) -> list[float]:
            if self.epoch == 2:
                raise Killed
            return super().train_epoch(go_on)

    with monkeypatch.context() as patch:
        patch.setattr(network_module, "Together", Dying)
        with pytest.raises(Killed):
            in_one_group([0, 1], tmp_path)
    assert len(list((tmp_path / "states").iterdir())) == 2
    lines: list[str] = []
    found = in_one_group([0, 1], tmp_path, lines=lines)
    assert not any("epoch 0" in line or "epoch 2" in line for line in lines), "measured before the kill"
    assert {seed: comparable(one) for seed, one in found.items()} == {
        seed: comparable(one) for seed, one in grouped.items()
    }


def test_a_kill_between_two_finishes_costs_no_training(
    grouped: dict[int, TrainingRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = network_module._finish

    def dying(name: str, place: int, *rest: Any) -> TrainingRun:
        if place == 1:
            raise Killed
        return finish(name, place, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(network_module, "_finish", dying)
        with pytest.raises(Killed):
            in_one_group([0, 1], tmp_path)
    assert [one.name for one in (tmp_path / "states").iterdir()] == ["bottleneck-1.safetensors"]
    monkeypatch.setattr(network_module.Together, "train_epoch", None)
    found = in_one_group([0, 1], tmp_path)
    assert comparable(found[0]) == comparable(grouped[0])
    assert found[1].train_loss == grouped[1].train_loss
    # alone its weights lie otherwise in memory, which moves the last digit
    assert found[1].inertia == pytest.approx(grouped[1].inertia, rel=1e-6)
    assert found[1].train.purity == pytest.approx(grouped[1].train.purity, abs=0.01)


def test_more_seeds_do_not_begin_those_again_that_were_on_their_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[tuple[int, ...], int]] = []

    class Counting(network_module.Together):
        def train_epoch(self, go_on: Any = lambda: True) -> list[float]:
            trained.append((self.seeds, self.epoch))
            if trained[-1] == ((0, 1), 2):
                raise Killed
            return super().train_epoch(go_on)

    monkeypatch.setattr(network_module, "Together", Counting)
    with pytest.raises(Killed):
        in_one_group([0, 1], tmp_path)
    (tmp_path / "states" / "bottleneck-0.safetensors").write_bytes(b"broken")
    trained.clear()
    lines: list[str] = []
    found = in_one_group([0, 1, 2], tmp_path, lines=lines)
    assert trained == [((0, 2), 0), ((0, 2), 1), ((0, 2), 2), ((1,), 2)]
    assert sum("cannot be read" in line for line in lines) == 1
    assert [len(run.train_loss) for run in found.values()] == [3, 3, 3]


def test_more_seeds_keep_what_is_finished_and_other_settings_are_refused(tmp_path: Path) -> None:
    one = replace(TINY, seeds=1, epochs=1)
    run_purity(one, tmp_path)
    kept = (tmp_path / "parts" / "both-0.json").read_text()
    run_purity(replace(one, seeds=2), tmp_path)
    assert (tmp_path / "parts" / "both-0.json").read_text() == kept
    assert results_of(tmp_path)["conditions"]["both"]["train"]["purity"]["count"] == 2
    with pytest.raises(RecipeError, match="epochs was 1, now 2"):
        run_purity(replace(one, epochs=2), tmp_path)


def test_controls_and_any_labelled_set(tmp_path: Path) -> None:
    digits = open_dataset("digits", limit=200)
    colour = np.repeat(digits.array(), 3, axis=3)
    PictureSet.from_array(colour, digits.labels, classes=digits.classes).save(tmp_path / "own.safetensors")
    settings = PuritySettings(
        data=str(tmp_path / "own.safetensors"), kmeans_seeds=2, epochs=1, batch_size=32, width=2, units=3
    )
    run_purity(settings, tmp_path / "study")
    results = results_of(tmp_path / "study")
    assert set(results["conditions"]) == set(settings.conditions())
    assert results["data"]["channels"] == 3
    assert (results["data"]["train"], results["data"]["test"]) == (160, 40)
    assert results["conditions"]["zeroed"]["parameters"] == results["conditions"]["skips"]["parameters"]
    assert results["conditions"]["zeroed-bottleneck"]["values"] == 3
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    for heading in ("Labels in each cluster", "Maps of the latents"):
        section = page.partition(f"{heading}</")[2].partition("<h2")[0]
        assert section.count("<svg") == 7, "six conditions and the raw pixels"
        assert section.count("zeroed skips + bottleneck") >= 1
        assert "--n: 3" in section, "three to a line"
    assert results["conditions"]["both"]["single_run"] is None  # one training run tells nothing of another
    assert {claim["verdict"] for claim in results["claims"]} == {"within noise"}
    for claim in results["claims"]:
        assert "one training run per condition this may be due" in claim["evidence"]["en"]
        assert "各条件1回の学習では" in claim["evidence"]["ja"]
        assert all("--seeds 3" in one and "nan" not in one for one in claim["evidence"].values())


def test_pictures_that_do_not_fit_are_told(tmp_path: Path) -> None:
    digits = open_dataset("digits", limit=20)
    digits_without = PictureSet.from_array(digits.array(), None)
    digits_without.save(tmp_path / "bare.safetensors")
    with pytest.raises(DataError, match="label for each picture"):
        load_pictures(PuritySettings(data=str(tmp_path / "bare.safetensors")))
    with pytest.raises(RecipeError, match="kmeans_seeds: expected at least 2"):
        PuritySettings(kmeans_seeds=1)


def test_quick_has_enough_steps_for_few_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[PuritySettings] = []
    monkeypatch.setattr(study_module, "_jobs", lambda settings, *_: seen.append(settings) or iter(()))
    monkeypatch.setattr(study_module, "summarize", lambda *_: {})
    monkeypatch.setattr(study_module, "write_report", lambda *_: Path())
    run_purity(replace(PRESETS["quick"], data="digits"), tmp_path)
    assert seen[0].epochs == 46  # 1,437 digits give 22 steps an epoch
    assert load_pictures(replace(PRESETS["quick"], data="digits")).train.uniform == (28, 28)


def test_the_sweep_is_what_the_issue_asks_for() -> None:
    assert SWEEP[:6] == (0, 1, 2, 5, 10, 20)
    assert {name: one.article for name, one in CONDITIONS.items() if one.article} == {
        "neither": 0.5123, "bottleneck": 0.6998, "skips": 0.5217, "both": 0.3752
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "data", "machine", "told"),
    [({}, {}, "float32", None), ({"seeds": 5, "data_root": "there"}, {}, "float32", None),
     ({}, {}, "bfloat16 autocast", "precision bfloat16 (float32). The article&#x27;s setting may give other results; run it with --preset "
                                   "article --precision fp32"),
     ({"data": "fashion"}, {}, "float32", "data fashion (mnist)"), ({"kmeans_seeds": 3}, {}, "float32", "k-means runs 3 (10)"),
     ({"size": 20}, {"size": (20, 20)}, "float32", "size 20 × 20 (28 × 28)"), ({"size": 28}, {}, "float32", None),
     ({}, {"train": 900}, "float32", "pictures 900 (60,000)")],
)  # fmt: skip
def test_the_page_tells_every_departure(
    changes: dict[str, Any], data: dict[str, Any], machine: str, told: str | None
) -> None:
    page = Page("a page")
    about = {"source": "mnist train", "size": (28, 28), "train": 60_000, "test": 10_000, "labels": 10, "left_out": 0}
    pictures = AboutPictures(**{"channels": 1, "digest": "", **about, **data})
    conditions = {"both": SimpleNamespace(machine=f"cpu, {machine}, channels last")}
    results = SimpleNamespace(data=pictures, conditions=conditions)
    report_module.introduction(page, replace(PRESETS["article"], **changes), results)
    text = "".join(page.parts)
    assert ("This is the article&#x27;s full setting" in text) == (told is None)
    assert (told or "") in text


def scores(purity: list[float]) -> ClusterScores:
    each = Scores(purity=purity, accuracy=purity, nmi=purity, ari=purity)
    return ClusterScores(inertia=[], iterations=[], train=each, test=each)


def run(purity: list[float], pooled: list[float] | None = None) -> TrainingRun:
    return TrainingRun(
        **vars(scores(purity)), values=16, contingency=[], probe=Probe(train=0, test=0), measuring_seconds=0, parameters=0,
        seed=0, sweep=[], train_loss=[], seconds=0, pooled=scores(pooled or purity),
    )  # fmt: skip


def verdicts(**means: list[float]) -> list[str]:
    """The verdicts in the page's order, from the mean purities of two or more training runs."""
    runs = {name: [run([value, value]) for value in means[name]] for name in means if name != "raw"}
    found = claims(runs, scores(means["raw"]), replace(TINY, seeds=len(means["neither"])))
    return [claim.verdict for claim in found]


def test_verdicts_on_the_articles_own_numbers() -> None:
    near = [-0.003, 0.0, 0.003]
    article = {name: [one.article + d for d in near] for name, one in CONDITIONS.items() if one.article}
    found = verdicts(**article, raw=[0.588, 0.590, 0.592])
    assert found[:3] == ["holds"] * 3
    assert found[3:5] == ["holds"] * 2
    assert found[5] == "holds"
    assert found[6:] == ["does not hold"] * 2  # here pooling loses nothing


def test_verdicts_when_it_is_the_other_way_round_or_unclear() -> None:
    far = {"neither": [0.7, 0.71], "bottleneck": [0.3, 0.31], "skips": [0.2, 0.9], "both": [0.6, 0.61]}
    found = verdicts(**far, raw=[0.5, 0.501])
    assert found[:3] == ["does not hold"] * 3
    assert found[3] == "does not hold"
    assert found[4] == found[5] == "within noise"


def test_other_autoencoders_and_remedies(tmp_path: Path) -> None:
    settings = replace(
        TINY, seeds=1, kmeans_seeds=2, epochs=1, parts="all", width=2, units=3, pictures=200, test_pictures=60
    )
    run_purity(settings, tmp_path)
    results = results_of(tmp_path)
    assert set(results["conditions"]) == {name for name, one in CONDITIONS.items() if one.part != "controls"}
    values = {name: one["values"] for name, one in results["conditions"].items()}
    assert [values[name] for name in ("dense", "conv", "denoising", "vae", "ladder", "gated", "alone")] == [
        32,
        8,
        3,
        3,
        3,
        3,
        3,
    ]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for heading in ("Other autoencoders", "Making the network use its bottleneck", "ボトルネックを眠らせない"):
        assert heading in page
    assert page.partition("Labels in each cluster</")[2].partition("<h2")[0].count("<svg") == 5, (
        "the article's and the raw pixels"
    )
    assert not re.search(r"\bnan\b", re.sub(r"<script.*?</script>|base64,[^\"]*", "", page, flags=re.S))
    pictures = load_pictures(settings)
    training, test = (np.asarray(some.array(), dtype=float) / 255 for some in (pictures.train, pictures.test))
    average = float(((test - training.mean(axis=0)) ** 2).sum(axis=(1, 2, 3)).mean())
    told = re.search(r"No better than answering .*? \(squared error ([\d.]+)\): (.*?)\. Such", page)
    assert told is not None, "the dense autoencoder learns little in an epoch of four steps"
    assert float(told[1]) == pytest.approx(average, abs=0.06)
    worse = [name for name, one in results["conditions"].items() if one["test_loss"] >= 0.98 * average]
    assert told[2] == ", ".join(f"{texts.CONDITIONS[name].en} (1 of 1 training runs)" for name in worse)
    faded = open_model(tmp_path / "models" / "fade-out-0")
    assert faded.options["skip_steps"] == 4


@pytest.mark.parametrize(
    ("purity", "loss", "verdict"),
    [(0.75, 6.0, "holds"), (0.6, 6.0, "does not hold"), (0.75, 9.0, "does not hold"), (0.7, 6.0, "within noise")],
)
def test_verdict_on_remedies(purity: float, loss: float, verdict: str) -> None:
    def trained(purity: float, loss: float) -> list[TrainingRun]:
        return [
            replace(
                run([purity + noise] * 2), sweep=[SweepRow(**vars(scores([1, 1])), epoch=1, test_loss=loss + noise)]
            )
            for noise in (-0.01, 0, 0.01)
        ]

    runs = {name: trained(0.5, 5.0) for name in ("neither", "bottleneck", "skips", "both")}
    runs |= {"gated": trained(0.3, 5.0), "alone": trained(purity, loss)}
    claim = claims(runs, scores([0.5, 0.5]), replace(TINY, seeds=3))[0]
    assert "A U-Net can have both" in claim.text.en
    assert claim.verdict == verdict


def test_one_training_run_decides_nothing_however_alike_its_k_means_runs_are() -> None:
    """The spread of k-means seeds is not that of training runs."""
    of = {"neither": 0.5, "bottleneck": 0.9, "skips": 0.6, "both": 0.3, "zeroed-bottleneck": 0.9}
    runs = {name: [run([mean - 0.001, mean, mean + 0.001], [mean / 9] * 3)] for name, mean in of.items()}
    found = claims(runs, scores([0.699, 0.7, 0.701]), replace(TINY, seeds=1))
    assert [claim.verdict for claim in found] == ["within noise"] * 9
    assert found[0].numbers["difference"] == pytest.approx(0.2)
    assert "difference +0.200, but with one training run" in found[0].evidence.en


@pytest.mark.parametrize(
    ("lost", "verdict", "in_points"),
    [([0.12, 0.125, 0.13], "holds", "does not hold"), ([0.24, 0.25, 0.26], "does not hold", "holds"),
     ([0.05, 0.06, 0.07], "does not hold", "does not hold"), ([0.1, 0.15, 0.17], "within noise", "within noise"),
     ([0.25, 0.251], "does not hold", "holds")],
)  # fmt: skip
def test_verdict_on_pooling_is_by_the_share_of_the_purity(lost: list[float], verdict: str, in_points: str) -> None:
    runs = {name: [run([0.5, 0.5]) for _ in lost] for name in ("bottleneck", "both", "skips")}
    runs["neither"] = [run([0.5, 0.5], [0.5 - one] * 2) for one in lost]
    found = claims(runs, scores([0.5, 0.5]), replace(TINY, seeds=len(lost)))
    claim = next(claim for claim in found if "pooling" in claim.text.en)
    assert claim.verdict == verdict
    assert claim.numbers["share_mean"] == pytest.approx(2 * claim.numbers["points_mean"])
    assert f"Pooling loses {100 * claim.numbers['share_mean']:.0f} (" in claim.evidence.en
    assert f"points that is {100 * claim.numbers['points_mean']:.0f} (" in claim.evidence.en
    assert f"the verdict is: {in_points}." in claim.evidence.en


def test_ctrl_c_stops_the_lanes() -> None:
    seen: list[bool] = []

    def fails(go_on: Any) -> None:
        raise KeyboardInterrupt

    def waits(go_on: Any) -> None:
        while go_on():
            pass
        seen.append(True)

    with pytest.raises(KeyboardInterrupt):
        Lanes(2).run(iter([waits, fails, waits]))
    assert seen == [True]


def test_sets_larger_than_memory_go_through_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (latents_module, kmeans_module, network_module):
        monkeypatch.setattr(module, "quarter_of_memory", lambda: 20_000)
    settings = replace(TINY, seeds=1, epochs=1, kmeans_seeds=2)
    run_purity(settings, tmp_path)
    results = results_of(tmp_path)
    assert results["raw"]["train"]["purity"]["mean"] > 0.5
    assert np.sum(results["runs"]["neither"][0]["contingency"]) == 512


def test_a_study_says_how_far_it_is(tmp_path: Path) -> None:
    lines: list[str] = []
    run_purity(replace(TINY, seeds=2, controls=False), tmp_path, lines.append)
    counted = [line for line in lines if "training runs done" in line]
    assert len(counted) == 4 * 2 - 1
    assert counted[0].startswith("1 of 8 training runs done, about ")
    assert counted[0].endswith("s left")
