"""Names of results, without collisions and without overwriting an input."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashigo.apply.record import Records
from hashigo.errors import PictureError, RecipeError
from hashigo.files import Others, expand
from hashigo.image.formats import FORMATS, SUFFIXES, WRITE_SUFFIXES, suffix_for_output


@dataclass(frozen=True)
class Job:
    """One file: read `source`, write `target`. `note`: what people should know about the name of `target`."""

    source: Path
    target: Path
    note: str = ""


def plan(
    inputs: Sequence[str | Path], output: str | Path | None, suffix: str, others: Others | None = None, *, format: str = "",
    records: Records | None = None,
) -> list[Job]:  # fmt: skip
    """The jobs for the inputs. A result is `stem.suffix.ext` beside its input, or in `output` with the tree mirrored.

    `output` names the file itself where there is one input file and `output` ends in a picture's suffix. What an
    earlier run left (`stem.suffix.ext`, or anything within `output`) is not taken as input when a folder is walked.
    Where two inputs would become one file, or an output would overwrite an input or, as `records` tell, the result of another photo,
    the name of the later one keeps its original ending (`x.png` becomes `x.png.suffix.png`), and its `note` says so. others: counts the files of other kinds.

    Raises:
        PictureError: an input does not exist, or there is no picture in them.
        RecipeError: `output` is one file for several inputs, is itself an input, or ends in a suffix that is not a picture's.
    """
    target = None if output is None else Path(output)
    explicit = {os.path.realpath(path) for path in inputs if os.path.isfile(path)}  # noqa: PTH113 (Path's raises for too long names)
    sources = [
        (path, relative)
        for path, relative in expand(inputs, SUFFIXES, others)
        if os.path.realpath(path) in explicit or not _from_earlier_run(path, inputs, target, suffix)
    ]
    if not sources:
        raise PictureError(
            f"expected pictures ({' '.join(sorted(SUFFIXES))}), found none in {' '.join(map(str, inputs))}{left_out(others)}"
        )
    if output is None or target is None or not _names_file(output):
        pairs = [(path, _target(path, relative, target, suffix, format)) for path, relative in sources]
        return without_collisions(pairs, records or Records())
    if len(sources) > 1:
        raise RecipeError(f"{len(sources)} inputs cannot all become {target}; give a folder with -o")
    if os.path.realpath(target) == os.path.realpath(sources[0][0]):
        raise RecipeError(f"{target} would overwrite an input; give another -o")
    return [Job(sources[0][0], target)]


def left_out(others: Others | None) -> str:
    """For instance "; left out: 2 .heic, 1 .txt"; "" if nothing was."""
    if not others:
        return ""
    counts = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    return "; left out: " + ", ".join(f"{count} {suffix or 'without an ending'}" for suffix, count in counts)


_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}")


def _names_file(output: str | Path) -> bool:
    """Whether -o means a file and not a folder.

    Raises:
        RecipeError: it looks like a file's name, of a kind that cannot be written.
    """
    path = Path(output)
    if path.is_dir() or os.fspath(output).endswith(("/", os.sep)):
        return False
    if path.suffix.lower() in WRITE_SUFFIXES:
        return True
    if _ENDING.fullmatch(path.suffix):
        raise RecipeError(
            f"expected a file ending in one of {' '.join(sorted(WRITE_SUFFIXES))}, or a folder, got {path}; "
            f"for a new folder of that name write {path}/"
        )
    return False


def failures_path(inputs: Sequence[str | Path], jobs: Sequence[Job], output: str | Path | None) -> Path:
    """The path of a run's failures.jsonl: in the output folder, else in the first input's folder."""
    if output is not None:
        folder = Path(output).parent if _names_file(Path(output)) else Path(output)
    else:
        folder = Path(inputs[0]) if Path(inputs[0]).is_dir() else jobs[0].source.parent
    return folder / "failures.jsonl"


def _from_earlier_run(path: Path, inputs: Sequence[str | Path], output: Path | None, suffix: str) -> bool:
    """Whether a file found in a folder looks like a result, by its name or because it is in the output folder."""
    if path.stem.endswith(f".{suffix}"):
        return True
    return output is not None and _lies_in(path, output) and not any(_lies_in(given, output) for given in inputs)


def _lies_in(path: str | Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(folder)
    )  # Path.resolve raises for a link to itself


def _target(path: Path, relative: Path, output: Path | None, suffix: str, format: str) -> Path:
    name = f"{path.stem}.{suffix}{FORMATS[format][0] if format else suffix_for_output(path.suffix)}"
    return path.with_name(name) if output is None else output / relative.with_name(name)


def without_collisions(pairs: Sequence[tuple[Path, Path]], records: Records) -> list[Job]:
    """Jobs for (source, target), with other names for targets that are taken."""
    inputs = {os.path.realpath(source) for source, _ in pairs}
    taken: dict[str, Path] = {}
    jobs = []
    for source, target in pairs:

        def reason(candidate: Path, source: Path = source) -> str:
            """Why a result cannot have this name; "" if it can."""
            place = os.path.realpath(candidate)
            if place in taken:
                return f"{taken[place]} becomes {candidate} too"
            if place in inputs:
                return f"{candidate} is an input too"
            other = records.other_photo(source, candidate)
            return "" if other is None else f"{candidate} is the result of {other}"

        free = _free(source, target, reason)
        note = "" if free == target else f"{reason(target)}, so this one becomes {free.name}"
        taken[os.path.realpath(free)] = source
        jobs.append(Job(source, free, note))
    return jobs


def _free(source: Path, target: Path, reason: Callable[[Path], str]) -> Path:
    """The target, or if that is taken, a name with the source's full name: x.color.png, x.gif.color.png, …"""
    ending = target.name.removeprefix(source.stem)
    names = itertools.chain(
        [target.name, f"{source.name}{ending}"], (f"{source.name}-{n}{ending}" for n in itertools.count(2))
    )
    return next(path for path in map(target.with_name, names) if not reason(path))
