"""The study `purity`: do k-means clusters of a U-Net's latents agree with the pictures' labels, with and without skips?

The article trained four small U-Nets on MNIST (with or without skip connections, with or without a 16-unit
bottleneck), clustered the outputs of their tanh layer with k-means, and averaged each cluster's share of its most common
label. Here each condition can be trained with several seeds, which gives intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from hashigo.studies.folder import StudyFolder, alone
from hashigo.studies.labelled import LabelledPictures, load_pictures
from hashigo.studies.lanes import Job, counted, lanes
from hashigo.studies.purity.network import measure_baselines, train_and_measure
from hashigo.studies.purity.report import write_report
from hashigo.studies.purity.results import TrainingRun
from hashigo.studies.purity.settings import PuritySettings
from hashigo.studies.purity.summary import summarize
from hashigo.studies.settings import Say


@alone
def run_purity(settings: PuritySettings, folder: str | Path, say: Say = lambda _: None) -> Path:
    """Runs the study, or continues it where it stopped; returns the path of `report.html`.

    say: called with a line for each step.

    Raises:
        RecipeError: invalid settings, or the folder contains another study.
        DataError: the pictures are missing, differ in size, have no labels, or have changed since the study was
            started. TrainingError: a network's loss is not finite.
    """
    pictures = load_pictures(settings)
    if settings.epochs == 0:
        steps = max(1, len(pictures.train) // settings.batch_size)
        settings = replace(settings, epochs=min(100, max(10, math.ceil(1000 / steps))))
    may_grow = ("seeds", "controls", "parts", "data_root", "root")  # the last is the former name of data_root
    study = StudyFolder(folder, "purity", settings, may_grow, pictures.about, PuritySettings())
    if pictures.left_out:
        reasons = "unreadable, without a label, too small, or of a class missing from training"
        say(f"{pictures.left_out:,} pictures are left out: {reasons}")
    say(
        f"{len(pictures.train):,} training and {len(pictures.test):,} test pictures, {pictures.classes} labels; "
        f"{len(settings.conditions())} conditions × {settings.seeds} training runs × {settings.epochs} epochs"
    )
    with lanes() as together:
        jobs = list(_jobs(settings, pictures, study, say))
        together.run([*jobs[:1], *counted(jobs[1:], say)])  # the first job measures the baselines, which is quick
    results = summarize(settings, pictures, study)
    facts = study.write_results(results)
    return write_report(settings, pictures, study, results, facts)


def _jobs(settings: PuritySettings, pictures: LabelledPictures, study: StudyFolder, say: Say) -> Iterator[Job]:
    yield partial(measure_baselines, settings, pictures, study, say)
    for name, condition in settings.conditions().items():
        seeds = range(settings.seed, settings.seed + settings.seeds)
        stored = {seed: study.finished(f"{name}-{seed}", TrainingRun) for seed in seeds}
        missing = [seed for seed, run in stored.items() if run is None or run.loss != condition.loss]
        if again := [str(seed) for seed in missing if stored[seed] is not None]:
            say(f"{name}, seed {', '.join(again)}: trained again, because its loss has changed")
        recipe = settings.recipe(condition, pictures.train)
        # a GPU trains all seeds of a condition as one batched network; on CPUs a seed per core is fastest
        together = torch.cuda.is_available() and condition.network not in (
            "vae",
            "ladder",
        )  # which have a loss of their own
        groups = [missing] if together else [[seed] for seed in missing]
        for group in filter(None, groups):
            yield partial(train_and_measure, name, recipe, group, settings, pictures, study, say)
