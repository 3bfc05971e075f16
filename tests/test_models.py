"""hashigo.models: saved, opened and loaded again; what is in the folder; folders that are broken (ONNX: test_export)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import hashigo
from hashigo.errors import HashigoError, ModelError
from hashigo.models import MODELS, load_network, open_model, save_model
from hashigo.networks import UNet
from hashigo.tasks import TASKS, make_task
from photos import batch

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "grey": {"in_channels": 1, "out_channels": 2, "width": 3, "depth": 2, "output_activation": "linear"},
    "levels": {"width": 2, "depth": 3, "skips": ("none", "zeroed", "concat"), "residual": True},
    "bottleneck": {"width": 2, "depth": 2, "bottleneck": 5, "size": (12, 20), "latent_activation": "tanh"},
}


def network(**options: Any) -> UNet:
    torch.manual_seed(1)
    made = UNet(**{"width": 2, **options})
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return made.eval()


def answer(model: nn.Module, height: int = 12, width: int = 20) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.from_numpy(batch(height, width))[:, : model.in_channels])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound model folder without ONNX."""
    return save_model(tmp_path / "model", network(), make_task("denoise", strongest=0.1), onnx=False).path


# --- round trips ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OPTIONS)
def test_saved_opened_loaded(kind: str, tmp_path: Path) -> None:
    original = network(**OPTIONS[kind])
    saved = save_model(tmp_path / "deep" / "er", original, make_task("autoencode"), size=96, onnx=False)
    opened = open_model(tmp_path / "deep" / "er")
    assert opened == saved
    assert (opened.task, opened.network, opened.size) == (make_task("autoencode"), "unet", 96)
    again = load_network(opened)
    assert not again.training
    torch.testing.assert_close(answer(again), answer(original), rtol=0, atol=0)
    for name, value in original.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


@pytest.mark.parametrize("name", TASKS)
def test_every_task_comes_back_with_its_options(name: str, tmp_path: Path) -> None:
    task = make_task(name, **({"weakest": 0.05, "strongest": 0.07} if name == "denoise" else {}))
    save_model(tmp_path, network(in_channels=task.in_channels, out_channels=task.out_channels), task, onnx=False)
    assert open_model(tmp_path).task == task


@pytest.mark.parametrize(("kind", "multiple", "fixed"), [("defaults", 16, None), ("grey", 4, None), ("bottleneck", 4, (12, 20))])  # fmt: skip
def test_what_applying_needs_to_know(kind: str, multiple: int, fixed: tuple[int, int] | None, tmp_path: Path) -> None:
    saved = save_model(tmp_path, network(**OPTIONS[kind]), make_task("autoencode"), onnx=False)
    assert (saved.multiple, saved.fixed_size) == (multiple, fixed)
    assert not saved.onnx.exists()


def test_half_weights_are_half_the_size_and_nearly_the_same(tmp_path: Path) -> None:
    original = network(width=16, depth=2)
    full, half = (
        save_model(tmp_path / kind, original, make_task("autoencode"), weights=kind, onnx=False)  # type: ignore[arg-type]
        for kind in ("float32", "float16")
    )
    assert half.weights.stat().st_size < 0.6 * full.weights.stat().st_size
    again = load_network(half)
    assert {value.dtype for value in again.parameters()} == {torch.float32}
    difference = (answer(again) - answer(original)).abs().max()
    assert 0 < difference < 5e-3
    for name, value in original.state_dict().items():
        rounded = value.half().float() if value.is_floating_point() else value
        assert torch.equal(again.state_dict()[name], rounded), name
    assert next(original.parameters()).dtype == torch.float32  # the network itself is left alone


def test_saving_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    original = network().train()
    save_model(tmp_path, original, make_task("autoencode"), onnx=False)
    assert original.training


def test_the_hub_mixin_opens_the_folder(folder: Path) -> None:
    torch.testing.assert_close(answer(UNet.from_pretrained(folder).eval()), answer(network()), rtol=0, atol=0)


def test_a_run_folder_is_opened_by_its_model(folder: Path) -> None:
    assert open_model(folder.parent) == open_model(folder)
    assert open_model(str(folder)) == open_model(folder)


@pytest.mark.parametrize("name", MODELS)
def test_bundled_models_open_by_name(name: str) -> None:
    bundled = open_model(name)
    assert bundled.weights.is_file()
    assert bundled.onnx.is_file()
    made = load_network(bundled)
    assert (made.in_channels, made.out_channels) == (bundled.task.in_channels, bundled.task.network_channels)
    with torch.inference_mode():
        assert torch.isfinite(made(torch.rand(1, made.in_channels, 32, 32))).all()


def test_a_folder_of_that_name_comes_before_a_bundled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "colorizer", network(), make_task("denoise"), onnx=False)
    monkeypatch.chdir(tmp_path)
    assert open_model("colorizer").task.name == "denoise"


# --- what is in the folder ------------------------------------------------------------------------------


def test_config_holds_the_networks_arguments_and_the_task(tmp_path: Path) -> None:
    save_model(tmp_path, network(**OPTIONS["levels"]), make_task("denoise", strongest=0.1), size=64, onnx=False)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config.pop("hashigo") == {
        "version": hashigo.__version__,
        "network": "unet",
        "contract": {
            "multiple": 8,
            "answer_scale": 1,
            "fixed_size": None,
            "enlarges": 1,
            "features": 0,
            "context_pixels": 48,
        },
        "task": {"name": "denoise", "weakest": 0.0, "strongest": 0.1},
        "size": 64,
    }
    expected = {**OPTIONS["levels"], "skips": ["none", "zeroed", "concat"], "in_channels": 3, "bottleneck": None}
    assert {name: config[name] for name in expected} == expected


def test_folders_from_before_the_contract_still_load(tmp_path: Path) -> None:
    before = network(bottleneck=4, depth=2, size=(16, 24))
    folder = save_model(tmp_path, before, make_task("autoencode"), onnx=False)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    del config["hashigo"]["contract"]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    names = {name.removeprefix("encoder."): value for name, value in before.state_dict().items()}
    save_file(
        names, tmp_path / "model.safetensors", metadata={"format": "pt"}
    )  # the plain encoder was no part of its own
    again = open_model(tmp_path)
    assert again.contract == folder.contract == before.contract
    for name, value in load_network(again).state_dict().items():
        assert torch.equal(value, before.state_dict()[name]), name


@pytest.mark.parametrize(
    "contract",
    [
        {"multiple": 0},
        {"multiple": "a"},
        {"multiple": 1e400},
        {"fixed_size": [1]},
        {"fixed_size": [0, 4]},
        {"reach": 3},
        7,
    ],
)
def test_a_contract_that_cannot_be_is_refused(contract: object, tmp_path: Path) -> None:
    save_model(tmp_path, network(), make_task("autoencode"), onnx=False)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["hashigo"]["contract"] = contract
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.json"):
        open_model(tmp_path)


def test_no_pickle_and_nothing_else(tmp_path: Path) -> None:
    save_model(tmp_path, network(), make_task("autoencode"), card="# Mine\n", onnx=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "# Mine\n"
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(network().state_dict())
        assert file.metadata() == {"format": "pt"}  # without it other libraries refuse the file


def test_a_new_model_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"an older network")
    saved = save_model(tmp_path, network(), make_task("autoencode"), onnx=False)
    assert not saved.onnx.exists()  # or applying would run the older network


# --- broken folders ---------------------------------------------------------------------------------------


def edit(**changes: Any) -> Callable[[Path], None]:
    """Writes the folder's config.json with `changes`; those under "hashigo" go into that part."""

    def do(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["hashigo"].update(changes.pop("hashigo", {}))
        (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")

    return do


def put(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def cut_weights(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def other_weights(folder: Path) -> None:
    save_model(folder.parent / "other", network(width=3), make_task("autoencode"), onnx=False)
    (folder.parent / "other" / "model.safetensors").replace(folder / "model.safetensors")


BROKEN: dict[str, Callable[[Path], Any]] = {
    "no config": lambda folder: (folder / "config.json").unlink(),
    "empty config": put("config.json", b""),
    "no JSON": put("config.json", b"{'width': 64}"),
    "no text": put("config.json", b"\xff\xfe\x00"),
    "a list": put("config.json", b"[1]"),
    "another library's": put("config.json", b'{"width": 2, "model_type": "bert"}'),
    "hashigo is null": put("config.json", b'{"hashigo": null}'),
    "task is a word": edit(hashigo={"task": "denoise"}),
    "unknown task": edit(hashigo={"task": {"name": "dream"}}),
    "unknown task option": edit(hashigo={"task": {"name": "denoise", "strength": 1}}),
    "size is a word": edit(hashigo={"size": "big"}),
    "unknown network": edit(hashigo={"network": "resnet"}),
    "network is a list": edit(hashigo={"network": ["unet"]}),
    "unknown option": edit(wdith=2),
    "option of a wrong type": edit(width="2"),
    "option that cannot be": edit(skips="gated"),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "empty weights": put("model.safetensors", b""),
    "weights are a pickle": put("model.safetensors", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."),
    "half of the weights": cut_weights,
    "weights of another network": other_weights,
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_folders(kind: str, folder: Path) -> None:
    BROKEN[kind](folder)
    with pytest.raises(ModelError, match="model") as caught:
        load_network(open_model(folder))
    assert str(folder) in str(caught.value)


def test_a_name_that_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'colorizer'"):
        open_model("colorizr")
    with pytest.raises(ModelError, match="no/such/model"):
        open_model("no/such/model")
    with pytest.raises(ModelError, match=r"config\.json"):
        open_model(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(HashigoError):
        open_model(tmp_path / "photo.jpg")
