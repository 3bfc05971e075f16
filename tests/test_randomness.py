"""hashigo.randomness: one stream per (seed, epoch, index), the same in any batch and on NumPy and torch, and random."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashigo.randomness import PictureRng

MANY = np.arange(2_000)
DRAWS = 500


def numbers(seed: int, epoch: int, indices: list[int] | np.ndarray, count: int = 8) -> np.ndarray:
    return PictureRng(seed, epoch, np.asarray(indices, np.int64)).uniform(count)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


# --- what a stream depends on -------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.integers(-(2**40), 2**70), st.integers(0, 10_000), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_picture_has_its_stream_in_every_batch(seed: int, epoch: int, indices: list[int], random: Random) -> None:
    together = dict(zip(indices, numbers(seed, epoch, indices), strict=True))
    shuffled = random.sample(indices, len(indices))
    for index, stream in zip(shuffled, numbers(seed, epoch, shuffled), strict=True):
        np.testing.assert_array_equal(stream, together[index])
    for index in indices:
        np.testing.assert_array_equal(numbers(seed, epoch, [index])[0], together[index])


@pytest.mark.parametrize("kind", ["uniform", "normal", "integers"])
def test_every_draw_is_independent_of_the_batch(kind: str) -> None:
    def draw(indices: list[int]) -> list[np.ndarray]:
        rng = PictureRng(3, 4, np.asarray(indices, np.int64))
        options = {"high": 1000} if kind == "integers" else {}
        return [getattr(rng, kind)(*shape, **options) for shape in ((), (2,), (3, 2, 2))]

    for whole, part in zip(draw([5, 9, 2]), draw([9]), strict=True):
        assert whole.shape[1:] == part.shape[1:]
        np.testing.assert_array_equal(whole[1], part[0])


def test_seed_epoch_and_index_each_change_everything() -> None:
    base = numbers(1, 1, [1], 1000)
    for other in (numbers(2, 1, [1], 1000), numbers(1, 2, [1], 1000), numbers(1, 1, [2], 1000)):
        assert (base != other).mean() > 0.99
        assert abs(correlation(base, other)) < 0.16  # five standard errors


def test_a_stream_goes_on_and_does_not_repeat() -> None:
    rng = PictureRng(0, 0, np.arange(3))
    first, second = rng.uniform(1000), rng.uniform(1000)
    assert (first != second).mean() > 0.99
    assert abs(correlation(first, second)) < 0.1


def test_no_two_pictures_share_a_stream() -> None:
    streams = numbers(0, 0, np.arange(200_000), 3)
    assert len(np.unique(streams, axis=0)) == len(streams)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**32 - 1, 2**63, 10**30])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    stream = numbers(seed, 0, [0, 1])
    assert ((stream >= 0) & (stream < 1)).all()


def test_no_seed_and_no_epoch_warns() -> None:
    # warnings are errors here: 32-bit products overflow some of the time
    for number in range(300):
        numbers(number, 0, [0])
        numbers(0, number, [number])


# --- NumPy and torch ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64), st.integers(0, 500), st.lists(st.integers(0, 10**7), min_size=1, max_size=5))
def test_numpy_and_torch_agree(seed: int, epoch: int, indices: list[int]) -> None:
    ours = PictureRng(seed, epoch, np.asarray(indices, np.int64))
    theirs = PictureRng(seed, epoch, torch.tensor(indices, dtype=torch.int64))
    assert len(ours) == len(theirs) == len(indices)
    high = np.arange(1, len(indices) + 1)
    for a, b in (
        (ours.uniform(3, 2, low=-2.0, high=5.0), theirs.uniform(3, 2, low=-2.0, high=5.0)),
        (ours.integers(high=high), theirs.integers(high=torch.from_numpy(high))),
        (ours.integers(4, high=7), theirs.integers(4, high=7)),
    ):
        np.testing.assert_array_equal(a, b.numpy())
    np.testing.assert_allclose(ours.normal(3, 4), theirs.normal(3, 4).numpy(), rtol=1e-5, atol=1e-6)


def test_types_and_shapes() -> None:
    for indices in (np.arange(5), torch.arange(5)):
        rng = PictureRng(0, 0, indices)
        assert "float32" in str(rng.uniform(2, 3).dtype)
        assert "float32" in str(rng.normal(2, 3).dtype)
        assert "int64" in str(rng.integers(2, high=4).dtype)
        assert tuple(rng.uniform().shape) == (5,)
        assert tuple(rng.normal(1, 2, 3).shape) == (5, 1, 2, 3)


# --- are they random? (fixed seeds; every bound is five standard errors or more) -----------------------


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_uniform_moments_and_histogram(seed: int) -> None:
    values = numbers(seed, 0, MANY, DRAWS).astype(np.float64)
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 0.5) < 5 * np.sqrt(1 / 12 / values.size)
    assert abs(values.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / values.size)
    counts = np.histogram(values, 256, (0, 1))[0]
    chi2 = ((counts - values.size / 256) ** 2 / (values.size / 256)).sum()
    assert 255 - 5 * np.sqrt(510) < chi2 < 255 + 5 * np.sqrt(510)


def test_every_stream_by_itself_is_uniform() -> None:
    means = numbers(5, 2, MANY, DRAWS).mean(axis=1)
    z = (means - 0.5) * np.sqrt(12 * DRAWS)
    assert abs(z.std() - 1) < 0.1
    assert np.abs(z).max() < 5


@pytest.mark.parametrize("step", [1, 2, 7, 64, 1024])
def test_neighbouring_pictures_are_not_correlated(step: int) -> None:
    values = numbers(0, 0, np.arange(2_000 + step), DRAWS)
    for shift in (0, 1, 2, min(step, 99)):  # a shift finds streams that are late copies of one another
        a, b = values[:-step, shift:], values[step:, : DRAWS - shift]
        assert abs(correlation(a, b)) < 5 / np.sqrt(a.size)


def test_neighbouring_epochs_and_seeds_are_not_correlated() -> None:
    base = numbers(8, 8, MANY, DRAWS)
    for seed, epoch in ((9, 8), (8, 9), (9, 9), (9, 7)):
        assert abs(correlation(base, numbers(seed, epoch, MANY, DRAWS))) < 5 / np.sqrt(base.size)


def test_one_draw_per_picture_is_random_over_the_pictures() -> None:
    # as flips are drawn: one number for each picture of an epoch
    flips = numbers(0, 0, np.arange(100_000), 1)[:, 0] < 0.5
    assert abs(flips.mean() - 0.5) < 5 * 0.5 / np.sqrt(flips.size)
    runs = 1 + (flips[1:] != flips[:-1]).sum()
    assert abs(runs - flips.size / 2) < 5 * np.sqrt(flips.size / 4)


def test_normal_moments_and_tails() -> None:
    values = PictureRng(1, 1, MANY).normal(DRAWS).astype(np.float64)
    count = values.size
    assert np.isfinite(values).all()
    assert abs(values.mean()) < 5 / np.sqrt(count)
    assert abs(values.var() - 1) < 5 * np.sqrt(2 / count)
    assert abs((values**3).mean()) < 5 * np.sqrt(15 / count)
    assert abs((values**4).mean() - 3) < 5 * np.sqrt(96 / count)
    for bound, share in ((1, 0.317311), (2, 0.045500), (3, 0.002700)):
        beyond = (np.abs(values) > bound).mean()
        assert abs(beyond - share) < 5 * np.sqrt(share / count)
    assert abs(correlation(values[1:], values[:-1])) < 5 / np.sqrt(count)


@pytest.mark.parametrize("high", [1, 2, 3, 10, 97])
def test_integers_are_uniform_and_below(high: int) -> None:
    values = PictureRng(2, 0, MANY).integers(100, high=high)
    counts = np.bincount(values.ravel(), minlength=high)
    assert len(counts) == high
    expected = values.size / high
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected)).all()


def test_integers_with_a_bound_for_each_picture() -> None:
    high = np.array([1, 2, 5, 1000])
    values = PictureRng(0, 0, np.arange(4)).integers(2_000, high=high[:, None])
    assert values.min() == 0
    assert (values.max(axis=1) < high).all()
    assert (values.max(axis=1)[:3] == high[:3] - 1).all()
