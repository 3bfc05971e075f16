"""Studies: the article's experiments on anyone's pictures, with statistics, each as one folder with one page.

`STUDIES` lists them; each has settings, presets, and a function that runs or continues it in a folder.
Nothing heavy is imported here, since the help of a command needs no torch: a study is imported when it is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashigo.studies.settings import Say, Settings

Run = Callable[[Settings, str | Path, Say], Path]
"""(settings, folder, say) → the path of report.html."""


@dataclass(frozen=True)
class Study:
    """One study.

    Args:
        name: What it is called.
        about: What it asks.
        presets_at: Where its presets are, as "module:NAME". Importing the module costs little.
        run_at: Where its function (settings, folder, say) → report.html is. Importing the module takes torch.
    """

    name: str
    about: str
    presets_at: str
    run_at: str

    @property
    def presets(self) -> Mapping[str, Settings]:
        """Its settings by the name of the preset."""
        presets: Mapping[str, Settings] = _imported(self.presets_at)
        return presets

    @property
    def run(self) -> Run:
        """What runs it.

        Raises:
            ModuleNotFoundError: a package that the study needs is not installed.
        """
        run: Run = _imported(self.run_at)
        return run


def _imported(place: str) -> Any:  # Any: the caller knows what the place holds
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "autoencode",
            "what do skip connections do to reconstruction?",
            "hashigo.studies.restoration.settings:AUTOENCODE",
            "hashigo.studies.restoration.autoencode:run_autoencode",
        ),
        Study(
            "colorize",
            "what do they do to colouring, and how dull does it come out?",
            "hashigo.studies.restoration.settings:COLORIZE",
            "hashigo.studies.restoration.colorize:run_colorize",
        ),
        Study(
            "purity",
            "do clusters of the latents agree with labels?",
            "hashigo.studies.purity.settings:PRESETS",
            "hashigo.studies.purity.run:run_purity",
        ),
    )
}
"""Every study by its name."""
