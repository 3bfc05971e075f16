"""Settings of all tests."""

from __future__ import annotations

import os

# Two workers on two cores: threads that wait for each other by spinning would make the suite several times slower.
# Set before torch is imported; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
