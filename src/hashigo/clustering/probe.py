"""A linear probe: how well a linear classifier can predict labels from features."""

from __future__ import annotations

import threading
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hashigo.clustering.measures import known
from hashigo.clustering.rows import in_memory, matrix
from hashigo.errors import DataError

TOLERANCE, MOST_ITERATIONS = 1e-3, 200
"""On MNIST's pixels, a tenth of this tolerance takes five times the iterations and is half a percent worse in the test."""

_FILTERS = threading.Lock()
"""Held while warnings are filtered: Python keeps their filters for the whole process."""


def linear_probe(
    features: ArrayLike, labels: ArrayLike, test_features: ArrayLike, test_labels: ArrayLike, *, seed: int = 0
) -> dict[str, float]:
    """Accuracy, 0..1, of a logistic regression on standardized features: {"train": …, "test": …}.

    Both sets of features are standardized with the training set's means and deviations, in float32.

    Args:
        features: (N, D), for training.
        labels: (N,), their classes: integers, at least two different ones.
        test_features: (M, D).
        test_labels: (M,).
        seed: scikit-learn's random state; its solver (L-BFGS) draws nothing as yet.

    Raises:
        DataError: rows and labels that do not match, values that are not finite, labels of -1, or only one class.
    """
    (train, classes), (test, test_classes) = _labelled(features, labels), _labelled(test_features, test_labels)
    if train.shape[1] != test.shape[1]:
        raise DataError(f"expected test features with {train.shape[1]} columns, as in training, got {test.shape[1]}")
    if (classes == classes[0]).all():
        raise DataError(f"expected at least two classes, got only {classes[0]}; train on more rows")
    model = make_pipeline(
        StandardScaler(), LogisticRegression(tol=TOLERANCE, max_iter=MOST_ITERATIONS, random_state=seed)
    )
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, classes)
    return {"train": float(model.score(train, classes)), "test": float(model.score(test, test_classes))}


def _labelled(features: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    rows, classes = in_memory(matrix(features)), known(labels)
    if len(rows) != len(classes):
        raise DataError(f"expected a label for each of the {len(rows)} rows of features, got {len(classes)} labels")
    return rows, classes
