"""A worker: a process that has the model, and the one that watches it. Whatever a photo does to the first, the second goes on.

They exchange lines of JSON through pipes. The process is a plain `python -c`, not a fork or a spawned copy of its parent, so that it is the same below any engine.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any

from hashigo.bulk.lines import made
from hashigo.bulk.plan import STATE, Item, Shard, read_manifest, read_plan
from hashigo.bulk.reports import PhotoReport, ShardReport
from hashigo.bulk.settings import BulkSettings
from hashigo.bulk.storage import Folder, is_store, place_of
from hashigo.errors import HashigoError, ModelError, StorageError
from hashigo.files import clear_leftovers
from hashigo.machine import held_memory, limit_memory
from hashigo.models.folder import open_model

START_SECONDS = 300
"""A process that has not loaded its model by then is killed."""

COMMAND = (sys.executable, "-P", "-c", "from hashigo.bulk.worker import main; main()")
"""Starts the process with the model."""

STORE_SECONDS = 900.0
"""Least patience where photos or results are in a store."""

STARTS = 3
"""After so many processes in a row that end while they start, the worker gives up."""


# --- the process with the model ---------------------------------------------------------------------


def main() -> None:
    """The process: reads the output and the settings, loads the model, then answers until its standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the other process decides when this one ends
        with contextlib.suppress(ValueError):
            signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # what libraries print must not come between the lines
    output, settings = json.loads(sys.stdin.buffer.readline())
    lock = threading.Lock()

    def tell(**values: object) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            out.write(json.dumps(values).encode() + b"\n")

    try:
        from hashigo.bulk.shards import Shards
        from hashigo.image.messages import quieten

        quieten()
        chosen = made(BulkSettings, settings)
        shards = Shards(output, chosen, threads=1)
    except (HashigoError, OSError) as error:
        tell(refused=f"{error}")
        return
    tell(ready=held_memory(0.0))
    limit_memory(chosen.photo_mb)
    questions: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read_questions, args=(questions,), daemon=True).start()
    while True:
        answer = _answer(shards, json.loads(questions.get()), lambda: tell(alive=True))
        tell(**answer, memory=held_memory(0.0))


def _read_questions(questions: queue.Queue[bytes]) -> None:
    """Passes on each question; at the end, which the other process's death brings about, ends this process at once."""
    for line in sys.stdin.buffer:
        questions.put(line)
    os._exit(1)


def _answer(shards: Any, question: Mapping[str, Any], alive: Callable[[], object]) -> dict[str, object]:
    try:
        if "photo" in question:
            return {"outcome": asdict(shards.process_one(made(Item, question["photo"])))}
        known = {int(number): made(PhotoReport, values) for number, values in question["known"].items()}
        report = shards.process(made(Shard, question["shard"]), known=known, alone=question["alone"], alive=alive)
        return {"report": asdict(report)}
    except StorageError as error:
        return {"storage": str(error)}
    except Exception as error:  # one odd photo must not take the others' worker away
        return {"problem": f"{type(error).__name__}: {error}"}


# --- the one that watches it ------------------------------------------------------------------------


class _Ended(Exception):
    """A question has no answer: the process ended, or was killed because it took too long, or met an error that nobody expected."""


class Worker:
    """Processes shards in a process of its own, which is replaced whenever it ends.

    Args:
        output: OUT, with its plan.
        settings: What is done with each photo.
        alive: Called whenever a photo is finished.
    """

    def __init__(self, output: str, settings: BulkSettings, alive: Callable[[], object] = lambda: None) -> None:
        self.output, self.settings, self._alive = output, settings, alive
        self._out = place_of(output)
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._memory = 0.0
        self._ending = False
        self._patience = settings.photo_seconds
        if any(
            is_store(text) for text in (output, *read_plan(output).inputs)
        ):  # whose requests are repeated for minutes
            self._patience = max(STORE_SECONDS, self._patience)

    def process(self, shard: Shard) -> ShardReport:
        """Processes a shard. A photo that ends its process, or takes too long, is listed, and the others are done.

        Raises:
            StorageError: the disk is full, a store does not answer, or no process can be started: the shard is to be done again.
            ModelError: the model cannot be used.
        """
        marker = f"{STATE}/attempts/{shard.id}"
        first = self._out.create(marker, f"{os.getpid()} {time.time():.0f}".encode())
        try:
            report = self._whole(shard) if first else self._careful(shard)
        except (HashigoError, KeyboardInterrupt):
            self._out.remove(marker)  # no photo is to blame
            raise
        self._out.remove(marker)
        return report

    def _whole(self, shard: Shard) -> ShardReport:
        try:
            return self._report(shard, {}, alone=False)
        except _Ended:
            return self._careful(shard)

    def _report(self, shard: Shard, known: Mapping[int, object], *, alone: bool) -> ShardReport:
        numbered = {str(number): photo for number, photo in known.items()}
        answer = self._ask({"shard": asdict(shard), "known": numbered, "alone": alone})
        return made(ShardReport, answer["report"])

    def _careful(self, shard: Shard) -> ShardReport:
        """Tries each photo alone, and lists those that end the process."""
        from hashigo.bulk.shards import earlier, options_key, source_of

        plan = read_plan(self.output)
        items = read_manifest(self._out, shard)
        self._clear(items)
        word = self.settings.suffix or open_model(self.settings.model).task.suffix
        before = earlier(self._out, plan, shard, items, options_key(self.settings), self.settings, word)
        known: dict[int, object] = {}
        for number, item in enumerate(items):
            if before[number] is not None:
                continue
            try:
                outcome = self._ask({"photo": asdict(item)})["outcome"]
            except _Ended as ended:
                source = source_of(plan, item)
                error = f"{source}: {ended}; the file may be damaged, or too large for this computer"
                outcome = asdict(PhotoReport(source, item.version, "failed", item.size, error=error))
            self._alive()
            if (
                outcome["state"] == "failed" or not self.settings.tars
            ):  # what goes into a tar file is made again with it
                known[number] = outcome
        try:
            return self._report(shard, known, alone=True)
        except _Ended as ended:
            raise StorageError(
                f"shard {shard.id} cannot be finished, although each of its photos can: {ended}; "
                "allow more memory (--photo-mb) or use fewer workers"
            ) from ended

    def _clear(self, items: Sequence[Item]) -> None:
        """Removes temporary files of processes that were killed."""
        if isinstance(self._out, Folder):
            for folder in {(self._out.root / item.target).parent for item in items}:
                clear_leftovers(folder)

    def _ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """The process's answer. Raises _Ended, or StorageError as the process did."""
        process = self._running()
        with contextlib.suppress(OSError):  # if it has ended, reading says so
            _input(process).write(json.dumps(question).encode() + b"\n")
            _input(process).flush()
        while "alive" in (answer := self._next(self._patience)):
            self._alive()
        if "storage" in answer:
            raise StorageError(answer["storage"])
        if "problem" in answer:
            raise _Ended(f"it met an unexpected error ({answer['problem']})")
        if answer["memory"] > self._memory + self.settings.photo_mb / 2:
            self.end()  # something keeps memory; the next question gets a new process
        return answer

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.end()
            raise _Ended(f"it was not done after {seconds:g} s (--photo-seconds)") from None
        if not line:
            if self._ending:
                raise StorageError("the run was stopped")
            raise _Ended(self._how_it_ended())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _how_it_ended(self) -> str:
        process = self._process
        if process is None:
            return "it lost its process"
        status = process.wait()
        self.end()
        if status < 0:
            name = signal.Signals(-status).name if -status in list(map(int, signal.Signals)) else f"signal {-status}"
            return f"its process was killed ({name}{', probably out of memory' if name == 'SIGKILL' else ''})"
        return f"its process ended (exit status {status})"

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, ready; a new one if there is none.

        Raises:
            ModelError: the model cannot be used. StorageError: no process can be started.
        """
        if self._process is not None and self._process.poll() is None:
            return self._process
        for _ in range(STARTS):
            self.end()
            process = self._start()
            if self._ending:  # `stop` may not have seen this process
                self.end()
                raise StorageError("the run was stopped")
            try:
                answer = self._next(START_SECONDS)
            except _Ended:
                continue
            if "refused" in answer:
                self.end()
                raise ModelError(answer["refused"])
            self._memory = answer["ready"]
            return process
        raise StorageError("no process with the model can be started; see the messages above, and free some memory")

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip
        self._process, self._lines = process, queue.Queue()
        threading.Thread(target=_read_lines, args=(process.stdout, self._lines), daemon=True).start()
        with contextlib.suppress(OSError):
            _input(process).write(json.dumps([self.output, asdict(self.settings)]).encode() + b"\n")
            _input(process).flush()
        return process

    def end(self) -> None:
        """Ends the process, and waits until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            with contextlib.suppress(OSError):
                _input(process).close()

    def stop(self) -> None:
        """Ends the process from another thread; whatever it is doing fails."""
        self._ending = True
        process = self._process
        if process is not None:
            process.kill()


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    stream = process.stdin
    if stream is None:
        raise BrokenPipeError("expected a pipe to the process")
    return stream


def _read_lines(stream: IO[bytes], lines: queue.Queue[bytes]) -> None:
    """Passes on each line, and an empty one at the end."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(b"")
