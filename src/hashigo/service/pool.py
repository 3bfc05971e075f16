"""The worker processes and the queue before them.

Each worker has a thread that waits for it, so that the event loop never does. A photo is sent once: if its worker dies or takes too
long, that photo fails, and a new worker is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from hashigo.errors import ModelError
from hashigo.service.job import Answer, Job
from hashigo.service.problems import Problem
from hashigo.service.settings import MEGABYTE, Limits
from hashigo.service.worker import work

START_SECONDS = 60
"""A worker that has not loaded its models by then is stopped."""

MEAN_OF = 20
"""The mean time per photo covers about this many of the latest photos."""

LOGGER = logging.getLogger("hashigo.service")


@dataclass(eq=False)
class Waiting:
    """A job in the queue."""

    job: Job
    future: asyncio.Future[Answer]


@dataclass(eq=False)
class Worker:
    """A worker process as the service sees it. The methods block and are called from the worker's thread."""

    process: BaseProcess
    connection: Connection
    memory_mb: float = 0
    photos: int = 0

    def receive(self) -> Answer:
        """Waits for the worker. Raises EOFError or OSError when it has died."""
        answer = Answer.receive(self.connection)
        self.photos += 1
        return answer

    def answer(self, job: Job) -> Answer:
        """Sends a job and waits for its answer. Raises EOFError or OSError when the worker has died."""
        job.send(self.connection)
        return self.receive()

    def end(self) -> None:
        """Ends the process, and waits until it is gone."""
        self.connection.close()
        self.process.kill()
        self.process.join()


class Pool:
    """Workers for the models, and a bounded queue.

    Args:
        models: Name → name or folder of each model.
        workers: Number of worker processes.
        limits: The limits.
        on_restart: Called with the reason when a worker is replaced.
    """

    def __init__(
        self,
        models: Mapping[str, str | Path],
        workers: int,
        limits: Limits,
        on_restart: Callable[[str], object] = str,
    ) -> None:
        self.models, self.limits, self.on_restart = dict(models), limits, on_restart
        self.queue: deque[Waiting] = deque()
        self.queued_bytes = 0
        self.arriving_bytes = 0
        self.busy: Counter[str] = Counter()
        self.ready = 0
        self.seconds_per_photo = 0.1
        self._workers = workers
        self._first = self._new_worker()  # at once: it loads the models while the service imports
        self._threads = ThreadPoolExecutor(2 * workers + 1, thread_name_prefix="hashigo-worker")
        self._wake = asyncio.Condition()
        self._slots: list[asyncio.Task[None]] = []
        self._current: set[Worker] = set()
        self._failed: asyncio.Future[None] | None = None
        self._stopped = False

    def _new_worker(self) -> Worker:
        ours, theirs = multiprocessing.Pipe()
        max_pixels = int(self.limits.photo_megapixels * 1e6)
        process = multiprocessing.get_context("spawn").Process(
            target=work,
            args=(theirs, self.models, max_pixels, self.limits.worker_mb),
            daemon=True,
            name="hashigo-worker",
        )
        process.start()
        theirs.close()
        return Worker(process, ours)

    async def start(self) -> None:
        """Begins to work on the queue; returns when the first worker is ready, or when the pool has been stopped.

        Raises:
            ModelError: a model cannot be loaded.
        """
        self._failed = asyncio.get_running_loop().create_future()
        self._slots = [asyncio.create_task(self._slot(self._first))]
        while not self.ready and not self._failed.done() and not self._stopped:
            await asyncio.sleep(0.005)
        if self._stopped:
            return
        if self._failed.done():
            await self.stop()
            self._failed.result()
        # only now, so that they do not delay the first
        self._slots += [asyncio.create_task(self._slot()) for _ in range(1, self._workers)]

    async def stop(self) -> None:
        """Ends all workers at once; what is still in the queue fails."""
        if self._stopped:
            return
        self._stopped = True
        for slot in self._slots:
            slot.cancel()
        for waiting in self.queue:
            waiting.future.cancel()
        self.queue.clear()
        for worker in {*self._current, self._first}:
            worker.process.kill()
        await asyncio.gather(*self._slots, return_exceptions=True)
        for worker in {*self._current, self._first}:
            worker.end()
        self._threads.shutdown(wait=False)

    @property
    def working(self) -> int:
        """Number of photos that workers have."""
        return sum(self.busy.values())

    @property
    def is_idle(self) -> bool:
        """Whether no photo is waiting or with a worker."""
        return not self.queue and not self.working

    def retry_after(self) -> float:
        """Seconds until the queue has room again, from the measured time per photo."""
        return (len(self.queue) + self.working) * self.seconds_per_photo / self._workers

    def check_room(self, size: int = 0) -> None:
        """Raises Problem 429 if the queue has no room for one more photo of `size` bytes."""
        full = len(self.queue) >= self.limits.queue_photos
        if full or self.queued_bytes + self.arriving_bytes + size > self.limits.queue_mb * MEGABYTE:
            raise Problem(
                429, "expected room in the queue, got a full one; try again later",
                retry_after=self.retry_after(),
            )  # fmt: skip

    async def submit(self, job: Job) -> Answer:
        """The worker's answer. If the task is cancelled while the job waits, the job is dropped.

        Raises:
            Problem: 429 for a full queue, 503 after too long in the queue, 504 after too long with a worker, 500 if the worker died.
        """
        self.check_room()
        loop = asyncio.get_running_loop()
        waiting = Waiting(job, loop.create_future())
        timer = loop.call_later(self.limits.queue_seconds, self._expire, waiting)
        self.queue.append(waiting)
        self.queued_bytes += len(job.photo)
        async with self._wake:
            self._wake.notify()
        try:
            return await waiting.future
        finally:
            timer.cancel()
            if waiting in self.queue:
                self._drop(waiting)

    def _expire(self, waiting: Waiting) -> None:
        """After too long in the queue, whether or not there is a worker."""
        if waiting in self.queue and not waiting.future.done():
            waited = f"{self.limits.queue_seconds:g} s"
            detail = f"expected a free worker within {waited}, got none; try again later"
            waiting.future.set_exception(Problem(503, detail, retry_after=self.retry_after()))

    def _drop(self, waiting: Waiting) -> None:
        self.queue.remove(waiting)
        self.queued_bytes -= len(waiting.job.photo)

    async def _next(self) -> Waiting:
        while True:
            async with self._wake:
                await self._wake.wait_for(lambda: self.queue)
                waiting = self.queue[0]
                self._drop(waiting)
            if not waiting.future.done():
                return waiting

    async def _slot(self, first: Worker | None = None) -> None:
        """Keeps one worker running and gives it photos. first: one that has been begun already."""
        worker, pause = first, 0.1
        while True:
            reason = ""
            try:
                worker = worker or self._new_worker()
                self._current.add(worker)
                if await self._has_started(worker):
                    reason = await self._feed(worker)
            except Exception:  # out of processes, memory or file descriptors, for instance
                LOGGER.exception("a worker could not be kept running")
            if worker is not None:
                self._current.discard(worker)
                if reason:
                    LOGGER.info("worker replaced", extra={"reason": reason, "photos": worker.photos})
                    self.on_restart(reason)
                await asyncio.get_running_loop().run_in_executor(self._threads, worker.end)
                worker = None
            if reason:
                pause = 0.1
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 10)

    async def _has_started(self, worker: Worker) -> bool:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(START_SECONDS, worker.process.kill)
        try:
            answer = await loop.run_in_executor(self._threads, worker.receive)
        except (EOFError, OSError):
            if not self._stopped:
                LOGGER.error("a worker ended while it was starting")
            return False
        finally:
            timer.cancel()
        if answer.status != 200:
            LOGGER.error("a worker could not start", extra={"reason": answer.detail})
            if self._failed is not None and not self._failed.done():
                self._failed.set_exception(ModelError(answer.detail))
            return False
        worker.memory_mb, worker.photos = answer.memory_mb, 0
        return True

    async def _feed(self, worker: Worker) -> str:
        """Gives the worker photos for as long as it should run; returns why it should not."""
        self.ready += 1
        with self._watched(worker) as dead:
            try:
                while True:
                    following: asyncio.Future[Waiting] = asyncio.ensure_future(self._next())
                    try:
                        await asyncio.wait((following, dead), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        if not following.done():
                            following.cancel()
                    if dead.done():
                        if following.done():
                            self._put_back(following.result())
                        async with self._wake:  # the call that woke this worker is meant for another one now
                            self._wake.notify()
                        return "died"
                    if reason := await self._process(worker, following.result()):
                        return reason
            finally:
                self.ready -= 1

    @contextlib.contextmanager
    def _watched(self, worker: Worker) -> Iterator[asyncio.Future[None]]:
        """A future that is done when the worker's process has ended, so that no photo is given to it. (Not on Windows.)"""
        loop = asyncio.get_running_loop()
        dead: asyncio.Future[None] = loop.create_future()
        sentinel = worker.process.sentinel

        def end() -> None:
            loop.remove_reader(sentinel)
            dead.set_result(None)

        with contextlib.suppress(NotImplementedError):
            loop.add_reader(sentinel, end)
        try:
            yield dead
        finally:
            if not dead.done():
                dead.cancel()
                with contextlib.suppress(NotImplementedError):
                    loop.remove_reader(sentinel)

    def _put_back(self, waiting: Waiting) -> None:
        self.queue.appendleft(waiting)
        self.queued_bytes += len(waiting.job.photo)

    async def _process(self, worker: Worker, waiting: Waiting) -> str:
        """Has one photo processed; returns why the worker must be replaced, "" if it need not be."""
        loop, late, start = asyncio.get_running_loop(), False, time.monotonic()

        def stop() -> None:
            nonlocal late
            late = True
            worker.process.kill()

        timer = loop.call_later(self.limits.work_seconds, stop)
        self.busy[waiting.job.model] += 1
        try:
            answer = await loop.run_in_executor(self._threads, worker.answer, waiting.job)
        except (EOFError, OSError):
            if not waiting.future.done():
                waiting.future.set_exception(self._lost(late))
            return "too slow" if late else "died"
        finally:
            timer.cancel()
            self.busy[waiting.job.model] -= 1
        self.seconds_per_photo += (time.monotonic() - start - self.seconds_per_photo) / MEAN_OF
        if not waiting.future.done():
            waiting.future.set_result(answer)
        if worker.photos >= self.limits.photos_per_worker:
            return "enough photos"
        grown = answer.memory_mb - worker.memory_mb
        return "memory" if grown > self.limits.worker_mb / 4 else ""

    def _lost(self, late: bool) -> Problem:
        if late:
            detail = f"expected a result within {self.limits.work_seconds:g} s, got none; reduce the photo"
            return Problem(504, detail)
        return Problem(
            500, "expected a result, got none: the process working on this photo ended; try another file of the photo"
        )
