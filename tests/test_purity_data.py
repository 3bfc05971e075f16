"""The pictures of the purity study: labels with gaps, folders of classes, several sizes, sets that have no test split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hashigo.studies.purity.network as network_module
import hashigo.studies.purity.report as report_module
from hashigo.data import has_split, open_dataset
from hashigo.errors import DataError, RecipeError, TrainingError
from hashigo.studies.labelled import load_pictures
from hashigo.studies.purity.run import run_purity
from hashigo.studies.purity.settings import PRESETS, PuritySettings

SMALL: dict[str, Any] = {
    "seeds": 1, "kmeans_seeds": 2, "epochs": 1, "batch_size": 16, "width": 2, "units": 3, "controls": False,
}  # fmt: skip


def digits_npz(path: Path, keep: tuple[int, ...], count: int = 300) -> Path:
    digits = open_dataset("digits", limit=count)
    assert digits.labels is not None
    chosen = np.isin(digits.labels, keep)
    np.savez(path, images=digits.array()[chosen, :, :, 0], labels=digits.labels[chosen])
    return path


def folder_of(path: Path, classes: dict[str, int], side: int = 16) -> Path:
    """A folder for each class with so many pictures, each class of a colour of its own."""
    for number, (name, count) in enumerate(classes.items()):
        for i in range(count):
            (path / name).mkdir(parents=True, exist_ok=True)
            picture = np.full((side, side, 3), 40 * number + i, np.uint8)
            Image.fromarray(picture).save(path / name / f"{i}.png")
    return path


def test_labels_with_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MAPPED", 20)
    data = digits_npz(tmp_path / "own.npz", (1, 3, 7))
    found = load_pictures(PuritySettings(data=str(data), **SMALL))
    assert found.train.classes == ("1", "3", "7")
    assert set(found.labels(found.train).tolist()) == {0, 1, 2}
    page = run_purity(PuritySettings(data=str(data), **SMALL), tmp_path / "study").read_text(encoding="utf-8")
    assert "this is not the article" in page.lower() or "not the article&#x27;s full setting" in page
    assert "--data" in page
    assert "--epochs 1" in page, "the command does the same again"


def test_classes_are_the_same_by_their_names(tmp_path: Path) -> None:
    folder_of(tmp_path / "train", {"a": 6, "b": 6, "c": 6})
    folder_of(tmp_path / "test", {"a": 3, "c": 3, "d": 2})
    found = load_pictures(PuritySettings(data=str(tmp_path)))
    assert found.train.classes == found.test.classes == ("a", "b", "c")
    assert found.labels(found.test).tolist() == [0, 0, 0, 2, 2, 2]
    assert found.left_out == 2, "class d, which training has not"


def test_a_folder_is_one_set_whatever_its_name(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "test", {"a": 10, "b": 10})
    assert not has_split(data, "test")
    found = load_pictures(PuritySettings(data=str(data)))
    assert not set(found.train.names) & set(found.test.names)
    assert len(found.train) + len(found.test) == 20


def test_a_broken_test_split_is_told(tmp_path: Path) -> None:
    folder_of(tmp_path / "train", {"a": 6, "b": 6})
    (tmp_path / "test" / "a").mkdir(parents=True)
    (tmp_path / "test" / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError):
        load_pictures(PuritySettings(data=str(tmp_path)))


def test_smaller_pictures_are_left_out_where_a_size_is_given(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "large", {"a": 10, "b": 10}, side=40)
    folder_of(data / "a" / "more", {"x": 3}, side=12)
    with pytest.raises(DataError, match="of one size, found several; give --size"):
        load_pictures(PuritySettings(data=str(data)))
    found = load_pictures(PuritySettings(data=str(data), size=32))
    assert found.train.uniform == found.test.uniform == (32, 32)
    assert found.left_out == 3
    with pytest.raises(DataError, match="at least 44 × 44 pixels, found none; lower --size"):
        load_pictures(PuritySettings(data=str(data), size=44))


def test_pictures_without_a_label_are_left_out(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "all", {"a": 10, "b": 10})
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(data / "cover.png")
    found = load_pictures(PuritySettings(data=str(data)))
    assert found.train.classes == ("a", "b")
    assert len(found.train) + len(found.test) == 20
    assert "cover.png" not in {*found.train.names, *found.test.names}
    assert found.left_out == 1


def test_one_class_is_no_purity(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two classes"):
        load_pictures(PuritySettings(data=str(digits_npz(tmp_path / "own.npz", (4,)))))


def test_other_pictures_in_the_same_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "_tsne", lambda values, _: values[:, :2])
    settings = PuritySettings(data=str(digits_npz(tmp_path / "own.npz", (0, 1), 200)), **SMALL)
    run_purity(settings, tmp_path / "study")
    digits_npz(tmp_path / "own.npz", (0, 1), 300)
    with pytest.raises(DataError, match="the pictures that the study was started with"):
        run_purity(replace(settings, seeds=2), tmp_path / "study")


def test_maps_of_what_cannot_be_spread_out() -> None:
    assert report_module._tsne(np.ones((50, 3), np.float32), 0) is None, "equal rows crash t-SNE"
    assert report_module._tsne(np.eye(3, dtype=np.float32), 0) is None
    assert report_module._tsne(np.full((9, 3), np.nan, np.float32), 0) is None
    points = report_module._tsne(np.arange(20, dtype=np.float32)[:, None], 0)
    assert points is not None
    assert points.shape == (20, 2)


def test_features_that_never_change_leave_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "_tsne", lambda _, __: None)
    settings = PuritySettings(data=str(digits_npz(tmp_path / "own.npz", (0, 1), 200)), **SMALL)
    page = run_purity(settings, tmp_path / "study").read_text(encoding="utf-8")
    assert "No map for neither, bottleneck" in page


def test_divergence_names_condition_seed_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Any, go_on: Any) -> list[float]:
        raise TrainingError("the loss of seed 0 was not finite in epoch 1; lower optimizer.lr")

    monkeypatch.setattr(network_module.Together, "train_epoch", fails)
    settings = PuritySettings(data=str(digits_npz(tmp_path / "own.npz", (0, 1), 200)), **SMALL)
    with pytest.raises(TrainingError, match=r"seed 0: training diverged .*give a lower --lr than 0\.001"):
        run_purity(settings, tmp_path / "study")


def test_a_broken_state_is_begun_again(tmp_path: Path) -> None:
    settings = PuritySettings(data=str(digits_npz(tmp_path / "own.npz", (0, 1), 200)), **SMALL)
    for name in ("neither", "both"):
        state = tmp_path / "study" / "states" / f"{name}-0.safetensors"
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_bytes(b"torn")
    said: list[str] = []
    run_purity(settings, tmp_path / "study", said.append)
    assert sum("cannot be read" in line and "starts again" in line for line in said) == 2


def test_what_is_no_precision_is_refused_on_the_command_line() -> None:
    from hashigo.cli.study import parse

    with pytest.raises(RecipeError, match="precision"):
        parse(["purity", "--precision", "bf32"])
    assert parse(["purity", "--precision", "fp32"]).settings == replace(PRESETS["quick"], precision="fp32")
