"""Messages that Pillow and its libraries print themselves."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import warnings
from contextlib import suppress
from pathlib import Path


def quieten() -> None:
    """Keeps Pillow, and libtiff in its wheels, from writing lines about odd files: hashigo reports them itself, with the file's name. For programs
    of our own, because it changes the whole process."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    spec = importlib.util.find_spec("PIL")
    for path in Path(spec.origin).parents[1].glob("pillow.libs/libtiff*") if spec and spec.origin else ():
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)
