"""Measures of a trained network: bounds on the log-likelihood, the quality of what it generates, and what its levels store."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashigo.data.pictures import evenly
from hashigo.evaluation.samples import entropy, frechet_distance, nearest, precision_recall
from hashigo.networks.noise import drawing_from, noise_like
from hashigo.networks.vae import VAE
from hashigo.networks.variational import Noise, importance_bound
from hashigo.studies.generate.classifier import Classifier, batches, dots, luma_of, seen
from hashigo.studies.generate.results import LevelEffect, Quality
from hashigo.studies.generate.settings import GenerateSettings
from hashigo.studies.labelled import LabelledPictures

TOGETHER = 500
"""Pictures that are generated at once."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What generated pictures are compared with.

    Args:
        classifier: The study's.
        train: The training pictures' luma, (N, 1, H, W).
        test: The test pictures' luma.
        features: The classifier's of the test pictures' dots, (N, FEATURES).
        distances: From each test picture to the nearest training picture, (N,).
    """

    classifier: Classifier
    train: Tensor
    test: Tensor
    features: NDArray[np.float32]
    distances: NDArray[np.float32]

    @classmethod
    def of(cls, classifier: Classifier, pictures: LabelledPictures, generated: int) -> Reference:
        """For `generated` generated pictures: as many test pictures, or all."""
        train, test = luma_of(pictures.train), luma_of(pictures.test.limited(generated))
        features, _ = seen(classifier, dots(test, 1))
        return cls(classifier, train, test, features, nearest(_rows(test), _rows(train))[0])

    def quality(self, made: Tensor, seed: int, donors: Tensor | None = None) -> Quality:
        """The quality of generated pictures (N, 1, H, W), which are probabilities. donors: the indices of training pictures whose skips were used."""
        features, odds = seen(self.classifier, dots(made, seed))
        precision, recall = precision_recall(self.features, features)
        away, places = nearest(_rows(made), _rows(self.train))
        return Quality(
            frechet=frechet_distance(self.features, features),
            precision=precision,
            recall=recall,
            entropy=entropy(odds),
            nearest=float(np.median(away) / np.median(self.distances)),
            copies=float((away < np.quantile(self.distances, 0.01)).mean()),
            donor=None if donors is None else float((places == donors.numpy()).mean()),
        )

    def of_real_pictures(self) -> Quality:
        """The quality of training pictures, as if they had been generated; that they are copies means nothing, so `nearest` and `copies` are NaN."""
        some = self.train[evenly(len(self.train), len(self.test))]
        return replace(self.quality(some, 2), nearest=math.nan, copies=math.nan)


def _rows(pictures: Tensor) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = pictures.flatten(1).numpy()
    return rows


@dataclass(frozen=True)
class Bounds:
    """Bounds and their parts, in nats per picture; see `TrainingRun`."""

    elbo: float
    bound: float
    reconstruction: float
    squared_error: float
    kl: list[float]


@torch.no_grad()
def bounds(network: VAE, pictures: LabelledPictures, settings: GenerateSettings) -> Bounds:
    """The bounds on the log-likelihood of test pictures, drawn once as dots."""
    x = dots(luma_of(pictures.test.limited(settings.bounded)), 1)
    with drawing_from(torch.Generator().manual_seed(settings.seed)):
        weights = torch.cat([network.log_weights(part, part, settings.samples) for part in batches(x)], dim=1)
        made = network.infer(x)
        errors = [(network(part) - part).square().mean() for part in batches(x)]
    return Bounds(
        elbo=float(weights.mean()),
        bound=float(importance_bound(weights).mean()),
        reconstruction=float(-network.likelihood(made.answer, x).mean()),
        squared_error=float(torch.stack(errors).mean()),
        kl=made.kl.mean(dim=1).tolist(),
    )


@torch.no_grad()
def qualities(network: VAE, reference: Reference, settings: GenerateSettings) -> dict[str, Quality]:
    """The quality of generated pictures, for each way in which the network can generate them."""
    made = {way: generated(network, way, settings.generated, reference.train, settings.seed) for way in ways(network)}
    return {way: reference.quality(pictures, 3, donors) for way, (pictures, donors) in made.items()}


def ways(network: VAE) -> tuple[str, ...]:
    """How a network can generate: from its priors alone, or, if it has deterministic skip connections, with zeros in them or a training picture's."""
    return ("zeroed", "borrowed") if network.skips == "concat" else ("prior",)


@torch.no_grad()
def generated(network: VAE, way: str, count: int, train: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
    """Generated pictures (count, 1, H, W), and the indices of the training pictures whose skips they have, if they have any."""
    generator = torch.Generator().manual_seed(seed)
    donors = torch.randint(len(train), (count,), generator=generator) if way == "borrowed" else None
    parts = []
    with drawing_from(generator):
        for start in range(0, count, TOGETHER):
            some = min(TOGETHER, count - start)
            skips = () if donors is None else network.encode(dots(train[donors[start : start + some]], seed))[1]
            parts.append(network.generate([None] * len(network.levels), some, skips=skips))
    return torch.cat(parts), donors


@torch.no_grad()
def effects(network: VAE, reference: Reference, settings: GenerateSettings) -> list[LevelEffect]:
    """What changes when one level of generated pictures is drawn again; for networks that generate from their priors alone."""
    if network.skips == "concat":
        return []
    count = min(TOGETHER, settings.generated)

    def classes(pictures: Tensor) -> NDArray[np.int64]:
        labels: NDArray[np.int64] = seen(reference.classifier, dots(pictures, 3))[1].argmax(axis=1)
        return labels

    with drawing_from(torch.Generator().manual_seed(settings.seed + 1)):
        _, latents = network.drawn([None] * len(network.levels), count)
        noise = [Noise(noise_like(z)) for z in latents]
        before, latents = network.drawn(noise, count)
        as_before = classes(before)
        result = []
        for place, level in enumerate(network.levels):
            other = Noise(noise_like(latents[place]))
            after = network.generate([other if at == place else kept for at, kept in enumerate(noise)], count)
            held = network.generate([other if at == place else z for at, z in enumerate(latents)], count)
            result.append(
                LevelEffect(
                    level=level, same_class=float((classes(after) == as_before).mean()), change=float((after - before).abs().mean()),
                    same_class_held=float((classes(held) == as_before).mean()), change_held=float((held - before).abs().mean()),
                )
            )  # fmt: skip
    return result
