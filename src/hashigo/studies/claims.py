"""Verdicts on claims, based on confidence intervals.

Every comparison is a 95 % confidence interval of a difference (Student's t). A claim holds if the whole interval
supports it, does not hold if the whole interval contradicts it, and is within noise otherwise. NaN among the values
makes the interval NaN and the claim "within noise".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hashigo.errors import DataError
from hashigo.pages.words import Words

Verdict = Literal["holds", "does not hold", "within noise"]


@dataclass(frozen=True)
class Claim:
    """A claim, the verdict, and the evidence in words and numbers."""

    text: Words
    verdict: Verdict
    evidence: Words
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; `sd` is the standard deviation of the values (n - 1)."""

    mean: float
    low: float
    high: float
    count: int
    sd: float

    def numbers(self) -> dict[str, float]:
        """The five numbers by their names."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """The means of two samples, their difference mean(a) - mean(b), and the ends of its confidence interval (NaN if there is none)."""

    a: float
    b: float
    difference: float
    low: float
    high: float

    def numbers(self, name: str = "") -> dict[str, float]:
        """The five numbers for a claim; their keys start with `name_` if there are several differences."""
        return {f"{name}_{key}" if name else key: value for key, value in asdict(self).items()}


def interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of `values` with its Student's t interval; for one value low, high and sd are NaN.

    Raises:
        DataError: there are no values.
    """
    sample = _sample(values)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, math.nan, math.nan, 1, math.nan)
    sd = float(sample.std(ddof=1))
    reach = _reach(sd / math.sqrt(len(sample)), len(sample) - 1, confidence)
    return Interval(mean, mean - reach, mean + reach, len(sample), sd)


def higher(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> tuple[Verdict, Difference]:
    """Whether mean(a) > mean(b), for independent samples (Welch 1947).

    A sample of one value has no spread and results in "within noise".

    Raises:
        DataError: a sample is empty.
    """
    first, second = _sample(a), _sample(b)
    difference = float(first.mean() - second.mean())
    low = high = math.nan
    if min(len(first), len(second)) > 1:
        parts = [float(sample.var(ddof=1)) / len(sample) for sample in (first, second)]
        total = sum(parts)
        freedom = math.inf
        if total > 0:
            shares = (part / total for part in parts)  # squares of the parts themselves could underflow
            lengths = (len(first), len(second))
            freedom = 1 / sum(share**2 / (length - 1) for share, length in zip(shares, lengths, strict=True))
        reach = _reach(math.sqrt(total), freedom, confidence)
        low, high = difference - reach, difference + reach
    return _verdict_of(low, high), Difference(float(first.mean()), float(second.mean()), difference, low, high)


def paired_higher(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> tuple[Verdict, Difference]:
    """Like `higher`, for pairs a[i] and b[i], such as two networks' PSNR for the same picture.

    Raises:
        DataError: no pairs, or different lengths of `a` and `b`.
    """
    first, second = _pairs(a, b)
    gap = interval(first - second, confidence)
    difference = Difference(float(first.mean()), float(second.mean()), gap.mean, gap.low, gap.high)
    return _verdict_of(gap.low, gap.high), difference


def with_range(mean: float, low: float, high: float, form: str, unit: float = 1.0) -> str:
    """ "+0.094 (+0.068 … +0.120)", times `unit`; the mean alone where there is no interval."""
    shown = [f"{unit * value:{form}}" for value in (mean, low, high)]
    return shown[0] if math.isnan(low) else f"{shown[0]} ({shown[1]} … {shown[2]})"


class Bounds(Protocol):
    """Something with two ends."""

    @property
    def low(self) -> float:
        """The lower one."""

    @property
    def high(self) -> float:
        """The upper one."""


def range_of(bounds: Bounds | None, digits: int = 3) -> str:
    """ "0.671 … 0.712", or a dash if there is no interval."""
    if bounds is None or not math.isfinite(bounds.low):
        return "–"
    return f"{bounds.low:.{digits}f} … {bounds.high:.{digits}f}"


def both(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a claim with several parts: it holds if all hold, and does not hold if one does not."""
    different = set(verdicts)
    return "does not hold" if "does not hold" in different else "within noise" if different != {"holds"} else "holds"


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64).ravel()
    if not len(sample):
        raise DataError("expected at least one value to take the mean of, got none")
    return sample


def _pairs(a: ArrayLike, b: ArrayLike) -> Sequence[NDArray[np.float64]]:
    first, second = _sample(a), _sample(b)
    if len(first) != len(second):
        raise DataError(f"expected pairs, got {len(first)} and {len(second)} values; compare them with `higher`")
    return first, second


def _reach(error: float, freedom: float, confidence: float) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error


def _verdict_of(low: float, high: float) -> Verdict:
    """The verdict for an interval, by its side of 0; NaN is on neither."""
    return "holds" if low > 0 else "does not hold" if high < 0 else "within noise"
