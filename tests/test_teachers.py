"""Distillation: networks that learn from trained models' opinions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hashigo.data.loader import Batch
from hashigo.errors import HashigoError, RecipeError
from hashigo.models.folder import load_network, open_model, save_model
from hashigo.networks import UNet
from hashigo.randomness import PictureRng
from hashigo.tasks import ColorizeBins, make_task
from hashigo.training.module import Restorer
from hashigo.training.recipe import DataRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import Run, train
from hashigo.training.step import step
from hashigo.training.teachers import Teachers
from photos import batch
from tiny import album, counted

OPTIONS = {"width": 4, "depth": 1, "stem": 2}


def made(pictures: Path, **changes: Any) -> Recipe:
    return replace(
        Recipe(
            task=TaskRecipe("colorize-bins", {"damaged": 0.5, "hinted": 0.5, "rebalance": 0.3}),
            network=NetworkRecipe(options=dict(OPTIONS)),
            data=DataRecipe(train=str(pictures), size=32, crop=16, validation_share=0.25),
            optimizer=OptimizerRecipe("adamw", lr=1e-2),
            epochs=2, batch_size=8, panels=0,
        ),
        **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("teachers") / "album", 24, 40)


@pytest.fixture(scope="module")
def runs(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("teachers")
    first = train(made(pictures, seed=1), folder / "one", onnx=False)
    task = TaskRecipe("colorize-bins", {"rebalance": 0.6}, statistics=str(first.folder))
    return [first, train(made(pictures, seed=2, task=task), folder / "two", onnx=False)]


def inputs(task: ColorizeBins, side: int = 32) -> Tensor:
    return torch.from_numpy(task.encode(batch(side, side)[:4]))


def shown(run: Run) -> tuple[ColorizeBins, UNet]:
    task, network = run.model.task, load_network(run.model)
    assert isinstance(task, ColorizeBins)
    assert isinstance(network, UNet)
    return task, network


def test_the_opinion_is_the_weighted_mean_of_the_models_distributions(runs: list[Run]) -> None:
    task, _ = shown(runs[0])
    x = inputs(task)
    teachers = Teachers([(runs[0].model, 3.0), (runs[1].model, 1.0)], task, 32)
    opinion = teachers(x, (16, 16))
    expected = torch.zeros_like(opinion)
    for run, share in zip(runs, (0.75, 0.25), strict=True):
        theirs, network = shown(run)
        with torch.no_grad():
            logits = network(x) - torch.from_numpy(np.log(theirs.bins.weights(theirs.rebalance)))[:, None, None]
        expected += share * logits.softmax(dim=1)
    torch.testing.assert_close(opinion, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(opinion.sum(dim=1), torch.ones(4, 16, 16))


def test_teachers_see_photos_at_their_own_size(runs: list[Run]) -> None:
    task, network = shown(runs[0])
    teachers = Teachers([(runs[0].model, 1.0)], task, 16)  # trained at 32: the student sees half of that
    x = inputs(task, 16)
    large = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    with torch.no_grad():
        expected = task.opinion(network(large))
    torch.testing.assert_close(teachers(x, (16, 16)), expected, rtol=1e-4, atol=1e-6)
    means = torch.nn.functional.avg_pool2d(expected, 4)
    torch.testing.assert_close(teachers(x, (4, 4)), means, rtol=1e-4, atol=1e-6)


def test_the_loss_is_smallest_for_the_teachers_opinion(runs: list[Run]) -> None:
    task, network = shown(runs[0])
    with torch.no_grad():
        logits = network(inputs(task))
    opinion = task.opinion(logits)
    best = float(task.imitation(logits, opinion))
    for other in (logits + 0.5 * torch.randn(logits.shape, generator=torch.manual_seed(0)), logits * 0.8, logits * 1.2):
        assert float(task.imitation(other, opinion)) > best


def test_a_certain_opinion_teaches_as_the_picture_does(runs: list[Run]) -> None:
    """Of pixels that lie on a class, cross-entropy with the picture and with a distribution that is sure are the same."""
    task, network = shown(runs[0])
    with torch.no_grad():
        logits = network(inputs(task))
    classes = torch.randint(len(task.bins), (4, 16, 16), generator=torch.manual_seed(1))
    target = torch.from_numpy(task.bins.centres)[classes].permute(0, 3, 1, 2)
    opinion = torch.nn.functional.one_hot(classes, len(task.bins)).permute(0, 3, 1, 2).float()
    hard = task.criterion(task.loss)(logits, target)
    torch.testing.assert_close(task.imitation(logits, opinion), hard, rtol=1e-4, atol=1e-5)


class _Trainer:
    precision = "32-true"


def restorer(run: Run, share: float) -> Restorer:
    task, network = shown(run)
    module = Restorer(
        task, network, loss=task.loss, optimizer=OptimizerRecipe(), steps=1,
        teachers=(Teachers([(run.model, 1.0)], task, 32), share),
    )  # fmt: skip
    module._trainer = _Trainer()  # type: ignore[assignment]
    return module


def test_grey_pictures_count_for_the_teachers_only(runs: list[Run]) -> None:
    module = restorer(runs[0], 0.25)
    assert module.teachers is not None
    rgb = torch.from_numpy(batch(32, 32)[:4].copy())
    rgb[1] = rgb[1].mean(dim=0)
    indices, rng = torch.arange(4), PictureRng(0, 0, torch.arange(4))

    def parts(rows: list[int]) -> tuple[float, float]:
        part = step(module.network, module.task, rgb, rng)
        opinion = module.teachers(part.x, part.output.shape[-2:])[rows]  # type: ignore[misc]
        task = module.task
        assert isinstance(task, ColorizeBins)
        hard = task.criterion(task.loss)(part.output[rows], part.target[rows])
        return float(hard), float(task.imitation(part.output[rows], opinion))

    with torch.no_grad():
        loss = float(module._taught(Batch(rgb, indices, 0, 0, 0), rng, module.teachers))
        hard, _ = parts([0, 2, 3])
        _, soft = parts([0, 1, 2, 3])
    assert loss == pytest.approx(0.75 * 0.75 * hard + 0.25 * soft, rel=1e-4)


def test_a_student_learns_its_teachers_opinion(runs: list[Run], pictures: Path, tmp_path: Path) -> None:
    task, _ = shown(runs[0])
    teachers = Teachers([(runs[0].model, 1.0)], task, 32)
    x = inputs(task)
    opinion = teachers(x, (16, 16))
    away = []
    for share in (0.0, 1.0):
        recipe = made(pictures, seed=9, epochs=6, teachers=str(runs[0].folder), teacher_share=share)
        theirs, network = shown(train(recipe, tmp_path / str(share), onnx=False))
        assert theirs.cells == task.cells
        with torch.no_grad():
            away.append(float((theirs.opinion(network(x)) - opinion).abs().sum(dim=1).mean()))
    assert away[1] < 0.8 * away[0]


def test_stored_opinions_are_those_that_are_computed_in_each_step(
    runs: list[Run], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = made(pictures, teachers=f"{runs[0].folder}=0.7, {runs[1].folder}=0.3")
    recipe = replace(recipe, data=replace(recipe.data, variants=1))
    asked = counted(monkeypatch, Teachers, "__call__")
    stored = train(recipe, tmp_path / "stored", onnx=False)
    assert sum(asked) == 1 + 18, "each picture once, and one that shows the shape"
    monkeypatch.setattr("hashigo.training.features.Features.__call__", lambda *_: None)
    asked.clear()
    plain = train(recipe, tmp_path / "plain", onnx=False)
    assert sum(asked) == 1 + 18 + 2 * 16, "and in each of two epochs, of two batches"
    for row, other in zip(stored.metrics, plain.metrics, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)


def test_grey_photos_among_the_training_pictures_are_no_obstacle(runs: list[Run], tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 10, 40)
    for number in range(6):
        Image.fromarray(np.full((40, 40), 40 * number, np.uint8)).save(photos / f"grey-{number}.png")
    run = train(
        made(photos, teachers=str(runs[0].folder), teacher_share=0.5, batch_size=4), tmp_path / "run", onnx=False
    )
    assert np.isfinite([row["train_loss"] for row in run.metrics]).all()


@pytest.mark.parametrize(
    ("teachers", "message"),
    [
        ("nowhere", "nowhere"),
        ("{denoiser}", "colorize-bins"),
        ("{one}=0", "positive weights"),
        ("{one}=-1, {one}", "positive"),
    ],
)
def test_teachers_that_cannot_teach(
    teachers: str, message: str, runs: list[Run], pictures: Path, tmp_path: Path
) -> None:
    denoiser = save_model(tmp_path / "denoiser", UNet(width=2, depth=1), make_task("denoise"), onnx=False).path
    named = teachers.format(denoiser=denoiser, one=runs[0].folder)
    with pytest.raises(HashigoError, match=message):
        train(made(pictures, teachers=named), tmp_path / "run", onnx=False)


def test_tasks_without_distributions_have_no_teachers(runs: list[Run], pictures: Path, tmp_path: Path) -> None:
    recipe = made(pictures, task=TaskRecipe("denoise"), network=NetworkRecipe(options={"width": 2, "depth": 1}))
    with pytest.raises(RecipeError, match="teachers: expected"):
        train(replace(recipe, teachers=str(runs[0].folder)), tmp_path / "run", onnx=False)


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(RecipeError, match="teacher_share: expected a number from 0 to 1"):
        Recipe(teacher_share=1.5)


def test_models_can_be_named_by_their_run(runs: list[Run]) -> None:
    assert Recipe(teachers=f"{runs[0].folder}=0.7, fast").taught_by == [(str(runs[0].folder), 0.7), ("fast", 0.5)]
    assert open_model(runs[0].folder).path == runs[0].model.path


def test_kept_opinions_and_features_serve_other_runs(runs: list[Run], pictures: Path, tmp_path: Path) -> None:
    recipe = made(pictures, teachers=str(runs[0].folder))
    recipe = replace(recipe, data=replace(recipe.data, variants=1, features=str(tmp_path / "kept")))
    first: list[str] = []
    second: list[str] = []
    for number, lines in enumerate((first, second)):
        train(recipe, tmp_path / str(number), onnx=False, say=lines.append)
    assert any("to compute" in line for line in first)
    assert not any("to compute" in line for line in second)
    other: list[str] = []
    train(replace(recipe, seed=5), tmp_path / "other", onnx=False, say=other.append)
    assert any("to compute" in line for line in other), "other crops"
    assert len(list((tmp_path / "kept").glob("opinions-*.npy"))) == 2


def test_kept_features_are_never_those_of_other_settings(tmp_path: Path) -> None:
    """A file that is begun anew has no note that vouches for it."""
    from hashigo.training.features import Features

    def fill(features: Features, value: float) -> None:
        features.fill(lambda _, indices: torch.full((len(indices), 2, 1, 1), value), 2, lambda _: None)

    first = Features(tmp_path / "training.npy", 1, 4, (2, 1, 1), {"seed": 0})
    fill(first, 7.0)
    Features(tmp_path / "training.npy", 2, 4, (2, 1, 1), {"seed": 0})  # interrupted before it is filled
    again = Features(tmp_path / "training.npy", 1, 4, (2, 1, 1), {"seed": 0})
    assert again.filled == 0
    fill(again, 7.0)
    assert again(0, torch.arange(4)).min() == 7


def test_networks_with_other_features_are_told_apart() -> None:
    from hashigo.networks import make_network

    keys = {
        make_network("vit", out_channels=4, width=12, depth=0, heads=1, **options).backbone_key
        for options in ({"blocks": [1, 2]}, {"blocks": [2]}, {"blocks": [2], "pixels": 16})
    }
    assert len(keys) == 3


def test_teachers_with_other_classes_are_refused(runs: list[Run]) -> None:
    task, _ = shown(runs[0])
    other = replace(task, cells=task.cells[:-1], frequencies=task.frequencies[:-1])
    with pytest.raises(RecipeError, match="the student's classes"):
        Teachers([(runs[0].model, 1.0)], other, 32)


def test_nothing_is_taught_without_training(runs: list[Run]) -> None:
    with pytest.raises(RecipeError, match="teachers: expected none where nothing is trained"):
        Recipe(epochs=0, start=str(runs[0].folder), teachers=str(runs[0].folder))


def test_hints_stay_hints_at_the_teachers_size(runs: list[Run]) -> None:
    from hashigo.training.teachers import _scaled

    task, _ = shown(runs[0])
    x = inputs(task, 16)
    x[:, 1:, 4:7, 4:7] = torch.tensor([0.1, -0.2, 1.0])[:, None, None]
    for scale in (2.0, 0.5):
        mask = _scaled(x, scale)[:, 3]
        assert set(mask.unique().tolist()) == {0.0, 1.0}


def test_keeping_features_needs_variants() -> None:
    with pytest.raises(RecipeError, match=r"data\.variants: expected at least 1"):
        Recipe(data=DataRecipe(features="kept"))
