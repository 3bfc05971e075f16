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


LONG = (
    "test_vit",
    "test_readme",
    "test_several_processes",
    "test_interrupted",
    "test_page",
    "test_video",
    "test_service",
    "test_export",
    "test_clustering",
)
"""Modules that take longest. They go first, so that no process is left with one of them while the other has nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of long modules before all others."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
