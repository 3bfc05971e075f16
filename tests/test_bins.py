"""hashigo.bins: chroma as classes, there and back; and the losses over classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashigo import color
from hashigo.errors import RecipeError
from hashigo.tasks import MOST_REWARD, ColorizeBins, make_task
from hashigo.tasks.capabilities import vivid_task
from hashigo.tasks.classes import LUMA, STEPS, ChromaBins, every_bin, fitted_bins
from hashigo.tasks.losses import CLASS_LOSSES, get_class_loss
from photos import batch


def logits_of(bins: ChromaBins, chroma: np.ndarray) -> np.ndarray:
    """What a network that knows the answer would say: the log of each class's share, (N, K, H, W)."""
    classes, shares = bins.shares(chroma)
    logits = np.full((len(chroma), len(bins), *chroma.shape[-2:]), 1e-12)
    for one, share in zip(classes, shares, strict=True):
        np.put_along_axis(logits, one[:, None], np.take_along_axis(logits, one[:, None], 1) + share[:, None], 1)
    return np.log(logits)


def test_classes_are_those_of_the_gamut() -> None:
    bins = every_bin()
    assert (0, 0) in bins.cells
    for red, green, blue in np.random.default_rng(0).integers(0, 256, (200, 3)):
        rgb = np.array([red, green, blue], np.float64).reshape(3, 1, 1) / 255
        cb, cr = color.chroma(rgb)[:, 0, 0] * STEPS
        assert (int(cb), int(cr)) in bins.cells, "rounded toward grey, which stays in the gamut"
    grey = np.full((1, 1, 1), 0.5)
    reach = STEPS // 2
    for cb, cr in ((reach, reach), (-reach, -reach), (reach, reach // 2)):
        assert (cb, cr) not in bins.cells
        rgb = color.merge(grey, np.array([cb / STEPS, cr / STEPS]).reshape(2, 1, 1))
        assert np.abs(color.chroma(rgb)[:, 0, 0] - [cb / STEPS, cr / STEPS]).max() > 0.5 / STEPS


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.sampled_from([8, 16, 24]))
def test_shares_add_up_and_their_mean_is_the_chroma(cb: float, cr: float, steps: int) -> None:
    bins, chroma = every_bin(steps), np.array([cb, cr]).reshape(1, 2, 1, 1)
    classes, shares = bins.shares(chroma)
    assert sum(share.item() for share in shares) == pytest.approx(1)
    assert min(share.item() for share in shares) >= 0
    mean = sum(share.item() * bins.centres[one.item()] for one, share in zip(classes, shares, strict=True))
    if max(abs(cb), abs(cr)) < 0.25:  # all four cells are in the gamut
        np.testing.assert_allclose(mean, [cb, cr], atol=1e-6)


def test_the_mean_of_a_certain_answer_is_the_photos_chroma() -> None:
    bins, chroma = every_bin(), color.chroma(batch(24, 32))
    found = bins.mean(logits_of(bins, chroma))
    assert np.abs(found - chroma).mean() < 1e-4
    assert np.quantile(np.abs(found - chroma), 0.99) < 1e-3
    theirs = bins.mean(torch.from_numpy(logits_of(bins, chroma)))
    np.testing.assert_allclose(found, theirs.numpy(), atol=1e-6)


def test_a_low_temperature_takes_the_likeliest_class() -> None:
    bins = ChromaBins(((6, 0), (0, 6), (0, 0)), (0.4, 0.3, 0.3))
    logits = np.log(np.array([0.6, 0.3, 0.1])).reshape(3, 1, 1)
    np.testing.assert_allclose(bins.mean(logits)[:, 0, 0], [0.6 * 6 / STEPS, 0.3 * 6 / STEPS])
    np.testing.assert_allclose(bins.mean(logits, 0.01)[:, 0, 0], [6 / STEPS, 0], atol=1e-6)
    colour = [np.hypot(*bins.mean(logits, t)[:, 0, 0]) for t in (1.0, 0.5, 0.2)]
    assert colour == sorted(colour)


def test_rare_classes_weigh_more_and_the_mean_weight_is_one() -> None:
    rgb = batch(64, 64)
    bins = fitted_bins([rgb[:2], rgb[2:]])
    assert set(bins.cells) < set(every_bin().cells)
    assert (0, 0) in bins.cells
    classes, shares = bins.shares(color.chroma(rgb))
    counts = sum(np.bincount(one.ravel(), share.ravel(), len(bins)) for one, share in zip(classes, shares, strict=True))
    np.testing.assert_allclose(np.sum(bins.frequencies), 1, atol=1e-3)
    for rebalance in (0.25, 0.5, 0.9):
        weights = bins.weights(rebalance)
        assert (weights * bins.frequencies).sum() == pytest.approx(1, abs=1e-5)
        assert np.corrcoef(np.log(counts + 1), weights)[0, 1] < -0.5
        assert weights.min() > 0
    np.testing.assert_allclose(bins.weights(0.0), 1, atol=1e-3)
    assert fitted_bins([torch.from_numpy(rgb)]) == fitted_bins([rgb])


def test_a_task_learns_its_classes_once() -> None:
    task = make_task("colorize-bins", vivid=0.3)
    assert task.network_channels == len(every_bin())
    fitted = task.fitted([batch(32, 32)])
    assert fitted.network_channels < task.network_channels
    assert fitted.fitted([batch(8, 8)]) is fitted
    assert fitted.vivid == 0.3  # type: ignore[attr-defined]
    finer = make_task("colorize-bins", steps=32).fitted([batch(32, 32)])
    assert finer.network_channels > 2 * fitted.network_channels
    with pytest.raises(RecipeError, match=r"task\.options\.steps 32"):
        fitted.fitted_as(finer)  # type: ignore[attr-defined]


def test_a_decision_is_nearer_than_an_annealed_mean_as_strong() -> None:
    bins = fitted_bins([batch(64, 64)])
    odds = np.random.default_rng(0).dirichlet(np.full(len(bins), 0.1), 400)
    logits = np.log(odds + 1e-12).T[:, None].astype(np.float32)
    grey = np.full((1, 1, len(odds)), LUMA)
    classes = color.lab(color.merge(np.full((1, 1, len(bins)), LUMA), bins.centres.T[:, None].astype(float)))[:, 0]

    def measured(chroma: np.ndarray) -> tuple[float, float]:
        """Mean expected CIEDE2000, and mean chroma."""
        rgb = color.merge(grey, chroma.astype(float))
        away = color.ciede2000(color.lab(rgb)[:, 0, :, None], classes[:, None])
        return float((away * odds).sum(axis=1).mean()), float(np.hypot(*color.chroma(rgb)[:, 0]).mean())

    calm, strong = (measured(bins.decide(logits, reward)) for reward in (0.0, 40.0))
    assert calm[0] < strong[0]
    assert calm[1] < strong[1]
    for decided in (calm, strong):
        means = [measured(bins.mean(logits, t)) for t in np.geomspace(0.05, 2, 20)]
        nearer = [away for away, chroma in means if chroma >= decided[1]]
        assert all(decided[0] < away for away in nearer), "no mean that is as strong is as near"
    theirs = bins.decide(torch.from_numpy(logits), 40.0)
    np.testing.assert_allclose(bins.decide(logits, 40.0), theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize("reward", [0.0, 40.0, MOST_REWARD])
def test_a_certain_answer_keeps_its_colour(reward: float) -> None:
    bins = every_bin()
    for rgb in ((1, 0, 0), (1, 1, 0), (0.1, 0.1, 1), (0.1, 0.8, 0.1), (0.6, 0.45, 0.4), (0.5, 0.5, 0.5)):
        chroma = color.chroma(np.array(rgb, np.float64).reshape(1, 3, 1, 1))
        certain, mean = bins.decide(logits_of(bins, chroma), reward), bins.mean(logits_of(bins, chroma))
        assert np.abs(certain - mean).max() < 1 / STEPS, "between the same four classes"
        assert np.hypot(*(certain - chroma)[0]) < 1.1 / STEPS


def test_vivid_makes_strong_colours_worth_more_however_training_weighed() -> None:
    fitted = make_task("colorize-bins").fitted([batch(32, 32)])
    assert isinstance(fitted, ColorizeBins)
    rng = np.random.default_rng(1)
    odds = rng.dirichlet(20 * np.array(fitted.frequencies), 50).T + 1e-9  # in doubt: about as likely as they are common
    for rebalance in (0.0, 0.2, 0.5):
        task = replace(fitted, rebalance=rebalance)
        # as it is trained to answer
        logits = np.log(odds * task.bins.weights(rebalance)[:, None])[:, None].astype(np.float32)
        strength = [float(np.hypot(*task.with_vivid(v).answer(logits)).mean()) for v in (0, 0.25, 0.5, 0.75, 1)]
        assert strength == sorted(strength)
        assert strength[-1] > 1.5 * strength[0]
        if rebalance == 0.0:
            first = strength
        np.testing.assert_allclose(strength, first, rtol=1e-3)
    with pytest.raises(RecipeError, match=r"vivid: expected a number from 0 to 1, got 1\.5"):
        fitted.with_vivid(1.5)
    with pytest.raises(RecipeError, match="colorize-bins"):
        vivid_task(make_task("colorize"), 0.5)


@pytest.mark.parametrize(
    "options",
    [
        {"cells": [[0, 0]]}, {"cells": [[0, 99]], "frequencies": [1.0]}, {"hinted": -1}, {"damaged": "much"},
        {"frequencies": [1.0]}, {"rebalance": 1.5}, {"steps": 15}, {"steps": 2.0}, {"steps": 1000},
    ],
)  # fmt: skip
def test_options_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="colorize-bins"):
        make_task("colorize-bins", **options)


@pytest.mark.parametrize("side", [16, 2, 1])
@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_the_right_answer_loses_least(name: str, side: int) -> None:
    rgb = batch(side, side)
    bins, chroma = fitted_bins([rgb]), color.chroma(rgb)
    loss, target = get_class_loss(name, bins), torch.from_numpy(chroma)
    right = torch.from_numpy(logits_of(bins, chroma)).float().requires_grad_()
    grey = torch.zeros_like(right)
    grey[:, bins.cells.index((0, 0))] = 3.0
    value = loss(right, target)
    value.backward()
    assert right.grad is not None
    assert torch.isfinite(right.grad).all()
    assert value < loss(torch.zeros_like(right), target)
    assert value < loss(grey, target)


def test_cross_entropy_without_weights_is_torchs() -> None:
    bins = ChromaBins(((0, 0), (1, 0), (0, 1), (1, 1)), (0.25,) * 4)
    logits = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(2, 2, 3, 5)
    target[:, 0] = 1 / STEPS
    expected = torch.nn.functional.cross_entropy(logits, torch.ones(2, 3, 5, dtype=torch.long))
    torch.testing.assert_close(get_class_loss("rebalanced_cross_entropy", bins)(logits, target), expected)


def test_wrong_losses_are_told() -> None:
    with pytest.raises(RecipeError, match="rebalanced_cross_entropy"):
        make_task("colorize-bins").criterion("huber")
    with pytest.raises(RecipeError, match="huber"):
        make_task("colorize").criterion("rebalanced_cross_entropy")
