"""The README: its commands and Python blocks are run, in order, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from hashigo import demo as demo_module
from hashigo.cli.main import COMMANDS, main
from hashigo.demo import SAMPLES
from serving import serving

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
HOME = "https://github.com/hashigo/hashigo/blob/main/"
RAW = "https://raw.githubusercontent.com/hashigo/hashigo/main/"
NOT_OURS = ("git", "cd", "python3", "source", "pip", "curl")
"""Commands that set an environment up, or ask a running service."""


class Block(NamedTuple):
    """A block of code; long ones take minutes."""

    language: str
    text: str
    long: bool


def blocks() -> list[Block]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"(<!-- long -->\n)?```(\w+)\n(.*?)```", text, re.S)
    return [Block(language, code, bool(long)) for long, language, code in found]


def commands(block: Block) -> list[list[str]]:
    lines = [line.split(" #")[0].strip() for line in block.text.splitlines()]
    words = [shlex.split(line) for line in lines if line]
    assert all(line[0] in (*NOT_OURS, "hashigo") for line in words)
    return [line[1:] for line in words if line[0] == "hashigo"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos that the README speaks of."""
    desk = tmp_path_factory.mktemp("readme")
    shutil.copytree(SAMPLES, desk / "my-photos")
    (desk / "my-photos" / "README.md").unlink()
    (desk / "my-album").mkdir()
    for path in SAMPLES.glob("*.jpg"):
        Image.open(path).convert("L").save(desk / "my-album" / path.name)
    for name in ("old.jpg", "older.jpg"):
        shutil.copy(desk / "my-album" / "coffee.jpg", desk / name)
    return desk


def run_all(blocks: list[Block], desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    for block in blocks:
        if block.language == "python":
            exec(compile(block.text, "README.md", "exec"), {})
            continue
        for words in commands(block):
            if words[0] == "serve":  # runs until it is stopped
                with serving(desk, *words[1:]) as running:
                    assert running.ask("GET", "/").status == running.ask("GET", "/docs").status == 200
                continue
            assert main(words) == 0, words


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_block_of_the_readme_runs(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "EPOCHS", 2)
    monkeypatch.setattr(demo_module, "SHOWN", (1, 2))
    run_all([block for block in blocks() if not block.long], desk, monkeypatch)
    assert (desk / "demo" / "report.html").is_file()
    assert (desk / "colorized" / "album.html").is_file()
    assert len(list((desk / "colorized").glob("*.color.jpg"))) == 4
    red = np.asarray(Image.open(desk / "red.jpg"))
    assert red.shape == (400, 600, 3)
    assert (desk / "evaluation.html").is_file()
    assert (desk / "model.onnx").is_file()


@pytest.mark.docs
@pytest.mark.filterwarnings("ignore")
def test_the_long_blocks_run(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_all([block for block in blocks() if block.long], desk, monkeypatch)
    assert list((desk / "colorized").glob("*.color.jpg"))


def test_long_commands_are_understood(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    monkeypatch.chdir(desk)
    for words in (words for block in blocks() if block.language == "bash" for words in commands(block)):
        if "--help" not in words:
            importlib.import_module(COMMANDS[words[0]][0]).parse(words[1:])


def test_the_readme_shows_the_commands() -> None:
    shown = {words[0] for block in blocks() if block.language == "bash" for words in commands(block)}
    assert shown >= {"demo", "colorize", "apply", "train", "evaluate", "export", "study", "features"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if target.startswith((HOME, RAW)):
            target = target.removeprefix(HOME).removeprefix(RAW)
            assert (ROOT / target).exists(), f"{page}: {target}"
        elif page == "README.md":
            assert target.startswith("https://"), f"{target}: a relative link leads nowhere on PyPI"
        elif "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
