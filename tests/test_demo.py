"""The demo and its page; the bundled recipes."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from hashigo import demo as demo_module
from hashigo.cli import train as cli_train
from hashigo.cli.main import main
from hashigo.errors import BusyError
from hashigo.files import locked
from hashigo.image import photo_of, read
from hashigo.pages.page import Page
from hashigo.pages.plots import INK, curves
from hashigo.training.recipe import RECIPES


class Tags(HTMLParser):
    """Collects a page's tags, and complains of one that is closed but not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_demonstration_makes_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "EPOCHS", 2)
    monkeypatch.setattr(demo_module, "SHOWN", (1, 2))
    lines: list[str] = []
    page = demo_module.demo(tmp_path, lines.append)
    text = page.read_text(encoding="utf-8")
    tags = Tags(text).seen
    pictures = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert len(pictures) == 3 * 4 + 2 * 2, "four photos three times, and two panels for each of two networks"
    assert all(source.startswith("data:image/") for source in pictures), "the page needs no other file"
    assert not re.search(r'(?:src|href)="https?:', text)
    assert text.count("<svg") == 1
    coloured = sorted(path.name for path in (tmp_path / "photos" / "color").iterdir())
    assert coloured == sorted(f"{name}.color.jpg" for name in demo_module.bundled_photos())
    astronaut = read(tmp_path / "photos" / "color" / "astronaut.color.jpg")
    assert astronaut.size == (512, 512)
    assert np.ptp(astronaut.pixels.astype(int), axis=2).max() > 8, "there is some colour in it"
    assert any("with skip connections" in line for line in lines)
    assert "スキップ接続" in text
    assert str(Path(demo_module.__file__).parent) not in text, "no paths of this computer"
    # a second demo in the same folder starts over
    demo_module._clear(tmp_path / "digits" / "concat")
    assert not list((tmp_path / "digits" / "concat" / "checkpoints").glob("*"))


def test_the_demo_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "has_torch", lambda: False)
    lines: list[str] = []
    text = demo_module.demo(tmp_path, lines.append).read_text(encoding="utf-8")
    assert text.count("<img") == 3 * 4
    assert "hashigo[train]" in text
    assert any("hashigo[train]" in line for line in lines)
    assert not (tmp_path / "digits").exists()


def test_the_demo_ends_with_what_to_try_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_module, "has_torch", lambda: False)
    monkeypatch.setattr("hashigo.cli.demo.shutil.which", lambda name: f"/usr/bin/{name}")
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 0
    printed = capsys.readouterr()
    assert (printed.out + printed.err).rstrip().endswith("in the browser: hashigo serve")


def test_one_demo_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / ".lock", "busy"), pytest.raises(BusyError, match="another demo"):
        demo_module.demo(tmp_path)


def test_a_page_escapes_its_texts_and_holds_its_pictures(tmp_path: Path) -> None:
    page = Page("a < b & c")
    page.text("<script>alert(1)</script>")
    page.table(["name", "figure"], [["<b>", "1"]])
    page.row([("grey & small", photo_of(np.zeros((4, 6), np.uint8)))], "caption", pixels=True)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "a &lt; b &amp; c" in text
    assert ("img", "grey & small") in [(tag, attributes.get("alt")) for tag, attributes in Tags(text).seen]


def test_curves_take_the_pages_colours_and_are_reproducible() -> None:
    series = {"one": [(1.0, 10.0), (2.0, 1.0)], "its shadow": [(1.0, 20.0), (2.0, 2.0)]}
    first = curves(series, x="epoch", y="loss", dashed=["its shadow"])
    assert first == curves(series, x="epoch", y="loss", dashed=["its shadow"])
    assert first.startswith("<svg")
    assert "currentColor" in first
    assert INK not in first
    assert "its shadow" in first


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_can_be_read_and_built(recipe: Path) -> None:
    from hashigo.networks import make_network
    from hashigo.tasks import make_task
    from hashigo.training.run import network_options

    parsed = cli_train.parse([str(recipe)]).recipe
    task = make_task(parsed.task.name, **parsed.task.options)
    make_network(parsed.network.name, **network_options(parsed, task))
    assert parsed.data.train or not parsed.epochs
