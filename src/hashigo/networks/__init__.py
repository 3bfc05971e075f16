"""Networks: tensors in, tensors out. They know nothing about tasks, colour or files.

Importing this package is cheap: names that need torch are imported on first use, so that a model's folder can
be read (`contract`) without torch. To add a network: one file with a subclass of `base.Network`, and one line in `NETWORKS`
(`networks/registry.py`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashigo.networks.base import Network
    from hashigo.networks.registry import (
        ARTICLE_SMALL_UNET,
        ARTICLE_UNET,
        ENCODERS,
        NETWORKS,
        check_pretrained,
        load_pretrained,
        make_network,
        options_of,
    )
    from hashigo.networks.unet import UNet

__all__ = [
    "ARTICLE_SMALL_UNET",
    "ARTICLE_UNET",
    "ENCODERS",
    "NETWORKS",
    "Network",
    "UNet",
    "check_pretrained",
    "load_pretrained",
    "make_network",
    "options_of",
]

_HOMES = {"Network": "base", "UNet": "unet"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'registry')}"), name)
