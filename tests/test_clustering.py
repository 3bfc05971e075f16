"""hashigo.clustering: k-means against scikit-learn's, and the measures against values found by hand."""

from __future__ import annotations

import sys
import tracemalloc
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.util import view_as_windows
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from hashigo.clustering import (
    Clustering,
    accuracy,
    cluster,
    contingency,
    linear_probe,
    lloyd,
    matched,
    minibatch,
    probe,
    purity,
    scores,
    starts,
)
from hashigo.errors import DataError, MissingExtraError, RecipeError
from photos import PHOTOS, pixels


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1797 real digits, (N, 64), 0..16, and their classes."""
    data = load_digits()
    return data.data.astype(np.float32), data.target


@cache
def patches(count: int = 4800, side: int = 20) -> np.ndarray:
    """Grey patches of the photos, (count, 400): wide enough for a first look at few coordinates."""
    grey = [pixels(name).mean(2).astype(np.float32) / 255 for name in PHOTOS]
    windows = [view_as_windows(one, (side, side), step=7).reshape(-1, side * side) for one in grey]
    share = count // len(windows)
    return np.concatenate([one[:: len(one) // share][:share] for one in windows])


def sklearn(features: np.ndarray, clusters: int, seeds: int, **options: Any) -> list[KMeans]:
    return [KMeans(clusters, n_init=1, random_state=seed, **options).fit(features) for seed in range(seeds)]


def agreement(found: Clustering, expected: list[KMeans]) -> list[float]:
    """Share of rows with the same label, by seed."""
    return [float((mine == theirs.labels_).mean()) for mine, theirs in zip(found.labels, expected, strict=True)]


def assert_consistent(found: Clustering, features: np.ndarray) -> None:
    """Labels are the nearest centres, inertia is what its name says."""
    for labels, centres, inertia in zip(found.labels, found.centres, found.inertia, strict=True):
        distances = np.stack([np.square(features.astype(float) - centre).sum(1) for centre in centres])
        own = distances[labels, np.arange(len(features))]
        np.testing.assert_array_less(own, distances.min(0) + 1e-5 * np.square(features).sum(1).max())
        assert inertia == pytest.approx(own.sum(), rel=1e-4)


# --- k-means is scikit-learn's ----------------------------------------------------------------------------


@pytest.mark.parametrize("clusters", [1, 2, 10, 33])
def test_first_centres_are_those_of_scikit_learn(clusters: int) -> None:
    rows = digits()[0] - digits()[0].mean(0)
    expected = [kmeans_plusplus(rows, clusters, random_state=seed)[0] for seed in range(20)]
    np.testing.assert_array_equal(starts.starts(rows, clusters, range(20)), np.stack(expected))


def test_first_centres_do_not_depend_on_how_many_seeds_go_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = digits()[0] - digits()[0].mean(0)
    together = starts.starts(rows, 10, range(7))
    monkeypatch.setattr(starts, "MOST_NUMBERS", 3 * 4 * len(rows))
    np.testing.assert_array_equal(starts.starts(rows, 10, range(7)), together)


def test_same_labels_as_scikit_learn_on_digits() -> None:
    rows, _ = digits()
    found, expected = cluster(rows, 10), sklearn(rows, 10, 10)
    assert found.method == "lloyd"
    assert sum(share == 1 for share in agreement(found, expected)) >= 8
    assert found.inertia == pytest.approx([one.inertia_ for one in expected], rel=1e-4)
    assert sum(found.iterations == [one.n_iter_ for one in expected]) >= 8
    for mine, theirs in zip(found.centres, expected, strict=True):
        np.testing.assert_allclose(mine, theirs.cluster_centers_, atol=0.05)
    assert_consistent(found, rows)


@pytest.mark.parametrize("few", [0.0, 0.2, 1.1])
def test_same_labels_as_scikit_learn_on_wide_rows(few: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lloyd, "FEW", few)  # every row in every product, both, or gathered from the start
    rows = patches()
    assert rows.shape[0] >= lloyd.SAMPLE
    assert rows.shape[1] >= 4 * lloyd.COARSE
    found, expected = cluster(rows, 10, seeds=2), sklearn(rows, 10, 2)
    assert min(agreement(found, expected)) > 0.999
    assert found.inertia == pytest.approx([one.inertia_ for one in expected], rel=1e-4)
    assert abs(found.iterations - [one.n_iter_ for one in expected]).max() <= 2
    assert_consistent(found, rows)


def test_the_first_look_decides_no_row_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    nearest = lloyd._Runs._nearest

    def spy(self: Any, look: Any, *args: Any) -> Any:
        looked.append(look.basis is not None)
        return nearest(self, look, *args)

    monkeypatch.setattr(lloyd._Runs, "_nearest", spy)
    with_look = cluster(patches(), 10, seeds=4)
    assert any(looked)
    assert not all(looked)
    looked.clear()
    monkeypatch.setattr(lloyd, "COARSE", 10_000)
    without = cluster(patches(), 10, seeds=4)
    assert not any(looked)
    np.testing.assert_array_equal(with_look.labels, without.labels)


@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_stopped_early_like_scikit_learn(max_iter: int) -> None:
    rows = patches(1200, 16)  # not integers: digits are often equally near to two of the first centres
    found, expected = cluster(rows, 10, seeds=4, max_iter=max_iter), sklearn(rows, 10, 4, max_iter=max_iter)
    assert min(agreement(found, expected)) > 0.998
    assert (found.iterations == max_iter).all()
    assert found.inertia == pytest.approx([one.inertia_ for one in expected], rel=1e-4)
    assert_consistent(found, rows)


def test_the_tolerance_is_that_of_scikit_learn() -> None:
    rows, _ = digits()
    counts = []
    for tol in (0.0, 1e-2, 0.3):
        found, expected = cluster(rows, 10, seeds=4, tol=tol), sklearn(rows, 10, 4, tol=tol)
        assert min(agreement(found, expected)) > 0.998
        assert list(found.iterations) == [one.n_iter_ for one in expected]
        counts.append(found.iterations.sum())
    assert counts[0] > counts[1] > counts[2]


def test_equal_in_distribution_where_rounding_matters() -> None:
    rows, labels = digits()
    black_and_white = (rows > 7).astype(np.float32)  # many rows lie at the same distance from two centres
    found, expected = cluster(black_and_white, 10, seeds=32), sklearn(black_and_white, 10, 32)
    purities = np.array(
        [[purity(labels, a), purity(labels, b.labels_)] for a, b in zip(found.labels, expected, strict=True)]
    )
    inertias = np.stack([found.inertia, [one.inertia_ for one in expected]], axis=1)
    for values in (purities, inertias):
        mine, theirs = values.mean(0)
        assert abs(mine - theirs) < values.std(0).max() * np.sqrt(2 / len(values))  # one standard error
        assert values.std(0).min() > 0


def test_shapes_and_types() -> None:
    rows, _ = digits()
    found = cluster(rows[:200], 7, seeds=[5, 0, 9])
    assert (found.labels.shape, found.labels.dtype) == ((3, 200), np.int32)
    assert (found.centres.shape, found.centres.dtype) == ((3, 7, 64), np.float32)
    assert (found.inertia.shape, found.inertia.dtype) == ((3,), np.float64)
    assert (found.iterations.shape, found.iterations.dtype) == ((3,), np.int64)


@pytest.mark.parametrize("clusters", [1, 40])
def test_one_cluster_and_as_many_as_rows(clusters: int) -> None:
    rows = digits()[0][:40]
    found = cluster(rows, clusters, seeds=2)
    assert len(set(found.labels[0])) == clusters
    expected = 0 if clusters == 40 else np.square(rows - rows.mean(0)).sum()
    assert found.inertia == pytest.approx([expected] * 2, rel=1e-5, abs=1e-6)


def test_any_kind_of_numbers_and_layout() -> None:
    rows, _ = digits()
    expected = cluster(rows, 10, seeds=2)
    read_only = rows.copy()
    read_only.setflags(write=False)
    for other in (rows.astype(np.uint8), rows.astype(float), np.asfortranarray(rows), read_only, torch.tensor(rows)):
        np.testing.assert_array_equal(cluster(other, 10, seeds=2).labels, expected.labels)
    assert (rows == digits()[0]).all()


def test_far_from_zero() -> None:
    rows, _ = digits()
    far = rows + np.float32(4096)  # exact in float32
    found, expected = cluster(far, 10, seeds=3), cluster(rows, 10, seeds=3)
    assert [float((a == b).mean()) for a, b in zip(found.labels, expected.labels, strict=True)] == [1, 1, 1]
    assert found.inertia == pytest.approx(expected.inertia, rel=1e-4)
    np.testing.assert_array_equal(found.predict(far), found.labels)


# --- empty clusters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 3])
def test_empty_clusters_get_the_farthest_rows_like_scikit_learn(lost: int) -> None:
    rows = digits()[0] - digits()[0].mean(0)
    first = rows[:10].copy()
    first[:lost] = 1000 * np.arange(1, lost + 1)[:, None]  # nothing is near these
    for max_iter in (1, 2, 300):
        found = lloyd.lloyd(rows, first[None], tol=1e-4, max_iter=max_iter, device="cpu")
        expected = KMeans(10, init=first, n_init=1, max_iter=max_iter).fit(rows)
        assert len(set(found.labels[0])) == 10
        assert agreement(found, [expected])[0] > 0.998
        assert found.inertia[0] == pytest.approx(expected.inertia_, rel=1e-4)


def test_fewer_different_rows_than_clusters() -> None:
    rows = np.repeat(digits()[0][:3], 20, axis=0)
    found = cluster(rows, 5, seeds=4)  # scikit-learn warns here; our warnings are errors
    for labels in found.labels:
        assert len(set(labels)) == 3
        assert scores(np.repeat([0, 1, 2], 20), labels)["purity"] == 1
    assert found.inertia == pytest.approx([0] * 4, abs=1e-3)
    assert np.isfinite(found.centres).all()


def test_a_latent_that_is_dead() -> None:
    found = cluster(np.zeros((50, 8)), 4, seeds=2)
    assert (found.labels == found.labels[:, :1]).all()
    assert (found.inertia == 0).all()
    wide = cluster(np.full((lloyd.SAMPLE, 4 * lloyd.COARSE), 0.3, np.float32), 4, seeds=2)
    assert (wide.labels == wide.labels[:, :1]).all()


# --- seeds and threads ------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_whatever_runs_beside_it() -> None:
    rows, _ = digits()
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    together = cluster(rows, 10, seeds=4)
    np.testing.assert_array_equal(cluster(rows, 10, seeds=4).labels, together.labels)
    np.testing.assert_array_equal(cluster(rows, 10, seeds=[3, 1]).labels, together.labels[[3, 1]])
    assert len({labels.tobytes() for labels in together.labels}) > 1
    assert (np.random.get_state()[1] == numpy_state).all()
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_from_several_threads() -> None:
    rows, _ = digits()
    parts = [rows[start::4] for start in range(4)]
    expected = [cluster(part, 6, seeds=3) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: cluster(part, 6, seeds=3), parts * 3))
    for a, b in zip(found, expected * 3, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.centres, b.centres)


def test_one_thread_of_torch() -> None:
    before, expected = torch.get_num_threads(), cluster(patches(), 5, seeds=2)
    try:
        torch.set_num_threads(3 if before == 1 else 1)
        found = cluster(patches(), 5, seeds=2)
    finally:
        torch.set_num_threads(before)
    assert (found.labels == expected.labels).mean() > 0.999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    for rows in (digits()[0], patches()):
        found, expected = cluster(rows, 10, seeds=5, device="cuda"), cluster(rows, 10, seeds=5)
        assert (found.labels == expected.labels).mean() > 0.99
        assert found.inertia == pytest.approx(expected.inertia, rel=1e-3)


# --- predict ----------------------------------------------------------------------------------------------


def test_predict() -> None:
    rows, _ = digits()
    found = cluster(rows[:1000], 10, seeds=3)
    np.testing.assert_array_equal(found.predict(rows[:1000]), found.labels)
    others = found.predict(rows[1000:])
    assert (others.shape, others.dtype) == ((3, 797), np.int32)
    for labels, centres in zip(others, found.centres, strict=True):
        distances = np.square(rows[1000:, None].astype(float) - centres).sum(2)
        np.testing.assert_array_equal(labels, distances.argmin(1))
    with pytest.raises(DataError, match=r"64 columns.*got 63"):
        found.predict(rows[:, 1:])
    with pytest.raises(DataError, match="nan in row 2"):
        found.predict(np.full((4, 64), 1.0) * [[1], [1], [np.nan], [1]])


# --- minibatch --------------------------------------------------------------------------------------------


def on_disk(folder: Path, rows: np.ndarray) -> np.memmap[Any, Any]:
    mapped = np.memmap(folder / "rows", np.float32, "w+", shape=rows.shape)
    mapped[:] = rows
    mapped.flush()
    return np.memmap(folder / "rows", np.float32, "r", shape=rows.shape)


def test_minibatch_of_a_memory_mapped_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minibatch, "BATCH", 256)
    rows, labels = digits()
    order = np.argsort(labels, kind="stable")  # a file in the order of its classes is the hard case
    rows, labels = rows[order], labels[order]
    mapped = on_disk(tmp_path, rows)
    found = cluster(mapped, 10, seeds=5, most_memory=mapped.nbytes - 1)
    assert found.method == "minibatch"
    assert cluster(mapped, 10, seeds=1, most_memory=mapped.nbytes).method == "lloyd"
    full = cluster(rows, 10, seeds=5)
    assert found.inertia.mean() < 1.06 * full.inertia.mean()
    assert np.mean([purity(labels, one) for one in found.labels]) > 0.69
    assert (found.labels.shape, found.labels.dtype) == (full.labels.shape, np.int32)
    assert (found.centres.shape, found.centres.dtype) == (full.centres.shape, np.float32)
    assert 2 <= found.iterations.min() <= found.iterations.max() <= minibatch.PASSES
    assert_consistent(found, rows)
    np.testing.assert_array_equal(found.predict(mapped), found.labels)
    np.testing.assert_array_equal(cluster(rows, 10, seeds=[3, 1], method="minibatch").labels, found.labels[[3, 1]])


@pytest.mark.parametrize("length", [1, 31, 640, 1797])
def test_a_pass_reads_every_row_once(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(length, dtype=np.float32)[:, None]
    for size in (8, 64, 4096):
        batches = list(minibatch._batches(rows, size, np.random.default_rng(0)))
        assert sorted(np.concatenate(batches).ravel()) == list(range(length))
        assert min(len(one) for one in batches) > 0
        assert max(len(one) for one in batches) <= max(size, minibatch.RUN)
        if length > 2 * size:
            assert np.concatenate(batches)[0] != 0 or np.concatenate(batches)[size] != size  # shuffled


def test_minibatch_reads_no_more_than_blocks(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(40_000, 512))  # 82 MB
    mapped[:, 0] = np.arange(40_000) % 7
    tracemalloc.start()
    try:
        cluster(mapped, 3, seeds=1, method="minibatch", max_iter=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mapped.nbytes / 1.5


# --- settings and data that cannot be ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 0}, "expected 1 to 50 clusters"),
        ({"clusters": 51}, "expected 1 to 50 clusters.*got 51"),
        ({"seeds": 0}, "at least one seed"),
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1, -1]}, "expected seeds in 0"),
        ({"method": "loyd"}, "did you mean 'lloyd'"),
        ({"tol": -1.0}, "tol ≥ 0"),
        ({"tol": float("nan")}, "tol ≥ 0"),
        ({"max_iter": 0}, "max_iter ≥ 1"),
        ({"most_memory": -1}, "most_memory ≥ 0"),
        ({"device": "abacus"}, "expected a device.*'abacus'"),
    ],
)
def test_wrong_settings(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"clusters": 3, **options}
    with pytest.raises(RecipeError, match=message):
        cluster(digits()[0][:50], **given)


@pytest.mark.parametrize("method", ["lloyd", "minibatch"])
@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "nan in row 17 "), (-np.inf, "-inf in row 17 "), (3e30, "up to 3e.30 in row 17 ")]
)
def test_the_first_bad_row_is_named(method: Any, value: float, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashigo.clustering.rows.BLOCK_BYTES", 4 * 64 * 10)
    rows = digits()[0][:50].copy()
    rows[17, 5] = rows[40, 0] = value
    with pytest.raises(DataError, match=message):
        cluster(rows, 3, method=method)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((4, 2, 2)), r"shape \(rows, columns\).*\(4, 2, 2\)"),
        (np.zeros(4), r"\(4,\)"),
        (np.zeros((0, 4)), r"\(0, 4\)"),
        (np.zeros((4, 0)), r"\(4, 0\)"),
        (np.full((4, 2), "a"), "real numbers"),
        (np.zeros((4, 2), complex), "real numbers"),
    ],
)
def test_features_that_are_no_matrix_of_numbers(features: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cluster(features, 1)


# --- measures ---------------------------------------------------------------------------------------------

LABELS = [7, 7, 7, 7, 3, 3, 3, 5, 5, 5]
CLUSTERS = [2, 2, 2, 9, 9, 9, 2, 2, 4, 4]
"""Cluster 2 holds 7 7 7 3 5, cluster 9 holds 7 3 3, cluster 4 holds 5 5."""


def test_measures_by_hand() -> None:
    table = contingency(LABELS, CLUSTERS)
    assert table.dtype == np.int64
    np.testing.assert_array_equal(table, [[1, 0, 2], [1, 2, 0], [3, 0, 1]])  # classes 3 5 7 × clusters 2 4 9
    np.testing.assert_array_equal(matched(table), [2, 1, 0])
    assert purity(LABELS, CLUSTERS) == pytest.approx((3 + 2 + 2) / 10)
    assert accuracy(LABELS, CLUSTERS) == pytest.approx(0.7)
    # the same in two clusters: 7 7 7 7 3 3 3 | 5 5 5 is pure in 4 + 3, and one class has no cluster
    two = [0] * 7 + [1] * 3
    assert purity(LABELS, two) == pytest.approx(0.7)
    np.testing.assert_array_equal(matched(contingency(LABELS, two)), [1, 0])
    # clusters beyond the classes count for purity, not for accuracy
    four = [0, 0, 1, 1, 2, 2, 2, 3, 3, 3]
    assert purity(LABELS, four) == 1
    assert accuracy(LABELS, four) == pytest.approx(0.8)
    np.testing.assert_array_equal(matched(contingency(LABELS, four)), [2, 3, 0, 1])


def test_purity_is_the_weighted_mean_of_the_clusters_purities() -> None:
    groups = {c: [label for label, own in zip(LABELS, CLUSTERS, strict=True) if own == c] for c in CLUSTERS}
    parts = [(len(own), Counter(own).most_common(1)[0][1] / len(own)) for own in groups.values()]
    assert purity(LABELS, CLUSTERS) == pytest.approx(sum(n * p for n, p in parts) / sum(n for n, _ in parts))


def test_perfect_clusters() -> None:
    labels = digits()[1]
    renamed = np.array([40, -3, 7, 12, 1000, 5, 0, 2**40, 8, 9])[labels]
    assert scores(labels, renamed) == pytest.approx(dict.fromkeys(("purity", "accuracy", "nmi", "ari"), 1.0))


def test_one_cluster_is_as_pure_as_the_commonest_class_is_common() -> None:
    labels = digits()[1]
    found = scores(labels, np.zeros_like(labels))
    share = Counter(labels.tolist()).most_common(1)[0][1] / len(labels)
    assert found == pytest.approx({"purity": share, "accuracy": share, "nmi": 0, "ari": 0}, abs=1e-9)


def test_clusters_drawn_by_lot() -> None:
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(0, 5, 100_000), rng.integers(0, 5, 100_000)
    found = scores(labels, clusters)
    assert found == pytest.approx({"purity": 0.2, "accuracy": 0.2, "nmi": 0, "ari": 0}, abs=0.01)


pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(pairs, st.integers(0, 5), st.randoms())
def test_a_split_never_lowers_purity(rows: list[tuple[int, int]], which: int, random: Any) -> None:
    labels, clusters = zip(*rows, strict=True)
    split = [6 if cluster == which and random.random() < 0.5 else cluster for cluster in clusters]
    assert purity(labels, split) >= purity(labels, clusters)


@settings(max_examples=80, deadline=None)
@given(pairs, st.permutations(range(6)), st.permutations(range(5)), st.randoms())
def test_names_and_order_do_not_matter(
    rows: list[tuple[int, int]], clusters: list[int], classes: list[int], random: Any
) -> None:
    expected = scores(*zip(*rows, strict=True))
    renamed = [(classes[label] + 10, clusters[cluster] - 100) for label, cluster in rows]
    random.shuffle(renamed)
    assert scores(*zip(*renamed, strict=True)) == pytest.approx(expected)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_table_and_matches(rows: list[tuple[int, int]]) -> None:
    labels, clusters = (np.array(part) for part in zip(*rows, strict=True))
    table = contingency(labels, clusters)
    counts = Counter(rows)
    expected = [[counts[a, b] for b in sorted(set(clusters.tolist()))] for a in sorted(set(labels.tolist()))]
    np.testing.assert_array_equal(table, expected)
    order = matched(table)
    assert sorted(order) == list(range(table.shape[1]))
    if table.shape[0] <= table.shape[1]:
        assert np.trace(table[:, order]) / len(rows) == pytest.approx(accuracy(labels, clusters))
    assert accuracy(labels, clusters) <= purity(labels, clusters)
    assert purity(labels, clusters) >= table.sum(1).max() / len(rows)


@pytest.mark.parametrize(
    ("labels", "clusters", "message"),
    [
        ([0, 1, -1, -1], [0, 0, 1, 1], r"-1 \(unknown\) in 2 of 4, the first in row 2"),
        ([0, 1, 1], [0, 1], "a label and a cluster number.*3 labels and 2"),
        (np.zeros(0, int), np.zeros(0, int), "at least one"),
        ([0.0, 1.0], [0, 1], "expected labels.*integers.*float64"),
        ([0, 1], [[0, 1]], r"expected clusters.*\(1, 2\)"),
    ],
)
@pytest.mark.parametrize("measure", [purity, accuracy, scores, contingency])
def test_labels_that_cannot_be_measured(measure: Any, labels: Any, clusters: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        measure(labels, clusters)


# --- linear probe -----------------------------------------------------------------------------------------


def test_linear_probe_reads_digits() -> None:
    rows, labels = digits()
    found = linear_probe(rows[:1200], labels[:1200], rows[1200:], labels[1200:])
    assert set(found) == {"train", "test"}
    assert found["train"] > 0.99
    assert 0.88 < found["test"] < found["train"]
    assert linear_probe(rows[:1200], labels[:1200], rows[1200:], labels[1200:], seed=4) == found
    scaled = rows * np.geomspace(1e-3, 1e3, 64, dtype=np.float32) + 5  # standardized, so scales do not matter
    assert linear_probe(scaled[:1200], labels[:1200], scaled[1200:], labels[1200:])["test"] > 0.88
    shuffled = np.random.default_rng(0).permutation(labels)
    assert linear_probe(rows[:1200], shuffled[:1200], rows[1200:], shuffled[1200:])["test"] < 0.2


def test_linear_probe_that_does_not_converge_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOST_ITERATIONS", 2)
    rows, labels = digits()
    jobs = [(rows[:300], labels[:300], rows[300:600], labels[300:600])] * 6
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(3) as pool:
            assert all(found["train"] < 1 for found in pool.map(lambda job: linear_probe(*job), jobs))
        warnings.warn("still told", ConvergenceWarning, stacklevel=1)
    assert [str(one.message) for one in leaked] == ["still told"]


def test_linear_probe_errors() -> None:
    rows, labels = digits()[0][:60], digits()[1][:60]
    with pytest.raises(DataError, match="60 rows of features, got 59 labels"):
        linear_probe(rows, labels[1:], rows, labels)
    with pytest.raises(DataError, match="60 rows of features, got 59 labels"):
        linear_probe(rows, labels, rows, labels[1:])
    with pytest.raises(DataError, match="64 columns, as in training, got 63"):
        linear_probe(rows, labels, rows[:, 1:], labels)
    with pytest.raises(DataError, match=r"two classes.*only 3"):
        linear_probe(rows, np.full(60, 3), rows, labels)
    with pytest.raises(DataError, match="unknown"):
        linear_probe(rows, np.full(60, -1), rows, labels)
    with pytest.raises(DataError, match="nan in row 0"):
        linear_probe(rows * np.nan, labels, rows, labels)


# --- mixtures of normal distributions -----------------------------------------------------------------------


def wide_and_narrow() -> tuple[np.ndarray, np.ndarray]:
    """A wide cluster and a narrow one beside it, which takes its nearer half with k-means: rows (N, 2) and their labels."""
    labels = np.repeat([0, 1], 300)
    rows = np.random.default_rng(0).normal(size=(600, 2)) * np.where(labels, 0.3, 3.0)[:, None]
    return (rows + 5.0 * np.stack([labels, 0 * labels], axis=1)).astype(np.float32), labels


def test_a_mixture_finds_clusters_of_different_sizes() -> None:
    rows, labels = wide_and_narrow()
    found = cluster(rows, 2, seeds=3, method="mixture")
    assert found.method == "mixture"
    assert found.labels.shape == (3, 600)
    assert min(purity(labels, run) for run in found.labels) > 0.96
    assert purity(labels, cluster(rows, 2, seeds=3).labels[0]) < 0.9
    np.testing.assert_array_equal(found.predict(rows), found.labels)
    np.testing.assert_array_equal(found.labels, cluster(rows, 2, seeds=3, method="mixture").labels)
    np.testing.assert_allclose(
        found.centres[0, found.labels[0, 0]], rows[found.labels[0] == found.labels[0, 0]].mean(0), rtol=1e-5
    )
    with pytest.raises(DataError, match="2 columns"):
        found.predict(rows[:, :1])


def test_a_mixture_of_the_umap_embedding_finds_digits() -> None:
    rows, labels = (values[:500] for values in digits())
    before = torch.__config__.parallel_info()
    found = cluster(rows, 10, seeds=1, method="umap-mixture")
    assert torch.__config__.parallel_info() == before, "numba changes the number of OpenMP's threads"
    assert accuracy(labels, found.labels[0]) > 0.8
    assert accuracy(labels[:50], found.predict(rows[:50])[0]) > 0.8


def test_the_extra_with_umap_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"hashigo\[umap\]"):
        cluster(wide_and_narrow()[0], 2, seeds=1, method="umap-mixture")
