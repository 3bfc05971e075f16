"""hashigo: pictures in, pictures back. Train, apply and study U-Net autoencoders.

>>> import hashigo
>>> colorize = hashigo.load("colorizer")
>>> colorize("grandmother.jpg").save("grandmother.color.jpg")   # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashigo.apply.model import Model, load
    from hashigo.clustering import cluster, purity
    from hashigo.data import PictureSet, open_dataset
    from hashigo.errors import HashigoError
    from hashigo.image.photo import Photo, read, write
    from hashigo.latents.extract import features
    from hashigo.models.onnx import export_onnx
    from hashigo.networks import UNet
    from hashigo.tasks import TASKS, Task, make_task
    from hashigo.training.recipe import Recipe
    from hashigo.training.run import train

__all__ = [
    "TASKS",
    "HashigoError",
    "Model",
    "Photo",
    "PictureSet",
    "Recipe",
    "Task",
    "UNet",
    "cluster",
    "export_onnx",
    "features",
    "load",
    "make_task",
    "open_dataset",
    "purity",
    "read",
    "train",
    "write",
]

_HOMES = {
    "hashigo.apply.model": ("Model", "load"),
    "hashigo.clustering": ("cluster", "purity"),
    "hashigo.data": ("PictureSet", "open_dataset"),
    "hashigo.errors": ("HashigoError",),
    "hashigo.models.onnx": ("export_onnx",),
    "hashigo.image.photo": ("Photo", "read", "write"),
    "hashigo.latents.extract": ("features",),
    "hashigo.networks": ("UNet",),
    "hashigo.training.recipe": ("Recipe",),
    "hashigo.tasks": ("TASKS", "Task", "make_task"),
    "hashigo.training.run": ("train",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import hashigo` costs next to nothing."""
    if name == "__version__":
        from importlib.metadata import version  # takes longer to import than all of this package's root

        return version("hashigo")
    if name not in _HOME:
        raise AttributeError(f"module 'hashigo' has no attribute {name!r}")
    from hashigo.errors import MissingExtraError

    try:
        value = getattr(importlib.import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hashigo"):
            raise
        raise MissingExtraError(f"hashigo.{name}", "train", error.name or "") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
