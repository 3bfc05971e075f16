"""Evaluation: pictures through a model, measured against their originals."""

from __future__ import annotations

from hashigo.evaluation.measure import Evaluation, Scores, evaluate, hints_from_original, originals, treated

__all__ = ["Evaluation", "Scores", "evaluate", "hints_from_original", "originals", "treated"]
