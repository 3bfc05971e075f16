"""Plots: both languages in one drawing, equal bytes for equal input, colours that can be told apart on light and dark."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hashigo import color
from hashigo.errors import DataError, RecipeError
from hashigo.pages.plots import COLOURS, INK, LEGEND, Row, curves, intervals, matrix, scatter
from hashigo.pages.words import Text, Words

NAN = float("nan")
EPOCH = Words("epoch", "エポック")
LOSS = Words("squared error per digit", "数字1枚あたりの二乗誤差")
WITH = Words("with skip connections", "スキップ接続あり")
WITHOUT = Words("without <b> & $x_1$", "なし")
FALLING = [(float(x), 50.0 / x) for x in range(1, 31)]
ROWS = [
    Row(WITH, [0.5, 0.52, 0.55], 0.48, 0.523, 0.56, 0.5217),
    Row(WITHOUT, [0.7], NAN, 0.7, NAN),
    Row("raw pixels", [], NAN, 0.59, NAN),
]


def digits_map() -> tuple[np.ndarray, np.ndarray]:
    """Two columns of pixels that tell digits apart a little, and the digits."""
    digits = load_digits()
    return digits.data[:, [20, 42]] + digits.data[:, [21, 43]] / 17, digits.target


def digits_table() -> np.ndarray:
    """How often a pixel of each brightness above 6 is seen in each digit, (10, 10)."""
    places, kinds = digits_map()
    table = np.zeros((10, 10), int)
    np.add.at(table, (kinds, np.clip(places[:, 0] / 2, 0, 9).astype(int)), 1)
    return table


def draw_curves() -> str:
    return curves(
        {WITH: FALLING, WITHOUT: [(x, 2 * y) for x, y in FALLING]},
        x=EPOCH, y=LOSS, dashed=[WITHOUT],
        bands={WITH: [(x, y * 0.9, y * 1.1) for x, y in FALLING]},
        marks={WITH: [(3, 20)], Words("the article", "記事"): [(20, 12.0)]},
    )  # fmt: skip


def draw_intervals() -> str:
    return intervals(ROWS, x=Words("purity", "純度"), references=[(Words("chance", "当て推量"), 0.1), ("PCA", 0.6)])


def draw_matrix() -> str:
    names: list[Text] = [Words(f"class {i}", f"クラス{i}") for i in range(10)]
    return matrix(digits_table(), rows=names, columns=names, x=Words("group", "グループ"), y=Words("digit", "数字"))


def draw_scatter() -> str:
    return scatter(*digits_map(), classes=[Words(f"digit {i}", f"数字{i}") for i in range(10)])


DRAWN = [draw_curves, draw_intervals, draw_matrix, draw_scatter]


def shown(svg: str, language: str) -> list[str]:
    """The texts that a reader of the language sees."""
    texts = []
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        spans = [span for span in element if span.get("class")]
        texts.append("".join(s.text or "" for s in spans if s.get("class") == language) if spans else element.text)
    return [text or "" for text in texts]


@pytest.mark.parametrize("draw", DRAWN)
def test_a_drawing_stands_for_itself_and_is_reproducible(draw: Callable[[], str]) -> None:
    svg = draw()
    assert svg == draw(), "the same input gives the same bytes"
    assert svg.startswith("<svg viewBox=")
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox", "").startswith("0 0 324 ")
    assert root.get("width") is None
    assert root.get("height") is None
    assert svg.count("http") == 1, "the namespace, and nothing to fetch"
    assert "<style" not in svg, "it would hold for the whole page"
    assert "currentColor" in svg
    assert INK not in svg
    assert set(re.findall(r"font-family: ([^;\"]*)", svg)) == {"sans-serif"}
    references = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    assert references == set(re.findall(r' id="([^"]*)"', svg)), "ids are there for what refers to them"
    assert all(name.startswith("plot-") for name in references)


def test_no_two_drawings_share_an_id() -> None:
    drawings = [draw() for draw in DRAWN] + [curves({"a": FALLING}, x="b", y="c"), curves({"b": FALLING}, x="b", y="c")]
    ids = [name for svg in drawings for name in re.findall(r' id="([^"]*)"', svg)]
    assert len(ids) == len(set(ids))


def test_labels_are_there_in_both_languages() -> None:
    svg = draw_curves()
    assert '<tspan class="en" lang="en">squared error per digit</tspan><tspan class="ja" lang="ja">数字1枚' in svg
    english, japanese = shown(svg, "en"), shown(svg, "ja")
    assert {EPOCH.en, LOSS.en, WITH.en, WITHOUT.en, "the article"} <= set(english)
    assert {EPOCH.ja, LOSS.ja, WITH.ja, WITHOUT.ja, "記事"} <= set(japanese)
    assert "10" in english
    assert "10" in japanese
    assert not any("nnn" in text for text in english + japanese), "no stand-in is left"
    assert "<b>" not in svg


def test_the_same_english_may_mean_different_things() -> None:
    svg = curves({Words("validation", "検証"): FALLING, "plain": FALLING}, x="plain", y=Words("validation", "妥当性"))
    assert sorted(text for text in shown(svg, "ja") if not text.replace(",", "").replace(".", "").isdigit()) == sorted(
        ["検証", "妥当性", "plain", "plain"]
    )


@pytest.mark.parametrize("text", ["_hidden", "$a", "$\\frac$", "日本語だけ", "a\tb", 'id="x" url(#y)', INK, "🪜", ""])
def test_any_text_can_be_a_label(text: str) -> None:
    svg = curves({text: FALLING}, x=text, y=text)
    ElementTree.fromstring(svg)
    assert shown(svg, "en").count(text) == (3 if text else 0)


def test_curves_keep_to_their_colours() -> None:
    svg = curves({"a": FALLING, "a, training": FALLING, "b": FALLING}, x="x", y="y", dashed=["a, training"])
    assert svg.count(f"stroke: {COLOURS[0]}") == 4, "two lines, each also in the legend"
    assert svg.count(f"stroke: {COLOURS[1]}") == 2
    assert COLOURS[2] not in svg
    banded = curves({"a": FALLING, "b": FALLING}, x="x", y="y", bands={"b": [(1, 1, 2), (2, 0, 2), (3, NAN, NAN)]})
    assert re.search(rf"fill: {COLOURS[1]}; fill-opacity: 0.35", banded)
    with pytest.raises(RecipeError, match="expected labels of lines"):
        curves({"a": FALLING}, x="x", y="y", bands={"c": []})


@pytest.mark.parametrize(
    ("points", "options", "expected", "missing"),
    [
        ([(1, 3.0), (10, 4.0), (200, 3.5)], {"log": False}, {"10", "200"}, {"1", "50", "100"}),
        ([(1, 3.0), (10, 4.0), (200, 3.5)], {"log": False, "log_x": True}, {"1", "10", "200"}, {"100"}),
        ([(float(x), 1.0 + x) for x in range(5)], {"log": False}, {"0", "1", "2", "3", "4"}, {"0.5", "2.5"}),
        ([(0.5, 1e4), (0.7, 1e7)], {}, {"10,000", "1e+06"}, set()),
        ([(0.5, 10.0), (0.7, 12.0)], {}, {"10.5"}, set()),
        (FALLING, {}, {"10", "20", "2", "5", "50"}, {"0.1", "2.5"}),
    ],
)
def test_ticks_are_where_readers_want_them(
    points: list[tuple[float, float]], options: dict[str, bool], expected: set[str], missing: set[str]
) -> None:
    texts = set(shown(curves({"a": points}, x="x", y="y", **options), "en"))
    assert expected <= texts
    assert not missing & texts


@pytest.mark.parametrize(
    "points", [[], [(1.0, 0.0), (2.0, 0.0)], [(1.0, -1.0)], [(5.0, 5.0)], [(1.0, NAN), (2.0, 3.0)], [(0.0, 1.0)]]
)
def test_little_or_nothing_to_draw_is_no_error(points: list[tuple[float, float]]) -> None:
    assert "one line" in curves({"one line": points}, x="x", y="y", log_x=True)


def test_intervals_show_what_is_known() -> None:
    svg = draw_intervals()
    assert set(shown(svg, "ja")) >= {
        WITH.ja,
        WITHOUT.ja,
        "raw pixels",
        "当て推量",
        "PCA",
        *(name.ja for name in LEGEND),
    }
    bars = re.findall(rf"stroke: {COLOURS[0]}; stroke-opacity: 0.5", svg)
    assert len(bars) == 2, "the interval of one row, and the legend's"
    assert f"fill: {COLOURS[1]}; stroke: currentColor" in svg, "the diamond"
    unknown = intervals([Row("a", [0.1], NAN, 0.1, NAN, NAN)], x="x")
    assert LEGEND[3].en not in unknown, "no diamond, no entry"
    assert COLOURS[1] not in unknown
    named = intervals(ROWS, x="x", legend=["run", "range", "average", "theirs"])
    assert {"run", "range", "average", "theirs"} <= set(shown(named, "en"))
    with pytest.raises(RecipeError, match="expected 4 texts"):
        intervals(ROWS, x="x", legend=["run"])
    assert intervals([], x="x").startswith("<svg")


def test_long_labels_get_smaller_letters_and_stay_inside() -> None:
    label = Words(
        "pooled features, averaged over all the 7×7 places of the layer",
        "潜在層の7×7のすべての位置にわたって平均したプール特徴、16成分",
    )
    svg = intervals([Row(label, [0.4], NAN, 0.4, NAN), Row("short", [0.5], NAN, 0.5, NAN)], x="x")
    sizes = {
        "".join(element.itertext()): float(re.findall(r"font(?:-size)?: ([\d.]+)px", element.get("style", ""))[0])
        for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    }
    assert sizes["short"] == 10
    assert 6.5 <= sizes[label.en + label.ja] < 10
    assert len(label.ja) * sizes[label.en + label.ja] < 324


def test_labels_without_end_leave_room_for_axes() -> None:
    endless = Words("on and " * 40, "どこまでも続く" * 40)
    counts = matrix(np.ones((2, 2)), rows=[endless, "b"], columns=[endless, "d"], x=endless, y=endless)
    for svg in (counts, curves({endless: FALLING}, x=endless, y=endless), intervals(ROWS, x="x", legend=[endless] * 4)):
        assert endless.ja in svg
        assert 'viewBox="0 0 324 ' in svg


def test_a_matrix_has_its_numbers() -> None:
    table = digits_table()
    texts = shown(draw_matrix(), "en")
    for number in table.ravel():
        assert f"{number:,}" in texts
    row = np.array([[1, 3], [0, 0]])
    svg = matrix(row, rows=["a", "b"], columns=["c", "d"], x="x", y="y")
    depths = [float(value) for value in re.findall(r"fill-opacity: ([\d.]+)", svg)]
    for share in (0.25, 0.75):
        assert min(abs(depth - 0.62 * share**0.7) for depth in depths) < 0.005
    assert "0.33" in matrix(row / 3, rows=["a", "b"], columns=["c", "d"], x="x", y="y")
    large = matrix(np.eye(40, 50, dtype=int), rows=["r"] * 40, columns=[str(i) for i in range(50)], x="x", y="y")
    assert "<image" in large
    assert len(large) < 60_000
    texts = shown(large, "en")
    assert "48" in texts, "fifty labels would run into one another: every second stays"
    assert "49" not in texts


@pytest.mark.parametrize("wrong", [np.ones((2, 3)), np.ones(4), -np.ones((2, 2)), np.full((2, 2), NAN)])
def test_a_matrix_wants_counts_with_labels(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="matrix: expected"):
        matrix(wrong, rows=["a", "b"], columns=["c", "d"], x="x", y="y")


def test_a_map_is_small_and_has_every_class() -> None:
    places, kinds = digits_map()
    svg = draw_scatter()
    assert svg.count("<image") == 1
    assert len(svg) < 200_000
    assert {f"数字{i}" for i in range(10)} <= set(shown(svg, "ja"))
    many = scatter(np.tile(places, (20, 1)), np.tile(kinds, 20), classes=[str(i) for i in range(10)])
    assert len(many) < 300_000, "36,000 points take no more room than pixels do"
    assert scatter(np.empty((0, 2)), np.empty(0, int), classes=["a"]).startswith("<svg")
    with pytest.raises(DataError, match=r"expected labels 0\.\.8"):
        scatter(places, kinds, classes=[str(i) for i in range(9)])
    with pytest.raises(DataError, match="expected labels"):
        scatter(places, kinds / 2, classes=[str(i) for i in range(10)])
    with pytest.raises(DataError, match="expected \\(N, 2\\) points"):
        scatter(places, kinds[:-1], classes=[str(i) for i in range(10)])


# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(name: str) -> np.ndarray:
    """The colour as linear RGB 0..1, by the definition of sRGB."""
    values = np.array([int(name[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def nearest(colours: list[np.ndarray]) -> float:
    """The smallest CIEDE2000 between two of the colours, given as linear RGB."""
    clipped = [np.clip(colour, 0, 1) for colour in colours]
    encoded = [np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055) for c in clipped]
    labs = [color.lab(c.reshape(3, 1, 1)) for c in encoded]
    return min(float(color.ciede2000(first, second).item()) for first, second in itertools.combinations(labs, 2))


def test_the_colours_keep_their_promises() -> None:
    colours = [linear(name) for name in COLOURS]
    assert len(set(COLOURS)) == 10
    assert nearest(colours) > 29
    for matrix_ in BLIND.values():
        seen = [np.array(matrix_) @ colour for colour in colours]
        assert nearest(seen) > 10.9
        assert nearest(seen[:4]) > 13
    for paper in ("#fdfcf9", "#16181c"):
        luminances = [float(linear(name) @ [0.2126, 0.7152, 0.0722]) for name in (paper, *COLOURS)]
        for luminance in luminances[1:]:
            dark, light = sorted((luminances[0], luminance))
            assert (light + 0.05) / (dark + 0.05) > 2.4, "the contrast of WCAG"
