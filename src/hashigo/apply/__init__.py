"""A trained model in use: one photo, many photos, many files."""

from __future__ import annotations

from hashigo.apply.model import Model, load

__all__ = ["Model", "load"]
