"""The studies `autoencode` and `colorize`, so small that a test can afford them: photos from scikit-image, and the digits."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hashigo.data import PictureSet
from hashigo.errors import DataError, RecipeError
from hashigo.models import open_model
from hashigo.pages.page import Page
from hashigo.pages.panels import grid, save_png
from hashigo.pages.words import Words
from hashigo.studies.reporting import command
from hashigo.studies.restoration import autoencode, colorize, shown
from hashigo.studies.restoration import train as restoration
from hashigo.studies.restoration.autoencode import run_autoencode
from hashigo.studies.restoration.colorize import run_colorize
from hashigo.studies.restoration.data import is_grey, load_pictures
from hashigo.studies.restoration.measuring import measure
from hashigo.studies.restoration.report import cautions
from hashigo.studies.restoration.results import (
    AboutPictures,
    AboutSet,
    AboutTestSet,
    Epoch,
    Measures,
    Originals,
    TrainedNetwork,
)
from hashigo.studies.restoration.settings import AUTOENCODE, COLORIZE, RestorationSettings
from hashigo.studies.restoration.shown import StoredEpochs, epochs_to_show
from hashigo.training.callbacks import RestoredPictures
from photos import PHOTOS, pixels

TINY: dict[str, Any] = {
    "pictures": 40, "test_pictures": 6, "crop": 16, "width": 4, "depth": 2, "epochs": 2, "batch_size": 8, "panels": 4,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in another order would be other sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def corners(folder: Path, count: int, start: int = 0, side: int = 24) -> Path:
    """A folder of small pictures cut from the photos, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(start, start + count):
        array = pixels(PHOTOS[i % len(PHOTOS)])
        top, left = 40 + 7 * (i // 8), 30 + 41 * (i % 8)
        Image.fromarray(array[top : top + side, left : left + side]).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corners(tmp_path_factory.mktemp("photos") / "all", 40)


def animals(folder: Path) -> Path:
    """Photos in folders of a train and a test split, cats among them."""
    for split, start in (("train", 0), ("test", 60)):
        corners(folder / split / "dog", 24, start)
        corners(folder / split / "cat", 8, start + 24)
    return folder


def results_of(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study `autoencode`."""
    folder = tmp_path_factory.mktemp("autoencode") / "study"
    assert run_autoencode(RestorationSettings(data=str(photos), **TINY), folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study `colorize`, with labels."""
    data = animals(tmp_path_factory.mktemp("animals"))
    folder = tmp_path_factory.mktemp("colorize") / "study"
    run_colorize(RestorationSettings(data=str(data), **TINY), folder)
    return folder


# --- the study autoencode -----------------------------------------------------------------------------------


def test_results_hold_everything(finished: Path) -> None:
    results = results_of(finished)
    assert list(results["conditions"]) == ["with", "without", "zeroed"]
    pictures = results["pictures"]
    assert pictures["side"] == 16
    assert pictures["train"]["pictures"] + pictures["validation"]["pictures"] + pictures["test"]["pictures"] == 40
    for network in results["conditions"].values():
        assert [row["epoch"] for row in network["curves"]] == [1, 2]
        assert network["task"] == "autoencode"
        assert network["seconds"] > 0
        assert network["pictures_per_second"] > 0
        for name, values in network["each"].items():
            assert len(values) == pictures["test"]["pictures"] == 6, name
            mean = network["mean"][name]
            assert mean["mean"] == pytest.approx(np.mean(values))
            assert mean["low"] < mean["mean"] < mean["high"]
    parameters = {name: network["parameters"] for name, network in results["conditions"].items()}
    assert parameters["with"] == parameters["zeroed"] > parameters["without"]
    assert len(results["claims"]) == 3
    assert all(claim["verdict"] in ("holds", "does not hold", "within noise") for claim in results["claims"])
    assert results["settings"]["crop"] == 16
    assert results["seconds"] > 0


def test_the_loss_of_each_picture_is_the_trainings_loss(finished: Path, photos: Path) -> None:
    pictures = load_pictures(RestorationSettings(data=str(photos), **TINY))
    on_validation = replace(pictures, test=pictures.validation)
    measured = measure(open_model(finished / "with"), on_validation)
    lowest = min(row["val_loss"] for row in results_of(finished)["conditions"]["with"]["curves"])
    assert np.mean(measured.each["loss"]) == pytest.approx(lowest, rel=0.05)  # the curve's may be bfloat16's


@pytest.mark.parametrize("study", ["finished", "coloured"])
def test_verdicts_over_pictures_say_that_each_network_was_trained_once(
    study: str, request: pytest.FixtureRequest
) -> None:
    claims = results_of(request.getfixturevalue(study))["claims"]
    over_pictures = [claim["evidence"] for claim in claims if "learns far faster" not in claim["claim"]["en"]]
    assert len(over_pictures) == (2 if study == "finished" else 3)
    for evidence in over_pictures:
        assert "one training run each" in evidence["en"]
        assert "学習は各1回" in evidence["ja"]


def test_the_page_is_whole_and_in_both_languages(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    # two epochs with a row of four, held-out pictures, three of them enlarged
    assert page.count("<img") == 4 * (2 + 1 + 3)
    assert page.count("<svg") == 2 + 4
    assert page.count('class="verdict ') == 3
    assert not re.search(r'(?:src|href)="https?:', page)
    for words in ("with skips", "スキップあり", "held-out", "テスト画像", "not the article", "--crop 16"):
        assert words in page, words
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page)


def test_a_finished_study_is_not_done_again(finished: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results_of(finished)
    (finished / "report.html").unlink()

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a finished condition was trained or measured again")

    monkeypatch.setattr(restoration, "train", never)
    monkeypatch.setattr(restoration, "measure", never)
    lines: list[str] = []
    run_autoencode(RestorationSettings(data=str(photos), **TINY), finished, lines.append)
    assert sum("already finished" in line for line in lines) == 3
    after = results_of(finished)
    assert (finished / "report.html").is_file()
    assert {key: after[key] for key in ("conditions", "claims")} == {
        key: before[key] for key in ("conditions", "claims")
    }
    assert after["seconds"] >= before["seconds"]


class Stop(Exception):
    """Ends a study."""


def test_a_stopped_study_goes_on_and_comes_out_the_same(
    finished: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RestorationSettings(data=str(photos), **TINY)
    original, calls = restoration.train, []

    def stopping(recipe: Any, folder: Path, **options: Any) -> Any:
        """Stops in the second epoch of the second network."""
        calls.append(folder.name)
        if len(calls) == 2:
            options["callbacks"] = [*options["callbacks"], Stopping()]
        return original(recipe, folder, **options)

    monkeypatch.setattr(restoration, "train", stopping)
    with pytest.raises(Stop):
        run_autoencode(settings, tmp_path)
    assert calls == ["with", "without"]
    assert (tmp_path / "parts" / "with.json").is_file()
    assert not (tmp_path / "parts" / "without.json").exists()
    lines: list[str] = []
    run_autoencode(settings, tmp_path, lines.append)
    assert calls == ["with", "without", "without", "zeroed"]
    assert any("continuing from epoch 2" in line for line in lines)
    uninterrupted, stopped = results_of(finished), results_of(tmp_path)
    assert uninterrupted["claims"] == stopped["claims"]
    for name, network in uninterrupted["conditions"].items():
        for key in ("curves", "each", "best_epoch", "parameters"):
            assert network[key] == stopped["conditions"][name][key], (name, key)
    for path in finished.rglob("*.npz"):
        pictures, again = np.load(path), np.load(tmp_path / path.relative_to(finished))
        assert all(np.array_equal(pictures[name], again[name]) for name in pictures.files), path


class Stopping(restoration.Callback):
    """Raises in the second epoch."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.current_epoch == 1:
            raise Stop


def test_a_folder_that_an_earlier_version_began_goes_on(finished: Path, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    for path in folder.rglob("*.npz"):
        path.unlink()
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    settings["settings"]["root"] = settings["settings"].pop("data_root")
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    parts = {path: path.read_text(encoding="utf-8") for path in folder.glob("parts/*.json")}
    lines: list[str] = []
    run_autoencode(RestorationSettings(data=str(photos), **TINY), folder, lines.append)
    assert all(path.read_text(encoding="utf-8") == text for path, text in parts.items())
    assert sum("running the network on the held-out pictures again" in line for line in lines) == 3
    assert any("storing the first originals again" in line for line in lines)
    assert any("leaves out the results of epochs 1, 2" in line for line in lines)
    page, before = ((path / "report.html").read_text(encoding="utf-8") for path in (folder, finished))
    pictures, pictures_before = (re.findall(r"base64,([^\"]*)", text) for text in (page, before))
    assert pictures == pictures_before[4 * 2 :], "all but the rows of the epochs, which come first"
    assert "What they give back as they learn" not in page


def test_another_study_is_refused(finished: Path, photos: Path, tmp_path: Path) -> None:
    settings = RestorationSettings(data=str(photos), **TINY)
    with pytest.raises(RecipeError, match="width was 4, now 8"):
        run_autoencode(replace(settings, width=8), finished)
    with pytest.raises(RecipeError, match="'autoencode', not the study 'colorize'"):
        run_colorize(RestorationSettings(data=str(photos), **TINY), finished)


def test_changed_pictures_are_noticed(finished: Path, tmp_path: Path, photos: Path) -> None:
    others = corners(tmp_path / "others", 40, start=8)
    (finished.parent / "copy" / "parts").mkdir(parents=True)
    for name in ("settings.json", "parts/pictures.json"):
        text = (finished / name).read_text(encoding="utf-8").replace(str(photos), str(others))
        (finished.parent / "copy" / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="pictures that the study was started with"):
        run_autoencode(RestorationSettings(data=str(others), **TINY), finished.parent / "copy")


def test_grey_pictures_have_networks_of_one_channel(tmp_path: Path) -> None:
    run_autoencode(RestorationSettings(data="digits", **{**TINY, "crop": 8, "pictures": 80, "epochs": 1}), tmp_path)
    results = results_of(tmp_path)
    assert {network["task"] for network in results["conditions"].values()} == {"autoencode-grey"}
    assert results["pictures"]["grey"]
    assert results["pictures"]["test"]["names"][0].startswith("test/")


# --- the study colorize -------------------------------------------------------------------------------------


def test_too_few_to_divide(photos: Path, tmp_path: Path) -> None:
    for file in sorted(photos.rglob("*.png"))[:2]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="at least 3 pictures, for training, validation and test, got 2"):
        load_pictures(RestorationSettings(data=str(tmp_path), **TINY))


def test_cats_are_for_testing_only(coloured: Path) -> None:
    results = results_of(coloured)
    assert results["cats"]
    assert results["pictures"]["classes_kept_out"] == ["cat"]
    assert all(name.startswith("cat/") for name in results["pictures"]["test"]["names"])
    assert results["pictures"]["train"]["pictures"] + results["pictures"]["validation"]["pictures"] == 24
    assert list(results["conditions"]) == ["with", "without", "autoencode-with", "autoencode-without"]
    assert results["conditions"]["with"]["task"] == "colorize-rgb"
    assert results["conditions"]["autoencode-with"]["task"] == "autoencode"
    ratio = results["colourfulness_ratio"]["with"]
    before = np.array(results["originals"]["originals"]["colourfulness"])
    after = np.array(results["conditions"]["with"]["each"]["colourfulness"])
    assert ratio["mean"] == pytest.approx(np.mean((after / before)[before >= 5]))
    assert results["originals"]["grey"]["colourfulness"] == pytest.approx([0] * len(before), abs=1e-3)
    page = (coloured / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2 * 3 + 4 + 3 * 3
    assert page.count('class="verdict ') == 3
    assert "cats" in page
    assert "猫" in page


def test_cats_of_the_training_split_where_there_is_no_test_split(tmp_path: Path) -> None:
    data = animals(tmp_path) / "train"
    pictures = load_pictures(RestorationSettings(data=str(data), **TINY), colorize.CATS)
    assert pictures.by_class
    assert all(name.startswith("cat/") for name in pictures.test.names)
    assert not any(name.startswith("cat/") for name in (*pictures.train.names, *pictures.validation.names))


def test_cats_of_the_training_split_where_the_test_split_has_none(tmp_path: Path) -> None:
    corners(tmp_path / "train" / "dog", 24)
    corners(tmp_path / "train" / "cat", 8, 24)
    corners(tmp_path / "test" / "dog", 6, 60)
    corners(tmp_path / "test" / "bird", 6, 70)
    pictures = load_pictures(RestorationSettings(data=str(tmp_path), **TINY), colorize.CATS)
    assert pictures.by_class
    assert len(pictures.test) == 6
    assert all(name.startswith("cat/") for name in pictures.test.names)
    assert not any(name.startswith("cat/") for name in (*pictures.train.names, *pictures.validation.names))


def test_where_no_picture_is_left_the_reason_is_told(tmp_path: Path) -> None:
    corners(tmp_path / "only" / "cat", 8)
    corners(tmp_path / "only" / "cats", 8, 8)
    with pytest.raises(DataError, match=r"to train on besides those of the class cat and cats.*found no others"):
        load_pictures(RestorationSettings(data=str(tmp_path / "only"), **TINY), colorize.CATS)
    some = PictureSet.from_array(
        np.zeros((4, 24, 24, 3), np.uint8), np.array([0, 0, 2, 2]), classes=("dog", "cat", "owl")
    )
    some.save(tmp_path / "none.safetensors")
    with pytest.raises(
        DataError, match="of the class cat to test on, found none; give pictures to test on with --test"
    ):
        load_pictures(RestorationSettings(data=str(tmp_path / "none.safetensors"), **TINY), colorize.CATS)
    small, large = corners(tmp_path / "small", 8, side=12), corners(tmp_path / "large", 8)
    with pytest.raises(DataError, match=r"at least 16 × 16 pixels, got 8 that are all smaller, .* of 12; lower --crop"):
        load_pictures(RestorationSettings(data=str(large), test=str(small), **TINY))


def test_cats_are_kept_out_though_a_file_lies_beside_the_folders(tmp_path: Path) -> None:
    data = animals(tmp_path) / "train"
    corners(data, 1, 90)
    pictures = load_pictures(RestorationSettings(data=str(data), **TINY), colorize.CATS)
    assert pictures.kept_out == ("cat",)
    assert not any(name.startswith("cat/") for name in (*pictures.train.names, *pictures.validation.names))
    assert "090.png" in {*pictures.train.names, *pictures.validation.names}


def test_cats_are_kept_out_though_others_are_tested(tmp_path: Path, photos: Path) -> None:
    data = animals(tmp_path) / "train"
    pictures = load_pictures(
        RestorationSettings(data=str(data), test=str(tmp_path / "test" / "dog"), **TINY), colorize.CATS
    )
    assert pictures.kept_out == ("cat",)
    assert not pictures.by_class
    assert not any(name.startswith("cat/") for name in (*pictures.train.names, *pictures.validation.names))
    assert len(pictures.test) == 6


def test_grey_pictures_cannot_teach_colours(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(DataError, match="expected colour pictures"):
        run_colorize(RestorationSettings(data="digits", **{**TINY, "crop": 8}), tmp_path / "a")
    grey = tmp_path / "grey"
    grey.mkdir()
    for i, file in enumerate(sorted(photos.iterdir())):
        Image.open(file).convert("L").convert("RGB").save(grey / f"{i}.png")
    with pytest.raises(DataError, match=r"grey: expected colour pictures"):
        run_colorize(RestorationSettings(data=str(photos), test=str(grey), **TINY), tmp_path / "b")
    assert not (tmp_path / "a").exists()


# --- the pictures -------------------------------------------------------------------------------------------


def names(pictures: PictureSet) -> set[str]:
    return set(pictures.names)


def test_no_picture_is_in_two_sets(photos: Path, tmp_path: Path) -> None:
    pictures = load_pictures(RestorationSettings(data=str(photos), **TINY))
    assert not names(pictures.train) & names(pictures.validation)
    assert not names(pictures.test) & (names(pictures.train) | names(pictures.validation))
    again = load_pictures(RestorationSettings(data=str(photos), **TINY))
    assert again.digest == pictures.digest
    for i in range(3):  # three of the training pictures, under other names
        Image.open(photos / pictures.train.names[i]).save(tmp_path / f"copy-{i}.png")
    corners(tmp_path, 3, start=100)
    other = load_pictures(RestorationSettings(data=str(photos), test=str(tmp_path), **{**TINY, "pictures": 0}))
    assert len(other.train) + len(other.validation) == 40
    assert other.dropped == 3
    assert names(other.test) == {"100.png", "101.png", "102.png"}
    with pytest.raises(DataError, match="not among the training pictures"):
        load_pictures(RestorationSettings(data=str(photos), test=str(photos), **TINY))


def test_small_pictures_are_left_out(photos: Path, tmp_path: Path) -> None:
    corners(tmp_path, 10)
    corners(tmp_path / "small", 4, side=12)
    settings = RestorationSettings(data=str(tmp_path), **TINY)
    assert load_pictures(settings).dropped == 4
    with pytest.raises(DataError, match="at least 32 × 32"):
        load_pictures(replace(settings, crop=32))


def test_a_set_of_smaller_pictures_sets_the_side() -> None:
    assert load_pictures(RestorationSettings(data="digits", **{**TINY, "crop": 28})).crop == 28  # digits are enlarged
    grey = load_pictures(RestorationSettings(data="digits", **{**TINY, "crop": 8}))
    assert grey.grey
    assert grey.crop == 8


def test_a_named_set_is_taken_whole_where_its_training_split_is_too_small() -> None:
    pictures = load_pictures(RestorationSettings(data="digits", **{**TINY, "crop": 8, "pictures": 1790}))
    parts = {name.split("/")[0] for name in pictures.train.names}
    assert parts == {"train", "test"}
    assert len(pictures.train) + len(pictures.validation) + len(pictures.test) == 1790


def test_what_is_grey() -> None:
    colour = np.stack([pixels("coffee")[i : i + 8, :8] for i in range(3)])
    assert not is_grey(PictureSet.from_array(colour))
    assert is_grey(PictureSet.from_array(colour[..., 0]))
    assert is_grey(PictureSet.from_array(np.ascontiguousarray(np.repeat(colour[..., :1], 3, axis=3))))


@pytest.mark.parametrize(("data", "departure"), [("stl10", None), ("my photos", "data my photos (stl10)")])
def test_other_pictures_are_not_the_articles_setting(data: str, departure: str | None) -> None:
    about = AboutPictures(
        train=AboutSet(pictures=12_000, source=data),
        validation=AboutSet(pictures=600, source=data),
        test=AboutTestSet(pictures=400, source=data, names=[]),
        side=96,
        grey=False,
        classes_kept_out=[],
        left_out=0,
        unreadable=0,
        digest="a1",
    )
    page = Page("a page")
    cautions(page, RestorationSettings(data=data), about)
    text = "".join(page.parts)
    assert ("This is the article&#x27;s full setting" in text) == (departure is None)
    assert (departure or "") in text


# --- claims -------------------------------------------------------------------------------------------------


def network(losses: list[float], **each: list[float]) -> TrainedNetwork:
    curves = [Epoch(epoch=i + 1, step=i + 1, train_loss=loss, val_loss=loss, lr=0.1) for i, loss in enumerate(losses)]
    return TrainedNetwork(
        label=Words("a network", "ネットワーク"), task="autoencode", skips="none", curves=curves, best_epoch=1, seconds=1.0,
        pictures_per_second=1.0, parameters=1, machine="cpu", each=each,
    )  # fmt: skip


def originals_of(colourfulness: list[float]) -> Originals:
    grey: Measures = {"colourfulness": [0.0] * len(colourfulness)}
    return Originals(originals={"colourfulness": colourfulness}, grey=grey)


@pytest.mark.parametrize(
    ("skips", "plain", "verdict", "epoch"),
    [
        ([9, 3, 2, 2, 1, 1, 1, 1, 1, 1], [9, 8, 7, 6, 5, 5, 4, 4, 4, 4], "holds", 2),
        ([9, 5, 3, 2, 1, 1, 1, 1, 1, 1], [9, 8, 7, 6, 5, 5, 4, 4, 4, 4], "does not hold", 3),
        ([9, 9, 9, 9, 9], [9, 8, 7, 6, 5], "does not hold", math.nan),
        ([3, 2], [9, 8], "within noise", 1),  # the first of two epochs is half of them: nothing can be told
        ([9, 2], [9, 8], "does not hold", 2),
    ],
)
def test_the_claim_of_speed(skips: list[float], plain: list[float], verdict: str, epoch: float) -> None:
    claim = autoencode.speed(network(skips), network(plain))
    assert claim.verdict == verdict
    assert claim.numbers["epoch"] == pytest.approx(epoch, nan_ok=True)


BASE = [20.0, 22.0, 18.0, 21.0, 19.0, 23.0]


def shifted(by: float, wobble: float = 0.1) -> list[float]:
    return [value + by + wobble * (-1) ** i for i, value in enumerate(BASE)]


def test_the_claim_of_sharpness() -> None:
    plain = network([1], psnr=BASE, sharpness=[0.2] * 6)
    assert autoencode.sharper(network([1], psnr=shifted(3), sharpness=[0.9] * 6), plain).verdict == "holds"
    assert autoencode.sharper(network([1], psnr=shifted(3), sharpness=[0.1] * 6), plain).verdict == "does not hold"
    assert autoencode.sharper(network([1], psnr=shifted(0, 2), sharpness=[0.9] * 6), plain).verdict == "within noise"


@pytest.mark.parametrize(
    ("brought", "excess", "verdict"),
    [
        (4, 0, "holds"),
        (4, 3, "does not hold"),
        (4, -3, "does not hold"),
        (4, 1.02, "within noise"),
        (0, 0, "within noise"),
    ],
)
def test_the_control(brought: float, excess: float, verdict: str) -> None:
    skips, zeroed = shifted(brought), shifted(excess, -0.1)
    networks = {
        "with": network([1], psnr=skips),
        "without": network([1], psnr=BASE),
        "zeroed": network([1], psnr=zeroed),
    }
    assert autoencode.control(networks).verdict == verdict


def test_the_claims_on_colour() -> None:
    good = network([1, 1], loss=shifted(-9), delta_e=shifted(-10), psnr=shifted(5), colourfulness=[20.0] * 6)
    bad = network([2, 2], loss=BASE, delta_e=BASE, psnr=BASE, colourfulness=[40.0] * 6)
    originals = originals_of([50.0, 50.0, 50.0, 60.0, 40.0, 2.0])
    assert colorize.better(good, bad).verdict == "holds"
    assert colorize.better(bad, good).verdict == "does not hold"
    networks = {"with": bad, "without": bad, "autoencode-with": good, "autoencode-without": good}
    assert colorize.harder(networks).verdict == "holds"
    assert "2 of 2 epochs" in colorize.harder(networks).evidence.en
    assert "each at its best epoch" in colorize.harder(networks).text.en
    assert colorize.harder({**networks, "autoencode-without": bad}).verdict == "within noise"
    claim = colorize.dull({"with": good, "without": bad}, originals)
    assert claim.verdict == "holds"
    assert claim.numbers["ratio"] == pytest.approx(np.mean([0.4, 0.4, 0.4, 1 / 3, 0.5]))
    assert "5 pictures" in claim.evidence.en
    vivid = network([1], colourfulness=[90.0] * 6)
    assert colorize.dull({"with": vivid, "without": bad}, originals).verdict == "does not hold"
    grey = originals_of([1.0] * 6)
    assert colorize.dull({"with": good, "without": bad}, grey).verdict == "within noise"


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([0.5, 0.6, 0.7], "holds"), ([0.95, 0.96, 0.97], "does not hold"), ([1.2, 1.3, 1.4], "does not hold"),
     ([0.85, 0.9, 0.95], "within noise"), ([0.6, 0.8, 1.0], "within noise"), ([0.5], "within noise")],
)  # fmt: skip
def test_colours_a_little_below_their_originals_are_not_dull(ratios: list[float], verdict: str) -> None:
    assert colorize.DULL == 0.9
    results = network([1], colourfulness=[50 * ratio for ratio in ratios])
    originals = originals_of([50.0] * len(ratios))
    claim = colorize.dull({"with": results, "without": results}, originals)
    assert claim.verdict == verdict
    assert claim.numbers["ratio"] == pytest.approx(np.mean(ratios))
    assert all("90" in words for words in claim.evidence)


# --- settings, panels, the command --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "hint"),
    [({"crop": 4}, "crop"), ({"epochs": 0}, "epochs"), ({"lr": 0}, "lr"), ({"size": 8}, "at least the crop"),
     ({"pictures": -1}, "pictures"), ({"schedule": "linear"}, "cosine"), ({"test_pictures": 0}, "test_pictures")],
)  # fmt: skip
def test_settings_that_cannot_be(changes: dict[str, Any], hint: str) -> None:
    with pytest.raises(RecipeError, match=hint):
        RestorationSettings(**{**TINY, **changes})


@pytest.mark.parametrize("presets", [AUTOENCODE, COLORIZE])
def test_presets(presets: dict[str, RestorationSettings]) -> None:
    article = presets["article"]
    assert (article.pictures, article.epochs, article.batch_size, article.crop) == (13_000, 200, 256, 96)
    assert (article.width, article.depth, article.lr, article.momentum) == (64, 4, 1e-3, 0.9)
    quick = presets["quick"]
    assert quick.preset == "quick"
    assert quick.epochs * (0.9 * quick.pictures) // quick.batch_size >= 600, (
        "BatchNorm's averages need some hundred steps"
    )


def test_the_articles_network_has_the_articles_parameters() -> None:
    from hashigo.networks import make_network
    from hashigo.tasks import make_task
    from hashigo.training.run import network_options

    condition = colorize.CONDITIONS["with"]
    recipe = RestorationSettings().recipe(condition.task, condition.skips, 96)
    network = make_network(recipe.network.name, **network_options(recipe, make_task(recipe.task.name)))
    buffers = sum(b.numel() for name, b in network.named_buffers() if "num_batches" not in name)
    assert sum(p.numel() for p in network.parameters()) + buffers == 31_054_275
    assert not recipe.data.flip


def test_the_command_says_what_was_changed() -> None:
    settings = replace(AUTOENCODE["quick"], data="my photos", batch_size=8)
    line = command("autoencode", settings, AUTOENCODE)
    assert line == "hashigo study autoencode --preset quick --data 'my photos' --batch-size 8"


@pytest.mark.parametrize(("epochs", "expected"), [(200, [1, 10, 20, 30, 50, 200]), (20, [1, 5, 10, 20]), (30, [1, 10, 20, 30]), (2, [1, 2]), (1, [1])])  # fmt: skip
def test_the_epochs_that_are_shown(epochs: int, expected: list[int]) -> None:
    assert epochs_to_show(RestorationSettings(epochs=epochs)) == expected
    assert epochs_to_show(RestorationSettings(epochs=epochs, panels=0)) == []


@pytest.mark.parametrize(("count", "side"), [(3, 96), (30, 28)])
def test_pictures_are_stored_as_arrays_and_as_a_panel(count: int, side: int, tmp_path: Path) -> None:
    array = np.stack([pixels("coffee")[i : i + side, 2 * i : 2 * i + side] for i in range(count)])
    pictures = array.transpose(0, 3, 1, 2).astype(np.float32) / 255
    shown.store(tmp_path / "originals", pictures)
    shown.store(tmp_path / "grey", 1 - pictures)
    callback = StoredEpochs(tmp_path / "with", [2], 100)
    assert not callback.wants(1)
    callback.write(2, RestoredPictures(pictures, 1 - pictures, pictures))
    shown.store(tmp_path / "with" / "test", pictures)
    lines: list[str] = []
    stored = shown.read_shown(tmp_path, ["with"], [2, 3], lines.append)
    assert [epoch.epoch for epoch in stored.epochs] == [2]
    assert len(lines) == 1
    assert "results of epochs 3," in lines[0]
    np.testing.assert_allclose(stored.originals, pictures, atol=1e-6)
    np.testing.assert_allclose(stored.grey, 1 - pictures, atol=1e-6)
    np.testing.assert_allclose(stored.epochs[0].results["with"], 1 - pictures, atol=1e-6)
    np.testing.assert_allclose(stored.epochs[0].originals, pictures, atol=1e-6)
    save_png(grid([pictures]), tmp_path / "panel.png")
    assert (tmp_path / "originals.png").read_bytes() == (tmp_path / "panel.png").read_bytes()


def test_progress_counts_over_sittings() -> None:
    said: list[str] = []
    say: Callable[[str], None] = said.append
    first = restoration.Progress("with", 2, say)
    first.on_train_batch_end()
    assert first.seconds >= 0
    second = restoration.Progress("with", 2, say)
    second.load_state_dict({"seconds": 100.0})
    second.on_train_batch_end()
    assert second.state_dict()["seconds"] >= 100
