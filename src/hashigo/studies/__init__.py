"""Studies: the article's experiments on your own pictures, with statistics, each in one folder with one report.

`STUDIES` lists them. Each has settings, presets, and a function that runs or continues it in a folder.
Nothing heavy is imported here, because a command's help must not need torch; a study is imported when it is used.
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
        name: Its name.
        about: Its question.
        presets_at: The location of its presets, as "module:NAME". Importing the module is cheap.
        run_at: The location of its function (settings, folder, say) → report.html. Importing the module needs torch.
    """

    name: str
    about: str
    presets_at: str
    run_at: str

    @property
    def presets(self) -> Mapping[str, Settings]:
        """Its presets by name."""
        presets: Mapping[str, Settings] = _imported(self.presets_at)
        return presets

    @property
    def run(self) -> Run:
        """The function that runs it.

        Raises:
            ModuleNotFoundError: a package that the study needs is not installed.
        """
        run: Run = _imported(self.run_at)
        return run


def _imported(place: str) -> Any:  # Any: the caller knows the type
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "autoencode",
            "how do skip connections affect reconstruction?",
            "hashigo.studies.restoration.settings:AUTOENCODE",
            "hashigo.studies.restoration.autoencode:run_autoencode",
        ),
        Study(
            "colorize",
            "how do skip connections affect colorizing, and are the resulting colours dull?",
            "hashigo.studies.restoration.settings:COLORIZE",
            "hashigo.studies.restoration.colorize:run_colorize",
        ),
        Study(
            "purity",
            "do clusters of the latents (the features in the middle) agree with the labels?",
            "hashigo.studies.purity.settings:PRESETS",
            "hashigo.studies.purity.run:run_purity",
        ),
        Study(
            "generate",
            "can skip connections be used in a variational autoencoder, which draws pictures from random numbers?",
            "hashigo.studies.generate.settings:PRESETS",
            "hashigo.studies.generate.run:run_generate",
        ),
    )
}
"""Every study by its name."""
