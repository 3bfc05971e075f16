"""`hashigo serve` under stress: `make soak`. Prints Markdown; ends with 1 if anything is not as it should be.

    .venv/bin/python benchmarks/soak.py --json soak.json [--only overload,slow,kill,stop,hostile,schema,long]

Client and service share the computer, so that figures are lower than with a client of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import io
import json
import os
import random
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from colouring import make_photo
from processes import say
from surroundings import surroundings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from serving import Running, serving  # noqa: E402  (the tests' own way to start a service)

MANY = ("--limit", "connections=4000", "--limit", "connections_per_address=4000", "--quiet")
HEAD = "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"


class Report:
    """Lines of the report, and whether each is as it should be."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, bool]] = []

    def add(self, what: str, measured: str, wanted: str, met: bool) -> None:
        """One row."""
        say(f"{what}: {measured} ({wanted}){'' if met else ' MISSED'}")
        self.lines.append((what, measured, wanted, met))


def small_photo(width: int = 1150, height: int = 870) -> bytes:
    """A grey photo of 1 megapixel, smooth enough to have a small file."""
    with Image.open(io.BytesIO(make_photo(1, "grey"))) as opened:
        image = opened.resize((300, 225)).resize((width, height))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()


# --- overload ---


async def one_request(port: int, photo: bytes) -> tuple[int, float]:
    """Status and seconds of a request over a connection of its own."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(HEAD.format(len(photo)).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode() + photo)
            await writer.drain()
        status = int((await reader.readline()).split()[1])
        seconds = time.perf_counter() - start
        if status == 200:
            while await reader.read(1 << 20):
                pass
            seconds = time.perf_counter() - start
        return status, seconds
    finally:
        writer.close()


def offered(port: int, photo: bytes, per_second: float, seconds: float) -> tuple[list[tuple[int, float]], float]:
    """Requests at a fixed rate, whether or not earlier ones have been answered: status and seconds of each; and the seconds until
    the last answer.

    Bare sockets, because client and service share the processor: asyncio's streams would take twice as much of it.
    """
    content = HEAD.format(len(photo)).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode() + photo
    answers: list[tuple[int, float]] = []
    begun, start = 0, time.perf_counter()
    with selectors.DefaultSelector() as selector:
        while (now := time.perf_counter() - start) < seconds or selector.get_map():
            while now < seconds and begun < int(now * per_second):
                began = time.perf_counter()
                connection = socket.create_connection(("127.0.0.1", port))
                connection.setblocking(False)
                state = {"began": began, "left": content, "status": 0}
                state["left"] = content[connection.send(content) :]
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if state["left"] else 0)
                selector.register(connection, events, state)
                begun += 1
            for key, events in selector.select(0.005):
                _go_on(selector, key.fileobj, key.data, events, answers)
            if now < seconds:
                time.sleep(0.002)
    return answers, time.perf_counter() - start


def _go_on(
    selector: selectors.BaseSelector,
    connection: Any,
    state: dict[str, Any],
    events: int,
    answers: list[tuple[int, float]],
) -> None:
    """The next bytes of a request and its answer. Only a result is read to its end."""
    if events & selectors.EVENT_WRITE and state["left"]:
        with contextlib.suppress(ConnectionError):
            state["left"] = state["left"][connection.send(state["left"]) :]
        if not state["left"]:
            selector.modify(connection, selectors.EVENT_READ, state)
    if events & selectors.EVENT_READ:
        received = b""
        with contextlib.suppress(ConnectionError):
            received = connection.recv(1 << 20)
        state["status"] = state["status"] or int(received[9:12] or 0)
        if not received or state["status"] != 200:
            answers.append((state["status"], time.perf_counter() - state["began"]))
            selector.unregister(connection)
            connection.close()


async def peak_rate(port: int, photo: bytes, seconds: float) -> float:
    """Photos per second with eight clients that wait for their answers."""
    start, count = time.perf_counter(), 0

    async def client() -> None:
        nonlocal count
        while time.perf_counter() - start < seconds:
            await one_request(port, photo)
            count += 1

    await asyncio.gather(*(client() for _ in range(8)))
    return count / (time.perf_counter() - start)


def overload(report: Report, folder: Path) -> None:
    """Ten times as many photos as the service can process."""
    photo = small_photo()
    with serving(folder, "--workers", "2", *MANY) as running:
        asyncio.run(peak_rate(running.port, photo, 3))
        peak = asyncio.run(peak_rate(running.port, photo, 10))
        used = time.process_time()
        answers, seconds = offered(running.port, photo, 10 * peak, 20)
        used = (time.process_time() - used) / seconds / (os.cpu_count() or 1)
        after = asyncio.run(peak_rate(running.port, photo, 5))
    served = sorted(took for status, took in answers if status == 200)
    refused = sorted(took for status, took in answers if status == 429)
    statuses = Counter(status for status, _ in answers)
    rate = len(served) / seconds
    at = lambda values, share: values[int(share * (len(values) - 1))]  # noqa: E731
    report.add(
        "Overload: answers",
        f"{len(answers)} requests at {10 * peak:.0f}/s: {dict(statuses)}",
        "only 200 and 429",
        set(statuses) == {200, 429},
    )
    report.add(
        "Overload: photos served",
        f"{rate:.1f}/s, {rate / peak:.3f} × the peak of {peak:.1f}/s; the client took {100 * used:.1f} % of the processor",
        "≥ 0.90 × peak",
        rate >= 0.9 * peak,
    )
    report.add(
        "Overload: accepted requests",
        f"p50 {median(served):.2f} s, p99 {at(served, 0.99):.2f} s",
        "p99 ≤ 10 s",
        at(served, 0.99) <= 10,
    )
    report.add("Overload: refusals", f"p50 {1000 * median(refused):.0f} ms, p95 {1000 * at(refused, 0.95):.0f} ms, p99 {1000 * at(refused, 0.99):.0f} ms",
               "p95 ≤ 50 ms", at(refused, 0.95) <= 0.05)  # fmt: skip
    report.add("Overload: afterwards", f"{after / peak:.2f} × the peak", "≥ 0.90 × peak", after >= 0.9 * peak)


# --- slow clients ---


def slow(report: Report, folder: Path) -> None:
    """150 connections each that send nothing, a part of a head, and a part of a body."""
    kinds = {
        "idle": (b"", 6),
        "slow head": (HEAD[:40].encode(), 6),
        "slow body": (HEAD.format(50_000).encode() + b"abc", 15),
    }
    ended: dict[str, list[float]] = {kind: [] for kind in kinds}

    async def hold(port: int, kind: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        start = time.perf_counter()
        writer.write(kinds[kind][0])
        drip = asyncio.create_task(_drip(writer, kind))
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
        ended[kind].append(time.perf_counter() - start)
        drip.cancel()
        writer.close()

    async def _drip(writer: asyncio.StreamWriter, kind: str) -> None:
        while kind != "idle":  # one byte per second, which is much too slow
            await asyncio.sleep(1)
            with contextlib.suppress(ConnectionError):
                writer.write(b"a")

    async def all_of_them(port: int) -> list[tuple[int, float]]:
        held = asyncio.gather(*(hold(port, kind) for kind in kinds for _ in range(150)))
        others = [await one_request(port, photo) for _ in range(60)]
        await held
        return others

    photo = small_photo()
    with serving(folder, "--workers", "2", *MANY) as running:
        others = asyncio.run(all_of_them(running.port))
    for kind, (_, most) in kinds.items():
        report.add(
            f"150 connections, {kind}",
            f"closed after {max(ended[kind]):.1f} s at the latest",
            f"≤ {most} s",
            max(ended[kind]) <= most,
        )
    worst = max(seconds for _, seconds in others)
    report.add("Others meanwhile", f"{Counter(status for status, _ in others)[200]} of 60 served, {worst:.2f} s at most", "all, ≤ 2 s",
               all(status == 200 for status, _ in others) and worst <= 2)  # fmt: skip


# --- workers that die, and the end ---


def load(running: Running, photo: bytes, count: int, clients: int) -> tuple[ThreadPoolExecutor, list[Any]]:
    """Requests under way."""
    threads = ThreadPoolExecutor(clients)

    def one() -> int:
        try:
            return running.colorize(photo).status
        except OSError:
            return 0

    return threads, [threads.submit(one) for _ in range(count)]


def kill(report: Report, folder: Path) -> None:
    """A worker is killed under load, five times."""
    photo = small_photo()
    with serving(folder, "--workers", "2", *MANY) as running:
        totals: list[int] = []
        for _ in range(5):
            threads, replies = load(running, photo, 120, 16)
            time.sleep(1)
            os.kill(running.workers()[0], signal.SIGKILL)
            statuses = Counter(reply.result() for reply in replies)
            threads.shutdown()
            totals.append(120 - statuses[200])
            time.sleep(2)
    report.add(
        "SIGKILL of a worker under load, 5 times", f"failed photos: {totals}", "exactly one each", totals == [1] * 5
    )


def stop(report: Report, folder: Path) -> None:
    """SIGTERM under load."""
    photo = small_photo()
    with serving(folder, "--workers", "2", *MANY) as running:
        threads, replies = load(running, photo, 300, 40)
        time.sleep(2)
        running.process.send_signal(signal.SIGTERM)
        start = time.perf_counter()
        statuses = Counter(reply.result() for reply in replies)
        status = running.process.wait(40)
        seconds = time.perf_counter() - start
        threads.shutdown()
    # 0: no connection, after the end; 503: refused because the service is stopping
    well = set(statuses) <= {200, 503, 0} and statuses[200] >= 40
    report.add(
        "SIGTERM under load",
        f"{dict(statuses)}, exit status {status} after {seconds:.1f} s",
        "accepted = answered, status 0",
        well and status == 0,
    )


# --- hostile input ---


def hostile(report: Report, folder: Path) -> None:
    """Broken pictures in every format, with bytes changed, cut out or added."""
    rng, statuses, wrong = random.Random(0), Counter[int](), []
    grey = Image.fromarray((np.add.outer(np.arange(90), np.arange(120)) % 256).astype(np.uint8))
    files = {}
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM", "TGA"):
        stream = io.BytesIO()
        grey.save(stream, kind)
        files[kind] = stream.getvalue()
    with serving(folder, "--workers", "2", *MANY, "--limit", "work_seconds=10") as running:
        for number in range(2000):
            kind = rng.choice(list(files))
            content = bytearray(files[kind])
            for _ in range(rng.choice((1, 2, 8, 64))):
                at = rng.randrange(len(content))
                match rng.randrange(4):
                    case 0:
                        content[at] = rng.randrange(256)
                    case 1:
                        del content[at:]
                    case 2:
                        content[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(16)))
                    case _:
                        content[at : at + 4] = b"\xff\xff\xff\xff"
                content = content or bytearray(b"x")
            try:
                reply = running.colorize(bytes(content))
            except (OSError, http.client.HTTPException) as error:
                wrong.append(f"{kind} {number}: {error!r}")
                continue
            statuses[reply.status] += 1
            if reply.status not in (200, 413, 415, 422):
                wrong.append(f"{kind} {number}: {reply.status} {reply.body[:200]!r}")
        figures = running.ask("GET", "/metrics").body.decode()
    restarts = [
        line
        for line in figures.splitlines()
        if line.startswith("hashigo_worker_restarts_total") and "enough" not in line
    ]
    report.add(
        "2,000 broken pictures in ten formats",
        f"{dict(statuses)}{'; ' + '; '.join(wrong[:5]) if wrong else ''}",
        "200, 413, 415 or 422",
        not wrong,
    )
    report.add("Workers lost to them", "; ".join(restarts) or "none", "none", not restarts)


def schema(report: Report, folder: Path) -> None:
    """schemathesis against the OpenAPI description."""
    program = ROOT / ".venv-soak" / "bin" / "schemathesis"
    if not program.exists():
        report.add("schemathesis", "not installed", "make soak installs it", False)
        return
    with serving(folder, "--workers", "2", *MANY) as running:
        words = [str(program), "run", f"http://127.0.0.1:{running.port}/openapi.json", "--seed", "1", "--max-examples", "100", "--checks",
                 "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    (folder / "schemathesis.txt").write_text(done.stdout + done.stderr)
    lines = [
        line.strip()
        for line in done.stdout.splitlines()
        if "generated" in line or "passed" in line or "failure" in line.lower()
    ]
    say(done.stdout[-4000:] if done.returncode else "")
    report.add("schemathesis", "; ".join(lines[-3:]), "no failure", done.returncode == 0)


# --- a long run ---


def long(report: Report, folder: Path, count: int = 10_000) -> None:
    """Many requests: memory, workers replaced, and what is left on disk.

    While memory is measured, workers are not replaced: a new one has less of it, and the slope would tell when that was.
    """
    photos = [small_photo(400 + 37 * number, 300 + 29 * number) for number in range(12)]
    seen: list[tuple[int, float]] = []
    temporary = folder / "temporary"
    temporary.mkdir()
    os.environ["TMPDIR"] = str(temporary)  # of the service
    with serving(folder, "--workers", "2", "--limit", f"photos_per_worker={2 * count}", *MANY) as running:
        done, lock = 0, threading.Lock()

        def one(number: int) -> int:
            nonlocal done
            status = running.colorize(photos[number % len(photos)], "?width=300" if number % 3 else "").status
            with lock:
                done += 1
                if done % 250 == 0:
                    seen.append((done, _megabytes(running)))
            return status

        with ThreadPoolExecutor(8) as threads:
            statuses = Counter(threads.map(one, range(count)))
        left = [path for path in temporary.rglob("*") if path.is_file()]
    report.add(f"{count:,} requests", str(dict(statuses)), "all 200", set(statuses) == {200})
    late = [pair for pair in seen if pair[0] > count / 5]
    slope = float(np.polyfit([n for n, _ in late], [mb for _, mb in late], 1)[0]) * 1000
    report.add("Memory of all processes", f"{late[0][1]:.0f} MB after {late[0][0]:,}, {late[-1][1]:.0f} MB at the end, slope {slope:+.2f} MB per 1,000 requests",
               "below +2 MB per 1,000", slope < 2)  # fmt: skip
    with serving(folder, "--workers", "2", "--limit", "photos_per_worker=100", *MANY) as running:
        with ThreadPoolExecutor(8) as threads:
            statuses = Counter(threads.map(lambda _: running.colorize(photos[0]).status, range(1050)))
        figures = running.ask("GET", "/metrics").body.decode()
    restarts = re.findall(r'^hashigo_worker_restarts_total\{reason="(.+)"\} (\S+)', figures, re.MULTILINE)
    report.add("1,050 requests with workers that are replaced after 100 photos", f"{dict(statuses)}, replaced: {dict(restarts)}",
               "all 200, 9 or 10 replaced", set(statuses) == {200} and restarts in ([("enough photos", "9.0")], [("enough photos", "10.0")]))  # fmt: skip
    report.add("Files left in the temporary folder", str(len(left)), "none", not left)


def _megabytes(running: Running) -> float:
    total = 0
    for number in (running.process.pid, *running.workers()):
        with contextlib.suppress(OSError, StopIteration):
            rollup = Path(f"/proc/{number}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


PARTS: dict[str, Callable[[Report, Path], None]] = {
    "overload": overload, "slow": slow, "kill": kill, "stop": stop, "hostile": hostile, "schema": schema, "long": long,
}  # fmt: skip


def main() -> int:
    """Runs the parts, prints Markdown and writes JSON; 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help=f"parts, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--json", type=Path, help="write the lines there")
    arguments = parser.parse_args()
    report, place = Report(), surroundings()
    for name in arguments.only.split(",") if arguments.only else PARTS:
        say(f"== {name}")
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](report, Path(folder))
    print(
        f"{place['cpu']}, {place['cores']} cores, Python {place['python']}.\n\n| What | Measured | Wanted | |\n| --- | --- | --- | --- |"
    )
    for what, measured, wanted, met in report.lines:
        print(f"| {what} | {measured} | {wanted} | {'met' if met else '**missed**'} |")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"surroundings": place, "lines": report.lines}, indent=1, ensure_ascii=False) + "\n"
        )
    return int(not all(met for *_, met in report.lines))


if __name__ == "__main__":
    sys.exit(main())
