"""Measures on the held-out pictures of a restoration study, for trained networks and for the pictures themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hashigo.color import luma
from hashigo.data.loader import ResidentPictures
from hashigo.metrics import METRICS
from hashigo.models.folder import ModelFolder, load_network
from hashigo.studies.claims import interval
from hashigo.studies.folder import StudyFolder
from hashigo.studies.restoration.data import DividedPictures
from hashigo.studies.restoration.results import Measures, NetworkSummary, Originals, TrainedNetwork
from hashigo.studies.restoration.shown import SHOWN, Pixels, is_stored, store
from hashigo.studies.settings import Say
from hashigo.training.step import step


@dataclass(frozen=True, eq=False)
class Measured:
    """The measures of each held-out picture, the network's number of parameters, and its results for the first
    pictures."""

    each: Measures
    parameters: int
    shown: Pixels


@torch.inference_mode()
def measure(model: ModelFolder, pictures: DividedPictures, batch_size: int = 64) -> Measured:
    """The measures of `METRICS` and the task's loss for each test picture, in float32."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = load_network(model).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task, criterion = model.task, model.task.criterion(model.task.loss)
    each: Measures = {name: [] for name in (*METRICS, "loss")}
    results: list[Tensor] = []
    for rgb in _batches(pictures, batch_size, device):
        done = step(network, task, rgb, run=lambda x: network.own_loss(x.contiguous(memory_format=torch.channels_last)))
        result = task.restore(done.x, done.output)
        _measure_into(each, rgb, result)
        each["loss"] += done.losses(criterion)
        results.append(result.cpu())
    return Measured(each, sum(p.numel() for p in network.parameters()), _first(results))


@torch.inference_mode()
def measure_originals(pictures: DividedPictures, study: StudyFolder, say: Say) -> Originals:
    """The baselines for the networks' measures: those of the originals and of their luma.

    The first of both are stored in the study's folder, as `originals` and `grey`.
    """
    paths = {kind: study.path / kind for kind in ("originals", "grey")}
    finished = study.finished("originals", Originals)
    if finished is not None and all(map(is_stored, paths.values())):
        return finished
    each: dict[str, Measures] = {kind: {name: [] for name in METRICS} for kind in paths}
    seen: dict[str, list[Tensor]] = {kind: [] for kind in paths}
    for rgb in _batches(pictures, 64, "cpu"):
        for kind, batch in {"originals": rgb, "grey": luma(rgb).expand(-1, 3, -1, -1)}.items():
            _measure_into(each[kind], rgb, batch)
            seen[kind].append(batch)
    for kind, path in paths.items():
        store(path, _first(seen[kind]))
    if finished is not None:
        say("storing the first originals again, because they were missing")
        return finished
    originals = Originals(originals=each["originals"], grey=each["grey"])
    study.finish("originals", originals)
    return originals


def _batches(pictures: DividedPictures, batch_size: int, device: str) -> Iterator[Tensor]:
    resident = ResidentPictures(pictures.test, device)
    for start in range(0, len(pictures.test), batch_size):
        indices = torch.arange(start, min(start + batch_size, len(pictures.test)), device=device)
        yield resident.centre(indices, pictures.crop, pictures.crop)


def _measure_into(each: Measures, original: Tensor, result: Tensor) -> None:
    for name, metric in METRICS.items():
        each[name] += metric(original, result).tolist()


def _first(batches: list[Tensor]) -> Pixels:
    """The first `SHOWN` pictures."""
    first: Pixels = np.concatenate([batch.numpy() for batch in batches])[:SHOWN]
    return first


def summarize(networks: Mapping[str, TrainedNetwork]) -> dict[str, NetworkSummary]:
    """The networks for results.json: single values and each measure's mean with its 95 % interval over pictures."""
    return {
        name: NetworkSummary(**vars(network), mean={key: interval(values) for key, values in network.each.items()})
        for name, network in networks.items()
    }
