"""hashigo: pictures in, pictures back. Train, apply and study U-Net autoencoders.

>>> import hashigo
>>> colorize = hashigo.load("colorizer")
>>> colorize("grandmother.jpg").save("grandmother.color.jpg")   # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from hashigo.apply.model import Model, load
    from hashigo.clustering import cluster, purity
    from hashigo.data import PictureSet, open_dataset
    from hashigo.errors import HashigoError
    from hashigo.image.photo import Photo, read, write
    from hashigo.latents.extract import features
    from hashigo.latents.sampling import sample
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
    "sample",
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
    "hashigo.latents.sampling": ("sample",),
    "hashigo.networks": ("UNet",),
    "hashigo.training.recipe": ("Recipe",),
    "hashigo.tasks": ("TASKS", "Task", "make_task"),
    "hashigo.training.run": ("train",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


class _Missing:
    """Stands for a public name whose packages are not installed: checking that the name exists works, using it raises an error."""

    def __init__(self, name: str, missing: str) -> None:
        self.__name__, self._missing = name, missing
        self.__doc__ = f"hashigo.{name} needs the extra 'train': pip install 'hashigo[train]'"

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Raises MissingExtraError, which names the command that installs the extra."""
        from hashigo.errors import MissingExtraError

        raise MissingExtraError(f"hashigo.{self.__name__}", "train", self._missing)

    def __repr__(self) -> str:
        return f"<hashigo.{self.__name__}: not installed, pip install 'hashigo[train]'>"


def __getattr__(name: str) -> object:
    """Public names are imported when they are first used, so that `import hashigo` costs next to nothing."""
    if name == "__version__":
        from importlib.metadata import version  # takes longer to import than all of this package's root

        return version("hashigo")
    if name not in _HOME:
        raise AttributeError(f"module 'hashigo' has no attribute {name!r}")
    try:
        value: object = getattr(importlib.import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hashigo"):
            raise
        return _Missing(name, error.name or "")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
