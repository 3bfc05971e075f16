"""Evaluation: pictures through a model, measured against their originals."""

from __future__ import annotations

from hashigo.evaluation.measure import Evaluation, Scores, evaluate, originals, random_hints, treated

__all__ = ["Evaluation", "Scores", "evaluate", "originals", "random_hints", "treated"]
