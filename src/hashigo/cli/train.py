"""`hashigo train RECIPE [--key value …] [--run DIR] [--resume]`: every key of a recipe is also a flag."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.cli.console import OUTPUT, say
from hashigo.cli.recipe_flags import as_field, help_text, with_hint
from hashigo.errors import DataError, MissingExtraError, RecipeError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from hashigo.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments for shell completion; jsonargparse parses them, with an option for every key of the recipe."""
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or the name of a bundled recipe")
    parser.add_argument("--run", metavar="DIR", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")


def build_parser() -> ArgumentParser:
    """The command's parser, with keys, types, defaults and help from the recipe's dataclasses."""
    try:
        from jsonargparse import ActionConfigFile, ArgumentParser  # type: ignore[attr-defined]
    except ImportError as error:
        raise MissingExtraError("training", "train", error.name or "") from error
    from hashigo.training.recipe import Recipe

    parser = ArgumentParser(
        prog="hashigo train RECIPE",
        description="Train a model from a recipe: a YAML file, or the name of a bundled recipe. Every key of the recipe is also a flag, "
        "which takes precedence.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action=ActionConfigFile, help="a second recipe whose keys override the first")
    parser.add_argument("--run", type=str, default="", help="folder of the run; by default runs/ and the recipe's name")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_class_arguments(Recipe, nested_key=None)
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command line into (recipe, run, resume).

    Raises:
        RecipeError: the recipe is missing, or a key or value is wrong; the message names it and the right one.
    """
    from hashigo.training.recipe import Recipe, find_recipe, read_yaml

    parser = build_parser()
    if "-h" in words or "--help" in words or not words:
        print(help_text(parser))
        raise SystemExit(0 if words else 2)
    if words[0].startswith("-"):
        raise RecipeError(f"expected a recipe first, got {words[0]!r}; for instance: hashigo train vivid")
    recipe = find_recipe(words[0])
    # the data commands call it --data-root; here the same word is taken for the recipe's key
    flags = [as_field(re.sub(r"^--data-root(?==|$)", "--data.root", word)) for word in words[1:]]
    for path in (str(recipe), *_configs(flags)):
        read_yaml(path)  # before a parser sees it, which trusts files more
    config = _parsed(parser, ["--config", str(recipe), *flags])
    values = {name: getattr(config, name) for name in Recipe.__dataclass_fields__}
    run = config.run or str(Path("runs") / recipe.stem)
    return argparse.Namespace(recipe=Recipe(**values), run=run, resume=config.resume)


def _configs(flags: Sequence[str]) -> list[str]:
    """The files named by options: by --config, and by --task, --network and so on, which take part of a recipe."""
    names = ("config", "task", "network", "data", "optimizer", "machine")
    given = [flag.partition("=")[::2] for flag in flags] + list(pairwise(flags))
    named = [(flag[2:], value) for flag, value in given if flag[2:] in names]
    return [value for name, value in named if value and (name == "config" or Path(value).is_file())]


def _parsed(parser: ArgumentParser, words: list[str]) -> Namespace:
    from jsonargparse import ArgumentError

    try:
        config: Namespace = parser.instantiate(parser.parse_args(words))
    except (ArgumentError, TypeError, ValueError) as error:
        raise with_hint(error, parser) from error
    return config


def run(args: argparse.Namespace) -> int:
    """Trains with a progress bar and says where the model is."""
    recipe: Recipe = args.recipe
    OUTPUT.first_only = True
    try:
        from hashigo.training.run import train
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train", error.name or "") from error
    from hashigo.cli.training_progress import TrainingProgress

    shown = TrainingProgress(recipe.epochs)
    if recipe.epochs:
        say(f"reading {recipe.data.train}")
    start = time.perf_counter()
    try:
        result = train(recipe, args.run, resume=args.resume, callbacks=[shown], say=say)
    except DataError as error:
        if any(words in str(error) for words in ("nothing is there", "neither a file or folder", "data.train")):
            raise DataError(f"{error}; name your own pictures with --data.train FOLDER") from error
        raise
    if not result.metrics:
        say(f"put together from {recipe.start} without training; the model is in {result.model.path}")
        return 0
    best = min(result.metrics, key=lambda row: row["val_loss"])
    say(
        f"done in {time.perf_counter() - start:.0f} s; best validation loss {best['val_loss']:.5g} "
        f"at epoch {best['epoch']:.0f}; the model is in {result.model.path}"
    )
    return 0
