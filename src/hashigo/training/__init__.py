"""Training: a recipe and a folder in, a model out. Prints nothing; progress is shown by callbacks that callers pass in."""

from __future__ import annotations

from hashigo.training.callbacks import read_metrics
from hashigo.training.run import Run, load_data, train

__all__ = ["Run", "load_data", "read_metrics", "train"]
