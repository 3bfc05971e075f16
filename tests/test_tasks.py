"""hashigo.tasks: the law for every task, on real pictures, in NumPy and torch; and each task's own promises."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashigo import color
from hashigo.errors import RecipeError
from hashigo.image import resize
from hashigo.networks.unet import ACTIVATIONS
from hashigo.randomness import PictureRng
from hashigo.tasks import TASKS, Denoise, Task, make_task, task_config
from hashigo.tasks.enlarging import enlarged
from photos import batch

KINDS: dict[str, Callable[[np.ndarray], Any]] = {"numpy": np.asarray, "torch": torch.from_numpy}


def domain(task: Task, rgb: np.ndarray) -> np.ndarray:
    """The picture as far as the task means to give it back: all of it, or its luma for a grey task."""
    return rgb if task.in_channels > 1 or task.adds_colour else np.repeat(color.luma(rgb), 3, axis=-3)


def all_tasks(kind: type[Task] = Task) -> Iterator[type[Task]]:
    yield kind
    for child in kind.__subclasses__():
        yield from all_tasks(child)


# --- the law, and what holds for every task ------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TASKS)
def test_the_law(name: str, kind: str) -> None:
    task, rgb = make_task(name), batch(40, 56)
    for pictures in (rgb, rgb[0]):
        x, y = task.pair(KINDS[kind](pictures))
        result = task.restore(x, y)
        assert type(result) is type(x)
        assert "float32" in str(result.dtype)
        np.testing.assert_allclose(np.asarray(result), domain(task, pictures), atol=2e-6)


@pytest.mark.parametrize("name", TASKS)
def test_an_answer_stays_one(name: str) -> None:
    task, rng = make_task(name), np.random.default_rng(1)
    answer = task.answer(rng.normal(0, 1, (2, task.network_channels, 8, 8)).astype(np.float32))
    assert answer.shape == (2, task.out_channels, 8, 8)
    np.testing.assert_array_equal(task.answer(answer), answer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("small", "large"), [((5, 7), (10, 14)), ((5, 7), (9, 13)), ((1, 1), (4, 3)), ((6, 6), (6, 6))]
)
def test_smaller_answers_are_enlarged_as_torch_and_the_photos_own_resizing_do(
    kind: str, small: tuple[int, int], large: tuple[int, int]
) -> None:
    answer = np.random.default_rng(2).normal(0, 1, (2, *small)).astype(np.float32)
    found = np.asarray(enlarged(KINDS[kind](answer), *large))
    theirs = torch.nn.functional.interpolate(torch.from_numpy(answer)[None], large, mode="bilinear")[0].numpy()
    np.testing.assert_allclose(found, theirs, atol=1e-5)
    np.testing.assert_allclose(found, resize(answer, *large), atol=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_restore_takes_an_answer_at_a_part_of_the_size(name: str) -> None:
    task = make_task(name)
    rgb = np.broadcast_to(np.float32([0.3, 0.4, 0.6])[:, None, None], (1, 3, 10, 14))
    x, y = task.encode(rgb), task.target(rgb)
    np.testing.assert_allclose(task.restore(x, y[..., ::2, ::2]), domain(task, rgb), atol=2e-6)


@pytest.mark.parametrize("name", TASKS)
def test_numpy_and_torch_make_the_same_pairs(name: str) -> None:
    task, rgb, indices = make_task(name), batch(24, 32), np.array([3, 1, 4, 100])
    ours = task.pair(rgb, PictureRng(1, 2, indices))
    theirs = task.pair(torch.from_numpy(rgb), PictureRng(1, 2, torch.from_numpy(indices)))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=2e-6)


@pytest.mark.parametrize("name", TASKS)
def test_channels_and_ranges_are_as_declared(name: str) -> None:
    task, rgb = make_task(name), batch(24, 32)
    x, y = task.pair(rgb)
    assert x.shape == (len(rgb), task.in_channels, 24, 32)
    assert y.shape == (len(rgb), task.out_channels, 24, 32)
    assert callable(task.criterion(task.loss))
    activation = ACTIVATIONS[task.output_activation]()
    reach = activation(torch.tensor([-1e4, 1e4]))  # what the network can answer
    assert y.min() >= float(reach[0]) - 1e-6
    assert y.max() <= float(reach[1]) + 1e-6


@pytest.mark.parametrize("name", TASKS)
def test_any_answer_gives_a_picture(name: str) -> None:
    task, rgb = make_task(name), batch(16, 16)
    x = task.encode(rgb)
    answer = np.random.default_rng(0).normal(0, 3, (len(rgb), task.out_channels, 16, 16)).astype(np.float32)
    result = task.decode(x, answer)
    assert result.shape == rgb.shape
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", TASKS)
def test_damage_reaches_the_input_only(name: str) -> None:
    task, rgb = make_task(name), batch(16, 24)
    before = rgb.copy()
    rng = PictureRng(0, 0, np.arange(len(rgb)))
    x, y = task.pair(rgb, rng)
    np.testing.assert_array_equal(rgb, before)  # the loader's pictures are not written to
    again = PictureRng(0, 0, np.arange(len(rgb)))
    drawn = task.drawn(rgb, again)
    np.testing.assert_array_equal(y, task.target(drawn))
    np.testing.assert_array_equal(x, task.vary(task.encode(task.degrade(drawn, again)), drawn, again))


def test_pair_is_never_overridden() -> None:
    kinds = list(all_tasks())
    assert len(kinds) > len(TASKS) - 1
    assert [kind.__name__ for kind in kinds if "pair" in vars(kind)] == ["Task"]


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_frozen_named_and_saved_as_plain_values(name: str) -> None:
    task = make_task(name)
    assert task.name == name
    assert task == make_task(name)
    for field in dataclasses.fields(task):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(task, field.name, None)
    assert make_task(**json.loads(json.dumps(task_config(task)))) == task


# --- each task's own promises --------------------------------------------------------------------------


def test_the_articles_luma_goes_into_the_colorizers() -> None:
    rgb = batch(8, 8)
    red, green, blue = rgb[:, :1], rgb[:, 1:2], rgb[:, 2:]
    for name in ("colorize", "colorize-rgb", "autoencode-grey"):
        np.testing.assert_allclose(make_task(name).encode(rgb), 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.floats(-5, 5), st.floats(-5, 5))
def test_colorize_keeps_the_photos_own_luma(cb: float, cr: float) -> None:
    task, rgb = make_task("colorize"), batch(8, 12)
    x = task.encode(rgb)
    answer = np.broadcast_to(np.array([cb, cr], np.float32)[:, None, None], (len(rgb), 2, 8, 12))
    np.testing.assert_allclose(color.luma(task.decode(x, answer)), x, atol=2e-6)


def test_the_chroma_tasks_reduce_and_those_that_give_back_detail_do_not() -> None:
    assert {name for name, kind in TASKS.items() if kind.reduces} >= {"colorize", "colorize-bins"}
    assert not any(TASKS[name].reduces for name in ("autoencode", "autoencode-grey", "colorize-rgb", "denoise"))


def strengths(task: Denoise, count: int = 300) -> np.ndarray:
    rgb = np.full((count, 3, 16, 16), 0.5, np.float32)
    noise = task.degrade(rgb, PictureRng(0, 0, np.arange(count))) - rgb
    assert abs(noise.mean()) < 0.01 * max(task.strongest, 1e-6)
    return noise.std(axis=(1, 2, 3))


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.5])
def test_denoise_of_one_strength(strength: float) -> None:
    # 768 values give a standard deviation to 2.6 per cent; five times that
    np.testing.assert_allclose(strengths(Denoise(strength, strength)), strength, rtol=0.13)


@pytest.mark.parametrize(("weakest", "strongest"), [(0.0, 0.2), (0.1, 0.3)])
def test_denoise_strengths_are_uniform_between_the_two(weakest: float, strongest: float) -> None:
    found = (strengths(Denoise(weakest, strongest)) - weakest) / (strongest - weakest)
    assert found.min() > -0.2
    assert found.max() < 1.2
    assert abs(found.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 300)
    counts = np.histogram(found, 4, (0, 1))[0]
    assert (np.abs(counts - 75) < 5 * np.sqrt(75 * 3 / 4)).all()


def test_noise_is_a_pictures_own_and_is_not_clipped() -> None:
    task, rgb = Denoise(0.3, 0.3), batch(16, 16)
    whole = task.degrade(rgb, PictureRng(7, 1, np.array([5, 6, 7, 8])))
    part = task.degrade(rgb[2:3], PictureRng(7, 1, np.array([7])))
    np.testing.assert_array_equal(whole[2], part[0])
    assert whole.min() < 0
    assert whole.max() > 1
    noise = (whole - rgb).reshape(4, -1)
    assert np.abs(np.corrcoef(noise) - np.eye(4)).max() < 0.2
    later = task.degrade(rgb, PictureRng(7, 2, np.array([5, 6, 7, 8])))
    assert (whole != later).mean() > 0.99


# --- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right"), [("colorise", "colorize"), ("autoencoder", "autoencode"), ("DENOISE", None)]
)
def test_a_wrong_name_lists_the_right_ones(wrong: str, right: str | None) -> None:
    with pytest.raises(RecipeError, match=wrong) as caught:
        make_task(wrong)
    assert all(name in str(caught.value) for name in TASKS)
    assert (f"did you mean '{right}'" in str(caught.value)) == (right is not None)


@pytest.mark.parametrize("name", TASKS)
def test_a_wrong_option_is_named(name: str) -> None:
    with pytest.raises(RecipeError, match="strongset") as caught:
        make_task(name, strongset=0.1)
    for field in dataclasses.fields(TASKS[name]):
        assert field.name in str(caught.value)


def test_a_wrong_option_is_told_the_near_one() -> None:
    with pytest.raises(RecipeError, match="did you mean 'strongest'"):
        make_task("denoise", strongset=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"weakest": 0.3},
        {"weakest": -0.1},
        {"strongest": -1},
        {"strongest": float("nan")},
        {"weakest": float("nan")},
        {"strongest": float("inf")},
        {"strongest": "much"},
        {"strongest": None},
    ],
)
def test_denoise_refuses_strengths_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="denoise"):
        make_task("denoise", **options)


def test_binary_pictures_are_drawn_with_their_luma_as_probability() -> None:
    task, rgb = make_task("autoencode-binary"), np.repeat(batch(16, 24)[:1], 3000, axis=0)
    x, y = task.pair(rgb, PictureRng(0, 0, np.arange(len(rgb))))
    np.testing.assert_array_equal(x, y)
    assert set(np.unique(x)) == {0.0, 1.0}
    luma = task.target(rgb[:1])[0]
    assert np.abs(x.mean(axis=0) - luma).max() < 5 * 0.5 / np.sqrt(3000)
    again, _ = task.pair(rgb[5:7], PictureRng(0, 0, np.arange(5, 7)))
    np.testing.assert_array_equal(again, x[5:7])
    np.testing.assert_array_equal(task.pair(rgb[:1])[0][0], luma)


@pytest.mark.parametrize("name", ["autoencode", "autoencode-grey"])
def test_masked_pixels_are_black_in_the_input_only(name: str) -> None:
    task, rgb = make_task(name, masked=0.3), batch(48, 64).clip(0.1, 1)
    x, y = task.pair(rgb, PictureRng(0, 0, np.arange(len(rgb))))
    hidden = (x == 0).all(axis=1)
    assert hidden.mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(np.where(hidden[:, None], y, x), y)
    np.testing.assert_array_equal(y, make_task(name).target(rgb))
    with pytest.raises(RecipeError, match="masked"):
        make_task(name, masked=1.0)
