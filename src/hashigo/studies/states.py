"""States of networks in training, from which a killed study continues."""

from __future__ import annotations

from safetensors import SafetensorError

from hashigo.errors import DataError

UNREADABLE = (SafetensorError, OSError, KeyError, TypeError, ValueError, DataError)
"""Errors raised by reading a state that is damaged or from an earlier version."""
