"""`hashigo features MODEL IN… -o features.npz`: what a network makes of pictures, as numbers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashigo.cli.commands import parse_words
from hashigo.cli.console import progress, say
from hashigo.errors import DataError, MissingExtraError, RecipeError

if TYPE_CHECKING:
    from hashigo.latents.extract import Latents

SUFFIX = ".npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="name or folder of a model, or a training run's folder")
    inputs = parser.add_argument(
        "inputs", metavar="IN", nargs="+", help="files, folders, patterns, tar shards or names of datasets"
    )
    output = parser.add_argument(
        "-o", "--output", metavar="FILE", required=True,
        help=".npz file for features (N, D), names, labels where known, classes, layer and shape; replaced if it exists",
    )  # fmt: skip
    parser.add_argument("--layer", metavar="NAME", default="latent", help="which layer; see --list-layers")
    parser.add_argument("--pool", action="store_true", help="means over height and width instead of all values")
    parser.add_argument(
        "--size", type=int, default=0, help="side of the central squares that the network sees; 0: the model's"
    )
    parser.add_argument("--split", default="train", help="split of a dataset")
    parser.add_argument("--data-root", metavar="DIR", help="where named datasets lie")
    parser.add_argument(
        "--limit", type=int, default=0, help="at most so many pictures of each input, evenly spread; 0: all"
    )
    parser.add_argument(
        "--list-layers", action=_Instead, nargs=0, of=(inputs, output), default=False,
        help="names the model's layers instead; needs neither IN nor FILE",
    )  # fmt: skip


class _Instead(argparse.Action):
    """A flag with which the arguments `of` need not be given.

    nargs="*" from the start would not do: argparse then takes `MODEL -o FILE IN` for a command line without IN.
    """

    def __init__(
        self, option_strings: Sequence[str], dest: str, *, of: Sequence[argparse.Action], nargs: int, default: bool,
        help: str,
    ) -> None:  # fmt: skip
        super().__init__(option_strings, dest, nargs=nargs, default=default, help=help)
        self.of = of

    def __call__(self, _parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: object) -> None:
        """Sets the flag."""
        setattr(namespace, self.dest, True)
        for action in self.of:
            action.required = False
            action.nargs = "*" if action.nargs == "+" else action.nargs


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command's words as its arguments."""
    return parse_words("features", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Writes the features, or names the layers; 1 if a picture could not be read."""
    if not args.list_layers:
        _check_output(Path(args.output), args.inputs)
    try:
        from hashigo.latents.extract import check_layer, gather, layer_names, side_of
    except ModuleNotFoundError as error:
        raise MissingExtraError("extracting features", "train", error.name or "") from error
    from hashigo.data import PictureSet, open_dataset
    from hashigo.models.folder import load_network, open_model

    folder = open_model(args.model)
    network = load_network(folder)
    if args.list_layers:
        print("\n".join(layer_names(network)))
        return 0
    check_layer(network, args.layer)
    side = side_of(folder, args.size)
    options = {"split": args.split, "root": args.data_root, "limit": args.limit or None, "size": side or None}
    sets: list[PictureSet] = []
    skipped: list[tuple[str, str]] = []
    for source in args.inputs:
        try:
            sets.append(open_dataset(source, **options))
            skipped += sets[-1].skipped
        except DataError as error:
            if len(args.inputs) == 1 or not Path(source).is_file():
                raise
            skipped.append((source, str(error)))  # one of many files, as in a folder
    for name, reason in skipped:
        say(f"left out {name}: {reason}")
    if not sets:
        raise DataError(f"expected at least one picture that can be read, got none of {len(skipped)}")
    with progress("pictures", sum(map(len, sets))) as bar:
        latents = gather(network, folder.task, sets, layer=args.layer, pool=args.pool, size=side, progress=bar.step)
    _write(latents, Path(args.output))
    count, values = latents.features.shape
    labelled = "no labels" if latents.labels is None else f"{(latents.labels >= 0).sum()} labels"
    say(f"wrote {args.output}: {count} pictures × {values} features of the layer {latents.layer!r}, {labelled}")
    return 1 if skipped else 0


def _check_output(path: Path, inputs: Sequence[str]) -> None:
    """Raises RecipeError unless it can be the name of a .npz file; before hours are spent on what goes into it."""
    if any(path.exists() and Path(source).exists() and path.samefile(source) for source in inputs):
        raise RecipeError(f"-o {path}: expected another file than the input, which is never overwritten")
    if path.suffix.lower() != SUFFIX or path.is_dir():
        given = "a folder" if path.is_dir() else "another name"
        raise RecipeError(f"-o {path}: expected a file whose name ends in {SUFFIX}, got {given}; try features.npz")


def _write(latents: Latents, path: Path) -> None:
    """The fields as arrays, labels only where some are known."""
    import numpy as np

    from hashigo.files import atomic_path

    arrays: dict[str, Any] = {  # for mypy, ** might hold savez's own allow_pickle too
        "features": latents.features,
        "names": np.array(latents.names, np.str_),
        "classes": np.array(latents.classes, np.str_),
        "layer": np.array(latents.layer),
        "shape": np.array(latents.shape, np.int64),
        **({} if latents.labels is None else {"labels": latents.labels}),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
