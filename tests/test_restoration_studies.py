"""The studies `autoencode` and `colorize`, so small that a test can afford them: photos from scikit-image, and the digits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hashigo.studies.setting import command
from PIL import Image

from hashigo.data import PictureSet
from hashigo.errors import DataError, RecipeError
from hashigo.pages.page import Page
from hashigo.pages.panels import grid, save_png
from hashigo.studies.restoration import autoencode, colorize
from hashigo.studies.restoration import train as restoration
from hashigo.studies.restoration.autoencode import AutoencodeSettings, run_autoencode
from hashigo.studies.restoration.colorize import ColorizeSettings, run_colorize
from hashigo.studies.restoration.data import is_grey, load_pictures
from hashigo.studies.restoration.report import _cautions
from hashigo.studies.restoration.train import SHOWN, Part, epochs_to_show, tiles
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
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study `autoencode`."""
    folder = tmp_path_factory.mktemp("autoencode") / "study"
    assert run_autoencode(AutoencodeSettings(data=str(photos), **TINY), folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study `colorize`, with labels."""
    data = animals(tmp_path_factory.mktemp("animals"))
    folder = tmp_path_factory.mktemp("colorize") / "study"
    run_colorize(ColorizeSettings(data=str(data), **TINY), folder)
    return folder


# --- the study autoencode -----------------------------------------------------------------------------------


def test_results_hold_everything(finished: Path) -> None:
    found = results_of(finished)
    assert list(found["conditions"]) == ["with", "without", "zeroed"]
    pictures = found["pictures"]
    assert pictures["side"] == 16
    assert pictures["train"]["pictures"] + pictures["validation"]["pictures"] + pictures["test"]["pictures"] == 40
    for one in found["conditions"].values():
        assert [row["epoch"] for row in one["curves"]] == [1, 2]
        assert one["task"] == "autoencode"
        assert one["seconds"] > 0
        assert one["pictures_per_second"] > 0
        for name, values in one["each"].items():
            assert len(values) == pictures["test"]["pictures"] == 6, name
            assert one["mean"][name]["mean"] == pytest.approx(np.mean(values))
            assert one["mean"][name]["low"] < one["mean"][name]["mean"] < one["mean"][name]["high"]
    parameters = {name: one["parameters"] for name, one in found["conditions"].items()}
    assert parameters["with"] == parameters["zeroed"] > parameters["without"]
    assert len(found["claims"]) == 3
    assert all(claim["verdict"] in ("holds", "does not hold", "within noise") for claim in found["claims"])
    assert found["settings"]["crop"] == 16
    assert found["seconds"] > 0


def test_the_loss_of_each_picture_is_the_trainings_loss(finished: Path, photos: Path) -> None:
    found = load_pictures(AutoencodeSettings(data=str(photos), **TINY))
    from hashigo.models import open_model

    on_validation = replace(found, test=found.validation)
    measured = restoration.measure(open_model(finished / "with"), on_validation, finished / "other.png")
    lowest = min(row["val_loss"] for row in results_of(finished)["conditions"]["with"]["curves"])
    assert np.mean(measured.each["loss"]) == pytest.approx(lowest, rel=0.05)  # the curve's may be bfloat16's


@pytest.mark.parametrize("study", ["finished", "coloured"])
def test_verdicts_over_pictures_say_that_each_network_was_trained_once(
    study: str, request: pytest.FixtureRequest
) -> None:
    claims = results_of(request.getfixturevalue(study))["claims"]
    over_pictures = [one["evidence"] for one in claims if "learns far faster" not in one["claim"]["en"]]
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
    run_autoencode(AutoencodeSettings(data=str(photos), **TINY), finished, lines.append)
    assert sum("finished before" in line for line in lines) == 3
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
    settings = AutoencodeSettings(data=str(photos), **TINY)
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
    assert any("going on from epoch 2" in line for line in lines)
    one, other = results_of(finished), results_of(tmp_path)
    assert one["claims"] == other["claims"]
    for name, part in one["conditions"].items():
        for key in ("curves", "each", "best_epoch", "parameters"):
            assert part[key] == other["conditions"][name][key], (name, key)


class Stopping(restoration.Callback):
    """Raises in the second epoch."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.current_epoch == 1:
            raise Stop


def test_another_study_is_refused(finished: Path, photos: Path, tmp_path: Path) -> None:
    settings = AutoencodeSettings(data=str(photos), **TINY)
    with pytest.raises(RecipeError, match="width was 4, now 8"):
        run_autoencode(replace(settings, width=8), finished)
    with pytest.raises(RecipeError, match="'autoencode', not the study 'colorize'"):
        run_colorize(ColorizeSettings(data=str(photos), **TINY), finished)


def test_changed_pictures_are_noticed(finished: Path, tmp_path: Path, photos: Path) -> None:
    others = corners(tmp_path / "others", 40, start=8)
    (finished.parent / "copy" / "parts").mkdir(parents=True)
    for name in ("settings.json", "parts/pictures.json"):
        text = (finished / name).read_text(encoding="utf-8").replace(str(photos), str(others))
        (finished.parent / "copy" / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="pictures that the study was begun with"):
        run_autoencode(AutoencodeSettings(data=str(others), **TINY), finished.parent / "copy")


def test_grey_pictures_have_networks_of_one_channel(tmp_path: Path) -> None:
    run_autoencode(AutoencodeSettings(data="digits", **{**TINY, "crop": 8, "pictures": 80, "epochs": 1}), tmp_path)
    found = results_of(tmp_path)
    assert {one["task"] for one in found["conditions"].values()} == {"autoencode-grey"}
    assert found["pictures"]["grey"]
    assert found["pictures"]["test"]["names"][0].startswith("test/")


# --- the study colorize -------------------------------------------------------------------------------------


def test_too_few_to_divide(photos: Path, tmp_path: Path) -> None:
    for one in sorted(photos.rglob("*.png"))[:2]:
        (tmp_path / one.name).write_bytes(one.read_bytes())
    with pytest.raises(DataError, match="at least 3 pictures, for training, validation and test, got 2"):
        load_pictures(AutoencodeSettings(data=str(tmp_path), **TINY))


def test_cats_are_for_testing_only(coloured: Path) -> None:
    found = results_of(coloured)
    assert found["cats"]
    assert found["pictures"]["classes_kept_out"] == ["cat"]
    assert all(name.startswith("cat/") for name in found["pictures"]["test"]["names"])
    assert found["pictures"]["train"]["pictures"] + found["pictures"]["validation"]["pictures"] == 24
    assert list(found["conditions"]) == ["with", "without", "autoencode-with", "autoencode-without"]
    assert found["conditions"]["with"]["task"] == "colorize-rgb"
    assert found["conditions"]["autoencode-with"]["task"] == "autoencode"
    ratio = found["colourfulness_ratio"]["with"]
    before = np.array(found["originals"]["originals"]["colourfulness"])
    after = np.array(found["conditions"]["with"]["each"]["colourfulness"])
    assert ratio["mean"] == pytest.approx(np.mean((after / before)[before >= 5]))
    assert found["originals"]["grey"]["colourfulness"] == pytest.approx([0] * len(before), abs=1e-3)
    page = (coloured / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2 * 3 + 4 + 3 * 3
    assert page.count('class="verdict ') == 3
    assert "cats" in page
    assert "猫" in page


def test_cats_of_the_training_split_where_there_is_no_test_split(tmp_path: Path) -> None:
    data = animals(tmp_path) / "train"
    found = load_pictures(ColorizeSettings(data=str(data), **TINY), colorize.CATS)
    assert found.by_class
    assert all(name.startswith("cat/") for name in found.test.names)
    assert not any(name.startswith("cat/") for name in (*found.train.names, *found.validation.names))


def test_cats_of_the_training_split_where_the_test_split_has_none(tmp_path: Path) -> None:
    corners(tmp_path / "train" / "dog", 24)
    corners(tmp_path / "train" / "cat", 8, 24)
    corners(tmp_path / "test" / "dog", 6, 60)
    corners(tmp_path / "test" / "bird", 6, 70)
    found = load_pictures(ColorizeSettings(data=str(tmp_path), **TINY), colorize.CATS)
    assert found.by_class
    assert len(found.test) == 6
    assert all(name.startswith("cat/") for name in found.test.names)
    assert not any(name.startswith("cat/") for name in (*found.train.names, *found.validation.names))


def test_where_no_picture_is_left_the_reason_is_told(tmp_path: Path) -> None:
    corners(tmp_path / "only" / "cat", 8)
    corners(tmp_path / "only" / "cats", 8, 8)
    with pytest.raises(DataError, match=r"to train on beside those of the class cat and cats.*found no others"):
        load_pictures(ColorizeSettings(data=str(tmp_path / "only"), **TINY), colorize.CATS)
    some = PictureSet.from_array(
        np.zeros((4, 24, 24, 3), np.uint8), np.array([0, 0, 2, 2]), classes=("dog", "cat", "owl")
    )
    some.save(tmp_path / "none.safetensors")
    with pytest.raises(
        DataError, match="of the class cat to test on, found none; give pictures to test on with --test"
    ):
        load_pictures(ColorizeSettings(data=str(tmp_path / "none.safetensors"), **TINY), colorize.CATS)
    small, large = corners(tmp_path / "small", 8, side=12), corners(tmp_path / "large", 8)
    with pytest.raises(DataError, match=r"at least 16 × 16 pixels, got 8 that are all smaller, .* of 12; lower --crop"):
        load_pictures(AutoencodeSettings(data=str(large), test=str(small), **TINY))


def test_cats_are_kept_out_though_a_file_lies_beside_the_folders(tmp_path: Path) -> None:
    data = animals(tmp_path) / "train"
    corners(data, 1, 90)
    found = load_pictures(ColorizeSettings(data=str(data), **TINY), colorize.CATS)
    assert found.kept_out == ("cat",)
    assert not any(name.startswith("cat/") for name in (*found.train.names, *found.validation.names))
    assert "090.png" in {*found.train.names, *found.validation.names}


def test_cats_are_kept_out_though_others_are_tested(tmp_path: Path, photos: Path) -> None:
    data = animals(tmp_path) / "train"
    found = load_pictures(ColorizeSettings(data=str(data), test=str(tmp_path / "test" / "dog"), **TINY), colorize.CATS)
    assert found.kept_out == ("cat",)
    assert not found.by_class
    assert not any(name.startswith("cat/") for name in (*found.train.names, *found.validation.names))
    assert len(found.test) == 6


def test_grey_pictures_cannot_teach_colours(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(DataError, match="expected colour pictures"):
        run_colorize(ColorizeSettings(data="digits", **{**TINY, "crop": 8}), tmp_path / "a")
    grey = tmp_path / "grey"
    grey.mkdir()
    for i, file in enumerate(sorted(photos.iterdir())):
        Image.open(file).convert("L").convert("RGB").save(grey / f"{i}.png")
    with pytest.raises(DataError, match=r"grey: expected colour pictures"):
        run_colorize(ColorizeSettings(data=str(photos), test=str(grey), **TINY), tmp_path / "b")
    assert not (tmp_path / "a").exists()


# --- the pictures -------------------------------------------------------------------------------------------


def names(pictures: PictureSet) -> set[str]:
    return set(pictures.names)


def test_no_picture_is_in_two_sets(photos: Path, tmp_path: Path) -> None:
    found = load_pictures(AutoencodeSettings(data=str(photos), **TINY))
    assert not names(found.train) & names(found.validation)
    assert not names(found.test) & (names(found.train) | names(found.validation))
    again = load_pictures(AutoencodeSettings(data=str(photos), **TINY))
    assert again.digest == found.digest
    for i in range(3):  # three of the training pictures, under other names
        Image.open(photos / found.train.names[i]).save(tmp_path / f"copy-{i}.png")
    corners(tmp_path, 3, start=100)
    other = load_pictures(AutoencodeSettings(data=str(photos), test=str(tmp_path), **{**TINY, "pictures": 0}))
    assert len(other.train) + len(other.validation) == 40
    assert other.dropped == 3
    assert names(other.test) == {"100.png", "101.png", "102.png"}
    with pytest.raises(DataError, match="not among the training pictures"):
        load_pictures(AutoencodeSettings(data=str(photos), test=str(photos), **TINY))


def test_small_pictures_are_left_out(photos: Path, tmp_path: Path) -> None:
    corners(tmp_path, 10)
    corners(tmp_path / "small", 4, side=12)
    settings = AutoencodeSettings(data=str(tmp_path), **TINY)
    assert load_pictures(settings).dropped == 4
    with pytest.raises(DataError, match="at least 32 × 32"):
        load_pictures(replace(settings, crop=32))


def test_a_set_of_smaller_pictures_sets_the_side() -> None:
    assert load_pictures(AutoencodeSettings(data="digits", **{**TINY, "crop": 28})).crop == 28  # digits are enlarged
    grey = load_pictures(AutoencodeSettings(data="digits", **{**TINY, "crop": 8}))
    assert grey.grey
    assert grey.crop == 8


def test_a_named_set_is_taken_whole_where_its_training_split_is_too_small() -> None:
    found = load_pictures(AutoencodeSettings(data="digits", **{**TINY, "crop": 8, "pictures": 1790}))
    parts = {name.split("/")[0] for name in found.train.names}
    assert parts == {"train", "test"}
    assert len(found.train) + len(found.validation) + len(found.test) == 1790


def test_what_is_grey() -> None:
    colour = np.stack([pixels("coffee")[i : i + 8, :8] for i in range(3)])
    assert not is_grey(PictureSet.from_array(colour))
    assert is_grey(PictureSet.from_array(colour[..., 0]))
    assert is_grey(PictureSet.from_array(np.ascontiguousarray(np.repeat(colour[..., :1], 3, axis=3))))


@pytest.mark.parametrize(("data", "told"), [("stl10", None), ("my photos", "data my photos (stl10)")])
def test_other_pictures_are_not_the_articles_setting(data: str, told: str | None) -> None:
    about = {"train": {"pictures": 12_000}, "validation": {"pictures": 600}, "test": {"pictures": 400}}
    page = Page("a page")
    settings = AutoencodeSettings(data=data)
    _cautions(page, settings, {"pictures": {**about, "side": 96, "unreadable": 0}})
    text = "".join(page.parts)
    assert ("This is the article&#x27;s full setting" in text) == (told is None)
    assert (told or "") in text


# --- claims -------------------------------------------------------------------------------------------------


def part(losses: list[float], **each: list[float]) -> Part:
    return {
        "curves": [{"epoch": i + 1, "train_loss": loss, "val_loss": loss} for i, loss in enumerate(losses)],
        "each": each,
    }


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
    claim = autoencode.speed(part(skips), part(plain))
    assert claim.verdict == verdict
    assert claim.numbers["epoch"] == pytest.approx(epoch, nan_ok=True)


BASE = [20.0, 22.0, 18.0, 21.0, 19.0, 23.0]


def shifted(by: float, wobble: float = 0.1) -> list[float]:
    return [value + by + wobble * (-1) ** i for i, value in enumerate(BASE)]


def test_the_claim_of_sharpness() -> None:
    plain = part([1], psnr=BASE, sharpness=[0.2] * 6)
    assert autoencode.sharper(part([1], psnr=shifted(3), sharpness=[0.9] * 6), plain).verdict == "holds"
    assert autoencode.sharper(part([1], psnr=shifted(3), sharpness=[0.1] * 6), plain).verdict == "does not hold"
    assert autoencode.sharper(part([1], psnr=shifted(0, 2), sharpness=[0.9] * 6), plain).verdict == "within noise"


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
    parts = {"with": part([1], psnr=skips), "without": part([1], psnr=BASE), "zeroed": part([1], psnr=zeroed)}
    assert autoencode.control(parts).verdict == verdict


def test_the_claims_on_colour() -> None:
    good = part([1, 1], loss=shifted(-9), delta_e=shifted(-10), psnr=shifted(5), colourfulness=[20.0] * 6)
    bad = part([2, 2], loss=BASE, delta_e=BASE, psnr=BASE, colourfulness=[40.0] * 6)
    originals = {"originals": {"colourfulness": [50.0, 50.0, 50.0, 60.0, 40.0, 2.0]}}
    assert colorize.better(good, bad).verdict == "holds"
    assert colorize.better(bad, good).verdict == "does not hold"
    parts = {"with": bad, "without": bad, "autoencode-with": good, "autoencode-without": good}
    assert colorize.harder(parts).verdict == "holds"
    assert "2 of 2 epochs" in colorize.harder(parts).evidence.en
    assert "each at its best epoch" in colorize.harder(parts).text.en
    assert colorize.harder({**parts, "autoencode-without": bad}).verdict == "within noise"
    claim = colorize.dull({"with": good, "without": bad}, originals)
    assert claim.verdict == "holds"
    assert claim.numbers["ratio"] == pytest.approx(np.mean([0.4, 0.4, 0.4, 1 / 3, 0.5]))
    assert "5 pictures" in claim.evidence.en
    vivid = part([1], colourfulness=[90.0] * 6)
    assert colorize.dull({"with": vivid, "without": bad}, originals).verdict == "does not hold"
    grey = {"originals": {"colourfulness": [1.0] * 6}}
    assert colorize.dull({"with": good, "without": bad}, grey).verdict == "within noise"


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([0.5, 0.6, 0.7], "holds"), ([0.95, 0.96, 0.97], "does not hold"), ([1.2, 1.3, 1.4], "does not hold"),
     ([0.85, 0.9, 0.95], "within noise"), ([0.6, 0.8, 1.0], "within noise"), ([0.5], "within noise")],
)  # fmt: skip
def test_colours_a_little_below_their_originals_are_not_dull(ratios: list[float], verdict: str) -> None:
    assert colorize.DULL == 0.9
    results = part([1], colourfulness=[50 * ratio for ratio in ratios])
    originals = {"originals": {"colourfulness": [50.0] * len(ratios)}}
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
        AutoencodeSettings(**{**TINY, **changes})


@pytest.mark.parametrize("presets", [autoencode.PRESETS, colorize.PRESETS])
def test_presets(presets: dict[str, Any]) -> None:
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

    recipe = ColorizeSettings().recipe(colorize.CONDITIONS["with"], 96)
    network = make_network(recipe.network.name, **network_options(recipe, make_task(recipe.task.name)))
    buffers = sum(b.numel() for name, b in network.named_buffers() if "num_batches" not in name)
    assert sum(p.numel() for p in network.parameters()) + buffers == 31_054_275
    assert not recipe.data.flip


def test_the_command_says_what_was_changed() -> None:
    settings = replace(autoencode.PRESETS["quick"], data="my photos", batch_size=8)
    told = command("autoencode", settings, autoencode.PRESETS)
    assert told == "hashigo study autoencode --preset quick --data 'my photos' --batch-size 8"


@pytest.mark.parametrize(("epochs", "expected"), [(200, [1, 10, 20, 30, 50, 200]), (20, [1, 5, 10, 20]), (30, [1, 10, 20, 30]), (2, [1, 2]), (1, [1])])  # fmt: skip
def test_the_epochs_that_are_shown(epochs: int, expected: list[int], tmp_path: Path) -> None:
    for epoch in range(1, epochs + 1):
        (tmp_path / f"epoch-{epoch:04d}.png").touch()
    assert epochs_to_show(epochs, tmp_path) == expected


@pytest.mark.parametrize(("total", "side"), [(3, 96), (25, 64), (30, 28), (7, 16)])
def test_tiles_are_cut_from_panels(total: int, side: int, tmp_path: Path) -> None:
    array = np.stack([pixels("coffee")[i : i + side, 2 * i : 2 * i + side] for i in range(total)])
    pictures = array.transpose(0, 3, 1, 2).astype(np.float32) / 255
    save_png(grid([pictures, 1 - pictures]), tmp_path / "panel.png")
    zoom = max(1, 64 // side)
    for right, expected in ((False, pictures), (True, 1 - pictures)):
        cut = tiles(tmp_path / "panel.png", side, total, right=right)
        assert cut.shape == (min(SHOWN, total), 3, zoom * side, zoom * side)
        np.testing.assert_allclose(cut[:, :, ::zoom, ::zoom], expected[:SHOWN], atol=1e-6)


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
