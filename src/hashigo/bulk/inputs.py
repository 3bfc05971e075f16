"""What a plan is made of: the photos in folders, patterns, tar files and object stores."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from hashigo.bulk.storage import Entry, Folder, Place, absolute, is_store, place_of
from hashigo.data.tars import pictures_in
from hashigo.errors import DataError, PictureError, RecipeError
from hashigo.files import Others, suffix_of
from hashigo.image.formats import SUFFIXES

KINDS = SUFFIXES | {".tar"}
"""Endings of what is planned: photos, and tar files of them."""


@dataclass(frozen=True)
class Found:
    """A photo of an input. relative: its path in the mirrored tree."""

    name: str
    relative: str
    size: int
    version: str
    start: int = -1
    tar: int = 0


@dataclass
class Root:
    """An input: a folder or an address, or single names below it."""

    text: str
    only: Sequence[str] | None = None
    problems: list[str] = field(default_factory=list)

    def photos(self, others: Others, out: Place) -> Iterator[Found]:
        """Its photos, by name; nothing that is in `out`."""
        place = place_of(self.text)
        within = _within(out.text, self.text)
        entries = place.entries(KINDS, others) if self.only is None else self._single(place, others)
        for entry in entries:
            if within and entry.name.startswith(within):
                continue
            if suffix_of(entry.name) == ".tar" and entry.size >= 0:
                yield from self._of_tar(place, entry)
            else:
                yield Found(entry.name, entry.name, entry.size, entry.version)

    def _single(self, place: Place, others: Others) -> Iterator[Entry]:
        for name in self.only or ():
            if isinstance(place, Folder) and os.path.isdir(place.full(name)):  # noqa: PTH112 (of a pattern)
                for entry in Folder(Path(place.full(name))).entries(KINDS, others):
                    yield replace(entry, name=f"{name}/{entry.name}")
            else:
                yield place.entry(name) or Entry(name, -1, "")

    def _of_tar(self, place: Place, entry: Entry) -> Iterator[Found]:
        folder, length = entry.name[: -len(".tar")], len(entry.name)
        try:
            with place.open(entry.name) as stream:
                for member in pictures_in(stream, place.full(entry.name), links=True):
                    name = member.name.removeprefix("./").replace("\0", "␀")
                    if not member.isreg() or member.issparse() or "\0" in member.name:  # it will be listed as failed
                        self.problems.append(
                            f"{place.full(entry.name)}!{name}: a link or a sparse file in a tar file cannot be read; unpack it"
                        )
                        yield Found(f"{entry.name}!{name}", f"{folder}/{name}", -1, entry.version)
                        continue
                    version = f"{entry.version}@{member.offset_data}"
                    yield Found(
                        f"{entry.name}!{name}", f"{folder}/{name}", member.size, version, member.offset_data, length
                    )
        except (DataError, PictureError) as error:
            self.problems.append(str(error))
            yield Found(entry.name, entry.name, -1, entry.version)  # it will be listed as failed


def roots_of(given: str) -> Iterator[Root]:
    """What an input stands for.

    Raises:
        PictureError: there is nothing.
    """
    text = absolute(given)
    if is_store(text):
        folder, _, name = text.rpartition("/")
        if suffix_of(name) in KINDS and folder.count("/") > 1:
            yield Root(folder, [name])
        else:
            yield Root(text.rstrip("/"))
    elif os.path.isdir(text):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        yield Root(text)
    elif os.path.lexists(text):
        yield Root(str(Path(text).parent), [Path(text).name])
    elif glob.has_magic(given):
        yield from _pattern(given)
    else:
        raise PictureError(
            f"{given}: expected a folder, a pattern, a photo, a tar file or an address such as s3://bucket/folder, but nothing is there"
        )


def _pattern(given: str) -> Iterator[Root]:
    parts = Path(given).expanduser().parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    parent = absolute(str(Path(*parts[:fixed])))
    matches = sorted(glob.glob(str(Path(*parts[fixed:])), root_dir=parent, recursive=True))  # noqa: PTH207 (Path.glob matches hidden files)
    names = [
        Path(match).as_posix()
        for match in matches
        if suffix_of(match) in KINDS or os.path.isdir(os.path.join(parent, match))  # noqa: PTH112, PTH118
    ]
    if not names:
        raise PictureError(f"{given}: expected a pattern that matches photos, folders or tar files; it matches none")
    yield Root(parent, names)


def _within(inner: str, outer: str) -> str:
    """The name of `inner` below `outer`, with "/" at its end; "" if it is not there."""
    if is_store(inner) != is_store(outer):
        return ""
    if not is_store(inner):
        inner, outer = os.path.realpath(inner), os.path.realpath(outer)
    outer = outer.rstrip("/") + "/"
    return f"{inner.rstrip('/')}/".removeprefix(outer) if inner.startswith(outer) else ""


def check_apart(roots: Sequence[Root], out: Place) -> None:
    """Makes sure that no photo is found twice, and that results do not become photos of the next plan.

    Raises:
        RecipeError: an input lies in another one, or in `out`.
    """
    for root in roots:
        if root.text == out.text or _within(root.text, out.text):
            raise RecipeError(
                f"-o {out.text}: expected a folder other than the photos' own, got one that contains {root.text}"
            )
    texts = sorted((_real(root.text), root.text) for root in roots if root.only is None)
    for (outer, shown), (inner, other) in pairwise(texts):  # sorted, an outer folder comes right before those in it
        if inner.startswith(outer):
            raise RecipeError(f"expected inputs that do not overlap, got {shown} and {other}; give only the outer one")


def _real(text: str) -> str:
    return (text if is_store(text) else os.path.realpath(text)).rstrip("/") + "/"
