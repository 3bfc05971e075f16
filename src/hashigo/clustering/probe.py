"""What a linear classifier can read out of features."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hashigo.clustering.rows import matrix
from hashigo.errors import DataError

_FILTERS = threading.Lock()
"""Held while warnings are filtered: Python keeps their filters for the whole process."""


def linear_probe(
    features: Any, labels: Any, test_features: Any, test_labels: Any, *, seed: int = 0
) -> dict[str, float]:
    """Accuracy, 0..1, of a logistic regression on standardized features: {"train": …, "test": …}.

    It is fitted on `features` (N, D) with `labels` (N,), by at most 100 iterations of L-BFGS.

    Raises:
        DataError: rows and labels that do not fit each other, or values that are not finite.
    """
    train, test = (np.asarray(matrix(one), np.float32) for one in (features, test_features))
    for rows, known in ((train, labels), (test, test_labels)):
        if len(rows) != len(known):
            raise DataError(f"expected a label for each of the {len(rows):,} rows, got {len(known):,} labels")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100, random_state=seed))
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, labels)
    return {"train": float(model.score(train, labels)), "test": float(model.score(test, test_labels))}
