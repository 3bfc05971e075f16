"""Contenders that take turns: each is a process of its own that sleeps on a pipe until it is told how many steps to do.

Standard library only, since the Keras side runs in another environment. A worker writes one line of JSON when it is
ready, and one after each turn; it reads a number of steps per line, 0 or the end of the pipe to stop.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Turns:
    """A worker's end of the pipes. What libraries print goes to stderr, so that stdout carries the answers only."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._began = (0.0, 0.0)

    def ready(self, **about: Any) -> None:
        """Says that the contender is built and warm, and what it is."""
        self._answer(about)

    def wait(self) -> int:
        """Sleeps until the next turn, then starts the clock: the number of steps to do, or 0 when it is all over."""
        steps = int(sys.stdin.readline() or 0)
        self._began = (time.perf_counter(), cpu_seconds())
        return steps

    def done(self) -> None:
        """Stops the clock and answers."""
        seconds, cpu = time.perf_counter() - self._began[0], cpu_seconds() - self._began[1]
        self._answer({"seconds": seconds, "cpu": cpu, "memory_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss})

    def _answer(self, answer: Mapping[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()

    def serve(self, step: Callable[[], object], warmup: int, **about: Any) -> None:
        """Takes turns at `step` until it is all over, after `warmup` steps that nobody times."""
        for _ in range(warmup):
            step()
        self.ready(**about)
        while steps := self.wait():
            for _ in range(steps):
                step()
            self.done()


def cpu_seconds() -> float:
    """Processor time that this process has used, all threads together."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def busy_seconds() -> float | None:
    """Processor time that all of this machine has spent, stolen time too; None where /proc/stat is missing."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return None
    user, nice, system, _idle, _wait, irq, soft, steal = (int(v) for v in stat.read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / float(os.sysconf("SC_CLK_TCK"))


@dataclass(frozen=True)
class Turn:
    """One turn of one contender; times in seconds, processor times summed over the cores."""

    round: int
    steps: int
    seconds: float
    cpu: float
    elsewhere: float | None
    """Processor time that went to anything but the contender: how quiet the window was."""
    memory_kib: int


class WorkerError(Exception):
    """A worker ended before it answered; the message holds the end of what it printed."""


class Worker:
    """The parent's end of a contender: started and warm after construction.

    Raises:
        WorkerError: the worker ended before it was ready.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8"
            )
        self.about = self._read()

    def turn(self, round: int, steps: int) -> Turn:
        """Lets the contender do `steps` steps; everybody else sleeps."""
        before = busy_seconds()
        self._write(f"{steps}\n")
        answer = self._read()
        after = busy_seconds()
        elsewhere = None if before is None or after is None else max(0.0, after - before - answer["cpu"])
        return Turn(round, steps, answer["seconds"], answer["cpu"], elsewhere, answer["memory_kib"])

    def close(self) -> None:
        """Sends the worker home, by force if it does not listen."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self, line: str) -> None:
        stdin = self._process.stdin
        if stdin is None or self._process.poll() is not None:
            raise self._error()
        try:
            stdin.write(line)
            stdin.flush()
        except BrokenPipeError:
            raise self._error() from None

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise self._error()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _error(self) -> WorkerError:
        status = self._process.wait()
        tail = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-6:]
        return WorkerError(f"ended with status {status}: " + " | ".join(tail))
