"""The fastest setup for this machine: precision, memory format and compilation, chosen once and shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hashigo.errors import RecipeError
from hashigo.machine import cores, cpu_has_bfloat16, has_compiler
from hashigo.training.recipe import MachineRecipe

COMPILING_PAYS = 2000
"""Number of training steps below which "auto" does not compile: compiling takes up to a minute and saves little per step."""


@dataclass(frozen=True)
class Setup:
    """The setup of a run: `accelerator` with Lightning's name, `precision` "bf16" or "fp32", and two switches."""

    accelerator: str
    precision: str
    channels_last: bool
    compile: bool

    def __str__(self) -> str:
        parts = [self.accelerator, {"bf16": "bfloat16 autocast", "fp32": "float32"}[self.precision]]
        parts.append("channels last" if self.channels_last else "channels first")
        return ", ".join([*parts, "compiled" if self.compile else "not compiled"])


def choose(recipe: MachineRecipe, steps: int) -> Setup:
    """The setup for a run of `steps` steps on this machine.

    Raises:
        RecipeError: an unavailable accelerator, or more devices than there are.
    """
    accelerator = _accelerator(recipe.accelerator)
    _check_devices(recipe.devices, accelerator)
    fast = torch.cuda.is_bf16_supported() if accelerator == "cuda" else accelerator == "tpu" or cpu_has_bfloat16()
    if accelerator == "mps":
        fast = False
    precision = recipe.precision if recipe.precision != "auto" else "bf16" if fast else "fp32"
    channels_last = _switch(recipe.channels_last, accelerator in ("cpu", "cuda"))
    compiled = _switch(recipe.compile, accelerator in ("cpu", "cuda") and has_compiler() and steps >= COMPILING_PAYS)
    return Setup(accelerator, precision, channels_last, compiled)


def _check_devices(wanted: int, accelerator: str) -> None:
    """Raises RecipeError for more devices than there are; on CPUs each is a process, so more than cores make no sense."""
    there = {"cpu": cores(), "cuda": torch.cuda.device_count(), "mps": 1}.get(accelerator)
    if there is not None and wanted > there:
        raise RecipeError(
            f"machine.devices: expected at most {there}, which this machine has ({accelerator}), got {wanted}"
        )


def _switch(value: str, automatic: bool) -> bool:
    return {"on": True, "off": False}.get(value, automatic)


def _accelerator(name: str) -> str:
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "tpu": _has_tpu()}
    name = {"gpu": "cuda"}.get(name, name)
    if name == "auto":
        # mps only on request: it has no float64, and hashigo was never tested on it
        return next(kind for kind in ("cuda", "tpu", "cpu") if here[kind])
    if name not in here:
        raise RecipeError(f"machine.accelerator: expected auto, cpu, gpu, tpu or mps, got {name!r}")
    if not here[name]:
        raise RecipeError(f"machine.accelerator: {name} is not available here; use auto or cpu")
    return name


def _has_tpu() -> bool:
    from lightning.pytorch.accelerators import XLAAccelerator

    return bool(XLAAccelerator.is_available())
