"""The study `generate`: can a U-Net's skip connections be used in a variational autoencoder?

The article says that they should not be usable, "since there is no way to get the encoder's values when generating from random numbers". Three networks
with about as many parameters learn the same binarized pictures: a VAE without skip connections, one with a U-Net's, and a ladder VAE, in which
every skip connection is a latent with a prior of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hashigo.studies.claims import Interval, interval
from hashigo.studies.folder import StudyFolder, alone
from hashigo.studies.generate.claims import claims
from hashigo.studies.generate.classifier import dots, luma_of, seen, trained
from hashigo.studies.generate.measure import Reference
from hashigo.studies.generate.report import write_report
from hashigo.studies.generate.results import ClassifierMeasures, GenerateResults, ModelSummary, Quality, TrainingRun
from hashigo.studies.generate.settings import MODELS, GenerateSettings
from hashigo.studies.generate.train import stored_network, train_and_measure, widths
from hashigo.studies.labelled import LabelledPictures, load_pictures
from hashigo.studies.lanes import Job, counted, lanes
from hashigo.studies.settings import Say


@alone
def run_generate(settings: GenerateSettings, folder: str | Path, say: Say = lambda _: None) -> Path:
    """Runs the study, or continues it where it stopped; returns the path of `report.html`.

    say: called with a line for each step.

    Raises:
        RecipeError: invalid settings, or the folder contains another study. DataError: the pictures are missing, differ in size, have no labels,
            or have changed since the study was started. TrainingError: a network's loss is not finite.
    """
    pictures = load_pictures(settings)
    study = StudyFolder(folder, "generate", settings, ("seeds", "data_root"), pictures.about, GenerateSettings())
    if pictures.left_out:
        say(
            f"{pictures.left_out:,} pictures are left out: unreadable, without a label, too small, or of a class missing from training"
        )
    say(
        f"{len(pictures.train):,} training and {len(pictures.test):,} test pictures; "
        f"{len(MODELS)} networks × {settings.seeds} training runs × {settings.epochs} epochs"
    )
    reference = _reference(settings, pictures, study, say)
    with lanes() as together:
        together.run(counted(list(_jobs(settings, pictures, reference, study, say)), say))
    results = summarize(settings, pictures, study)
    facts = study.write_results(results)
    networks = {name: stored_network(study, name, settings.seed) for name in MODELS}
    return write_report(settings, networks, reference, study, results, facts)


def _reference(settings: GenerateSettings, pictures: LabelledPictures, study: StudyFolder, say: Say) -> Reference:
    """What generated pictures are compared with; trains the classifier if needed."""
    classifier = trained(pictures, settings.seed, study.path / "classifier.safetensors")
    reference = Reference.of(classifier, pictures, settings.generated)
    if study.finished("classifier", ClassifierMeasures) is None:
        _, odds = seen(classifier, dots(luma_of(pictures.test), 1))
        accuracy = float((odds.argmax(axis=1) == pictures.labels(pictures.test)).mean())
        study.finish("classifier", ClassifierMeasures(accuracy=accuracy, real=reference.of_real_pictures()))
        say(f"the classifier that judges generated pictures has {100 * accuracy:.1f} % accuracy on the test pictures")
    return reference


def _jobs(
    settings: GenerateSettings, pictures: LabelledPictures, reference: Reference, study: StudyFolder, say: Say
) -> Iterator[Job]:
    size = pictures.about.size
    for seed in range(settings.seed, settings.seed + settings.seeds):
        for name, width in widths(settings, size).items():
            if study.finished(f"{name}-{seed}", TrainingRun) is None:
                recipe = settings.recipe(MODELS[name], width, size, len(pictures.train))
                yield partial(train_and_measure, name, recipe, seed, settings, pictures, reference, study, say)


def summarize(settings: GenerateSettings, pictures: LabelledPictures, study: StudyFolder) -> GenerateResults:
    """All numbers of a study whose parts are finished.

    Raises:
        DataError: a part is missing.
    """
    seeds = range(settings.seed, settings.seed + settings.seeds)
    runs = {name: [study.part(f"{name}-{seed}", TrainingRun) for seed in seeds] for name in MODELS}
    values = pictures.about.size[0] * pictures.about.size[1]
    levels = {name: stored_network(study, name, settings.seed).levels for name in MODELS}
    return GenerateResults(
        data=pictures.about,
        classifier=study.part("classifier", ClassifierMeasures),
        models={name: _summary(runs[name], levels[name], values) for name in MODELS},
        claims=claims(runs, settings),
        runs=runs,
    )


def _summary(runs: Sequence[TrainingRun], levels: Sequence[str], values: int) -> ModelSummary:
    def over_runs(name: str) -> list[float]:
        return [float(getattr(run, name)) for run in runs]

    return ModelSummary(
        parameters=runs[0].parameters,
        width=runs[0].width,
        elbo=interval(over_runs("elbo")),
        bound=interval(over_runs("bound")),
        bits_per_dimension=interval(-np.array(over_runs("bound")) / values / np.log(2)),
        reconstruction=interval(over_runs("reconstruction")),
        squared_error=interval(over_runs("squared_error")),
        kl={level: interval([run.kl[place] for run in runs]) for place, level in enumerate(levels)},
        quality={way: _quality([run.quality[way] for run in runs]) for way in runs[0].quality},
        train_loss=np.mean([run.train_loss for run in runs], axis=0).tolist(),
        seconds=sum(run.seconds for run in runs),
    )


def _quality(runs: Sequence[Quality]) -> Mapping[str, Interval]:
    names = [name for name, value in vars(runs[0]).items() if value is not None]
    return {name: interval([float(getattr(run, name)) for run in runs]) for name in names}
