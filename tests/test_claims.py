"""Intervals and verdicts: against SciPy's own tests, values from a table, and cases in which nothing can be said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hashigo.errors import DataError
from hashigo.pages.words import Words
from hashigo.studies.claims import Claim, Interval, both, higher, interval, paired_higher
from hashigo.studies.serializing import from_json, to_json

SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""Hours of sleep gained by ten patients with two drugs ("Student" 1908)."""


# --- intervals ----------------------------------------------------------------------------------------------


def test_the_interval_of_students_sleep() -> None:
    sleep = interval(np.subtract(SLEEP[1], SLEEP[0]))
    assert sleep.mean == pytest.approx(1.58)
    assert sleep.count == 10
    assert sleep.sd == pytest.approx(1.229995, abs=1e-6)
    assert (sleep.low, sleep.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)  # R: t.test(paired = TRUE)


def test_one_value_has_no_interval() -> None:
    lonely = interval([3.0])
    assert lonely.mean == 3
    assert lonely.count == 1
    assert math.isnan(lonely.low)
    assert math.isnan(lonely.high)
    assert math.isnan(lonely.sd)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert interval([2.0, 2.0, 2.0]) == Interval(2, 2, 2, 3, 0)


def test_nan_makes_nan() -> None:
    unknown = interval([1.0, math.nan, 2.0])
    assert all(math.isnan(value) for value in (unknown.mean, unknown.low, unknown.high))


def test_no_values_are_an_error() -> None:
    with pytest.raises(DataError, match="at least one value"):
        interval([])


def test_a_higher_confidence_is_wider() -> None:
    narrow, wide = interval(SLEEP[0], 0.9), interval(SLEEP[0], 0.99)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


# --- higher -------------------------------------------------------------------------------------------------


def test_welch_is_scipys() -> None:
    a, b = np.random.default_rng(0).normal(0.3, 1, 12), np.random.default_rng(1).normal(0, 3, 7)
    _, difference = higher(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.difference == pytest.approx(a.mean() - b.mean())


def test_pairs_see_what_samples_do_not() -> None:
    assert higher(SLEEP[1], SLEEP[0])[0] == "within noise"
    assert paired_higher(SLEEP[1], SLEEP[0])[0] == "holds"
    assert paired_higher(SLEEP[0], SLEEP[1])[0] == "does not hold"


@pytest.mark.parametrize("compare", [higher, paired_higher])
def test_the_numbers_are_the_means_and_their_difference(compare: object) -> None:
    verdict, difference = compare([1.00, 1.01, 0.99, 1.02], [0.79, 0.80, 0.81, 0.80])
    assert verdict == "holds"
    assert difference.a == pytest.approx(1.005)
    assert difference.b == pytest.approx(0.8)
    assert difference.difference == pytest.approx(1.005 - 0.8)


@pytest.mark.parametrize("compare", [higher, paired_higher])
def test_what_cannot_be_told_is_within_noise(compare: object) -> None:
    assert compare([2.0], [1.0])[0] == "within noise"
    assert compare([2.0, math.nan], [1.0, 1.0])[0] == "within noise"
    assert compare([1.0, 1.0], [1.0, 1.0])[0] == "within noise"


@pytest.mark.parametrize("compare", [higher, paired_higher])
def test_without_any_spread_the_means_decide(compare: object) -> None:
    verdict, difference = compare([2.0, 2.0], [1.0, 1.0])
    assert verdict == "holds"
    assert difference.low == difference.high == 1
    assert compare([1.0, 1.0], [2.0, 2.0])[0] == "does not hold"


def test_one_value_against_many_is_within_noise() -> None:
    assert higher([100.0], [1.0, 1.1, 0.9])[0] == "within noise"


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(DataError, match="3 and 2"):
        paired_higher([1, 2, 3], [1, 2])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9), st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9))
def test_the_other_way_round_is_the_other_verdict(a: list[float], b: list[float]) -> None:
    opposite = {"holds": "does not hold", "does not hold": "holds", "within noise": "within noise"}
    assert higher(b, a)[0] == opposite[higher(a, b)[0]]


def test_noise_is_called_noise() -> None:
    rng = np.random.default_rng(5)
    verdicts = [higher(rng.normal(0, 1, 6), rng.normal(0, 2, 9))[0] for _ in range(400)]
    wrong = sum(verdict != "within noise" for verdict in verdicts) / len(verdicts)
    assert 0.02 < wrong < 0.09  # 5 % of equal samples look different, by the meaning of 95 %


# --- claims -----------------------------------------------------------------------------------------------------


def test_a_claim_of_several_parts() -> None:
    assert both(["holds", "holds"]) == "holds"
    assert both(["holds", "within noise"]) == "within noise"
    assert both(["within noise", "does not hold", "holds"]) == "does not hold"
    assert both([]) == "within noise"


def test_a_claim_goes_into_json_and_comes_back() -> None:
    claim = Claim(Words("it is so", "そうである"), "holds", Words("look", "見よ"), {"low": 1.0, "high": math.inf})
    values = json.loads(json.dumps(to_json(claim), ensure_ascii=False, allow_nan=False))
    assert values == {
        "claim": {"en": "it is so", "ja": "そうである"},
        "verdict": "holds",
        "evidence": {"en": "look", "ja": "見よ"},
        "numbers": {"low": 1.0, "high": None},
    }
    back = from_json(Claim, values)
    assert (back.text, back.verdict, back.evidence, back.numbers["low"]) == (claim.text, "holds", claim.evidence, 1.0)
    assert math.isnan(back.numbers["high"])


def test_json_that_is_no_claim_says_what_is_missing() -> None:
    with pytest.raises(DataError, match=r"expected Claim.*evidence"):
        from_json(Claim, {"claim": {"en": "a", "ja": "b"}, "verdict": "holds", "numbers": {}})
