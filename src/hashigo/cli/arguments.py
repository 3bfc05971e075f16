"""Arguments that several commands share, and types for their values. Errors say what was expected."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from hashigo.errors import PictureError
from hashigo.networks.contract import LARGEST_SIDE

if TYPE_CHECKING:
    from hashigo.tasks.hints import Hint, TimedHint


def whole_number(least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """Returns a type for whole numbers from `least` to `most`."""
    wanted = f"of at least {least}" if most is None else f"from {least} to {most:,}"

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"expected a whole number {wanted}, got {text!r}")
        return value

    return convert


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value


def above_zero(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def picture_format(text: str) -> str:
    """Pillow's name of a format that can be written."""
    from hashigo.image.formats import format_of

    try:
        return format_of(text)
    except PictureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def name_part(text: str) -> str:
    """Text that may be part of a file name."""
    if not text or any(character in text for character in "/\\\0") or text.startswith("."):
        raise argparse.ArgumentTypeError(f"expected a word for a file's name, such as color, got {text!r}")
    return text


def hint(text: str) -> Hint | TimedHint:
    """A colour hint, for a film with a time."""
    from hashigo.tasks.hints import parse_timed_hint

    try:
        return parse_timed_hint(text)
    except PictureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_model(parser: argparse.ArgumentParser, metavar: str = "MODEL") -> None:
    """Adds the model as the first argument."""
    parser.add_argument("model", metavar=metavar, help="a model's name or folder, or the folder of a training run")


def add_datasets(parser: argparse.ArgumentParser) -> argparse.Action:
    """Adds the pictures that a model is measured on and their limit."""
    inputs = parser.add_argument(
        "inputs", metavar="IN", nargs="+", help="files, folders, patterns, tar shards or names of datasets"
    )
    parser.add_argument("--split", default="train", help="the split of a named dataset")
    add_data_root(parser)
    parser.add_argument(
        "--limit", type=whole_number(), default=0, metavar="N", help="use at most N pictures of each input, evenly spaced; 0 uses all"
    )  # fmt: skip
    return inputs


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of named datasets."""
    parser.add_argument(
        "--data-root", metavar="DIR", help="folder with the named datasets; by default $HASHIGO_DATA or the user's cache"
    )  # fmt: skip


def add_size(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds the size at which the network sees a picture."""
    parser.add_argument(
        "--size", type=whole_number(0, LARGEST_SIDE), default=0, metavar="PIXELS", help=f"{what}; 0 uses the model's own"
    )  # fmt: skip


def add_vivid(parser: argparse.ArgumentParser) -> None:
    """Adds the saturation of colours."""
    parser.add_argument(
        "--vivid", type=share, metavar="V",
        help="0 favours accuracy (muted colours), 1 favours saturation; by default the model's own value, 0.97 for colorizer",
    )  # fmt: skip


def add_treatment(parser: argparse.ArgumentParser) -> None:
    """Adds what is done with photos, and how results are written, for one photo or millions."""
    add_vivid(parser)
    parser.add_argument(
        "--whole", action="store_true",
        help="colour the whole photo as one picture, including borders, pages around photos and empty sheets",
    )  # fmt: skip
    parser.add_argument(
        "--restore-with", metavar="MODEL", help="first run photos through this model, for instance one trained with the recipe restore"
    )  # fmt: skip
    parser.add_argument("--only-grey", action="store_true", help="skip photos that already have colour")
    parser.add_argument(
        "--pages", choices=["first", "all"], default="first", help="which pages or frames of a file to process"
    )
    parser.add_argument(
        "--suffix", type=name_part, metavar="WORD", help="name results photo.WORD.jpg; by default the model's own word, such as color"
    )  # fmt: skip
    parser.add_argument(
        "--keep-date", action=argparse.BooleanOptionalAction, default=True, help="give each result the date of its photo"
    )  # fmt: skip
    parser.add_argument(
        "--quality", type=whole_number(1, 100), default=92, metavar="Q", help="quality of JPEG, WebP and AVIF files, 1 to 100"
    )  # fmt: skip
    add_size(
        parser, "short side, in pixels, of the reduced copy that the network sees (the result keeps the photo's size)"
    )
    parser.add_argument(
        "--max-megapixels", type=above_zero, default=178, metavar="MP", help="refuse photos of more than MP megapixels"
    )


def add_workers(parser: argparse.ArgumentParser, most: int, what: str) -> None:
    """Adds the number of workers."""
    parser.add_argument(
        "--workers", type=whole_number(0, most), default=0, metavar="N", help=f"{what}; 0 takes one per core"
    )


def add_engine(parser: argparse.ArgumentParser, flag: str = "--engine") -> None:
    """Adds the engine."""
    parser.add_argument(
        flag,
        choices=["auto", "openvino", "torch"],
        default="auto",
        help="the library that runs the network; torch can use a GPU",
    )
