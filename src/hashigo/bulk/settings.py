"""The options of a bulk run, which travel to every worker as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from hashigo.errors import RecipeError

ModelEngine = Literal["auto", "openvino", "torch"]


@dataclass(frozen=True)
class BulkSettings:
    """What is done with each photo, and how workers work.

    Args:
        model: A model's name or folder.
        vivid: 0 to 1, or None for the model's own.
        size: Short side that the network sees; 0 takes the model's.
        whole: See all of a photo as one picture.
        restore: A model that photos go through first; "" for none.
        only_grey: Leave photos alone that are in colour.
        pages: Whether further pages and frames are treated as well.
        quality: Of JPEG, WebP and AVIF, 1 to 100.
        max_megapixels: Larger photos are refused.
        suffix: The word in results' names; "" takes the model's.
        keep_date: Give each result the date of its photo (files only).
        tars: Write one tar file per shard instead of single files.
        backend: The library that runs the network.
        photo_seconds: A process that finishes no photo for as long is killed.
        photo_mb: Memory that a process may use beyond what it has when the model is loaded.
    """

    model: str = "colorizer"
    vivid: float | None = None
    size: int = 0
    whole: bool = False
    restore: str = ""
    only_grey: bool = False
    pages: Literal["first", "all"] = "first"
    quality: int = 92
    max_megapixels: float = 178.0
    suffix: str = ""
    keep_date: bool = True
    tars: bool = False
    backend: ModelEngine = "auto"
    photo_seconds: float = 300.0
    photo_mb: float = 4_000.0

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise RecipeError(f"quality: expected 1 to 100, got {self.quality}")
        for name in ("photo_seconds", "photo_mb", "max_megapixels"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"{name}: expected a number above 0, got {getattr(self, name)}")


def key_of(settings: BulkSettings, described: str) -> str:
    """A short text that differs when something that changes results does. described: of the model and its call, by `options_of`."""
    about = (described, settings.only_grey, settings.suffix, settings.tars, float(settings.max_megapixels))
    return blake2b(repr(about).encode(), digest_size=8).hexdigest()


def absolute_model(model: str) -> str:
    """A model's folder as an absolute path, because workers may run elsewhere; a bundled model's name as it is."""
    from hashigo.models.folder import MODELS

    return model if model in MODELS and not (Path(model) / "config.json").is_file() else str(Path(model).absolute())
