"""The other commands: usage, train, data, export, evaluate, doctor; what is wrong is answered with what is right."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import hashigo
from hashigo.cli import data as data_command
from hashigo.cli.main import COMMANDS, main
from hashigo.models import open_model
from hashigo.training.callbacks import read_metrics
from hashigo.training.run import save_recipe
from tiny import album, recipe
from tiny import model as tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("album"), 6)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A recipe's file, one epoch."""
    save_recipe(recipe(epochs=1), tmp_path / "tiny.yaml")
    return tmp_path / "tiny.yaml"


# --- usage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "data list", "data get", "data pack", "data check"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr()
    assert f"hashigo {command}" in said.out
    assert said.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_same_interface(name: str) -> None:
    module = importlib.import_module(COMMANDS[name][0])
    assert module.__name__ == f"hashigo.cli.{name}"
    assert callable(module.parse)
    assert callable(module.run)


def test_a_bar_for_each_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashigo.cli.console.PlainBar.EVERY", 0.0)
    with data_command._counted("bytes") as count:
        for done, total in ((3, 5), (5, 5), (1, 2), (2, 2)):
            count(done, total)
    assert capsys.readouterr().err.split("\n") == ["bytes 3/5", "bytes 5/5", "bytes 1/2", "bytes 2/2", ""]


def test_the_contract_names_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    contract = {
        "colorize": ("IN", "-o", "--model", "--existing", "--size", "--engine"), "apply": ("MODEL", "IN", "-o"),
        "train": ("--run", "--resume", "--optimizer.lr", "--epochs"), "evaluate": ("MODEL", "IN", "--json"),
        "export": ("RUN_OR_MODEL", "-o"), "data": ("list", "get", "pack", "check"), "demo": ("-o",),
    }  # fmt: skip
    for command, names in contract.items():
        assert main([command, "--help"]) == 0
        said = capsys.readouterr().out
        assert not [name for name in names if name not in said], command


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("--version", "-V"):
        assert main([word]) == 0
        assert capsys.readouterr().out == f"hashigo {version('hashigo')}\n"


@pytest.mark.parametrize(("words", "hint"), [
    ([], ""), (["colourize", "a.jpg"], "'colorize'"), (["trian"], "'train'"), (["colorize", "a.jpg", "--modle", "x"], "'--model'"),
    (["colorize", "a.jpg", "--existing", "skipp"], "'skip'"), (["colorize", "a.jpg", "--engine", "touch"], "'torch'"),
    (["data", "chek", "x"], "'check'"), (["data"], ""), (["data", "check", "mnits"], "'mnist'"), (["data", "get", "cifar"], "'cifar10'"),
    (["export"], "--output"), (["evaluate", "colorizer"], "IN"), (["evaluate", "colorizor", "."], "'colorizer'"), (["doctor", "--now"], "--help"),
])  # fmt: skip
def test_wrong_words_are_answered_with_right_ones(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    if hint:
        assert hint in said.err
    assert "Traceback" not in said.err


# --- train ------------------------------------------------------------------------------------------------


def test_train_from_a_file_with_flags_over_it(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["train", str(written), "--run", str(run), "--network.options.width", "3", "--data.limit", "96", "--optimizer.lr=0.002"]  # fmt: skip
    assert main(words) == 0
    resolved = yaml.safe_load((run / "recipe.yaml").read_text())
    assert resolved["network"]["options"] == {"width": 3, "depth": 2}
    assert (resolved["data"]["limit"], resolved["optimizer"]["lr"], resolved["optimizer"]["name"]) == (
        96,
        0.002,
        "adamw",
    )
    said = capsys.readouterr()
    assert "best validation loss" in said.err
    assert "float32" in said.err or "bfloat16" in said.err  # the setup is shown
    assert open_model(run).options["width"] == 3
    assert main(words) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*words, "--resume", "--epochs", "2"]) == 0
    assert [row["epoch"] for row in read_metrics(run / "metrics.csv")] == [1, 2]
    assert np.asarray(hashigo.load(run)(np.zeros((8, 8), np.uint8))).shape == (8, 8, 3)


def test_train_on_a_terminal(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["train", str(written), "--run", str(tmp_path / "run"), "--data.limit", "96"]) == 0
    said = terminal.getvalue()
    assert "epoch 1/1: training loss" in said
    assert "━" in said
    assert said.rstrip().endswith(f"the model is in {tmp_path / 'run' / 'model'}")


@pytest.mark.parametrize(("words", "hint"), [
    (["--epoch", "3"], "'epochs'"), (["--optimizer.learning_rate", "1"], "Known"), (["--machine.precison", "fp32"], "'machine.precision'"),
    (["--epochs", "few"], "epochs"), (["--epochs", "0"], "at least 1"), (["--batch-size", "2.5"], "a whole number"), (["--optimizer.name", "adam"], "adamw"),
    (["--task.name", "colorise"], "'colorize'"), (["--network.name", "unett"], "'unet'"), (["--network.options", "{widht: 3}"], "'width'"),
    (["--data.train", "digit"], "'digits'"), (["--data.train", ""], "data.train"), (["--machine.accelerator", "warp"], "auto"),
    (["--optimizer.lr", "-1"], "above 0"), (["--data.validation_share", "1"], "between"), (["--loss", "hubber"], "'huber'"),
    (["--network.options", "{in_channels: 7}"], "leave it out"), (["surplus"], "surplus"),
])  # fmt: skip
def test_wrong_flags_of_train(
    words: list[str], hint: str, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(written), "--run", str(tmp_path / "run"), *words]) == 2
    said = capsys.readouterr().err
    assert hint in said
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(("change", "hint"), [
    ({"epoch": 3}, "'epochs'"), ({"optimizer": {"rate": 1}}, "rate"), ({"epochs": "many"}, "epochs"), ({"task": {"nam": "denoise"}}, "task"),
])  # fmt: skip
def test_wrong_keys_of_a_recipe(change: dict[str, Any], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump({**recipe().as_dict(), **change}))
    assert main(["train", str(tmp_path / "wrong.yaml"), "--run", str(tmp_path / "run")]) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("content", ["- a\n- list\n", "epochs: [1,\n", "\x00\x01", "just words\n"])
def test_a_file_that_is_no_recipe(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.yaml").write_text(content)
    assert main(["train", str(tmp_path / "wrong.yaml"), "--run", str(tmp_path / "run")]) == 2
    assert "hashigo train: " in capsys.readouterr().err


def test_a_recipe_comes_first_and_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--epochs", "3"], [str(tmp_path / "missing.yaml")], [str(tmp_path)]):
        assert main(["train", *words]) == 2
        assert "recipe" in capsys.readouterr().err


# --- data -------------------------------------------------------------------------------------------------


def test_data_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--data-root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path) in said
    assert all(name in said for name in ("mnist", "stl10", "cifar10", "digits"))
    assert "not here" in said


def test_data_check(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "digits"]) == 0
    assert "1,437 pictures" in capsys.readouterr().out
    assert main(["data", "check", str(pictures)]) == 0
    assert "6 pictures, 48×48" in capsys.readouterr().out
    broken = album(tmp_path / "broken", 2)
    (broken / "bad.png").write_bytes(b"no picture")
    assert main(["data", "check", str(broken)]) == 1
    said = capsys.readouterr().out
    assert "bad.png" in said
    assert "NOT OK" in said


def test_data_pack(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["data", "pack", str(pictures), "-o", str(tmp_path / "a.safetensors"), "--size", "20", "--crop", "20"])
        == 0
    )
    assert "6 pictures" in capsys.readouterr().err
    assert hashigo.open_dataset(tmp_path / "a.safetensors").array().shape == (6, 20, 20, 3)
    assert main(["data", "pack", str(pictures / "*.png"), "-o", str(tmp_path / "cats.npz")]) == 0
    with np.load(tmp_path / "cats.npz") as packed:
        assert (packed["color"].shape, packed["gray"].shape) == ((6, 96, 96, 3), (6, 96, 96))
    assert main(["data", "pack", str(tmp_path / "missing"), "-o", str(tmp_path / "b.safetensors")]) == 2
    assert not (tmp_path / "b.safetensors").exists()


# --- export, evaluate, doctor -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--half"], ["--weights", "int8"]])
def test_export(options: list[str], model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deep" / "net.onnx"
    assert main(["export", model, "-o", str(path), *options]) == 0
    assert "net.onnx" in capsys.readouterr().err
    from hashigo.apply.engines import OpenVinoEngine

    assert OpenVinoEngine(path)(np.zeros((2, 1, 20, 28), np.float32)).shape == (2, 2, 20, 28)
    assert [one.name for one in path.parent.iterdir()] == ["net.onnx"]


def test_export_where_it_cannot_be_written(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    assert main(["export", model, "-o", str(tmp_path / "file" / "net.onnx")]) == 2
    assert "hashigo export: " in capsys.readouterr().err


def test_evaluate(model: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert main(["evaluate", model, str(pictures), "--json", str(out), "--limit", "4"]) == 0
    said = capsys.readouterr().out
    assert all(
        word in said
        for word in ("4 pictures", "CIEDE2000 ↓", "PSNR (dB) ↑", "colourfulness →", "result", "input", "original")
    )
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert {"model", "pictures", "mean", "colourfulness_ratio", "share_better_than_input", "each"} <= figures.keys()
    assert figures["pictures"] == len(figures["each"]) == 4
    assert 0 <= figures["share_better_than_input"] <= 1
    for part in ("result", "input", "original"):
        for name in ("delta_e", "psnr", "ssim", "sharpness", "colourfulness"):
            mean = np.mean([one[part][name] for one in figures["each"]])
            assert figures["mean"][part][name] == pytest.approx(mean)
    assert figures["mean"]["original"]["delta_e"] == pytest.approx(0, abs=1e-3)
    (pictures / "broken.png").write_bytes(b"nothing")
    try:
        assert main(["evaluate", model, str(pictures)]) == 1, (
            "a picture that is left out is told, and in the exit status"
        )
    finally:
        (pictures / "broken.png").unlink()
    assert "broken.png" in capsys.readouterr().err
    ratio = figures["mean"]["result"]["colourfulness"] / figures["mean"]["original"]["colourfulness"]
    assert figures["colourfulness_ratio"] == pytest.approx(ratio)
    shares = [one["result"]["colourfulness"] / one["original"]["colourfulness"] for one in figures["each"]]
    assert figures["colourfulness_ratio_median"] == pytest.approx(statistics.median(shares))
    better = np.mean([one["result"]["delta_e"] < one["input"]["delta_e"] for one in figures["each"]])
    assert figures["share_better_than_input"] == pytest.approx(better)


def test_evaluate_several_inputs(model: str, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", model, "digits", str(pictures / "00.png"), "--limit", "3", "--split", "train"]) == 0
    said = capsys.readouterr()
    assert "1 picture," in said.out
    assert "set apart 3 grey originals" in said.err
    assert main(["evaluate", model, "digits", "--limit", "3"]) == 2, "nothing to compare with"
    assert "3 grey pictures" in capsys.readouterr().err
    assert main(["evaluate", model, str(pictures / "missing.png")]) == 2
    assert "missing.png" in capsys.readouterr().err


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert all(
        word in said
        for word in ("Python", "torch", "openvino", "training", "colorizing", "pretrained    efficientnet-lite0")
    )


def test_photos_in_parallel_leave_no_threads_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "OPENBLAS_NUM_THREADS"
    monkeypatch.setenv(name, "x")  # so that it is put back
    for words, expected in ((["doctor", "--help"], None), (["colorize", "--help"], "1"), (["evaluate", "--help"], "1")):
        monkeypatch.delenv(name, raising=False)
        assert main(words) == 0
        assert os.environ.get(name) == expected
    monkeypatch.setenv(name, "2")
    main(["apply", "--help"])
    assert os.environ[name] == "2", "who has set it knows why"
    code = "import sys, hashigo.cli.main; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False", "or it would be too late"


def test_a_bundled_recipe_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hashigo.cli import train
    from hashigo.training.recipe import RECIPES, find_recipe

    monkeypatch.chdir(tmp_path)
    parsed = train.parse(["vivid", "--batch-size", "4", "--data-root", "here"])
    assert (parsed.run, parsed.recipe.task.name, parsed.recipe.batch_size) == ("runs/vivid", "colorize-bins", 4)
    assert train.parse(["vivid", "--batch_size=4"]).recipe.batch_size == 4, "as it was spelled before"
    for name in ("vivid", "vivid.yaml", "recipes/vivid.yaml"):
        assert find_recipe(name) == RECIPES / "vivid.yaml"
    (tmp_path / "vivid").write_text("epochs: 3", encoding="utf-8")
    assert find_recipe("vivid") == Path("vivid"), "a file of one's own comes first"
    assert main(["train", "vivit"]) == 2


def test_a_recipe_without_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "vivid"]) == 2
    assert "--data.train FOLDER" in capsys.readouterr().err
    assert main(["train", "vivit"]) == 2
    assert "did you mean 'vivid'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["train", "--help"], ["study", "purity", "--help"], ["study", "--help"]])
def test_help_has_no_python_in_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    said = capsys.readouterr().out
    assert not re.search(r"default: *(None|null|\[\]|''|False)\)|<class|\(type:|--\w+_\w+", said)


@pytest.mark.parametrize("command", [*COMMANDS, "data pack", "data check"])
def test_help_says_only_defaults_that_say_something(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    assert not re.search(r"\(default: *(None|\[\]|False|True)\)", capsys.readouterr().out)


def test_underscores_are_dashes(model: str, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", model, "--list_layers"]) == 0
    assert main(["colorize", str(pictures), "--max_megapixels=1", "--dry_run"]) == 0
    assert main(["colorize", str(pictures), "--maxx_megapixels=1"]) == 2
    assert "unrecognized arguments: --maxx_megapixels" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("colorize", "existing", "overwrite", "purity"))
    assert main(["--print-completion=ksh"]) == 2
    assert "bash" in capsys.readouterr().err
