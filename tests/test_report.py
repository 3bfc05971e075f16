"""The page: one file, escaped, in one language or two, with everything that the studies tell."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hashigo.errors import RecipeError
from hashigo.image import photo_of
from hashigo.pages.page import Page
from hashigo.pages.plots import curves, scatter
from hashigo.pages.words import Words, english, japanese, markup
from photos import pixels

HELLO = Words('Hello <you> & "me"', "こんにちは<あなた>")
VOID = {"meta", "img", "br", "path", "use", "rect", "image"}


class Tags(HTMLParser):
    """A page's tags with their attributes, and the texts that readers of each language see; wrong nesting is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, str]] = []
        self.texts: dict[str, list[str]] = {"en": [], "ja": []}
        self.feed(page)
        self.close()
        assert not self.open, "all tags are closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("class") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] not in ("style", "script", "title"):
            classes = {name for _, name in self.open}
            for language, other in (("en", "ja"), ("ja", "en")):
                if other not in classes:
                    self.texts[language].append(data)

    def named(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of this name that have the given ones."""
        of_tag = [have for name, have in self.seen if name == tag]
        return [have for have in of_tag if attributes.items() <= have.items()]


def written(page: Page, tmp_path: Path) -> str:
    """The page's text, as it was written; read back as UTF-8."""
    page.write(tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def everything(title: str | Words = "a < b") -> Page:
    """A page with every part there is, in English; the title decides on more."""
    page = Page(title)
    page.heading("A <heading>")
    page.text("Plain & simple")
    page.text("softly", soft=True)
    line = [(1.0, 2.0), (2.0, 1.0)]
    page.plot(curves({"one": line}, x="x", y="y"), "a plot")
    page.plots(
        [("left", curves({"two": line}, x="x", y="y")), ("right", curves({"three": line}, x="x", y="y"))], "both"
    )
    page.row([("cat", photo_of(pixels("chelsea")[:40, :60]))], "one cat")
    page.table(["name", "value"], [["<b>", "<i>"], ["c", "2"]], "a caption")
    page.code("hashigo study purity --run 'a b' && echo <done>")
    page.details("settings", "seed: 0\n  nested: <1>\n")
    return page


def test_words_are_two_texts() -> None:
    assert (english(HELLO), japanese(HELLO)) == HELLO
    assert english("as it is") == japanese("as it is") == "as it is"
    assert markup("a < b") == "a &lt; b"
    assert markup(HELLO) == (
        "<span class=en lang=en>Hello &lt;you&gt; &amp; &quot;me&quot;</span>"
        "<span class=ja lang=ja>こんにちは&lt;あなた&gt;</span>"
    )


def test_a_page_in_one_language_has_no_switch(tmp_path: Path) -> None:
    text = written(everything(), tmp_path)
    tags = Tags(text)
    assert len(tags.named("script")) == 1  # it enlarges pictures
    assert not tags.named("button")
    assert "日本語" not in text
    assert tags.named("html", lang="en")
    assert "<title>a &lt; b</title>" in text
    for raw in ("<heading>", "<b>", "<i>", "<done>", "<1>"):
        assert raw not in text
        assert raw in "".join(tags.texts["en"])


def test_a_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = everything(HELLO)
    digits = load_digits()
    page.plot(scatter(digits.data[:, [20, 42]], digits.target, classes=[str(i) for i in range(10)]))
    text = written(page, tmp_path)
    tags = Tags(text)
    assert set(re.findall(r"https?://[^\"' )]*", text)) == {"http://www.w3.org/2000/svg"}
    assert not tags.named("link")
    for _, attributes in tags.seen:
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), attributes
    assert not re.search(r"url\((?!#)|@import", text)
    assert written(page, tmp_path) == text, "the same page gives the same bytes"
    ids = [attributes["id"] for _, attributes in tags.seen if "id" in attributes]
    assert len(ids) == len(set(ids)) > 4


@pytest.mark.parametrize("where", ["title", "heading", "text", "cell", "label", "plot", "verdict", "details", "code"])
def test_words_anywhere_bring_the_switch(where: str, tmp_path: Path) -> None:
    page = Page(HELLO if where == "title" else "title")
    add = {
        "heading": lambda: page.heading(HELLO),
        "text": lambda: page.text(HELLO),
        "cell": lambda: page.table(["a"], [[HELLO]]),
        "label": lambda: page.row([(HELLO, photo_of(np.zeros((2, 2), np.uint8)))]),
        "plot": lambda: page.plot(curves({HELLO: [(1, 1)]}, x="x", y="y")),
        "verdict": lambda: page.verdict("a claim", "holds", "evidence"),
        "details": lambda: page.details(HELLO, "text"),
        "code": lambda: page.code(HELLO),
    }
    add.get(where, lambda: None)()
    tags = Tags(written(page, tmp_path))
    buttons = tags.named("button")
    assert [button["data-language"] for button in buttons] == ["en", "ja"]
    assert [button["lang"] for button in buttons] == ["en", "ja"]
    assert [button["aria-pressed"] for button in buttons] == ["true", "false"]
    assert len(tags.named("script")) == 1
    if where != "verdict":
        assert HELLO.en in tags.texts["en"]
        assert HELLO.ja in tags.texts["ja"]
        assert HELLO.ja not in tags.texts["en"]
        assert HELLO.en not in tags.texts["ja"]


def test_titles_and_pictures_are_told_in_both_languages(tmp_path: Path) -> None:
    page = Page(HELLO)
    page.row([(HELLO, photo_of(pixels("chelsea")[:30, :50]))])
    text = written(page, tmp_path)
    tags = Tags(text)
    assert tags.named("title") == [{"data-en": HELLO.en, "data-ja": HELLO.ja}]
    assert f">{markup(HELLO.en)}</title>" in text, "English in the tab until the script decides"
    picture = tags.named("img")[0]
    assert picture["alt"] == picture["data-en"] == HELLO.en
    assert picture["data-ja"] == HELLO.ja
    assert (picture["width"], picture["height"]) == ("50", "30")


def test_the_style_shows_english_unless_the_page_is_japanese(tmp_path: Path) -> None:
    text = written(everything(HELLO), tmp_path)
    assert "html[lang=ja] .en, html:not([lang=ja]) .ja { display: none; }" in text
    assert "<html lang=en>" in text, "without JavaScript the page is English"
    assert re.search(r"\.languages \{ display: none;.*\.scripted \.languages \{ display: flex; \}", text)
    assert "prefers-color-scheme: dark" in text
    for look_up in ("localStorage.getItem", "localStorage.setItem"):
        assert re.search(rf"try {{[^}}]*{re.escape(look_up)}", text), "storage may be forbidden"


@pytest.mark.parametrize(
    ("verdict", "kind", "sign", "badge"),
    [
        ("holds", "holds", "✓", Words("holds", "成り立つ")),
        ("does not hold", "fails", "✗", Words("does not hold", "成り立たない")),
        ("within noise", "noise", "≈", Words("within noise", "誤差の範囲")),
    ],
)
def test_a_verdict_has_its_badge(verdict: str, kind: str, sign: str, badge: Words, tmp_path: Path) -> None:
    page = Page("title")
    page.verdict(Words("Skips are faster.", "スキップは速い。"), verdict, Words("20 epochs", "20エポック"))
    tags = Tags(written(page, tmp_path))
    assert tags.named("div", **{"class": f"verdict {kind}"})
    for language, word in badge._asdict().items():
        assert word in tags.texts[language]
        assert sign in tags.texts[language]
    assert {"Skips are faster.", "20 epochs"} <= set(tags.texts["en"])
    assert {"スキップは速い。", "20エポック"} <= set(tags.texts["ja"])


def test_a_wrong_verdict_is_told() -> None:
    with pytest.raises(RecipeError, match="did you mean 'does not hold'"):
        Page("title").verdict("claim", "does not holds", "evidence")


def test_tables_and_code_scroll_or_wrap_within_their_boxes(tmp_path: Path) -> None:
    text = written(everything(), tmp_path)
    tags = Tags(text)
    assert tags.named("div", **{"class": "table", "tabindex": "0"}), "reached by the keyboard, too"
    assert len(tags.named("th", scope="col")) == 2
    assert len(tags.named("th", scope="row")) == 2
    assert "<figcaption>a caption</figcaption>" in text
    assert ".table, pre { overflow-x: auto; }" in text
    assert "<pre tabindex=0>seed: 0\n  nested: &lt;1&gt;\n</pre>" in text, "line by line, as it is"
    assert "<summary>settings</summary>" in text


@pytest.mark.parametrize(
    ("count", "wide", "narrow"), [(1, 1, 1), (3, 3, 3), (4, 4, 2), (6, 6, 3), (10, 5, 3), (20, 7, 3)]
)
def test_rows_wrap_where_there_is_no_room(count: int, wide: int, narrow: int, tmp_path: Path) -> None:
    page = Page("title")
    page.row([(f"epoch {i}", photo_of(np.full((8, 8), i, np.uint8))) for i in range(count)], pixels=True)
    text = written(page, tmp_path)
    assert f'style="--n: {wide}; --few: {narrow}"' in text
    assert text.count("<img class=pixels") == count
    assert "<figcaption>" not in text


def test_plots_stand_side_by_side(tmp_path: Path) -> None:
    svg = curves({"a": [(1.0, 1.0)]}, x="x", y="y")
    for count, columns in ((1, 1), (2, 2), (3, 3), (4, 2), (6, 3)):
        page = Page("title")
        page.plots([(f"plot {i}", svg) for i in range(count)], "all")
        text = written(page, tmp_path)
        assert f'<div class=plots style="--n: {columns}">' in text
        assert text.count("<svg") == text.count("<div class=label>plot ") == count
