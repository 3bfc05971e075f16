"""A network as an ONNX file: any batch, height and width; weights in float32 or float16."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.errors import MissingExtraError
from hashigo.files import atomic_path

if TYPE_CHECKING:
    import onnx

    from hashigo.networks.base import Network


def export_onnx(network: Network, path: str | Path, *, half: bool = False) -> Path:
    """Writes `network` as ONNX with input "input" (N, C, H, W) and output "output", float32, N, H and W free.

    A network of a fixed size keeps its H and W. `half` stores the weights as float16; runtimes convert
    them back when they load the file, and compute as usual.

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
    example = torch.zeros(2, plain.in_channels, *(fixed or (50, 70)))
    free = torch.export.Dim.DYNAMIC
    dims = {0: free} if fixed else {0: free, 2: free, 3: free}
    with _quiet():
        program = torch.onnx.export(
            plain, (example,), dynamo=True, dynamic_shapes=(dims,), input_names=["input"], output_names=["output"],
            verbose=False,
        )  # fmt: skip
    model = program.model_proto  # type: ignore[union-attr]
    _strip(model)
    if half:
        _halve(model)
    onnx.checker.check_model(model)
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))
    return Path(path)


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


def _halve(model: onnx.ModelProto) -> None:
    """Stores float32 initializers of more than 64 values as float16, each behind a Cast back to float32."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= 64:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
