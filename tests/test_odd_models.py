"""Model folders, ONNX files and calls as they should not be: our errors, at once, before anything is built."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import hashigo
from hashigo.apply.model import Model, load
from hashigo.cli.main import main
from hashigo.errors import HashigoError, ModelError, PictureError, RecipeError
from hashigo.models.folder import load_network, open_model
from hashigo.networks import UNet
from hashigo.randomness import PictureRng
from hashigo.tasks import TASKS, make_task
from tiny import model as tiny_model
from tiny import photo


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), onnx=True)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "model")
    return tmp_path / "model"


def change(folder: Path, keys: tuple[str, ...], value: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    inner = config
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


# --- config.json --------------------------------------------------------------------------------------------

ODD_VALUES = [
    (("hashigo", "size"), float("inf")), (("hashigo", "size"), -5), (("hashigo", "size"), 10**9), (("hashigo", "size"), "96"),
    (("depth",), 1e9), (("depth",), 64), (("depth",), None), (("depth",), 0), (("width",), 10**9), (("width",), "4"),
    (("stem",), 0), (("stem",), 10**6), (("bottleneck",), 10**9), (("size",), "ab"), (("size",), [1]), (("size",), [-1, 5]),
    (("skips",), 5), (("residual",), "yes"), (("hashigo", "contract", "multiple"), 10**9),
    (("hashigo", "contract", "fixed_size"), [0, 5]), (("hashigo", "task"), "colorize"), (("hashigo", "task", "name"), 7),
    (("hashigo",), None), (("hashigo", "contract"), [1]), (("hashigo", "network"), None),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "value"), ODD_VALUES)
def test_an_odd_value_is_found_when_the_folder_is_read(
    folder: Path, keys: tuple[str, ...], value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, keys, value)
    if keys == ("hashigo", "network"):
        with pytest.raises(ModelError):
            load_network(open_model(folder))
        return
    with pytest.raises(ModelError, match=r"config\.json"):
        open_model(folder)
    album = tmp_path / "album"
    album.mkdir()
    Image.fromarray(photo("coffee", 30, 40)).save(album / "a.png")
    assert main(["colorize", str(album), "-m", str(folder)]) == 2
    said = capsys.readouterr().err
    assert str(folder) in said
    assert len(said.splitlines()) == 1
    assert [path.name for path in album.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b"{}", b" " * (17 << 20), b'{"hashigo": {"task": {}}}']
)
def test_a_config_of_another_form(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        open_model(folder)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
PLACES = [
    ("in_channels",), ("out_channels",), ("width",), ("depth",), ("skips",), ("bottleneck",), ("size",), ("latent_activation",),
    ("output_activation",), ("residual",), ("stem",), ("context",), ("encoder",), ("unknown",), ("hashigo",), ("hashigo", "size"),
    ("hashigo", "task"), ("hashigo", "task", "name"), ("hashigo", "task", "vivid"), ("hashigo", "network"),
    ("hashigo", "contract"), ("hashigo", "contract", "multiple"), ("hashigo", "contract", "answer_scale"),
    ("hashigo", "contract", "fixed_size"), ("hashigo", "contract", "context_pixels"),
]  # fmt: skip


@settings(
    max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_anywhere_works_or_is_our_error(
    whole: Path, tmp_path: Path, keys: tuple[str, ...], value: object
) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(whole, odd, dirs_exist_ok=True)
    change(odd, keys, value)
    with suppress(HashigoError), torch.device("meta"):
        model = open_model(odd)
        hashigo.networks.make_network(model.network, **model.options)


# --- ONNX ---------------------------------------------------------------------------------------------------


def write_onnx(path: Path, operation: str, shape: list[str | int], kind: int = onnx.TensorProto.FLOAT) -> None:
    """A network of one operation."""
    x, y = (
        onnx.helper.make_tensor_value_info("x", kind, shape),
        onnx.helper.make_tensor_value_info("y", kind, None if operation == "Flatten" else shape),
    )
    graph = onnx.helper.make_graph([onnx.helper.make_node(operation, ["x"], ["y"])], "odd", [x], [y])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10), path)


@pytest.mark.parametrize(
    ("operation", "shape", "reason"),
    [
        ("Identity", ["n", 3, "h", "w"], "1 input and 2 output channels.*got 3 and 3"),
        ("Identity", ["n", 1, "h", "w"], "got 1 and 1"),
        ("Identity", ["n", 1, "w"], "shapes"),
        ("Flatten", ["n", 1, "h", "w"], "shapes"),
    ],
)
def test_an_onnx_of_another_shape(folder: Path, operation: str, shape: list[str | int], reason: str) -> None:
    write_onnx(folder / "model.onnx", operation, shape)
    with pytest.raises(ModelError, match=reason):
        load(folder)


def test_an_onnx_for_other_numbers(folder: Path) -> None:
    write_onnx(folder / "model.onnx", "Identity", ["n", 1, "h", "w"], onnx.TensorProto.INT32)
    with pytest.raises(ModelError, match="float32"):
        load(folder)


def test_an_onnx_that_is_none(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no network" * 50)
    with pytest.raises(ModelError, match=r"model\.onnx"):
        load(folder)


# --- calls --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def colorize() -> Model:
    return load("fast")


ARRAY = photo("coffee", 30, 40)
CALLS: list[tuple[str, Callable[[Model], object]]] = [
    ("load None", lambda _: load(None)),  # type: ignore[arg-type]
    ("load 5", lambda _: load(5)),  # type: ignore[arg-type]
    ("load a long name", lambda _: load("x" * 5000)),
    ("load size a", lambda _: load("fast", size="a")),  # type: ignore[arg-type]
    ("load size large", lambda _: load("fast", size=10**9)),
    ("load vivid a", lambda _: load("fast", vivid="a")),  # type: ignore[arg-type]
    ("load vivid nan", lambda _: load("fast", vivid=float("nan"))),
    ("load precision", lambda _: load("fast", precision="half")),  # type: ignore[arg-type]
    ("load engine", lambda _: load("fast", engine="gpu")),  # type: ignore[arg-type]
    ("load threads", lambda _: load("fast", threads=-1)),
    ("size a", lambda model: model(ARRAY, size="a")),  # type: ignore[call-overload]
    ("size negative", lambda model: model(ARRAY, size=-1)),
    ("vivid a", lambda model: model(ARRAY, vivid="a")),  # type: ignore[call-overload]
    ("empty", lambda model: model(np.zeros((0, 0, 3), np.uint8))),
    ("none", lambda model: model(None)),  # type: ignore[call-overload]
    ("a list", lambda model: model([1, 2])),  # type: ignore[call-overload]
    ("objects", lambda model: model(np.array([None, "a"], dtype=object))),  # type: ignore[call-overload]
    ("hint 5", lambda model: model(ARRAY, hints=[5])),  # type: ignore[list-item]
    ("hints 5", lambda model: model(ARRAY, hints=5)),  # type: ignore[call-overload]
    ("hint of two", lambda model: model(ARRAY, hints=[(1, 2)])),  # type: ignore[list-item]
    ("hints text", lambda model: model(ARRAY, hints="abc")),  # type: ignore[call-overload]
    ("hint colour", lambda model: model(ARRAY, hints=[(1, 2, 3)])),  # type: ignore[list-item]
    ("hint nan", lambda model: model(ARRAY, hints=[(float("nan"), 2, "#ffffff")])),
    ("apply_many none", lambda model: model.apply_many([None])),  # type: ignore[list-item]
    ("apply_many batch", lambda model: model.apply_many([ARRAY, ARRAY], batch_size=0)),
    ("apply_many path", lambda model: model.apply_many("a.jpg")),  # type: ignore[call-overload]
    ("apply_many hints", lambda model: model.apply_many([ARRAY], hints=5)),  # type: ignore[arg-type]
    ("unet width", lambda _: UNet(width="a")),  # type: ignore[arg-type]
    ("unet depth", lambda _: UNet(depth=99)),
    ("unet size", lambda _: UNet(size=5, bottleneck=3)),  # type: ignore[arg-type]
    ("unet skips", lambda _: UNet(skips=3)),  # type: ignore[arg-type]
    ("unet rank", lambda _: UNet(width=2, depth=1)(torch.zeros(3, 8, 8))),
    ("unet channels", lambda _: UNet(width=2, depth=1)(torch.zeros(1, 1, 8, 8))),
    ("unet numpy", lambda _: UNet(width=2, depth=1)(np.zeros((1, 3, 8, 8), np.float32))),
    ("unet encode", lambda _: UNet(width=2, depth=1).encode(torch.zeros(1, 2, 8, 8))),
    ("unet decode", lambda _: UNet(width=2, depth=1).decode(torch.zeros(1, 9, 4, 4), [torch.zeros(1, 2, 8, 8)])),
    ("unet decode skips", lambda _: UNet(width=2, depth=1).decode(torch.zeros(1, 4, 4, 4), [])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_calls_of_the_wrong_kind(colorize: Model, name: str, call: Callable[[Model], object]) -> None:
    with pytest.raises((ModelError, PictureError, RecipeError)) as caught:
        call(colorize)
    assert "expected" in str(caught.value).lower() or "known" in str(caught.value).lower()


# --- fork ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_model_loaded_before_a_fork_works_in_the_child(whole: Path, engine: str) -> None:
    colorize = load(whole, engine=engine)  # type: ignore[arg-type]
    large = photo("coffee", 200, 300)
    before = colorize(large)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=lambda: answers.put(colorize(large)))
    child.start()
    result = answers.get(timeout=60)
    child.join(60)
    assert np.abs(result.astype(int) - before).max() <= 2
    np.testing.assert_array_equal(colorize(large), before)  # the parent's still works


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_broken_folder_for_from_pretrained(folder: Path, name: str) -> None:
    path = folder / name
    for content in (b"", b"no weights" * 50, path.read_bytes()[:-100]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=re.escape(str(folder))):
            UNet.from_pretrained(folder)


@settings(max_examples=200, deadline=2000)
@given(st.sampled_from([(name, f.name) for name, task in TASKS.items() for f in fields(task)]), VALUES)
def test_any_value_of_a_tasks_option_works_or_is_our_error(option: tuple[str, str], value: object) -> None:
    task = None
    with suppress(HashigoError):
        task = make_task(option[0], **{option[1]: value})
    if task is not None:
        x, y = task.pair(np.full((1, 3, 32, 32), 0.5, np.float32), PictureRng(0, 0, np.arange(1)))
        assert np.isfinite(x).all()
        assert np.isfinite(y).all()
