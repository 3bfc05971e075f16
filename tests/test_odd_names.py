"""File names that a terminal or a browser would obey: with escape sequences, line breaks, or bytes that are no UTF-8."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from hashigo.cli.console import PlainBar, RichBar, rich_bar, say, show
from hashigo.cli.main import main
from hashigo.errors import plural, printable
from hashigo.pages.page import Page
from hashigo.pages.words import Words, escaped
from tiny import model as tiny_model
from tiny import photo

ODD = "a\x1b[31mred\nfailed: forged.png: gone\x9b.png"
NO_UTF8 = os.fsdecode(b"caf\xe9.png")
BROKEN = "b\x1b]0;title\x07\r.png"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model"), onnx=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for name in (ODD, NO_UTF8):
        Image.fromarray(photo("coffee", 30, 40)).save(folder / "x.png")
        (folder / "x.png").rename(folder / name)
    (folder / BROKEN).write_bytes(b"none")
    return folder


def is_clean(text: str) -> bool:
    return not any((character < " " and character != "\n") or "\x7f" <= character < "\xa0" for character in text)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """What was printed; checked for control characters."""
    lines: list[str] = []
    yield lines
    captured = capsys.readouterr()
    lines += [captured.out, captured.err]
    for text in lines:
        assert is_clean(text), repr(text)
        assert "\nfailed: forged" not in text


def test_colorize(folder: Path, model: str, tmp_path: Path, said: list[str]) -> None:
    assert main(["colorize", str(folder), "-m", model, "-o", str(tmp_path / "out"), "--page"]) == 1
    assert main(["colorize", str(folder), "-m", model, "-o", str(tmp_path / "out"), "--dry-run"]) == 0
    assert len(list((tmp_path / "out").glob("*.color.png"))) == 2
    page = (tmp_path / "out" / "album.html").read_text(encoding="utf-8")
    assert "\x1b" not in page
    listed = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert len(listed) == 1


def test_pack_and_check_and_features(folder: Path, model: str, tmp_path: Path, said: list[str]) -> None:
    assert main(["data", "pack", str(folder), "-o", str(tmp_path / "a.safetensors")]) == 0
    assert main(["data", "check", str(folder)]) == 1
    assert main(["data", "check", str(tmp_path / "a.safetensors")]) == 0
    assert main(["features", model, str(folder), "-o", str(tmp_path / "a.npz")]) == 1


def test_evaluate(folder: Path, model: str, tmp_path: Path, said: list[str]) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    assert main(["evaluate", model, str(folder), "--page", str(page), "--json", str(figures)]) == 1
    assert is_clean(page.read_text(encoding="utf-8"))
    assert len(json.loads(figures.read_text())["each"]) == 2


def test_words_of_the_user(model: str, said: list[str]) -> None:
    for words in (
        [ODD],
        ["colorize", ODD],
        ["colorize", f"--{ODD}"],
        ["colorize", "x", "--engine", ODD],
        ["train", ODD],
    ):
        assert main(words) == 2


def test_bars(capsys: pytest.CaptureFixture[str]) -> None:
    bar = PlainBar("photos", 2)
    bar.EVERY = 0  # type: ignore[misc]
    bar.step(note=ODD)
    bar.line(ODD)
    say(ODD)
    show(ODD)
    captured = capsys.readouterr()
    assert is_clean(captured.out + captured.err)
    assert captured.err.count("\n") == 3


def test_a_rich_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with rich_bar("photos", 2) as bar:
        assert isinstance(bar, RichBar)
        bar.line(ODD)
        bar.step(note=ODD)
    assert is_clean(stream.getvalue())


def test_pages(tmp_path: Path) -> None:
    page = Page(Words(f"title {ODD}", "題"))
    page.text(ODD)
    page.code(ODD)
    page.write(tmp_path / "page.html")
    assert is_clean((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert escaped("a\n<b>") == "a\n&lt;b&gt;"


def test_printable_keeps_what_people_write() -> None:
    for text in ("祖母のアルバム　１.jpg", "café 👨‍👩‍👧.png", "a b\u00a0c", "… → “”"):
        assert printable(text) == text
    assert printable("x\u202egpj.exe") == "x\\u202egpj.exe"
    assert plural(1, "photo") == "1 photo"


def test_help_into_a_closed_pipe() -> None:
    shell = shutil.which("sh")
    assert shell
    command = f"'{sys.executable}' -m hashigo.cli.main --help | true; '{sys.executable}' -m hashigo.cli.main colorize --help | true"
    for _ in range(3):
        done = subprocess.run([shell, "-c", command], capture_output=True, text=True, check=False)
        assert done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="where Pillow's wheels keep libtiff differs")
def test_libtiff_and_pillow_write_no_lines_of_their_own(model: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(photo("coffee", 400, 600)).save(file, "TIFF", compression="tiff_lzw")
    content = bytearray(file.getvalue())
    content[3000:3600] = b"\xff" * 600
    (tmp_path / "bad.tif").write_bytes(content)
    command = [sys.executable, "-m", "hashigo.cli.main", "colorize", str(tmp_path / "bad.tif"), "-m", model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "tempfile" not in done.stderr
    assert done.stderr.startswith("failed:")
