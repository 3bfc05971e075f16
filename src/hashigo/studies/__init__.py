"""Studies: the article's experiments on anyone's pictures, with statistics, each as one folder with one page.

`STUDIES` names them; each has its settings, presets of these, and a function that runs it in a folder or goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashigo.studies.purity.run import run_purity
from hashigo.studies.purity.settings import PRESETS as PURITY
from hashigo.studies.restoration.autoencode import PRESETS as AUTOENCODE
from hashigo.studies.restoration.autoencode import run_autoencode
from hashigo.studies.restoration.colorize import PRESETS as COLORIZE
from hashigo.studies.restoration.colorize import run_colorize


@dataclass(frozen=True)
class Study:
    """One study: what it asks, its presets (settings by name), and what runs it: (settings, folder, say) → report.html."""

    about: str
    presets: Mapping[str, Any]
    run: Callable[..., Path]


STUDIES: dict[str, Study] = {
    "autoencode": Study("what do skip connections do to reconstruction?", AUTOENCODE, run_autoencode),
    "colorize": Study("what do they do to colouring, and how dull does it come out?", COLORIZE, run_colorize),
    "purity": Study("do clusters of the latents agree with labels?", PURITY, run_purity),
}
"""Every study by its name."""
