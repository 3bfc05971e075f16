"""Models and recipes so small that a test can afford them; nothing here is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from hashigo.models import save_model
from hashigo.networks import UNet
from hashigo.tasks import make_task
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from photos import PHOTOS, pixels


def model(folder: Path, task: str = "colorize", *, size: int = 32, onnx: bool = False, **options: Any) -> Path:
    """The folder of an untrained model whose answers are far from zero, so that colours even leave the gamut."""
    made = make_task(task)
    torch.manual_seed(3)
    network = UNet(
        **{"width": 4, "depth": 2, **options},
        in_channels=made.in_channels, out_channels=made.out_channels, output_activation=made.output_activation,
    )  # fmt: skip
    if task == "colorize":
        with torch.no_grad():
            for value in list(network.parameters())[-2:]:
                value.mul_(3)
    return save_model(folder, network.eval(), made, size=size, onnx=onnx).path


def photo(name: str = "chelsea", height: int = 40, width: int = 60) -> np.ndarray:
    """The photo's middle, uint8 (height, width, 3)."""
    array = pixels(name)
    top, left = (array.shape[0] - height) // 2, (array.shape[1] - width) // 2
    return np.ascontiguousarray(array[top : top + height, left : left + width])


def album(folder: Path, count: int = 8, side: int = 48) -> Path:
    """A folder of `count` PNG files: different corners of the photos, (side, side)."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        array = pixels(PHOTOS[i % len(PHOTOS)])
        top, left = 90 + 20 * (i // len(PHOTOS)), 60 + 30 * (i // len(PHOTOS))
        Image.fromarray(array[top : top + side, left : left + side]).save(folder / f"{i:02d}.png")
    return folder


def recipe(kind: str = "autoencode-grey", **changes: Any) -> Recipe:
    """The 8 × 8 digits through a network of width 4 and depth 2, two epochs; nothing is compiled."""
    given: dict[str, Any] = {
        "task": TaskRecipe(kind),
        "network": NetworkRecipe(options={"width": 4, "depth": 2}),
        "data": DataRecipe(train="digits", validation_share=0.1, limit=480),
        "optimizer": OptimizerRecipe("adamw", lr=3e-3),
        "machine": MachineRecipe(accelerator="cpu", compile="off"),
        "epochs": 2, "batch_size": 32, "panels": 4, "checkpoint_minutes": 0,
    }  # fmt: skip
    return Recipe(**{**given, **changes})


def as_trained(network: UNet) -> UNet:
    """The network in evaluation mode with BatchNorms that do something, as after training."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def counted(monkeypatch: pytest.MonkeyPatch, kind: type, method: str) -> list[int]:
    """How many pictures each call of a method gets, from now on: the length of its first argument."""
    seen: list[int] = []
    original = getattr(kind, method)

    def counting(self: Any, pictures: Any, *rest: Any) -> Any:
        seen.append(len(pictures))
        return original(self, pictures, *rest)

    monkeypatch.setattr(kind, method, counting)
    return seen
