"""Recipes and run folders as they should not be: typed errors that name the file, nothing built, nothing hung."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hashigo.cli.main import main
from hashigo.cli.train import parse
from hashigo.errors import DataError, HashigoError, RecipeError
from hashigo.training.recipe import DataRecipe, Recipe, read_yaml
from hashigo.training.run import Run, train
from tiny import album, recipe

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(recipe(), tmp_path_factory.mktemp("runs") / "digits", onnx=False)


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Path:
    shutil.copytree(finished.folder, tmp_path / "run")
    return tmp_path / "run"


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    damaged: dict[str, bytes] = {
        "empty": b"", "cut short": content[: len(content) // 2], "random": os.urandom(5000), "text": b"no checkpoint\n" * 99,
        "bytes": b"\xff\xfe\x00" * 500,
    }  # fmt: skip
    if how == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(damaged[how])


@pytest.mark.parametrize("how", ["empty", "cut short", "random", "text", "foreign"])
def test_a_damaged_last_checkpoint_is_replaced_by_the_best(run: Path, how: str) -> None:
    damage(run / "checkpoints" / "last.ckpt", how)
    said: list[str] = []
    resumed = train(recipe(epochs=3), run, resume=True, onnx=False, say=said.append)
    assert [row["epoch"] for row in resumed.metrics] == [1, 2, 3]
    assert any("last.ckpt" in line and "continuing from best.ckpt" in line for line in said)


@pytest.mark.parametrize("how", ["empty", "cut short", "random", "text", "foreign"])
def test_two_damaged_checkpoints_are_an_error(run: Path, how: str) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        damage(run / "checkpoints" / name, how)
    with pytest.raises(RecipeError, match=r"last\.ckpt: expected .*remove .*checkpoints"):
        train(recipe(epochs=3), run, resume=True, onnx=False)


@pytest.mark.parametrize("how", ["empty", "text", "bytes", "random", "folder"])
@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.csv", "pictures.json"])
def test_other_damaged_files_are_named(run: Path, name: str, how: str, tmp_path: Path) -> None:
    if (name, how) == ("metrics.csv", "folder"):
        pytest.skip("then there are no metrics")
    damage(run / name, how)
    if (name, how) == ("pictures.json", "folder"):
        with pytest.raises(OSError, match=r"pictures\.json"):
            train(recipe(epochs=3), run, resume=True, onnx=False)
        return
    with pytest.raises(HashigoError, match=name.replace(".", r"\.")):
        train(recipe(epochs=3), run, resume=True, onnx=False)


@pytest.mark.parametrize("text", ["task: 5", "task: [a]", "epochs: {a: b}", "- a", "7"])
def test_a_started_recipe_of_another_form(run: Path, text: str) -> None:
    (run / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"recipe\.yaml|other|another"):
        train(recipe(epochs=3), run, resume=True, onnx=False)


# --- pictures ---------------------------------------------------------------------------------------------


def test_unreadable_pictures_are_told_of_and_others_refused(tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 10)
    (folder / "broken.jpg").write_bytes(b"no picture")
    given = recipe(data=DataRecipe(train=str(folder), validation_share=0.2, crop=24), batch_size=4)
    said: list[str] = []
    first = train(given, tmp_path / "run", onnx=False, say=said.append)
    assert said == ["left out 1 picture that cannot be read: broken.jpg (hashigo data check lists the reasons)"]
    given.epochs = 3
    train(given, tmp_path / "run", resume=True, onnx=False)
    with Image.open(folder / "03.png") as picture:
        changed = picture.rotate(180)
    changed.save(folder / "03.png")
    given.epochs = 4
    with pytest.raises(DataError, match="expected the pictures that the run was started with"):
        train(given, tmp_path / "run", resume=True, onnx=False)
    (tmp_path / "run" / "pictures.json").unlink()  # a run from before pictures were noted
    assert len(train(given, tmp_path / "run", resume=True, onnx=False).metrics) == 4
    assert len(first.metrics) == 2


# --- recipes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB.encode(), "aliases are not allowed"),
        (b"a: &a\n  b: *a\n", "aliases are not allowed"),
        (b"\xff\xd8\xff\xe0" + bytes(2000), "binary"),
        (b"epochs: [1, 2\n", "expected a recipe"),
        (b"", "an empty file"),
        (b"- epochs\n", "a list"),
        (b"a: " + b"[" * 5000, "expected a recipe"),
        (b"# long\n" * 200_000, "at most 1,024 kB"),
        (b"epochs: !!python/object/apply:os.getcwd []\n", "expected a recipe"),
        (b"1: 2\n", "other keys"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["", "--config", "--config=", "--task"])
def test_files_that_are_no_recipes(
    tmp_path: Path, content: bytes, reason: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    words = [str(path)]
    if option:
        (tmp_path / "good.yaml").write_text("epochs: 1\n")
        words = [str(tmp_path / "good.yaml"), *([option + str(path)] if option.endswith("=") else [option, str(path)])]
    assert main(["train", *words, "--run", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "odd.yaml" in said
    assert reason in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_and_a_pipe_are_no_recipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in ("pipe.yaml", ".", "missing.yaml"):
        with pytest.raises(RecipeError, match="cannot read the recipe"):
            read_yaml(tmp_path / name)


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.just("x" * 10_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = [key for key, value in asdict(Recipe()).items() if not isinstance(value, dict)]
NESTED = [(key, name) for key, value in asdict(Recipe()).items() if isinstance(value, dict) for name in value]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([*KEYS, *NESTED, "unknown"]), ODD)
def test_odd_values_in_a_recipe(tmp_path: Path, key: Any, value: Any) -> None:
    """Either the recipe is taken or there is one of our errors, at once; nothing is built here."""
    content = {key: value} if isinstance(key, str) else {key[0]: {key[1]: value}}
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=False), encoding="utf-8")
    with suppress(HashigoError):
        assert isinstance(parse([str(path)]).recipe, Recipe)


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": {"devices": 5000}}, {"machine": {"threads": 10**9}}, {"data": {"size": 1_000_000}}, {"epochs": 10**12},
        {"batch_size": 10**9}, {"panels": 10**9}, {"seed": -1}, {"ema": 1.0}, {"optimizer": {"lr": float("nan")}},
    ],
)  # fmt: skip
def test_values_out_of_bounds(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(changes))
    with pytest.raises(RecipeError, match="expected"):
        parse([str(tmp_path / "odd.yaml")])


def test_more_devices_than_there_are(tmp_path: Path) -> None:
    given = recipe()
    given.machine.devices = 500
    with pytest.raises(RecipeError, match=r"machine\.devices: expected at most"):
        train(given, tmp_path / "run", onnx=False)
    assert not (tmp_path / "run").exists()
