"""Time and memory of whole processes. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

REPORT = """
import os, sys
if os.path.exists("/proc/self/status"):
    with open("/proc/self/status") as file:
        kib = int(next(line for line in file if line.startswith("VmHWM:")).split()[1])
else:
    import resource
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
print(kib * 1024 / 1e6)
"""
"""Python code that prints its process's peak memory in MB (10⁶ bytes).

Not `ru_maxrss` on Linux: there a new process starts with the peak of the process that started it.
"""


@dataclass(frozen=True)
class Spent:
    """What a process cost: wall time and processor time over all cores, in seconds."""

    seconds: float
    cpu: float


class ProcessError(Exception):
    """A process did not end with status 0; the message holds the command and the end of what it printed."""


def spend(command: Sequence[str]) -> Spent:
    """Runs a command to its end and tells what it cost.

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
        raise _error(command, process.returncode, output.decode(errors="replace"))
    return Spent(seconds, usage.ru_utime + usage.ru_stime)


def peak_megabytes(code: str, python: str = sys.executable) -> float:
    """The peak memory in MB (10⁶ bytes) of a process of its own that runs `code`.

    Raises:
        ProcessError: the code ended with an error.
    """
    command = [python, "-c", f"{code}\n{REPORT}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise _error(command[:2], done.returncode, done.stderr)
    return float(done.stdout.splitlines()[-1])


def command_line(*words: str) -> str:
    """Python code that does what `hashigo WORDS…` does, without ending the process when all is well."""
    return (
        f"from hashigo.cli.main import main\nstatus = main({list(words)!r})\nif status:\n    raise SystemExit(status)"
    )


def _error(command: Sequence[str], status: int, printed: str) -> ProcessError:
    tail = " | ".join(printed.strip().splitlines()[-6:])
    return ProcessError(f"{' '.join(command)} ended with status {status}: {tail}")


def told(met: bool, target: str) -> str:
    """A target and whether it is met."""
    return f"{target}: {'met' if met else '**missed**'}"


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
