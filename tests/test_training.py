"""hashigo.train: the run's folder, falling losses, equal seeds, stops, and real pictures where they are at hand."""

from __future__ import annotations

import itertools
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Callback
from PIL import Image

import hashigo
from hashigo.data.splitting import split_off
from hashigo.errors import HashigoError, RecipeError, TrainingError
from hashigo.models import open_model
from hashigo.networks import UNet
from hashigo.training.callbacks import read_metrics
from hashigo.training.module import Restorer
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import Run, load_data, train
from hashigo.training.setup import COMPILING_PAYS, choose
from tiny import album, recipe

SHARED = Path(__file__).parents[1].parent / "shared" / "data"


LONGER = recipe(epochs=3, batch_size=8)  # enough steps for the running means of the normalization


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three epochs on the digits, with ONNX."""
    return train(LONGER, tmp_path_factory.mktemp("runs") / "digits")


def weights(run: Run) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run.model.weights)


def photos(folder: Path, **changes: Any) -> Recipe:
    """A recipe on a few photos from scikit-image."""
    data = DataRecipe(train=str(album(folder, 10)), validation_share=0.2, crop=32)
    return recipe(**{"task": TaskRecipe("denoise"), "data": data, "batch_size": 4, **changes})


# --- the folder -------------------------------------------------------------------------------------------


def test_the_losses_fall(run: Run) -> None:
    assert [row["epoch"] for row in run.metrics] == [1, 2, 3]
    assert [row["step"] for row in run.metrics] == [54, 108, 162]  # 432 of 480 pictures, by 8
    for name in ("train_loss", "val_loss"):
        losses = [row[name] for row in run.metrics]
        assert all(math.isfinite(loss) for loss in losses)
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < 0.8 * losses[0]
    assert run.seconds > 0
    assert run.pictures_per_second > 0


def test_everything_is_in_the_folder(run: Run) -> None:
    assert read_metrics(run.folder / "metrics.csv") == run.metrics
    assert list((run.folder / "tensorboard").glob("events.out.tfevents.*"))
    assert sorted(path.name for path in (run.folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert sorted(path.name for path in (run.folder / "panels").iterdir()) == [
        "epoch-0001.png", "epoch-0002.png", "epoch-0003.png", "inputs.png", "progress.webp",
    ]  # fmt: skip
    assert not list(run.folder.rglob(".hashigo-*"))
    assert sorted(path.name for path in run.model.path.iterdir()) == ["README.md", "config.json", "model.onnx", "model.safetensors"]  # fmt: skip


def test_the_resolved_recipe_makes_the_same_recipe(run: Run) -> None:
    values = yaml.safe_load((run.folder / "recipe.yaml").read_text(encoding="utf-8"))
    kinds: dict[str, Any] = {
        "task": TaskRecipe, "network": NetworkRecipe, "data": DataRecipe, "optimizer": OptimizerRecipe, "machine": MachineRecipe,
    }  # fmt: skip
    again = Recipe(**{name: kinds[name](**value) if name in kinds else value for name, value in values.items()})
    assert again == LONGER


def test_panels_show_results_beside_originals(run: Run) -> None:
    with (
        Image.open(run.folder / "panels" / "inputs.png") as inputs,
        Image.open(run.folder / "panels" / "epoch-0001.png") as first,
    ):
        assert first.width > 2 * inputs.width
        assert first.height == inputs.height
        right = np.asarray(first)[:, -inputs.width :]
        assert np.array_equal(right, np.asarray(inputs))  # an autoencoder's inputs are the originals
        left = np.asarray(first)[:, : inputs.width]
    with Image.open(run.folder / "panels" / "epoch-0003.png") as last:
        better = np.asarray(last)[:, : inputs.width]
    assert np.square(better.astype(float) - right).mean() < np.square(left.astype(float) - right).mean()
    with Image.open(run.folder / "panels" / "progress.webp") as animation:
        assert animation.n_frames == 3


def test_the_model_is_the_best_epochs(run: Run) -> None:
    state = torch.load(run.folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert state["epoch"] == 2
    stored = weights(run)
    assert stored
    for name, value in stored.items():
        assert torch.equal(state["state_dict"][f"network.{name}"], value), name


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_the_model_loads_and_does_what_it_learnt(run: Run, engine: Any) -> None:
    _, validation = load_data(recipe().data)
    model = hashigo.load(run.folder, engine=engine, precision="fp32")
    pictures = np.repeat(validation.array().transpose(0, 3, 1, 2), 3, axis=1).astype(np.float32) / 255
    error = np.square(model(pictures)[:, 0] - pictures[:, 0]).sum(axis=(1, 2)).mean()
    assert error == pytest.approx(run.metrics[-1]["val_loss"], rel=0.1)  # the loss may be bfloat16's


def test_the_hub_mixin_loads_it(run: Run) -> None:
    network = UNet.from_pretrained(run.model.path)
    for name, value in weights(run).items():
        assert torch.equal(network.state_dict()[name], value), name


def test_the_card_tells(run: Run) -> None:
    card = (run.model.path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    for words in ("autoencode-grey", "432", "48", f"{run.metrics[-1]['val_loss']:.5g}", "epochs: 3", str(run.setup)):
        assert words in card, words
    assert f"{run.pictures_per_second:.0f} pictures/s" in card
    assert open_model(run.folder).size == 8


# --- same seed, same weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["denoise", "colorize"])
def test_the_seed_decides(task: str, tmp_path: Path) -> None:
    given = {"task": TaskRecipe(task), "panels": 2}
    runs = [train(photos(tmp_path / "in", **given, seed=seed), tmp_path / f"{i}", onnx=False) for i, seed in enumerate((5, 5, 6))]  # fmt: skip
    first, second, other = map(weights, runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (runs[0].folder / "metrics.csv").read_bytes() == (runs[1].folder / "metrics.csv").read_bytes()
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_panels_and_callbacks_do_not_change_the_weights(tmp_path: Path) -> None:
    plain = train(photos(tmp_path / "in", panels=0), tmp_path / "plain", onnx=False)
    assert not (plain.folder / "panels").exists()
    shown = train(photos(tmp_path / "in", panels=2), tmp_path / "shown", callbacks=[Callback()], onnx=False)
    assert all(torch.equal(value, weights(shown)[name]) for name, value in weights(plain).items())


@pytest.mark.parametrize(
    ("what", "told"), [("save_png", r"the panel of epoch \d"), ("save_animation", "the animation of")]
)
def test_panels_that_cannot_be_made_are_a_warning(
    what: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(f"hashigo.training.callbacks.{what}", broken)
    with pytest.warns(UserWarning, match=f"{told}.* was not made: no room"):
        done = train(photos(tmp_path / "in", panels=2), tmp_path / "run", onnx=False)
    assert len(done.metrics) == 2
    assert open_model(done.folder).task.name == "denoise"


# --- what cannot be -----------------------------------------------------------------------------------------


def test_another_run_is_not_overwritten(run: Run) -> None:
    before = (run.folder / "checkpoints" / "last.ckpt").read_bytes()
    with pytest.raises(RecipeError, match="--resume"):
        train(recipe(), run.folder)
    assert (run.folder / "checkpoints" / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize(("changes", "hint"), [
    ({"data": DataRecipe()}, "data.train"), ({"loss": "hubber"}, "'huber'"), ({"task": TaskRecipe("paint")}, "colorize"),
    ({"network": NetworkRecipe("unit")}, "unet"), ({"task": TaskRecipe("denoise", {"strong": 1})}, "'strongest'"),
    ({"network": NetworkRecipe(options={"out_channels": 2})}, "leave it out"), ({"data": DataRecipe(train="nowhere")}, "nowhere"),
    ({"network": NetworkRecipe(options={"stem": 2})}, "whose output has 1/2 of its side lengths"), ({"data": DataRecipe(train="digits", limit=1)}, "at least 2"), ({"machine": MachineRecipe(accelerator="warp")}, "auto"),
])  # fmt: skip
def test_recipes_that_cannot_be(changes: dict[str, Any], hint: str, tmp_path: Path) -> None:
    with pytest.raises(HashigoError, match=hint):
        train(recipe(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_two_devices_share_the_pictures_of_a_step(tmp_path: Path) -> None:
    given = recipe(machine=MachineRecipe("cpu", devices=2, compile="off"), batch_size=31)
    with pytest.raises(
        RecipeError, match=r"batch_size: expected a multiple of 2.*machine\.devices × machine\.nodes.*got 31"
    ):
        train(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pictures_of_several_sizes_need_a_crop(tmp_path: Path) -> None:
    album(tmp_path / "in", 4)
    album(tmp_path / "in" / "more", 4, side=40)
    given = DataRecipe(train=str(tmp_path / "in"), validation_share=0.3)
    with pytest.raises(RecipeError, match=r"data\.crop"):
        train(recipe("denoise", data=given), tmp_path / "run")


def test_the_last_checkpoint_is_that_of_the_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = itertools.count(1)
    monkeypatch.setattr(Restorer, "_mean", lambda *_: float(next(losses)))  # worse with each epoch
    train(recipe(epochs=3, panels=0), tmp_path / "run", onnx=False)
    epochs = [
        torch.load(tmp_path / "run" / "checkpoints" / f"{name}.ckpt", weights_only=True)["epoch"]
        for name in ("best", "last")
    ]
    assert epochs == [0, 2]


class Poison(Callback):
    """Makes the weights NaN before one batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.when = epoch, batch

    @torch.no_grad()
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.when:
            next(pl_module.network.parameters()).fill_(float("nan"))


@pytest.mark.parametrize("minutes", [0, 1e-6])
def test_a_loss_that_is_not_finite_stops_the_run(minutes: float, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step 18 \(epoch 2, batch 5 of 13\).*last good checkpoint"):
        train(recipe(checkpoint_minutes=minutes), tmp_path, callbacks=[Poison(1, 5)])
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == (18 if minutes else 13)
    assert all(bool(torch.isfinite(value).all()) for value in kept["state_dict"].values())
    assert len(read_metrics(tmp_path / "metrics.csv")) == 1
    assert not (tmp_path / "model").exists()
    resumed = train(recipe(checkpoint_minutes=minutes), tmp_path, resume=True, onnx=False)
    assert [row["epoch"] for row in resumed.metrics] == [1, 2]


def test_an_absurd_learning_rate_stops_the_run(tmp_path: Path) -> None:
    absurd = recipe("autoencode-grey", optimizer=OptimizerRecipe("sgd", lr=1e30))
    with pytest.raises(TrainingError, match=r"not finite at step \d+ \(epoch 1, batch \d+ of 13\)"):
        train(absurd, tmp_path)


# --- the machine and the data ---------------------------------------------------------------------------------


def test_the_machine_is_chosen_or_forced() -> None:
    forced = choose(MachineRecipe("cpu", precision="fp32", channels_last="off", compile="off"), 10**6)
    assert str(forced) == "cpu, float32, channels first, not compiled"
    forced = choose(MachineRecipe("cpu", precision="bf16", channels_last="on", compile="on"), 1)
    assert str(forced) == "cpu, bfloat16 autocast, channels last, compiled"
    assert not choose(MachineRecipe("cpu"), COMPILING_PAYS - 1).compile
    assert choose(MachineRecipe(), 1).accelerator in ("cpu", "cuda", "mps", "tpu")


@pytest.mark.parametrize(("precision", "channels_last"), [("fp32", "off"), ("bf16", "on")])
def test_forced_settings_train(precision: Any, channels_last: Any, tmp_path: Path) -> None:
    machine = MachineRecipe("cpu", precision=precision, channels_last=channels_last, compile="off")
    run = train(photos(tmp_path / "in", machine=machine, epochs=1, weights="float16"), tmp_path / "run", onnx=False)
    assert (run.setup.precision, run.setup.channels_last) == (precision, channels_last == "on")
    assert {value.dtype for value in weights(run).values() if value.is_floating_point()} == {torch.float16}


def test_validation_is_kept_apart_the_same_way_each_time() -> None:
    training, validation = load_data(DataRecipe(train="digits", validation_share=0.1))
    assert (len(training), len(validation)) == (1293, 144)
    assert not set(training.names) & set(validation.names)
    assert load_data(DataRecipe(train="digits", validation_share=0.1))[1].names == validation.names
    assert len(split_off(training, 0.5, 7)[1]) == 7
    assert len(load_data(DataRecipe(train="digits", validation="digits"))[1]) == 360  # the split "test"


@pytest.mark.skipif(not (SHARED / "photos").is_dir(), reason="the shared photos are not here")
def test_real_photos(tmp_path: Path) -> None:
    data = DataRecipe(train=str(SHARED / "photos" / "train"), size=48, crop=32, limit=128, validation_share=0.15)
    run = train(recipe("colorize", data=data, batch_size=8, epochs=4), tmp_path, onnx=False)  # falls on every processor
    assert run.metrics[-1]["val_loss"] < 0.9 * run.metrics[0]["val_loss"]
    assert {"inputs.png", "epoch-0001.png", "epoch-0004.png"} <= {path.name for path in (tmp_path / "panels").iterdir()}


@pytest.mark.skipif(not (SHARED / "stl10-like").is_dir(), reason="the shared STL-10 sample is not here")
def test_stl10(tmp_path: Path) -> None:
    data = DataRecipe(train="stl10", root=str(SHARED), limit=96, validation="stl10", validation_limit=16)
    run = train(recipe("colorize-rgb", data=data, epochs=1, batch_size=16), tmp_path, onnx=False)
    assert math.isfinite(run.metrics[0]["val_loss"])
    assert open_model(tmp_path).size == 96


def test_a_copied_run_goes_on_and_keeps_its_best(tmp_path: Path) -> None:
    first = train(recipe(), tmp_path / "first", onnx=False)
    before = {path: path.read_bytes() for path in (tmp_path / "first").rglob("*") if path.is_file()}
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    longer = train(recipe(epochs=3), tmp_path / "copy", resume=True, onnx=False)
    assert [row["epoch"] for row in longer.metrics] == [1, 2, 3]
    assert longer.metrics[:2] == first.metrics
    best = torch.load(tmp_path / "copy" / "checkpoints" / "best.ckpt", weights_only=True)
    lowest = min(longer.metrics, key=lambda row: row["val_loss"])
    assert best["global_step"] == lowest["step"]
    assert {path: path.read_bytes() for path in before} == before, "the run that was copied is left alone"


def test_another_recipe_is_not_resumed(tmp_path: Path) -> None:
    train(recipe(epochs=1), tmp_path, onnx=False)
    with pytest.raises(RecipeError, match=r"seed was 0, now 1"):
        train(recipe(seed=1), tmp_path, resume=True, onnx=False)
