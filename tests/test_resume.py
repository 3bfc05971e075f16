"""A run that is killed and resumed equals one that was not, bit for bit."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from PIL import Image

from hashigo.errors import RecipeError
from hashigo.training.callbacks import read_metrics
from hashigo.training.checkpoints import AtomicCheckpoints, read_checkpoint
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import Run, train
from tiny import album, recipe

STEPS, EPOCHS = 8, 3
"""Steps of an epoch, and epochs, of the recipe below."""

MINUTES = {"within epochs": 1e-6, "at epochs' ends": 0.0}
"""Minutes between checkpoints: after every step, or never within an epoch."""


def made(folder: Path, minutes: float) -> Recipe:
    """Everything that has a state: momentum, warm-up and cosine, clipping, crops, flips and noise."""
    return recipe(
        task=TaskRecipe("denoise"),
        data=DataRecipe(train=str(folder), validation_share=0.2, crop=24),
        optimizer=OptimizerRecipe("adamw", lr=5e-3, schedule="cosine", warmup=5, clip=0.5),
        machine=MachineRecipe("cpu", compile="off", threads=1),
        epochs=EPOCHS, batch_size=2, panels=2, seed=11, checkpoint_minutes=minutes,
    )  # fmt: skip


class Killed(Callback):
    """The process kills itself, as the kernel would, when so many steps are done; no clean-up of any kind runs."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(pictures: str, folder: str, minutes: str, step: str) -> None:
    """What the subprocess runs."""
    train(made(Path(pictures), float(minutes)), folder, callbacks=[Killed(int(step))], onnx=False)


def start_and_kill(pictures: Path, folder: Path, minutes: float, step: int) -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_resume; test_resume.main(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(pictures), str(folder), str(minutes), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def equal(first: Any, second: Any, where: str) -> int:
    """Compares nested dictionaries and lists; returns the number of tensors in them."""
    assert type(first) is type(second), where
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
        return 1
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        return sum(equal(first[key], second[key], f"{where}/{key}") for key in first)
    if isinstance(first, (list, tuple)):
        assert len(first) == len(second), where
        return sum(equal(one, two, f"{where}/{i}") for i, (one, two) in enumerate(zip(first, second, strict=True)))
    assert first == second, where
    return 0


def check_equal(resumed: Path, whole: Path) -> None:
    """Weights, optimizer, schedule, metrics, panels and the finished model of two runs."""
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (torch.load(folder / "checkpoints" / name, weights_only=True) for folder in (resumed, whole))
        equal(one.get("current_model_state"), other.get("current_model_state"), f"{name}: beside the running mean")
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
            count = equal(one[part], other[part], f"{name}: {part}")
            assert count > 10 or part not in ("state_dict", "optimizer_states")
    assert (resumed / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert (resumed / "model" / "model.safetensors").read_bytes() == (
        whole / "model" / "model.safetensors"
    ).read_bytes()
    for panel in (whole / "panels").glob("*.png"):
        assert (resumed / "panels" / panel.name).read_bytes() == panel.read_bytes()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in another order would be other sums."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("album"), 20)


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nothing interrupts."""
    run = train(made(pictures, 0), tmp_path_factory.mktemp("runs") / "whole", onnx=False)
    assert run.metrics[-1]["step"] == STEPS * EPOCHS
    return run


@pytest.mark.parametrize("kind", MINUTES)
def test_killed_and_resumed(kind: str, pictures: Path, whole: Run, tmp_path: Path) -> None:
    minutes = MINUTES[kind]
    seed = random.randrange(10**6)
    # beyond the first epoch, and never at an epoch's last step: within the second or third
    step = random.Random(seed).choice([n for n in range(STEPS + 2, STEPS * EPOCHS) if n % STEPS])
    print(f"seed {seed}: killed when {step} steps were done")
    folder = tmp_path / "run"
    start_and_kill(pictures, folder, minutes, step)
    kept = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == (step - 1 if minutes else step // STEPS * STEPS)
    assert len(read_metrics(folder / "metrics.csv")) == step // STEPS
    assert not (folder / "model").exists()
    train(made(pictures, minutes), folder, resume=True, onnx=False)
    check_equal(folder, whole.folder)


class Stop(Exception):
    """Ends a run in this process."""


class Stopped(Killed):
    """Like `Killed`, by an exception: cheap, so that many steps can be tried."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise Stop


@pytest.mark.parametrize("minutes", MINUTES.values(), ids=MINUTES)
def test_stopped_again_and_again(minutes: float, pictures: Path, whole: Run, tmp_path: Path) -> None:
    for step in (3, STEPS, STEPS + 1, 2 * STEPS - 1, 2 * STEPS, STEPS * EPOCHS - 1):
        with pytest.raises(Stop):
            train(made(pictures, minutes), tmp_path, resume=True, callbacks=[Stopped(step)], onnx=False)
    train(made(pictures, minutes), tmp_path, resume=True, onnx=False)
    check_equal(tmp_path, whole.folder)


def test_stopped_with_a_running_mean_hints_and_a_model_to_start_from(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    vivid = replace(
        made(pictures, 1e-6),
        task=TaskRecipe("colorize-bins", {"hinted": 0.5, "damaged": 0.5, "rebalance": 0.2}),
        network=NetworkRecipe(options={"width": 4, "depth": 2, "stem": 2, "residual": True, "context": True}),
        data=DataRecipe(train=str(pictures), validation_share=0.2, crop=24, zoom=0.7),
        ema=0.9, epochs=2,
    )  # fmt: skip
    first = train(replace(vivid, epochs=1, seed=3), tmp_path_factory.mktemp("first"), onnx=False)
    vivid = replace(vivid, start=str(first.folder))
    unbroken = train(vivid, tmp_path_factory.mktemp("whole"), onnx=False)
    for step in (3, STEPS, STEPS + 5):
        with pytest.raises(Stop):
            train(vivid, tmp_path, resume=True, callbacks=[Stopped(step)], onnx=False)
    train(vivid, tmp_path, resume=True, onnx=False)
    check_equal(tmp_path, unbroken.folder)
    assert "current_model_state" in torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)


def test_more_epochs_for_a_finished_run(pictures: Path, whole: Run, tmp_path: Path) -> None:
    constant = replace(made(pictures, 0), optimizer=OptimizerRecipe("sgd", lr=1e-4))
    train(replace(constant, epochs=2), tmp_path / "run", onnx=False)
    train(constant, tmp_path / "run", resume=True, onnx=False)
    train(constant, tmp_path / "whole", onnx=False)
    check_equal(tmp_path / "run", tmp_path / "whole")


def test_resuming_a_finished_run_changes_nothing(pictures: Path, whole: Run) -> None:
    before = (whole.folder / "metrics.csv").read_bytes(), (whole.model.weights).read_bytes()
    again = train(made(pictures, 0), whole.folder, resume=True, onnx=False)
    assert ((whole.folder / "metrics.csv").read_bytes(), whole.model.weights.read_bytes()) == before
    assert again.metrics == whole.metrics
    assert again.pictures_per_second == 0
    assert "all in earlier runs" in (again.model.path / "README.md").read_text(encoding="utf-8")


def test_a_run_from_before_a_recipe_had_some_key_goes_on(pictures: Path, tmp_path: Path) -> None:
    train(replace(made(pictures, 0), epochs=1), tmp_path, onnx=False)
    path = tmp_path / "recipe.yaml"
    started = yaml.safe_load(path.read_text(encoding="utf-8"))
    del started["network"]["pretrained"], started["optimizer"]["encoder_lr"], started["ema"]
    path.write_text(yaml.safe_dump(started), encoding="utf-8")
    train(made(pictures, 0), tmp_path, resume=True, onnx=False)
    path.write_text(yaml.safe_dump(started), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"ema was 0\.0, now 0\.5"):
        train(replace(made(pictures, 0), ema=0.5), tmp_path, resume=True, onnx=False)


def test_resuming_nothing_starts_a_run(pictures: Path, tmp_path: Path) -> None:
    run = train(replace(made(pictures, 0), epochs=1), tmp_path / "new", resume=True, onnx=False)
    assert [row["epoch"] for row in run.metrics] == [1]


@pytest.mark.parametrize("panels", [1, 4])
def test_another_number_of_panels_may_be_shown(panels: int, pictures: Path, tmp_path: Path) -> None:
    begun = replace(made(pictures, 0), optimizer=OptimizerRecipe("sgd", lr=1e-4), epochs=2)
    first = train(begun, tmp_path, onnx=False)
    with Image.open(first.folder / "panels" / "inputs.png") as inputs:
        before = inputs.size
    again = train(replace(begun, panels=panels, epochs=4), tmp_path, resume=True, onnx=False)
    assert [row["epoch"] for row in again.metrics] == [1, 2, 3, 4]
    with (
        Image.open(tmp_path / "panels" / "inputs.png") as inputs,
        Image.open(tmp_path / "panels" / "epoch-0004.png") as last,
        Image.open(tmp_path / "panels" / "progress.webp") as animation,
    ):
        assert inputs.size != before
        assert inputs.height == last.height
        assert (animation.size, animation.n_frames) == (last.size, 2)


# --- checkpoints of strangers -------------------------------------------------------------------------------


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_strangers_checkpoint_runs_no_code(name: str, pictures: Path, whole: Run, tmp_path: Path) -> None:
    run, sprung = tmp_path / "run", tmp_path / "sprung"
    shutil.copytree(whole.folder, run)
    path = run / "checkpoints" / f"{name}.ckpt"
    torch.save({**torch.load(path, weights_only=True), "more": Trap(sprung)}, path)
    model = (run / "model" / "model.safetensors").read_bytes()
    with pytest.raises(RecipeError, match=rf"{name}\.ckpt: .*holds more than weights and was not loaded"):
        train(replace(made(pictures, 0), epochs=EPOCHS + 1), run, resume=True, onnx=False)
    with pytest.raises(RecipeError, match="holds more than weights"):
        AtomicCheckpoints().load_checkpoint(path, weights_only=False)
    assert not sprung.exists()
    assert len(read_metrics(run / "metrics.csv")) == EPOCHS, "nothing was trained"
    assert (run / "model" / "model.safetensors").read_bytes() == model
    torch.load(path, weights_only=False)
    assert sprung.exists(), "the trap works"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_bare_pickle_runs_no_code(mapped: bool, protocol: int, tmp_path: Path) -> None:
    path, sprung = tmp_path / "last.ckpt", tmp_path / "sprung"
    path.write_bytes(pickle.dumps({"task": Trap(sprung)}, protocol))
    with pytest.raises(RecipeError, match=r"last\.ckpt: expected a checkpoint"):
        read_checkpoint(path, mapped=mapped)
    assert not sprung.exists()


@pytest.mark.parametrize("mapped", [False, True])
def test_a_torn_checkpoint_is_told(mapped: bool, whole: Run, tmp_path: Path) -> None:
    content = (whole.folder / "checkpoints" / "last.ckpt").read_bytes()
    path = tmp_path / "last.ckpt"
    for part in (b"", content[:1], content[:1000], content[: len(content) // 2], b"no checkpoint at all"):
        path.write_bytes(part)
        with pytest.raises(RecipeError, match=r"last\.ckpt: expected a checkpoint"):
            read_checkpoint(path, mapped=mapped)
    torch.save([1, 2], path)
    with pytest.raises(RecipeError, match="got a stored list"):
        read_checkpoint(path, mapped=mapped)
