"""Model folders: config.json + model.safetensors + model.onnx + README.md (the model card). Never a pickle.

Weights are stored once: model.onnx refers to their places in model.safetensors.

`config.json` contains the network's keyword arguments, as Hugging Face's hub mixin writes and reads them, and under
"hashigo" the task and the size of the pictures that the network was trained on. Reading a folder needs no torch;
`load_network` and `save_model` do.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashigo.errors import HashigoError, MissingExtraError, ModelError, RecipeError, did_you_mean
from hashigo.files import atomic_path, open_file
from hashigo.models.weights import Weights, check_weights, packed, unpacked
from hashigo.networks.contract import CHECKS, LARGEST_SIDE, Contract, contract_of, is_whole, unet_contract
from hashigo.tasks import Task, make_task, task_config

if TYPE_CHECKING:
    from hashigo.networks.base import Network

BUNDLED = Path(__file__).parents[1] / "bundled"
MODELS: dict[str, str] = {"colorizer": "colorizer", "fast": "fast"}
"""Every model that comes with the package: name → folder in `bundled`."""


@dataclass(frozen=True)
class ModelFolder:
    """The description of a model in its folder.

    task: what the network does. network: its name in `NETWORKS`. options: its keyword arguments.
    contract: its inputs and answers. size: side of the pictures that it was trained on, 0 if unknown; photos are reduced to about this size.
    """

    path: Path
    task: Task
    network: str
    options: dict[str, object] = field(default_factory=dict)
    size: int = 0
    contract: Contract = field(default_factory=Contract)

    @property
    def onnx(self) -> Path:
        """The network as ONNX; may be missing."""
        return self.path / "model.onnx"

    @property
    def weights(self) -> Path:
        """The weights as safetensors."""
        return self.path / "model.safetensors"

    @property
    def multiple(self) -> int:
        """Heights and widths that are multiples of this need no padding."""
        return self.contract.multiple

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(H, W) if the network accepts only this size (it has a bottleneck)."""
        return self.contract.fixed_size


def open_model(name_or_path: str | Path) -> ModelFolder:
    """Opens a model by the name of a bundled one, its folder, or the folder of a training run.

    Raises:
        ModelError: no such model, or not a model folder; the message says what was expected.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise ModelError(f"expected a model's name or folder, got {name_or_path!r}")
    path = Path(name_or_path)
    if str(name_or_path) in MODELS and not os.path.isfile(path / "config.json"):  # noqa: PTH113
        path = BUNDLED / MODELS[str(name_or_path)]
    elif os.path.isfile(path / "model" / "config.json"):  # noqa: PTH113 (Path's raises for too long names)
        path = path / "model"
    if not os.path.exists(path):  # noqa: PTH110
        raise ModelError(
            f"expected a model's folder or name, got {str(name_or_path)!r}, which does not exist; "
            f"{did_you_mean(str(name_or_path), MODELS)}"
        )
    return _read_folder(path)


MOST_BYTES = 16 << 20
"""Largest config.json in bytes. A real one has a few kilobytes."""


def _read_folder(path: Path) -> ModelFolder:
    """The folder's config.json, with every value checked, so that a damaged one can neither stop an album nor exhaust memory later."""
    try:
        config = _config(path / "config.json")
        about = config.pop("hashigo")
        task = dict(about["task"])
        stored, name, size = about.get("contract"), str(about["network"]), about.get("size", 0)
        if not is_whole(size, 0, LARGEST_SIDE):
            raise ModelError(f"size: expected a whole number from 0 to {LARGEST_SIDE:,}, got {size!r}")
        if name in CHECKS:
            CHECKS[name](config)
        contract = unet_contract(config) if stored is None else contract_of(stored)  # older folders have none
        return ModelFolder(path, make_task(task.pop("name"), **task), name, config, size, contract)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        reason = str(error) if isinstance(error, HashigoError | OSError) else f"{type(error).__name__}: {error}"
        raise ModelError(
            f"{path}: expected a model folder with a config.json that hashigo wrote, got none that can be read "
            f"({reason[:300]}); give the 'model' folder of a training run"
        ) from error


def _config(path: Path) -> dict[str, Any]:  # any JSON; its reader checks it
    with open_file(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ModelError(f"expected a config.json of at most {MOST_BYTES >> 20} MB, got a larger file")
    config = json.loads(content.decode("utf-8"))
    if not isinstance(config, dict) or not isinstance(config.get("hashigo"), dict):
        raise ModelError("expected keys and values with a part called 'hashigo'")
    return config


def load_network(folder: ModelFolder) -> Network:
    """The folder's network with its weights, in float32, in evaluation mode, on the CPU.

    Raises:
        ModelError: the network is not in `NETWORKS`, or the weights are missing, damaged or do not match.
        MissingExtraError: torch is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from hashigo.networks import make_network
    except ImportError as error:
        raise MissingExtraError("running a network with torch", "train", error.name or "") from error
    try:
        network = make_network(folder.network, **folder.options)
    except RecipeError as error:
        raise ModelError(f"{folder.path}: expected a config.json of a network that hashigo has: {error}") from error
    try:
        network.load_state_dict(unpacked(load_file(folder.weights)))
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{folder.weights}: expected the weights of {folder.network} {folder.options}: {error}"
        ) from error
    return network.eval()


def save_model(
    path: str | Path,
    network: Network,
    task: Task,
    *,
    size: int = 0,
    card: str = "",
    weights: Weights = "float32",
    onnx: bool = True,
) -> ModelFolder:
    """Writes a model folder, each file whole or not at all.

    Args:
        path: the folder; created if needed.
        network: a network of `NETWORKS`.
        task: its task.
        size: side of the pictures that it was trained on, 0 if unknown.
        card: text of the model card, Markdown.
        weights: how they are stored; with "int8" only large ones as integers, the others as float16.
        onnx: also write model.onnx; otherwise that of an earlier model is removed.

    Raises:
        ModelError: the network's class is not in `NETWORKS`.
    """
    check_weights(weights)
    from safetensors.numpy import save

    folder, config = Path(path), _new_config(network, task, size)
    values = {
        name: (value.float() if value.is_floating_point() else value).contiguous().cpu().numpy()
        for name, value in network.state_dict().items()
    }
    content = save(packed(values, weights), metadata={"format": "pt"})
    with atomic_path(folder / "model.safetensors") as temporary:
        temporary.write_bytes(content)  # save_file would make it private
        (folder / "model.onnx").unlink(
            missing_ok=True
        )  # an older one refers to places in the file that is replaced now
    if onnx:
        from hashigo.models.onnx import export_onnx

        export_onnx(network, folder / "model.onnx", weights, stored=folder / "model.safetensors")
    with atomic_path(folder / "README.md") as temporary:
        temporary.write_text(card or f"# {task.name}\n", encoding="utf-8")
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return _read_folder(folder)


def _new_config(network: Network, task: Task, size: int) -> dict[str, object]:
    """What `config.json` says of a model. Raises ModelError."""
    from importlib.metadata import version

    from hashigo.networks import NETWORKS

    name = next((name for name, kind in NETWORKS.items() if kind is type(network)), None)
    if name is None:
        raise ModelError(
            f"expected a network of NETWORKS ({', '.join(sorted(NETWORKS))}), got {type(network).__name__}; add its line there"
        )
    about = {
        "version": version("hashigo"),
        "network": name,
        "contract": network.contract.as_dict(),
        "task": task_config(task),
        "size": size,
    }
    return {**dict(network._hub_mixin_config or {}), "hashigo": about}  # type: ignore[arg-type]
