"""Data: the name of a dataset, or a path, becomes a set of uint8 pictures with labels."""

from __future__ import annotations

from hashigo.data.named.sources import DATASETS, Dataset, data_root, find_local, get
from hashigo.data.opening import has_split, open_dataset
from hashigo.data.pictures import PictureSet

__all__ = ["DATASETS", "Dataset", "PictureSet", "data_root", "find_local", "get", "has_split", "open_dataset"]
