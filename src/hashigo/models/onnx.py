"""A network as an ONNX file: any batch, height and width; weights in float32 or float16."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashigo.errors import MissingExtraError
from hashigo.files import atomic_path
from hashigo.models.weights import INT8, SCALE, Weights, packed

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

    from hashigo.networks.base import Network


def export_onnx(
    network: Network, path: str | Path, weights: Weights = "float32", *, stored: str | Path | None = None
) -> Path:
    """Writes `network` as ONNX with input "input" (N, C, H, W) and output "output", float32, N, H and W free. If its contract promises
    features, they are a second output, "features".

    A network of a fixed size keeps its H and W.

    Args:
        network: any network with a contract.
        path: the file to write.
        weights: how they are stored; runtimes convert them back when they load the file, and compute as usual.
        stored: a safetensors file beside `path` that has these weights, stored in the same way. The ONNX file then refers to its
            contents and cannot be used without it.

    Raises:
        MissingExtraError: torch, onnx or onnxscript is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch.onnx needs it, and says so less clearly)
        import torch
    except ImportError as error:
        raise MissingExtraError("ONNX export", "train", error.name or "") from error
    plain = copy.deepcopy(network).cpu().float().eval()
    fixed = plain.fixed_size
    # neither 1 nor a multiple of anything, so that the exporter treats no size as a constant
    outputs = ["output"]
    if plain.contract.features:
        outputs, plain.forward = ["output", "features"], plain.answer_and_features
    example = torch.zeros(2, plain.in_channels, *(fixed or (50, 70)))
    free = torch.export.Dim.DYNAMIC
    dims = {0: free} if fixed else {0: free, 2: free, 3: free}
    with _quiet():
        program = torch.onnx.export(
            plain, (example,), dynamo=True, dynamic_shapes=(dims,), input_names=["input"], output_names=outputs,
            verbose=False, optimize=False,
        )  # fmt: skip
    model = _simplified(program.model)  # type: ignore[union-attr]
    _strip(model)
    _pack(model, set(plain.state_dict()), weights)
    onnx.checker.check_model(model)
    if stored is not None:
        _refer(model, Path(stored))
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))
    return Path(path)


def _simplified(model: ir.Model) -> onnx.ModelProto:
    """The model with everything computed that no weight is part of. Weights keep their names and values, so that they can be
    stored once; runtimes fuse them (BatchNorm into convolutions, for instance) when they load the file."""
    import onnx_ir as ir
    from onnxscript import optimizer

    def has_no_weight(node: ir.Node) -> bool | None:
        return False if any(value is not None and value.is_initializer() for value in node.inputs) else None

    optimizer.inline(model)
    for _ in range(2):
        optimizer.fold_constants(model, should_fold=has_no_weight)
        optimizer.remove_unused_nodes(model)
    return ir.to_proto(model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's progress output and its notes about torchvision, which hashigo does not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip(model: onnx.ModelProto) -> None:
    """Removes the exporter's references to Python source, which reveal paths and double the size."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]


STORED = ".stored"
"""Added to the name of a value that still has to be converted to float32."""


def _refer(model: onnx.ModelProto, weights: Path) -> None:
    """Replaces the values of initializers that a safetensors file also contains, under the same name, by references to it."""
    from onnx import TensorProto

    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        stored = json.loads(file.read(length))
        for tensor in model.graph.initializer:
            place = stored.get(tensor.name.removesuffix(STORED), {}).get("data_offsets")
            if place is None or len(tensor.raw_data) != place[1] - place[0]:
                continue
            offset = 8 + length + place[0]
            file.seek(offset)
            if file.read(place[1] - place[0]) != tensor.raw_data:
                continue
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", weights.name), ("offset", offset), ("length", place[1] - place[0])):
                tensor.external_data.add(key=key, value=str(value))


def _pack(model: onnx.ModelProto, names: set[str], kind: Weights) -> None:
    """Stores the initializers called `names` in the same way as a safetensors file, each converted back to float32 by a node."""
    from onnx import TensorProto, helper, numpy_helper

    kept, nodes = [], []
    for tensor in model.graph.initializer:
        name = tensor.name
        parts = packed({name: numpy_helper.to_array(tensor)}, kind) if name in names else {}
        if name + INT8 in parts:
            kept += [numpy_helper.from_array(values, part) for part, values in parts.items()]
            nodes.append(helper.make_node("Cast", [name + INT8], [name + STORED], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [name + STORED, name + SCALE], [name]))
        elif name in parts and parts[name].dtype == np.float16:
            kept.append(numpy_helper.from_array(parts[name], name + STORED))
            nodes.append(helper.make_node("Cast", [name + STORED], [name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    nodes += model.graph.node
    for field, values in ((model.graph.initializer, kept), (model.graph.node, nodes)):
        del field[:]
        field.extend(values)
