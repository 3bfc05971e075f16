"""`hashigo study NAME [--preset quick|article] [--data NAME_OR_DIR] [--run DIR]`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.cli.console import say
from hashigo.cli.recipe_flags import as_field, help_text, with_hint
from hashigo.errors import MissingExtraError, RecipeError, did_you_mean

if TYPE_CHECKING:
    from hashigo.studies import Study

USAGE = "hashigo study {studies} [--preset quick|article] [--data NAME_OR_DIR] [--run DIR]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments for shell completion; jsonargparse parses them, with an option for every setting of the study."""
    from hashigo.studies import STUDIES

    presets = sorted({preset for study in STUDIES.values() for preset in study.presets})
    parser.add_argument("study", choices=list(STUDIES), help="the study")
    parser.add_argument("--preset", choices=presets, help="how large the study is")
    parser.add_argument("--data", metavar="NAME_OR_DIR", help="a named dataset or a folder")
    parser.add_argument("--run", metavar="DIR", help="folder of the study")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command line into (study, settings, run); each setting of the study is an option.

    Raises:
        RecipeError: no such study, preset, setting or value; the message says which are right.
    """
    from hashigo.studies import STUDIES

    if not words or words[0] in ("-h", "--help"):
        lines = [f"  {name:<12}{study.about}" for name, study in STUDIES.items()]
        print(
            "\n".join(
                [
                    f"usage: {USAGE.format(studies='|'.join(STUDIES))}",
                    "",
                    *lines,
                    "",
                    "hashigo study NAME --help shows all settings.",
                ]
            )
        )
        raise SystemExit(0 if words else 2)
    if words[0] not in STUDIES:
        raise RecipeError(f"expected the name of a study, got {words[0]!r}; {did_you_mean(words[0], STUDIES)}")
    return _parsed(words[0], STUDIES[words[0]], list(words[1:]))


def _parsed(name: str, study: Study, words: list[str]) -> argparse.Namespace:
    try:
        from jsonargparse import ArgumentError, ArgumentParser
    except ModuleNotFoundError as error:
        raise _missing(error) from error

    words = [as_field(word) for word in words]
    preset = study.presets[_preset_name(study, words)]
    kind = type(preset)
    parser = ArgumentParser(
        prog=f"hashigo study {name}", description=f"{name}: {study.about}", exit_on_error=False, allow_abbrev=False
    )
    parser.add_argument("--run", type=str, default="", help=f"folder of the study; by default studies/{name}-PRESET")
    parser.add_class_arguments(kind, nested_key=None)
    parser.set_defaults({field.name: getattr(preset, field.name) for field in fields(kind)})
    if "-h" in words or "--help" in words:
        print(help_text(parser))
        raise SystemExit(0)
    try:
        config = parser.instantiate(parser.parse_args(words))
    except (ArgumentError, TypeError, ValueError) as error:
        raise with_hint(error, parser) from error
    settings = kind(**{field.name: getattr(config, field.name) for field in fields(kind)})
    run = config.run or str(Path("studies") / f"{name}-{settings.preset}")
    return argparse.Namespace(study=study, settings=settings, run=run)


def _preset_name(study: Study, words: list[str]) -> str:
    """The preset that the settings start from: --preset, else quick."""
    name = "quick"
    for i, word in enumerate(words):
        if word.startswith("--preset="):
            name = word.partition("=")[2]
        elif word == "--preset" and i + 1 < len(words):
            name = words[i + 1]
    if name not in study.presets:
        raise RecipeError(f"--preset: expected the name of a preset, got {name!r}; {did_you_mean(name, study.presets)}")
    return name


def run(args: argparse.Namespace) -> int:
    """Runs the study and says where its report is."""
    try:
        run_study = args.study.run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hashigo"):
            raise
        raise _missing(error) from error
    page = run_study(args.settings, args.run, say)
    say(f"done: open {page}")
    return 0


def _missing(error: ModuleNotFoundError) -> MissingExtraError:
    return MissingExtraError("running a study", "train", error.name or "")
