"""`hashigo features MODEL IN… -o features.npz`: a layer's output for each picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashigo.cli.arguments import add_datasets, add_model, add_size
from hashigo.cli.commands import parse_words
from hashigo.cli.console import progress, say, show
from hashigo.errors import DataError, MissingExtraError
from hashigo.files import atomic_path, check_output

if TYPE_CHECKING:
    from hashigo.latents.extract import Latents

SUFFIX = ".npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_model(parser)
    inputs = add_datasets(parser)
    output = parser.add_argument(
        "-o", "--output", metavar="FILE", required=True,
        help="the .npz file to write: features (one row per picture), names, labels where known, classes, layer and shape; an existing one is replaced",
    )  # fmt: skip
    parser.add_argument(
        "--layer", metavar="NAME", default="latent", help="the layer to extract from; see --list-layers"
    )
    parser.add_argument(
        "--pool", action="store_true", help="average over height and width instead of keeping all values"
    )
    add_size(parser, "side of the central square that the network sees")
    parser.add_argument(
        "--list-layers", action=_Instead, nargs=0, of=(inputs, output), default=False,
        help="list the model's layers instead; needs neither IN nor FILE",
    )  # fmt: skip


class _Instead(argparse.Action):
    """A flag that makes the arguments `of` optional.

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
    """Parses the command's arguments."""
    return parse_words("features", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Writes the features or lists the layers; returns 1 if a picture could not be read."""
    if not args.list_layers:
        check_output(args.output, "-o", [SUFFIX], args.inputs)
    try:
        from hashigo.latents.extract import check_layer, gather, layer_names, side_of
    except ModuleNotFoundError as error:
        raise MissingExtraError("extracting features", "train", error.name or "") from error
    from hashigo.data import PictureSet, open_dataset
    from hashigo.models.folder import load_network, open_model

    folder = open_model(args.model)
    network = load_network(folder)
    if args.list_layers:
        for name in layer_names(network):
            show(name)
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


def _write(latents: Latents, path: Path) -> None:
    """The fields as arrays; labels only if some are known."""
    import numpy as np

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
