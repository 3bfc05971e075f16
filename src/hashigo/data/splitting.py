"""Splitting pictures into training and validation sets, and leaving out those with hardly any colour."""

from __future__ import annotations

import torch

from hashigo.data.loader import ResidentPictures
from hashigo.data.pictures import PictureSet
from hashigo.errors import RecipeError
from hashigo.metrics import colourfulness

MEASURED_SIDE = 96
"""Colourfulness is measured on the central squares of this side."""


def colourful(pictures: PictureSet, least: float) -> PictureSet:
    """The pictures of at least this colourfulness (M3 of Hasler & Süsstrunk 2003, 0..255 scale).

    Raises:
        RecipeError: there is none.
    """
    resident = ResidentPictures(pictures)
    masks = []
    for indices in torch.split(torch.arange(len(pictures)), 256):
        rgb = resident.centre(indices, MEASURED_SIDE, MEASURED_SIDE)
        masks.append(colourfulness(rgb, rgb) >= least)
    mask = torch.cat(masks).numpy()
    if not mask.any():
        raise RecipeError(
            f"data.colourful: expected training pictures of colourfulness {least:g} or more, found none in "
            f"{pictures.source}; lower it, or give colour photos"
        )
    return pictures if mask.all() else pictures.subset(mask)


def split_off(pictures: PictureSet, share: float, most: int = 0) -> tuple[PictureSet, PictureSet]:
    """Two sets without overlap: all but a `share` of `pictures`, and that share, chosen by a fixed shuffle."""
    if len(pictures) < 2:
        raise RecipeError(
            f"expected at least 2 pictures, so that some can be held out for validation, got {len(pictures)}"
        )
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(7)).numpy()
    count = min(max(1, round(share * len(pictures))), len(pictures) - 1)
    apart = sorted(order[:count][: most or None].tolist())
    return pictures.subset(sorted(order[count:].tolist())), pictures.subset(apart)
