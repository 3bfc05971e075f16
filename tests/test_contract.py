"""A network that is no U-Net and a task that is new, each one class and one line: everything else works with them unchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from hashigo.apply import load, tiling
from hashigo.apply import model as model_module
from hashigo.color import Array
from hashigo.data import open_dataset
from hashigo.latents.extract import features
from hashigo.models import load_network, open_model
from hashigo.models.onnx import export_onnx
from hashigo.networks import NETWORKS, Network
from hashigo.networks.contract import Contract
from hashigo.randomness import PictureRng
from hashigo.studies.purity import settings as purity_settings
from hashigo.studies.purity.run import run_purity
from hashigo.tasks import TASKS, Task, make_task
from hashigo.training.recipe import DataRecipe, NetworkRecipe, Recipe, TaskRecipe
from hashigo.training.run import train
from hashigo.training.step import step_loss
from tiny import album, photo, recipe


class Strided(Network):
    """Two convolutions, of which the first halves the sides, and back; the size of its latent has a loss of its own."""

    def __init__(
        self, *, in_channels: int = 3, out_channels: int = 3, output_activation: str = "linear", price: float = 0.0
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.price = in_channels, out_channels, price
        self.contract = Contract(multiple=2, context_pixels=2)
        self.down = nn.Conv2d(in_channels, 8, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, out_channels, 2, stride=2)

    def encode(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        odd = nn.functional.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2), mode="replicate")
        return self.down(odd).tanh(), (x.shape[-2], x.shape[-1])

    def decode(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        return self.up(latent).sigmoid()[..., : size[0], : size[1]]

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(*self.encode(x))

    def own_loss(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        latent, size = self.encode(x)
        return self.decode(latent, size), self.price * latent.square().mean()


@dataclass(frozen=True)
class Brighten(Task):
    """Gives a picture back that was darkened."""

    name: ClassVar[str] = "brighten"
    suffix: ClassVar[str] = "bright"
    darkest: float = 0.5

    def degrade(self, rgb: Array, rng: PictureRng) -> Array:
        return rgb * rng.uniform(1, 1, 1, low=self.darkest, high=1.0)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "strided", Strided)
    monkeypatch.setitem(TASKS, "brighten", Brighten)


def made(folder: Path, **changes: Any) -> Recipe:
    data = DataRecipe(train=str(album(folder / "album")), crop=32, validation_share=0.25)
    return replace(recipe(), task=TaskRecipe("brighten", {"darkest": 0.6}), network=NetworkRecipe("strided"), data=data, batch_size=4, **changes)  # fmt: skip


def test_they_train_export_apply_and_give_features(tmp_path: Path) -> None:
    run = train(made(tmp_path), tmp_path / "run")
    folder = open_model(tmp_path / "run")
    assert (folder.network, folder.task, folder.contract) == ("strided", Brighten(0.6), Contract(2, context_pixels=2))
    assert len(list((tmp_path / "run" / "panels").glob("epoch-*.png"))) == 2
    dark = photo("coffee", 37, 51)
    by_engine = [
        load(run.model.path, engine=engine, precision="fp32")(dark).astype(int) for engine in ("openvino", "torch")
    ]
    assert by_engine[0].shape == dark.shape
    assert np.abs(by_engine[0] - by_engine[1]).max() <= 1
    assert export_onnx(load_network(folder), tmp_path / "again.onnx").is_file()
    Image.fromarray(dark).save(tmp_path / "dark.png")
    assert features(folder, [tmp_path / "dark.png"], size=32).shape == (1, 8 * 16 * 16)


def test_tiles_are_as_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(made(tmp_path), tmp_path / "run", onnx=False)
    model = load(tmp_path / "run", engine="torch", precision="fp32")
    whole = model(photo("astronaut", 128, 120))
    monkeypatch.setattr(model_module, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(tiling, "TILE", 33)
    assert np.array_equal(model(photo("astronaut", 128, 120)), whole)


def test_a_networks_own_loss_is_added(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, task = Strided(price=3.0), make_task("brighten")
    rgb = torch.rand(2, 3, 16, 16)
    price = 3.0 * network.latent(rgb).square().mean()
    free = Strided()
    free.load_state_dict(network.state_dict())
    assert price > 0
    torch.testing.assert_close(step_loss(network, task, rgb), step_loss(free, task, rgb) + price)
    costly, cheap = (
        train(made(tmp_path, seed=1, epochs=1), tmp_path / name, onnx=False, callbacks=[])
        if name == "free"
        else train(replace(made(tmp_path, seed=1, epochs=1), network=NetworkRecipe("strided", {"price": 1e4})), tmp_path / name, onnx=False)
        for name in ("costly", "free")
    )  # fmt: skip
    assert costly.metrics[0]["train_loss"] > cheap.metrics[0]["train_loss"] + 1


def test_a_study_takes_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(
        purity_settings.PRESETS["quick"],
        data="digits",
        pictures=200,
        test_pictures=100,
        seeds=2,
        epochs=1,
        kmeans_seeds=2,
    )
    ours = purity_settings.PuritySettings.recipe

    def with_strided(self: Any, condition: Any, pictures: Any) -> Recipe:
        return replace(ours(self, condition, pictures), network=NetworkRecipe("strided"))

    monkeypatch.setattr(purity_settings.PuritySettings, "recipe", with_strided)
    page = run_purity(settings, tmp_path / "study")
    assert page.is_file()
    assert open_model(tmp_path / "study" / "models" / "both-0").network == "strided"
    assert len(open_dataset("digits", limit=10)) == 10
