"""Settings of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two workers on two cores: threads that wait for each other by spinning would make the suite several times slower.
# Set before torch is imported; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a record of results of its own, away from the user's."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("HASHIGO_STATE", str(folder))
    return folder
