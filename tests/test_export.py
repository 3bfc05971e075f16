"""ONNX files on ONNX Runtime and OpenVINO against torch: any batch, any size; and the engines' own promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hashigo.apply.engines import OpenVinoEngine, TorchEngine, choose_engine, has_torch
from hashigo.errors import MissingExtraError, ModelError, RecipeError
from hashigo.models import ModelFolder, load_network, save_model
from hashigo.models.onnx import export_onnx
from hashigo.models.weights import Weights, packed, unpacked
from hashigo.networks import UNet
from hashigo.tasks import make_task
from photos import batch
from tiny import as_trained

DEPTH_4: dict[str, Any] = {"in_channels": 1, "out_channels": 2, "width": 2, "depth": 4, "output_activation": "linear"}
BOTTLENECK: dict[str, Any] = {"width": 2, "depth": 2, "bottleneck": 5, "size": (12, 20), "skips": ["none", "concat"]}
SHAPES = [(1, 48, 48), (4, 16, 32), (2, 33, 50), (3, 70, 17), (1, 1, 1), (1, 100, 81)]


class Exported(NamedTuple):
    network: UNet
    folder: ModelFolder


def trained(**options: Any) -> UNet:
    """A network whose BatchNorms do something, as after training."""
    torch.manual_seed(2)
    network = UNet(**options)
    return as_trained(network)


def exported(path: Path, weights: Weights, **options: Any) -> Exported:
    network = trained(**options)
    task = make_task("colorize" if options.get("in_channels") == 1 else "autoencode")
    return Exported(network, save_model(path, network, task, weights=weights))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("full"), "float32", **DEPTH_4)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("half"), "float16", **DEPTH_4)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("narrow"), "float32", **BOTTLENECK)


def with_onnxruntime(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": x})[0]


def with_openvino(path: Path, x: np.ndarray) -> np.ndarray:
    return OpenVinoEngine(path, precision="fp32", threads=1)(x)


def with_torch(network: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(x)).numpy()


def pictures(count: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.ascontiguousarray(batch(height, width)[:count, :channels])


RUNTIMES = pytest.mark.parametrize("run", [with_onnxruntime, with_openvino])


@RUNTIMES
@pytest.mark.parametrize("shape", SHAPES)
def test_any_batch_and_size_is_as_with_torch(run: Any, shape: tuple[int, int, int], full: Exported) -> None:
    x = pictures(*shape, 1)
    expected = with_torch(full.network, x)
    assert expected.std() > 0.01  # something to compare
    result = run(full.folder.onnx, x)
    assert result.dtype == np.float32
    assert result.shape == (shape[0], 2, *shape[1:])
    np.testing.assert_allclose(result, expected, atol=1e-4)


@RUNTIMES
def test_half_weights_are_the_rounded_ones_computed_in_full(run: Any, half: Exported) -> None:
    x = pictures(2, 33, 50, 1)
    result = run(half.folder.onnx, x)
    np.testing.assert_allclose(result, with_torch(half.network, x), atol=2e-2)
    np.testing.assert_allclose(result, with_torch(load_network(half.folder), x), atol=1e-4)


def test_weights_are_stored_once(full: Exported, half: Exported) -> None:
    assert half.folder.weights.stat().st_size < 0.6 * full.folder.weights.stat().st_size
    for folder in (full.folder, half.folder):
        model = onnx.load(folder.onnx, load_external_data=False)
        inside = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
        assert inside < 0.02 * folder.weights.stat().st_size


@RUNTIMES
def test_new_weights_in_the_safetensors_file_are_what_the_onnx_file_answers_with(run: Any, tmp_path: Path) -> None:
    first = exported(tmp_path / "first", "float16", **DEPTH_4)
    torch.manual_seed(7)
    second = exported(tmp_path / "second", "float16", **DEPTH_4)
    x = pictures(1, 32, 32, 1)
    (tmp_path / "first" / "model.safetensors").write_bytes(second.folder.weights.read_bytes())
    np.testing.assert_allclose(run(first.folder.onnx, x), with_torch(load_network(second.folder), x), atol=1e-4)


def test_bfloat16_weights_of_others_can_be_loaded(full: Exported, tmp_path: Path) -> None:
    folder = save_model(tmp_path, full.network, full.folder.task, onnx=False)
    rounded = {name: v.bfloat16() if v.is_floating_point() else v for name, v in full.network.state_dict().items()}
    save_file(rounded, folder.weights)
    for name, value in load_network(folder).state_dict().items():
        assert torch.equal(value, rounded[name].to(value.dtype)), name


def test_without_its_weights_the_error_names_the_missing_file(tmp_path: Path) -> None:
    folder = exported(tmp_path, "float16", **DEPTH_4).folder
    folder.weights.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        OpenVinoEngine(folder.onnx, threads=1)


@RUNTIMES
def test_integers_answer_nearly_as_the_weights_did(run: Any, tmp_path: Path) -> None:
    """Wide enough that some weights are stored as integers."""
    options = {**DEPTH_4, "width": 16}
    made = exported(tmp_path, "int8", **options)
    assert made.folder.weights.stat().st_size < 0.35 * 4 * sum(
        value.numel() for value in made.network.state_dict().values()
    )
    x = pictures(2, 33, 50, 1)
    result, exact = run(made.folder.onnx, x), with_torch(made.network, x)
    np.testing.assert_allclose(result, with_torch(load_network(made.folder), x), atol=1e-3)
    assert np.abs(result - exact).mean() < 0.02 * np.abs(exact).mean()


def test_packed_weights_come_back() -> None:
    rng = np.random.default_rng(0)
    weights = {
        "linear": rng.normal(size=(256, 300)).astype(np.float32) * np.logspace(-4, 1, 256, dtype=np.float32)[:, None],
        "grid": rng.normal(size=(1, 40, 30, 30)).astype(np.float32), "bias": rng.normal(size=300).astype(np.float32),
        "zeros": np.zeros((300, 300), np.float32), "count": np.array(3),
    }  # fmt: skip
    for kind, tolerance in (("float32", 0.0), ("float16", 1e-3), ("int8", 0.004)):
        stored = {name: torch.from_numpy(value) for name, value in packed(weights, kind).items()}  # type: ignore[arg-type]
        again = {name: value.numpy() for name, value in unpacked(stored).items()}
        assert again.keys() == weights.keys()
        for name, value in weights.items():
            axes = {"linear": (1,), "grid": (2, 3), "zeros": (1,)}.get(name, ())
            largest = np.abs(value).max(axis=axes, keepdims=True)
            assert (np.abs(again[name] - value) <= tolerance * largest + 1e-7).all(), (kind, name)
    with pytest.raises(RecipeError, match="int8"):
        save_model(Path("nowhere"), UNet(width=1, depth=1), make_task("autoencode"), weights="int4")  # type: ignore[arg-type]


@RUNTIMES
@pytest.mark.parametrize("count", [1, 3])
def test_a_bottleneck_keeps_its_size_and_any_batch(run: Any, count: int, narrow: Exported) -> None:
    x = pictures(count, 12, 20, 3)
    np.testing.assert_allclose(run(narrow.folder.onnx, x), with_torch(narrow.network, x), atol=1e-4)


def test_names_shapes_and_nothing_of_this_machine(full: Exported, narrow: Exported) -> None:
    for folder, height in ((full.folder, None), (narrow.folder, 12)):
        content = folder.onnx.read_bytes()
        model = onnx.load_from_string(content)
        assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["input", "output"]
        sides = model.graph.input[0].type.tensor_type.shape.dim
        assert bool(sides[0].dim_param)
        assert (sides[2].dim_value or None) == height
        assert b"site-packages" not in content
        assert str(Path.cwd()).encode() not in content


def test_exporting_leaves_the_network_alone(tmp_path: Path) -> None:
    network = UNet(width=1, depth=1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path = export_onnx(network, tmp_path / "new" / "model.onnx")
    assert path.is_file()
    assert [one.name for one in path.parent.iterdir()] == ["model.onnx"]
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


# --- engines ----------------------------------------------------------------------------------------------


def test_torch_engine_is_the_network(full: Exported) -> None:
    engine = TorchEngine(load_network(full.folder), "cpu", "fp32")
    x = pictures(2, 33, 50, 1)
    result = engine(x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, with_torch(full.network, x), atol=1e-4)
    assert "float32" in engine.description


def test_bfloat16_is_near(full: Exported) -> None:
    x = pictures(2, 48, 48, 1)
    expected = with_torch(full.network, x)
    for engine in (TorchEngine(load_network(full.folder), "cpu", "bf16"), OpenVinoEngine(full.folder.onnx, precision="bf16")):  # fmt: skip
        result = engine(x)
        assert result.dtype == np.float32
        assert np.abs(result - expected).max() < 0.1 * np.abs(expected).max()
        assert "bfloat16" in engine.description


def test_a_result_stays_when_the_engine_goes_on(full: Exported) -> None:
    engine = OpenVinoEngine(full.folder.onnx, precision="fp32")
    first = engine(pictures(2, 32, 32, 1))
    kept = first.copy()
    engine(1 - pictures(2, 32, 32, 1))
    np.testing.assert_array_equal(first, kept)


def test_many_threads_get_their_own_answers(full: Exported) -> None:
    engine = OpenVinoEngine(full.folder.onnx, precision="fp32")
    inputs = [pictures(1 + i % 3, 16 + i, 40 - i, 1) for i in range(20)]
    with ThreadPoolExecutor(4) as pool:
        for x, result in zip(inputs, pool.map(engine, inputs), strict=True):
            np.testing.assert_allclose(result, with_torch(full.network, x), atol=1e-4)


def test_one_shape_only(full: Exported) -> None:
    engine = OpenVinoEngine(full.folder.onnx, precision="fp32", shape=(2, 1, 32, 48))
    x = pictures(2, 32, 48, 1)
    np.testing.assert_allclose(engine(x), with_torch(full.network, x), atol=1e-4)


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hashigo export"):
        OpenVinoEngine(tmp_path / "missing.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        OpenVinoEngine(tmp_path / "broken.onnx")


def test_choosing_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_torch()
    assert [choose_engine("auto", onnx) for onnx in (True, False)] == ["openvino", "torch"]
    assert choose_engine("torch", True) == "torch"
    with pytest.raises(ModelError, match=r"model\.onnx"):
        choose_engine("openvino", False)
    with pytest.raises(ModelError, match="tensorrt"):
        choose_engine("tensorrt", True)  # type: ignore[arg-type]
    monkeypatch.setattr("hashigo.apply.engines.has_torch", lambda: False)
    assert choose_engine("auto", True) == "openvino"
    with pytest.raises(MissingExtraError, match=r"pip install 'hashigo\[train\]'"):
        choose_engine("auto", False)
