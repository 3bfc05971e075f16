"""Pictures for the generation study's page."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashigo.data.pictures import evenly
from hashigo.evaluation.samples import nearest
from hashigo.image.photo import Photo, photo_of
from hashigo.networks.noise import drawing_from, noise_like
from hashigo.networks.vae import VAE
from hashigo.networks.variational import Noise, again
from hashigo.pages.panels import grid
from hashigo.studies.generate.measure import generated

SHOWN = 40
"""Generated pictures that are shown of each network."""
COLUMNS = 10
STEPS = 11
"""Pictures of an interpolation."""
TIMES, EACH = 6, 4
"""Pictures whose levels are drawn again, and how often."""


def sheet(pictures: Tensor, columns: int = COLUMNS) -> Photo:
    """Pictures (N, 1, H, W), 0..1, as one."""
    return photo_of(grid([_coloured(pictures)], columns=columns))


def _coloured(pictures: Tensor) -> NDArray[np.float32]:
    rgb: NDArray[np.float32] = np.repeat(pictures.clamp(0, 1).numpy(), 3, axis=1)
    return rgb


def borrowed(network: VAE, train: Tensor, seed: int) -> tuple[Photo, Photo]:
    """Training pictures, and what is drawn with their skips."""
    made, donors = generated(network, "borrowed", SHOWN, train, seed)
    return sheet(train[donors]), sheet(made)


def with_nearest(network: VAE, train: Tensor, seed: int) -> tuple[Photo, Photo]:
    """Generated pictures, and the training pictures nearest to them."""
    made, _ = generated(network, "prior", SHOWN, train, seed)
    _, places = nearest(made.flatten(1).numpy(), train.flatten(1).numpy())
    return sheet(made), sheet(train[torch.from_numpy(places)])


@torch.no_grad()
def levels_again(network: VAE, seed: int) -> list[Photo]:
    """Generated pictures, a column for each, several times over; and for each level the same with that level drawn again each time, while the random
    numbers of the others stay."""
    with drawing_from(torch.Generator().manual_seed(seed)):
        _, latents = network.drawn([None] * len(network.levels), TIMES)
        many = [Noise(again(noise_like(z), EACH)) for z in latents]
        rows = [network.generate(many, TIMES * EACH)]
        for place in range(len(many)):
            rows.append(
                network.generate([None if at == place else noise for at, noise in enumerate(many)], TIMES * EACH)
            )
    return [sheet(row, TIMES) for row in rows]


@torch.no_grad()
def interpolations(network: VAE, test: Tensor, rows: int = 4) -> Photo:
    """Between pairs of test pictures (N, 1, H, W), one pair per row; the bottleneck's latent goes straight from one to the other."""
    ends = test[evenly(len(test), 2 * rows)]
    latent = network.latent(ends)
    share = torch.linspace(0, 1, STEPS)[:, None]
    pictures = []
    for first, last in latent.reshape(rows, 2, -1):
        path = first + share * (last - first)
        pictures.append(network.generate([path, *[None] * (len(network.levels) - 1)], STEPS, mean=True))
    return sheet(torch.cat(pictures), STEPS)
