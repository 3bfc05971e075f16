"""Training a network for the purity study, and measuring its latents at the epochs of the sweep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hashigo.clustering import Clustering, cluster, contingency, linear_probe, scores
from hashigo.data import PictureSet
from hashigo.data.loader import Loader, ResidentPictures
from hashigo.data.pictures import evenly
from hashigo.errors import TrainingError
from hashigo.latents.extract import empty_rows, extract
from hashigo.machine import quarter_of_memory
from hashigo.models.folder import load_network, open_model, save_model
from hashigo.networks.base import Network
from hashigo.studies.folder import StudyFolder
from hashigo.studies.labelled import LabelledPictures, rgb_of
from hashigo.studies.lanes import GoOn
from hashigo.studies.purity.results import ClusterScores, FeatureMeasures, History, Probe, Scores, SweepRow, TrainingRun
from hashigo.studies.purity.settings import SWEEP, PuritySettings
from hashigo.studies.serializing import Json, from_json, json_object
from hashigo.studies.settings import Say
from hashigo.studies.states import UNREADABLE
from hashigo.tasks import Task
from hashigo.training.recipe import Recipe
from hashigo.training.together import Together, stored_epoch


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def measure_baselines(
    settings: PuritySettings, pictures: LabelledPictures, study: StudyFolder, say: Say, go_on: GoOn
) -> None:
    """Clusters raw pixels (values / 255), and their principal components, as many as the bottleneck has units."""
    raw = raw_values(pictures.train), raw_values(pictures.test)
    if study.finished("raw", FeatureMeasures) is None:
        measures = _measure(raw, pictures, settings)
        study.finish("raw", measures)
        say(f"raw pixels: purity {measures.purity:.4f}")
    if study.finished("pca", FeatureMeasures) is None and go_on():
        from sklearn.decomposition import PCA

        fitted = raw[0][_fitting(raw[0])]
        pca = PCA(min(settings.units, *fitted.shape), random_state=settings.seed).fit(fitted)
        measures = _measure((pca.transform(raw[0]), pca.transform(raw[1])), pictures, settings)
        study.finish("pca", replace(measures, explained_variance=float(pca.explained_variance_ratio_.sum())))
        say(f"principal components: purity {measures.purity:.4f}")


def raw_values(pictures: PictureSet) -> NDArray[np.float32]:
    """The pixels of each picture as one row of values 0..1."""
    array = pictures.array().reshape(len(pictures), -1)
    rows = empty_rows(*array.shape)
    for start in range(0, len(array), 4096):
        np.divide(array[start : start + 4096], np.float32(255), out=rows[start : start + 4096])
    return rows


def _fitting(rows: NDArray[np.float32]) -> slice | NDArray[np.int64]:
    """The rows for fitting a model that needs them in memory: all, or if they are on disk, some, evenly spaced."""
    return evenly(len(rows), quarter_of_memory() // rows[:1].nbytes) if isinstance(rows, np.memmap) else slice(None)


Features = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The training and the test pictures' features, (N, D) each."""


def _measure(features: Features, pictures: LabelledPictures, settings: PuritySettings) -> FeatureMeasures:
    """Clusters' scores, linear probe and contingency table."""
    start = time.perf_counter()
    train, test = features
    agreement, clusters = _cluster_scores(features, pictures, settings)
    labels, some = pictures.labels(pictures.train), _fitting(train)
    best = int(np.argmin(clusters.inertia))
    return FeatureMeasures(
        **vars(agreement),
        values=int(train.shape[1]),
        contingency=contingency(labels, clusters.labels[best]).tolist(),
        probe=Probe(
            **linear_probe(train[some], labels[some], test, pictures.labels(pictures.test), seed=settings.seed)
        ),
        measuring_seconds=time.perf_counter() - start,
        machine=f"{_device()}, float32",  # k-means
    )


def _cluster_scores(
    features: Features, pictures: LabelledPictures, settings: PuritySettings
) -> tuple[ClusterScores, Clustering]:
    """Fits k-means on the training features; returns scores of each run on these and on the test features."""
    train, test = features
    clusters = cluster(train, pictures.classes, seeds=settings.kmeans_seeds, device=_device())
    agreement = ClusterScores(
        inertia=clusters.inertia.tolist(),
        iterations=clusters.iterations.tolist(),
        train=_scores(pictures.labels(pictures.train), clusters.labels),
        test=_scores(pictures.labels(pictures.test), clusters.predict(test)),
    )
    return agreement, clusters


def _scores(labels: NDArray[np.int64], clusters: NDArray[np.integer]) -> Scores:
    """Scores of each k-means run; labels (N,), clusters (runs, N)."""
    runs = [scores(labels, run) for run in clusters]
    return Scores(**{measure: [run[measure] for run in runs] for measure in runs[0]})


def train_and_measure(
    name: str,
    recipe: Recipe,
    seeds: Sequence[int],
    settings: PuritySettings,
    pictures: LabelledPictures,
    study: StudyFolder,
    say: Say,
    go_on: GoOn,
) -> None:
    """Trains a condition with all `seeds` together, measures along the sweep, and stores part and model of each.

    Measurements are stored beside the weights, so a killed run continues from the last measured epoch:
    each seed from its own, whatever seeds it was trained with. Seeds at the same epoch continue together.

    Raises:
        TrainingError: the loss or the latents are not finite.
    """
    groups: dict[int | None, list[int]] = {}
    for seed in seeds:
        groups.setdefault(_epoch_of(_state(study, name, seed), say), []).append(seed)
    for epoch, group in groups.items():
        label = f"{name}, seed {', '.join(map(str, group))}"
        try:
            _train_group(name, recipe, group, epoch, settings, pictures, study, say, go_on, label)
        except TrainingError as error:
            raise TrainingError(
                f"{label}: training diverged ({str(error).partition(';')[0]}); give a lower --lr than {settings.lr:g}, and "
                "another folder with --run"
            ) from error


def _train_group(
    name: str, recipe: Recipe, seeds: Sequence[int], epoch: int | None, settings: PuritySettings, pictures: LabelledPictures,
    study: StudyFolder, say: Say, go_on: GoOn, label: str,
) -> None:  # fmt: skip
    """Trains and measures seeds whose states are all at `epoch`; None if there are none."""
    states = [_state(study, name, seed) for seed in seeds]
    networks, histories = _begin(recipe, seeds, pictures, states if epoch is not None else [], say)
    while networks.epoch < recipe.epochs:
        if networks.epoch in SWEEP and not any(row.epoch == networks.epoch for row in histories.rows[0]):
            for rows, network in zip(histories.rows, networks.networks(), strict=True):
                rows.append(_along_the_way(network, networks, pictures, settings))
            networks.save(states, histories.as_json())
            purity = np.mean([rows[-1].train.purity for rows in histories.rows])
            say(f"{label}, epoch {networks.epoch}: purity {purity:.4f}")
        start = time.perf_counter()
        for losses, loss in zip(histories.losses, networks.train_epoch(go_on), strict=True):
            losses.append(loss)
        histories.seconds += time.perf_counter() - start
    networks.save(
        states, histories.as_json()
    )  # measuring takes long; an interruption between two seeds loses no training
    for place, network in enumerate(networks.networks()):
        run = _finish(name, place, network, networks, histories, settings, pictures, study)
        states[place].unlink(missing_ok=True)
        say(f"{name}, seed {run.seed}, done: purity {run.purity:.4f}, loss {run.train_loss[-1]:.4g}")


@dataclass
class _Histories:
    """Measurements along the sweep: for each seed the rows and the epochs' losses, and the total duration."""

    rows: list[list[SweepRow]]
    losses: list[list[float]]
    seconds: float = 0.0

    def as_json(self) -> list[dict[str, Json]]:
        """Each seed's part of it, a `History`."""
        share = self.seconds / len(self.rows)
        pairs = zip(self.rows, self.losses, strict=True)
        return [json_object(History(rows=rows, losses=losses, seconds=share)) for rows, losses in pairs]


def _state(study: StudyFolder, name: str, seed: int) -> Path:
    """The path of a network's state until it is finished."""
    return study.path / "states" / f"{name}-{seed}.safetensors"


def _epoch_of(state: Path, say: Say) -> int | None:
    """The epoch of the stored state; None if there is none to continue from."""
    if not state.is_file():
        return None
    try:
        return stored_epoch(state)
    except UNREADABLE as error:
        say(f"{state} cannot be read ({error}); its training starts again")
        return None


def _begin(
    recipe: Recipe, seeds: Sequence[int], pictures: LabelledPictures, states: Sequence[Path], say: Say
) -> tuple[Together, _Histories]:
    """The networks as last stored in `states`, or new ones."""
    networks = Together(recipe, seeds, pictures.resident)
    if states:
        try:
            stored = [from_json(History, history) for history in networks.restore(states)]
            rows, losses = [history.rows for history in stored], [history.losses for history in stored]
            return networks, _Histories(rows, losses, sum(history.seconds for history in stored))
        except UNREADABLE as error:
            paths = ", ".join(map(str, states))
            say(f"{paths} cannot be read ({error}); training starts again")
            networks = Together(recipe, seeds, pictures.resident)
    return networks, _Histories([[] for _ in seeds], [[] for _ in seeds])


def _finish(
    name: str, place: int, network: Network, networks: Together, histories: _Histories, settings: PuritySettings,
    pictures: LabelledPictures, study: StudyFolder,
) -> TrainingRun:  # fmt: skip
    """Measures the network of the seed at `place`, stores network and measurements, and returns the latter."""
    seed, epochs = networks.seeds[place], networks.epoch
    save_model(
        study.path / "models" / f"{name}-{seed}", network, networks.task, size=min(pictures.about.size), onnx=False
    )
    measures = _measure(_latents(network, networks.task, pictures), pictures, settings)
    agreement = {field.name: getattr(measures, field.name) for field in fields(ClusterScores)}
    last = SweepRow(epoch=epochs, test_loss=held_out_loss(network, networks, pictures.test), **agreement)
    run = TrainingRun(
        **vars(replace(measures, machine=str(networks.setup))),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        seed=seed,
        sweep=[*histories.rows[place], last],
        train_loss=histories.losses[place],
        seconds=histories.seconds / len(networks.seeds),
        pooled=_pooled_scores(network, networks.task, pictures, settings),
        loss=networks.recipe.loss,
    )
    study.finish(f"{name}-{seed}", run)
    return run


def _along_the_way(
    network: Network, networks: Together, pictures: LabelledPictures, settings: PuritySettings
) -> SweepRow:
    agreement, _ = _cluster_scores(_latents(network, networks.task, pictures), pictures, settings)
    loss = held_out_loss(network, networks, pictures.test)
    return SweepRow(epoch=networks.epoch, test_loss=loss, **vars(agreement))


def _latents(network: Network, task: Task, pictures: LabelledPictures, pool: bool = False) -> Features:
    train, _ = extract(network, task, pictures.train, pool=pool, batch_size=500, device=_device())
    test, _ = extract(network, task, pictures.test, pool=pool, batch_size=500, device=_device())
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        raise TrainingError("the latents are not finite")
    return train, test


def _pooled_scores(
    network: Network, task: Task, pictures: LabelledPictures, settings: PuritySettings
) -> ClusterScores | None:
    """The scores of a trained network's latents averaged over their maps; None if they are not maps."""
    _, shape = extract(network, task, pictures.test.subset(slice(0, 1)), device=_device())
    if len(shape) < 3:
        return None
    return _cluster_scores(_latents(network, task, pictures, pool=True), pictures, settings)[0]


@torch.no_grad()
def held_out_loss(network: Network, networks: Together, pictures: PictureSet) -> float:
    """The mean squared error of reconstructions of pictures not used for training, as in the article's loss, whatever loss the network was trained with."""
    device, task = _device(), networks.task
    network = network.to(device).eval()
    loader = Loader(ResidentPictures(pictures, device), batch_size=500, crop=0, training=False)
    criterion, total = task.criterion(task.loss), 0.0
    for batch in loader:
        x, target = task.pair(batch.rgb)
        total += float(criterion(network(x).float(), target)) * len(batch.rgb)
    return total / len(pictures)


def stored_latents(folder: Path, pictures: PictureSet) -> NDArray[np.float32]:
    """A stored model's latents: (N, D)."""
    model = open_model(folder)
    return extract(load_network(model), model.task, pictures)[0]


def reconstructions(folder: Path, pictures: PictureSet) -> NDArray[np.float32]:
    """A stored model's reconstructions: (N, 3, H, W), 0..1."""
    model = open_model(folder)
    network = load_network(model)
    with torch.no_grad():
        x = model.task.encode(rgb_of(pictures))
        result: NDArray[np.float32] = model.task.restore(x, network(x)).numpy()
    return result
