"""The study's own classifier: it is trained on the same binarized pictures as the networks, and its features measure what they generate."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hashigo.data import PictureSet
from hashigo.files import atomic_path
from hashigo.randomness import PictureRng
from hashigo.studies.labelled import LabelledPictures, rgb_of
from hashigo.tasks import make_task

FEATURES, STEPS, BATCH = 64, 1_500, 128


class Classifier(nn.Module):
    """(N, 1, H, W), pixels 0 or 1 → the classes' logits (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        channels = [1, 16, 32, FEATURES]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.convolutions = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(9 * FEATURES, FEATURES)
        )
        self.head = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) → (N, FEATURES)."""
        y: Tensor = self.convolutions(x)
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) → (N, classes)."""
        y: Tensor = self.head(self.features(x).relu())
        return y


TOGETHER = 5_000
"""Pictures that are converted at once: all of MNIST would take gigabytes."""


def luma_of(pictures: PictureSet) -> Tensor:
    """The pictures' luma, (N, 1, H, W), 0..1."""
    task = make_task("autoencode-grey")
    parts = range(0, len(pictures), TOGETHER)
    return torch.cat([task.encode(rgb_of(pictures.subset(slice(start, start + TOGETHER)))) for start in parts])


def dots(grey: Tensor, seed: int = 0) -> Tensor:
    """Grey pictures (N, 1, H, W) as black and white dots, the same for the same seed."""
    task, parts = make_task("autoencode-binary"), []
    for start in range(0, len(grey), TOGETHER):  # all at once, the random numbers would take gigabytes
        part = grey[start : start + TOGETHER]
        rng = PictureRng(seed, 0, torch.arange(start, start + len(part)))
        parts.append(task.drawn(part.expand(-1, 3, -1, -1), rng)[:, :1])
    return torch.cat(parts)


def trained(pictures: LabelledPictures, seed: int, file: Path) -> Classifier:
    """The classifier from `file`, or if it is not there, trained and written to it."""
    classifier = Classifier(pictures.classes)
    if file.is_file():
        classifier.load_state_dict(load_file(file))
        return classifier.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(pictures.classes)
        grey, labels = luma_of(pictures.train), torch.from_numpy(pictures.labels(pictures.train))
        optimizer = torch.optim.AdamW(classifier.parameters(), 2e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        for _ in range(STEPS):
            some = torch.randint(len(grey), (BATCH,))
            loss = cross_entropy(classifier((torch.rand_like(grey[some]) < grey[some]).float()), labels[some])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    with atomic_path(file) as temporary:
        save_file(classifier.state_dict(), temporary)
    return classifier.eval()


def batches(pictures: Tensor, size: int = 500) -> list[Tensor]:
    """Pictures (N, …) in parts of at most `size`."""
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]


@torch.no_grad()
def seen(classifier: Classifier, pictures: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the classifier makes of pictures of dots (N, 1, H, W): features (N, FEATURES) and the classes' probabilities (N, classes)."""
    features = torch.cat([classifier.features(part) for part in batches(pictures)])
    odds = classifier.head(features.relu()).softmax(dim=1)
    return features.numpy(), odds.numpy()
