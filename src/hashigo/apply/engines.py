"""Engines: what runs a network, on NumPy arrays. OpenVINO needs no torch; torch can use a GPU.

An engine maps float32 (N, C, H, W) to float32 (N, C', H, W) and may be called from several threads. Some networks also tell features
of places (`Contract.features`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import MissingExtraError, ModelError, RecipeError, did_you_mean
from hashigo.machine import cpu_has_bfloat16, has_torch

if TYPE_CHECKING:
    import openvino
    from torch import Tensor, nn

Floats = NDArray[np.float32]

_ONE_CALL = threading.Lock()
"""Held while OpenVINO's Python binding is called: version 2026.4 can deadlock if two threads create tensors at once."""


_OF_THE_PARENT: list[object] = []
"""OpenVINO networks kept alive in a forked child: destroying them would wait for threads that only the parent has."""


def _new_lock() -> None:
    """Replaces the lock in a forked child, where no thread will ever release the parent's."""
    global _ONE_CALL
    _ONE_CALL = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)

EngineName = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "bf16", "fp32"]


def check_precision(name: str) -> None:
    """Raises RecipeError, listing the right ones, unless `name` is a precision."""
    if name not in get_args(Precision):
        raise RecipeError(f"precision: {did_you_mean(str(name), get_args(Precision))}; got {name!r}")


class Engine(Protocol):
    """Runs a network: float32 (N, C, H, W) → float32 (N, C', H, W)."""

    description: str
    """Runtime, device and precision, to show to people."""

    def __call__(self, x: Floats) -> Floats:
        """The network's answer to a batch."""

    def with_features(self, x: Floats) -> tuple[Floats, Floats | None]:
        """The answer, and features (N, F, h, w) by which places can be compared, or None if the network has none."""


class OpenVinoEngine:
    """A network from an ONNX file on OpenVINO, in bfloat16 if the processor has hardware for it.

    Args:
        path: the ONNX file.
        precision: "auto", "bf16" or "fp32".
        threads: most threads to use; 0 takes all cores.
        shape: compiles for this input shape only, (N, C, H, W); otherwise any shape is taken.

    Raises:
        ModelError: the file is missing or OpenVINO cannot read it.
        MissingExtraError: OpenVINO is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        precision: Precision = "auto",
        threads: int = 0,
        shape: tuple[int, int, int, int] | None = None,
    ) -> None:
        check_precision(precision)
        self._path, self._precision, self._threads, self._shape = Path(path), precision, threads, shape
        self._start()

    def _start(self) -> None:
        path, precision, threads, shape = self._path, self._precision, self._threads, self._shape
        openvino = _openvino()
        if not path.is_file():
            raise ModelError(f"{path}: expected an ONNX file, got none; export the model with 'hashigo export'")
        core = openvino.Core()
        if precision == "auto":
            precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"
        settings: dict[str, str | int] = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision),
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
            settings["ENABLE_CPU_PINNING"] = "NO"  # it would pin every process to the same first cores
        try:
            model = core.read_model(str(path))
            if shape is not None:
                model.reshape(list(shape))
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ModelError(f"{path}: expected a network that OpenVINO can run: {str(error).strip()}") from error
        self._request = self._compiled.create_infer_request()
        self._process = os.getpid()
        self.channels = _channels_of(model, path)
        self.description = f"OpenVINO, CPU, {'bfloat16' if precision == 'bf16' else 'float32'}"

    def __call__(self, x: Floats) -> Floats:
        """float32 (N, C, H, W) → float32 (N, C', H, W). One call at a time, which uses all permitted threads.

        Raises:
            ModelError: OpenVINO failed, for instance because memory ran out.
        """
        return self._run(x, 1)[0]

    def with_features(self, x: Floats) -> tuple[Floats, Floats | None]:
        """The answer, and the network's second output, or None if it has none.

        Raises:
            ModelError: as a call.
        """
        output, *others = self._run(x, 2)
        return output, (others[0] if others else None)

    def _run(self, x: Floats, outputs: int) -> list[Floats]:
        """At most so many of the network's outputs."""
        with _ONE_CALL:
            if self._process != os.getpid():  # forked: OpenVINO's threads stayed with the parent, and a call would hang
                _OF_THE_PARENT.append((self._compiled, self._request))
                self._start()
            try:
                self._request.infer([np.ascontiguousarray(x, np.float32)], share_inputs=True)
            except RuntimeError as error:
                raise ModelError(f"OpenVINO failed on an input of {x.shape}: {str(error).strip()}") from error
            tensors = self._request.output_tensors[:outputs]
            return [np.array(tensor.data, dtype=np.float32) for tensor in tensors]


def _openvino() -> Any:
    """The package, without its telemetry, which would write a client id to the home folder and could send statistics.

    Raises:
        MissingExtraError: it is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if not installed: OpenVINO has a stub for that
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("the OpenVINO engine", "all", error.name or "") from error
    return openvino


def _channels_of(model: openvino.Model, path: Path) -> tuple[int, int]:
    """Channels of a network's input and output.

    Raises:
        ModelError: the network does not map pictures (N, C, H, W) to pictures.
    """
    ports = [*model.inputs, *model.outputs]
    shapes = [port.get_partial_shape() for port in ports]
    if len(model.inputs) != 1 or not model.outputs or any(shape.rank.is_dynamic or len(shape) != 4 for shape in shapes):
        found = ", ".join(str(shape) for shape in shapes)
        raise ModelError(
            f"{path}: expected a network from (N, C, H, W) to (N, C, H, W), got one with the shapes {found}"
        )
    if str(ports[0].get_element_type()) not in ("<Type: 'float32'>", "f32"):
        raise ModelError(f"{path}: expected a network that takes float32, got one for {ports[0].get_element_type()}")
    first, last = shapes[0][1], shapes[len(model.inputs)][1]
    return (0 if first.is_dynamic else first.get_length()), (0 if last.is_dynamic else last.get_length())


class TorchEngine:
    """A network on torch: on the GPU if there is one, otherwise on the CPU; in bfloat16 if the hardware supports it.

    Args:
        network: the network, with its weights.
        device: a torch device; empty takes the GPU if there is one.
        precision: "auto", "bf16" or "fp32".
    """

    def __init__(self, network: nn.Module, device: str = "", precision: Precision = "auto") -> None:
        import torch

        check_precision(precision)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if precision == "auto":
            fast = torch.cuda.is_bf16_supported() if self.device.type == "cuda" else cpu_has_bfloat16()
            precision = "bf16" if fast else "fp32"
        self.half = precision == "bf16"
        self._process = os.getpid()
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type.upper()
        self.description = f"torch, {kind}, {'bfloat16' if self.half else 'float32'}"

    def __call__(self, x: Floats) -> Floats:
        """float32 (N, C, H, W) → float32 (N, C', H, W).

        Raises:
            ModelError: torch failed, for instance because memory ran out.
        """
        output: Floats = self._run(x, self.network)
        return output

    def with_features(self, x: Floats) -> tuple[Floats, Floats | None]:
        """The answer, and the network's features of places, or None if it has none.

        Raises:
            ModelError: as a call.
        """
        made: tuple[Floats, Floats | None] = self._run(x, self.network.answer_and_features)
        return made

    def _run(self, x: Floats, run: Callable[[Tensor], Any]) -> Any:
        """What `run` makes of x, each tensor as an array."""
        import torch

        if (
            self._process != os.getpid()
        ):  # forked: waiting for OpenMP's threads, which stayed with the parent, would hang
            torch.set_num_threads(1)
            self._process = os.getpid()
        try:
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                batch = torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(self.device)
                made = run(batch.contiguous(memory_format=torch.channels_last))
                return tuple(map(_array, made)) if isinstance(made, tuple) else _array(made)
        except RuntimeError as error:
            raise ModelError(f"torch failed on an input of {x.shape}: {error}") from error


def _array(tensor: Tensor | None) -> Floats | None:
    return None if tensor is None else tensor.float().cpu().contiguous().numpy()


def choose_engine(name: EngineName, has_onnx: bool) -> str:
    """ "openvino" or "torch": the engine called `name`, or for "auto" the best for a model with or without an ONNX file.

    "auto" uses torch only for models without an ONNX file: on CPUs OpenVINO is faster and starts sooner.

    Raises:
        ModelError: no such engine, or the model cannot run on it.
        MissingExtraError: torch is needed and not installed.
    """
    if name not in ("auto", "openvino", "torch"):
        raise ModelError(f"expected the engine auto, openvino or torch, got {name!r}")
    if name == "openvino" and not has_onnx:
        raise ModelError(
            "the model has no model.onnx, which OpenVINO needs: create it with 'hashigo export', or use --engine torch"
        )
    chosen = ("openvino" if has_onnx else "torch") if name == "auto" else name
    if chosen == "torch" and not has_torch():
        raise MissingExtraError("running a network with torch", "train", "torch")
    return chosen
