"""What the purity study does with one network: train it, and measure its latents at the epochs of the sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

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
from hashigo.studies.purity.data import Pictures
from hashigo.studies.purity.settings import SWEEP, PuritySettings
from hashigo.tasks import Task
from hashigo.training.recipe import Recipe
from hashigo.training.step import step_loss
from hashigo.training.together import Together, stored_epoch

Say = Callable[[str], None]
GoOn = Callable[[], bool]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def measure_baselines(settings: PuritySettings, pictures: Pictures, study: StudyFolder, say: Say, go_on: GoOn) -> None:
    """Clusters raw pixels (values / 255), and their principal components, as many as the bottleneck has units."""
    raw = tuple(raw_values(one) for one in (pictures.train, pictures.test))
    if study.finished("raw") is None:
        study.finish("raw", _whole_measure(raw, pictures, settings))
        say(f"raw pixels: purity {_mean_purity(study, 'raw'):.4f}")
    if study.finished("pca") is None and go_on():
        from sklearn.decomposition import PCA

        fitted = raw[0][_fitting(raw[0])]
        pca = PCA(min(settings.units, *fitted.shape), random_state=settings.seed).fit(fitted)
        found = _whole_measure((pca.transform(raw[0]), pca.transform(raw[1])), pictures, settings)
        study.finish("pca", {**found, "explained_variance": float(pca.explained_variance_ratio_.sum())})
        say(f"principal components: purity {_mean_purity(study, 'pca'):.4f}")


def raw_values(pictures: PictureSet) -> NDArray[np.float32]:
    """The pixels of each picture as one row of values 0..1."""
    array = pictures.array().reshape(len(pictures), -1)
    rows = empty_rows(*array.shape)
    for start in range(0, len(array), 4096):
        np.divide(array[start : start + 4096], np.float32(255), out=rows[start : start + 4096])
    return rows


def _fitting(rows: NDArray[np.float32]) -> slice | NDArray[np.int64]:
    """Which rows a model is fitted on that needs them in memory: all, or of a set on disk some, evenly spread."""
    return evenly(len(rows), quarter_of_memory() // rows[:1].nbytes) if isinstance(rows, np.memmap) else slice(None)


def _mean_purity(study: StudyFolder, name: str) -> float:
    return float(np.mean((study.finished(name) or {})["train"]["purity"]))


def _whole_measure(both: Sequence[NDArray[np.float32]], pictures: Pictures, settings: PuritySettings) -> dict[str, Any]:
    """Clusters' scores, linear probe and contingency table of (training, test) features."""
    start = time.perf_counter()
    found, clusters = _cluster_scores(both, pictures, settings)
    found["machine"] = f"{_device()}, float32"  # k-means; of a network `_finish` puts its training's in this place
    labels, some = pictures.labels(pictures.train), _fitting(both[0])
    best = int(np.argmin(clusters.inertia))
    return {
        **found,
        "values": int(both[0].shape[1]),
        "contingency": contingency(labels, clusters.labels[best]).tolist(),
        "probe": linear_probe(both[0][some], labels[some], both[1], pictures.labels(pictures.test), seed=settings.seed),
        "measuring_seconds": time.perf_counter() - start,
    }


def _cluster_scores(
    both: Sequence[NDArray[np.float32]], pictures: Pictures, settings: PuritySettings
) -> tuple[dict[str, Any], Clustering]:
    """k-means fitted on the training features; scores of each run on them and on the test features."""
    clusters = cluster(both[0], pictures.classes, seeds=settings.kmeans_seeds, device=_device())
    of = {"train": clusters.labels, "test": clusters.predict(both[1])}
    found: dict[str, Any] = {"inertia": clusters.inertia.tolist(), "iterations": clusters.iterations.tolist()}
    for part, pictures_of in (("train", pictures.train), ("test", pictures.test)):
        rows = [scores(pictures.labels(pictures_of), one) for one in of[part]]
        found[part] = {name: [row[name] for row in rows] for name in rows[0]}
    return found, clusters


def train_and_measure(
    name: str,
    recipe: Recipe,
    seeds: Sequence[int],
    settings: PuritySettings,
    pictures: Pictures,
    study: StudyFolder,
    say: Say,
    go_on: GoOn,
) -> None:
    """Trains a condition with each of `seeds` together, measures along the sweep, and stores part and model of each.

    What was measured so far is kept beside the weights, so a run that was killed goes on from the last measured epoch:
    each seed from its own, whichever seeds it was trained with. Those that are at the same epoch go on together.

    Raises:
        TrainingError: the loss or the latents are no numbers any more.
    """
    groups: dict[int | None, list[int]] = {}
    for seed in seeds:
        groups.setdefault(_epoch_of(_state(study, name, seed), say), []).append(seed)
    for epoch, group in groups.items():
        told = f"{name}, seed {', '.join(map(str, group))}"
        try:
            _train_group(name, recipe, group, epoch, settings, pictures, study, say, go_on, told)
        except TrainingError as error:
            raise TrainingError(
                f"{told}: training diverged ({str(error).partition(';')[0]}); give a lower --lr than {settings.lr:g}, and "
                "another folder with --run"
            ) from error


def _train_group(
    name: str, recipe: Recipe, seeds: Sequence[int], epoch: int | None, settings: PuritySettings, pictures: Pictures,
    study: StudyFolder, say: Say, go_on: GoOn, told: str,
) -> None:  # fmt: skip
    """Trains and measures seeds whose states are all of `epoch`, None where they have none."""
    states = [_state(study, name, seed) for seed in seeds]
    networks, history = _begin(recipe, seeds, pictures, states if epoch is not None else [], say)
    while networks.epoch < recipe.epochs:
        if networks.epoch in SWEEP and not any(row["epoch"] == networks.epoch for row in history.rows[0]):
            for row, network in zip(history.rows, networks.networks(), strict=True):
                row.append(_along_the_way(network, networks, pictures, settings))
            networks.save(states, history.of_each())
            purity = np.mean([row[-1]["train"]["purity"] for row in history.rows])
            say(f"{told}, epoch {networks.epoch}: purity {purity:.4f}")
        start = time.perf_counter()
        for loss, one in zip(history.losses, networks.train_epoch(go_on), strict=True):
            loss.append(one)
        history.seconds += time.perf_counter() - start
    networks.save(states, history.of_each())  # measuring takes long, and a stop between two seeds costs no training
    for place, network in enumerate(networks.networks()):
        _finish(name, place, network, networks, history, settings, pictures, study)
        states[place].unlink(missing_ok=True)
        part = study.finished(f"{name}-{seeds[place]}") or {}
        purity, loss = np.mean(part["train"]["purity"]), part["train_loss"][-1]
        say(f"{name}, seed {seeds[place]}, done: purity {purity:.4f}, loss {loss:.4g}")


@dataclass
class _History:
    """What was found on the way: for each seed the rows of the sweep and the epochs' losses; and the seconds in all."""

    rows: list[list[dict[str, Any]]]
    losses: list[list[float]]
    seconds: float = 0.0

    def of_each(self) -> list[dict[str, Any]]:
        """What the state of each seed keeps of it."""
        share = self.seconds / len(self.rows)
        pairs = zip(self.rows, self.losses, strict=True)
        return [{"rows": rows, "losses": losses, "seconds": share} for rows, losses in pairs]


def _state(study: StudyFolder, name: str, seed: int) -> Path:
    """Where a network is kept until it is finished."""
    return study.path / "states" / f"{name}-{seed}.safetensors"


UNREADABLE = (SafetensorError, OSError, KeyError, TypeError, ValueError)
"""What reading a state raises that is broken, or of an earlier version."""


def _epoch_of(state: Path, say: Say) -> int | None:
    """After how many epochs the state was stored, None where there is none to go on from."""
    if not state.is_file():
        return None
    try:
        return stored_epoch(state)
    except UNREADABLE as error:
        say(f"{state} cannot be read ({error}); its training begins again")
        return None


def _begin(
    recipe: Recipe, seeds: Sequence[int], pictures: Pictures, states: Sequence[Path], say: Say
) -> tuple[Together, _History]:
    """The networks as they were when they were last stored in `states`, or new ones."""
    networks = Together(recipe, seeds, pictures.resident)
    if states:
        try:
            found = networks.restore(states)
            rows, losses = [one["rows"] for one in found], [one["losses"] for one in found]
            return networks, _History(rows, losses, sum(one["seconds"] for one in found))
        except UNREADABLE as error:
            told = ", ".join(map(str, states))
            say(f"{told} cannot be read ({error}); training begins again")
            networks = Together(recipe, seeds, pictures.resident)
    return networks, _History([[] for _ in seeds], [[] for _ in seeds])


def _finish(
    name: str, place: int, network: Network, networks: Together, history: _History, settings: PuritySettings,
    pictures: Pictures, study: StudyFolder,
) -> None:  # fmt: skip
    """Measures the network of the seed at `place` and stores it with its part."""
    seed, epochs = networks.seeds[place], networks.epoch
    save_model(study.path / "models" / f"{name}-{seed}", network, networks.task, size=_side(pictures), onnx=False)
    found = _at_the_end(network, networks.task, pictures, settings)
    last = {key: found[key] for key in ("inertia", "iterations", "train", "test")}
    row = {"epoch": epochs, "test_loss": held_out_loss(network, networks, pictures.test), **last}
    seconds = history.seconds / len(networks.seeds)
    about = {
        "seed": seed,
        "sweep": [*history.rows[place], row],
        "train_loss": history.losses[place],
        "seconds": seconds,
        "machine": str(networks.setup),
    }
    study.finish(f"{name}-{seed}", {**found, **about})


def _side(pictures: Pictures) -> int:
    return min(pictures.train.uniform or (0, 0))


def _along_the_way(
    network: Network, networks: Together, pictures: Pictures, settings: PuritySettings
) -> dict[str, Any]:
    found, _ = _cluster_scores(_latents(network, networks.task, pictures), pictures, settings)
    return {"epoch": networks.epoch, "test_loss": held_out_loss(network, networks, pictures.test), **found}


def _latents(
    network: Network, task: Task, pictures: Pictures, pool: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    train, _ = extract(network, task, pictures.train, pool=pool, batch_size=500, device=_device())
    test, _ = extract(network, task, pictures.test, pool=pool, batch_size=500, device=_device())
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        raise TrainingError("latents that are no numbers")
    return train, test


def _at_the_end(network: Network, task: Task, pictures: Pictures, settings: PuritySettings) -> dict[str, Any]:
    """All measures of a trained network's latents; where they are maps, those of their averages over the maps too."""
    found = _whole_measure(_latents(network, task, pictures), pictures, settings)
    _, shape = extract(network, task, pictures.test.subset(slice(0, 1)), device=_device())
    if len(shape) == 3:
        pooled, _ = _cluster_scores(_latents(network, task, pictures, pool=True), pictures, settings)
        found["pooled"] = pooled
    found["parameters"] = sum(p.numel() for p in network.parameters())
    return found


@torch.no_grad()
def held_out_loss(network: Network, networks: Together, pictures: PictureSet) -> float:
    """The mean reconstruction loss of pictures never trained on, in the network's evaluation mode."""
    device, task = _device(), networks.task
    network = network.to(device).eval()
    loader = Loader(ResidentPictures(pictures, device), batch_size=500, crop=0, training=False)
    criterion, total = task.criterion(networks.recipe.loss or task.loss), 0.0
    for batch in loader:
        total += float(step_loss(network, task, batch.rgb, criterion=criterion)) * len(batch.rgb)
    return total / len(pictures)


def stored_latents(folder: Path, pictures: PictureSet) -> NDArray[np.float32]:
    """The latents that a stored model gives: (N, D)."""
    model = open_model(folder)
    return extract(load_network(model), model.task, pictures)[0]


def reconstructions(folder: Path, pictures: PictureSet) -> NDArray[np.float32]:
    """What a stored model makes of pictures: (N, 3, H, W), 0..1."""
    model = open_model(folder)
    network = load_network(model)
    loader = Loader(ResidentPictures(pictures), batch_size=len(pictures), crop=0, training=False)
    with torch.no_grad():
        x = model.task.encode(loader.batch(0, 0).rgb)
        result: NDArray[np.float32] = model.task.restore(x, network(x)).numpy()
    return result
