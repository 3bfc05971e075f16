"""Memory and time of whole processes. Standard library only."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spent:
    """What a process cost: wall time in seconds, processor time in seconds over all cores, peak memory in MB (10⁶)."""

    seconds: float
    cpu: float
    megabytes: float


class ProcessError(Exception):
    """A process did not end with status 0; the message holds the command and the end of what it printed."""


def spend(command: Sequence[str]) -> Spent:
    """Runs a command to its end and tells what it cost.

    The kernel counts the memory of the process that started a command as the command's own until the command's program
    is loaded, so the peak is never below the caller's: keep the caller small.

    Raises:
        ProcessError: another status than 0.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdout:
        process.stdout.close()
    if process.returncode:
        tail = output.decode(errors="replace").strip().splitlines()[-6:]
        raise ProcessError(f"{' '.join(command)} ended with status {process.returncode}: {' | '.join(tail)}")
    return Spent(seconds, usage.ru_utime + usage.ru_stime, megabytes(usage.ru_maxrss))


def peak_megabytes() -> float:
    """The largest memory that this process has had, in MB; on Linux without that of the process that started it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def megabytes(maxrss: int) -> float:
    """`ru_maxrss` in MB: the kernel counts in KiB, macOS in bytes."""
    return maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
