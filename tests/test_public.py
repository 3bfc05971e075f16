"""The public names, what importing costs, and what happens without the packages of an extra."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import pytest

import hashigo
from hashigo.cli.main import COMMANDS
from hashigo.errors import MissingExtraError
from hashigo.studies import STUDIES

HEAVY = ["torch", "openvino", "matplotlib", "numpy", "PIL", "sklearn", "skimage", "scipy", "lightning", "onnx", "rich"]

WITHOUT = """
import importlib.machinery, sys
class Without(importlib.machinery.PathFinder):
    "Finds everything but the packages that are to look as if they were not installed."
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {missing!r} else super().find_spec(name, path, target)
sys.meta_path = [Without if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
"""


def python(code: str, *, missing: tuple[str, ...] = (), cwd: Path | None = None) -> str:
    """What a fresh Python prints that runs `code`, with the packages `missing` not to be found; warnings are errors."""
    code = WITHOUT.replace("{missing!r}", repr(set(missing))) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=cwd, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


TRAINING = ("torch", "lightning", "huggingface_hub", "safetensors", "onnx", "onnxscript", "jsonargparse", "yaml")
"""Packages that only the extra 'train' brings."""


# --- names ----------------------------------------------------------------------------------------------


def test_public_names_are_sorted_and_there() -> None:
    assert hashigo.__all__ == sorted(
        hashigo.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert len(set(hashigo.__all__)) == len(hashigo.__all__)
    for name in hashigo.__all__:
        value = getattr(hashigo, name)
        assert not str(type(value)).endswith("module'>"), name
        assert name.isupper() or value.__doc__, f"{name} has no docstring"
    assert set(hashigo.__all__) <= set(dir(hashigo))


def test_star_import_brings_them_all() -> None:
    names: dict[str, object] = {}
    exec("from hashigo import *", names)
    assert set(hashigo.__all__) <= set(names)


def test_a_name_is_the_same_object_wherever_it_is_taken_from() -> None:
    from hashigo.networks import UNet
    from hashigo.tasks import TASKS

    assert hashigo.UNet is UNet
    assert hashigo.TASKS is TASKS


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="colorise"):
        _ = hashigo.colorise
    assert hashigo.__version__ == version("hashigo")


# --- what importing costs ---------------------------------------------------------------------------------

LOADED = f"import json, sys; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"


def test_importing_costs_next_to_nothing() -> None:
    assert json.loads(python(f"import hashigo\n{LOADED}")) == []


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["colorise"]])
def test_help_costs_next_to_nothing(words: list[str]) -> None:
    code = (
        f"from hashigo.cli.main import main\nstatus = main({words!r})\nassert status == {2 * ('-' not in words[0])}\n"
    )
    lines = python(code + LOADED).splitlines()
    assert json.loads(lines[-1]) == []
    assert "colorise" in words or "hashigo" in lines[0]


HELP = [*([command] for command in COMMANDS), *(["study", name] for name in STUDIES)]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_of_a_command_imports_nothing_heavy(words: list[str]) -> None:
    lines = python(
        f"from hashigo.cli.main import main\nassert main({[*words, '--help']!r}) == 0\n{LOADED}"
    ).splitlines()
    assert words[0] in lines[0]
    assert json.loads(lines[-1]) == []


@pytest.mark.parametrize("name", ["load", "read", "make_task", "open_dataset", "Recipe", "export_onnx"])
def test_what_needs_no_torch_does_not_import_it(name: str) -> None:
    heavy = json.loads(python(f"import hashigo\nhashigo.{name}\n{LOADED}"))
    assert not {"torch", "openvino", "matplotlib", "sklearn", "skimage", "scipy", "lightning", "onnx"} & set(heavy)


def test_colorizing_imports_no_torch() -> None:
    code = """
        import hashigo, numpy
        hashigo.load("colorizer", threads=1)(numpy.zeros((32, 48), numpy.uint8))
    """
    assert "torch" not in json.loads(python(textwrap.dedent(code) + LOADED))


# --- without the packages of an extra ---------------------------------------------------------------------


def test_everything_but_training_works_without_torch(tmp_path: Path) -> None:
    code = """
        import importlib.util, hashigo, numpy
        from hashigo.image import photo_of
        assert importlib.util.find_spec("torch") is None
        photo = (numpy.add.outer(numpy.arange(40), numpy.arange(60)) * 2).astype(numpy.uint8)
        hashigo.write(photo_of(photo), "grey.png")
        hashigo.write(hashigo.load("colorizer")(hashigo.read("grey.png")), "colour.png")
    """
    python(code, missing=TRAINING, cwd=tmp_path)
    assert hashigo.read(tmp_path / "colour.png").size == (40, 60)


USES = {
    "UNet": "hashigo.UNet(width=4)",
    "train": "hashigo.train(None, 'run')",
    "export": "hashigo.export_onnx(None, 'x.onnx')",
    "torch engine": "hashigo.load('colorizer', engine='torch')",
    "weights": "models.load_network(models.open_model('colorizer'))",
}


def test_without_torch_the_extra_is_named_with_its_command(tmp_path: Path) -> None:
    code = f"""
        import hashigo, json
        from hashigo import models
        told = {{}}
        for name, use in {USES!r}.items():
            try:
                eval(use)
            except hashigo.errors.MissingExtraError as error:
                told[name] = str(error)
        print(json.dumps(told))
    """
    told = json.loads(python(code, missing=("torch", "lightning"), cwd=tmp_path))
    assert set(told) == set(USES)
    for message in told.values():
        assert "pip install 'hashigo[train]'" in message
        assert "torch" in message or "lightning" in message
    assert not list(tmp_path.iterdir())


def test_asking_whether_a_name_exists_never_fails() -> None:
    code = """
        import hashigo, inspect
        assert hasattr(hashigo, "UNet") and not hasattr(hashigo, "UNett")
        names = [name for name, _ in inspect.getmembers(hashigo)]
        assert names == sorted(dir(hashigo)) == sorted([*hashigo.__all__, "__version__"]), names
        from hashigo import UNet
        print(repr(UNet))
    """
    assert "pip install 'hashigo[train]'" in python(code, missing=TRAINING)
    assert "class" in python(code)


def test_a_missing_extra_is_an_import_error_too() -> None:
    error = MissingExtraError("training", "train", "lightning")
    assert isinstance(error, ImportError)
    assert isinstance(error, hashigo.HashigoError)
    assert str(error) == "training needs the extra 'train' (lightning was not found): pip install 'hashigo[train]'"


def test_the_command_line_tells_of_a_missing_extra_with_status_2(tmp_path: Path) -> None:
    code = """
        import contextlib, io
        from hashigo.cli.main import main
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            print(main(["export", "colorizer", "-o", "x.onnx"]))
        print(told.getvalue())
    """
    status, message = python(code, missing=TRAINING, cwd=tmp_path).split("\n", 1)
    assert status == "2"
    assert "pip install 'hashigo[train]'" in message
    assert "Traceback" not in message


def test_studies_name_the_missing_extra_but_tell_what_they_are(tmp_path: Path) -> None:
    code = """
        import contextlib, io
        from hashigo.cli.main import main
        told = io.StringIO()
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            print(main(["study", "--help"]), main(["study", "purity"]), file=(status := io.StringIO()))
        print(status.getvalue() + told.getvalue())
    """
    for missing in (("jsonargparse",), ("torch", "lightning")):
        status, said = python(code, missing=missing, cwd=tmp_path).split("\n", 1)
        assert status == "0 2"
        assert "agree with the labels?" in said
        assert "running a study needs the extra 'train'" in said
        assert f"({missing[0]} was not found)" in said
