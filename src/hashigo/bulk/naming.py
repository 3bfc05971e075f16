"""Names of results: those that `hashigo colorize` would give them, for any number of photos in bounded memory."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path, PurePosixPath

from hashigo.image.formats import FORMATS, suffix_for_output


def target_of(relative: str, format: str) -> tuple[str, str]:
    """The name of a photo's result, with "*" in place of the word that says what was done, and the photo's own ending.

    relative: the photo's path in the mirrored tree. format: by Pillow's name; "" for the photo's own.

    >>> target_of("a/b.jpg", ""), target_of("a/b.c.heic", "PNG"), target_of("a//./b", "")
    (('a/b.*.jpg', '.jpg'), ('a/b.c.*.png', '.heic'), ('a/b.*.png', ''))
    """
    if "//" in relative or "./" in relative or relative in ("", "."):  # "." is an input that cannot be listed
        relative = str(PurePosixPath(relative if PurePosixPath(relative).name else "folder"))
    start = relative.rfind("/") + 1
    dot = relative.rfind(".", start + 1)  # as pathlib does: a name may begin or end with a dot that is no ending's
    own = relative[dot:] if 0 < dot < len(relative) - 1 else ""
    ending = FORMATS[format][0] if format else suffix_for_output(own)
    return f"{relative[: len(relative) - len(own)]}.*{ending}", own


class Names:
    """The results' names so far, in a temporary database on disk. A name that is taken gets its photo's own ending: `x.png` becomes `x.png.color.png`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hashigo-")
        self._base = sqlite3.connect(Path(self._folder.name) / "names.sqlite", isolation_level=None)
        self._base.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536; "
            "CREATE TABLE names (name TEXT PRIMARY KEY, next INTEGER) WITHOUT ROWID; CREATE TABLE sources (name TEXT PRIMARY KEY) WITHOUT ROWID; BEGIN"
        )

    def __enter__(self) -> Names:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()
        self._folder.cleanup()

    def take_source(self, name: str) -> bool:
        """Whether a photo is found for the first time."""
        return self._base.execute("INSERT OR IGNORE INTO sources VALUES (?)", (_text(name),)).rowcount == 1

    def free(self, target: str, own: str) -> tuple[str, str]:
        """A free name like `target`, and a note if that is another one."""
        if self._take(target):
            return target, ""
        stem, _, ending = target.rpartition(".*")
        (number,) = self._base.execute("SELECT next FROM names WHERE name = ?", (_text(target),)).fetchone()
        while not self._take(name := f"{stem}{own}{'' if number == 1 else f'-{number}'}.*{ending}"):
            number += 1
        self._base.execute("UPDATE names SET next = ? WHERE name = ?", (number + 1, _text(target)))
        return name, f"{target} is the result of another photo, so this one becomes {PurePosixPath(name).name}"

    def _take(self, name: str) -> bool:
        return self._base.execute("INSERT OR IGNORE INTO names VALUES (?, 1)", (_text(name),)).rowcount == 1


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
