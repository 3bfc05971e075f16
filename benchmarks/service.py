"""`hashigo serve` beside the command line, and beside a server built as `rembg s` is.

    .venv/bin/python benchmarks/service.py --json service.json

In each round, in turns: `hashigo colorize` on a folder of grey photos of 1 megapixel; the same photos sent to the service one after
another (latency) and by eight clients at once (throughput); and the same to a server that calls the model from FastAPI's threads,
without workers, limits or a queue, as `rembg s` does. Then: seconds from start to ready, memory while colouring, the size of the
extra's installation (`--install`), and, if there is a Chromium, milliseconds from the tap on a colour to the picture on the page, with
a photo of 12 megapixels. For a look in seconds: `--rounds 1 --photos 8`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from colouring import make_photo
from processes import say, spend, told
from surroundings import surroundings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from serving import Running, serving  # noqa: E402  (the tests' own way to start a service)

CLIENTS = 8
TAPS = 30

AS_REMBG = """
import sys, uvicorn
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
import hashigo
from hashigo.image.photo import encode, read
app, model = FastAPI(), hashigo.load("colorizer")
@app.post("/v1/colorize")
async def colorize(request: Request):
    body = await request.body()
    return Response(await run_in_threadpool(lambda: encode(model.apply(read(body)), "JPEG")), media_type="image/jpeg")
@app.get("/readyz")
async def readyz():
    return "ready"
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@contextmanager
def as_rembg() -> Iterator[int]:
    """A server built as `rembg s` is; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", AS_REMBG, str(port)])
    try:
        while not _is_ready(port):
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def latencies(port: int, photos: Sequence[bytes]) -> list[float]:
    """Seconds of each photo, one after another over one connection."""
    connection, seconds = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for photo in photos:
        start = time.perf_counter()
        connection.request("POST", "/v1/colorize", photo, {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - start)
        if response.status != 200:
            raise SystemExit(f"expected status 200, got {response.status}")
    connection.close()
    return seconds


def photos_per_second(port: int, photos: Sequence[bytes]) -> float:
    """Photos per second with `CLIENTS` clients at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(lambda number: latencies(port, photos[number::CLIENTS]), range(CLIENTS)))
    return len(photos) / (time.perf_counter() - start)


def seconds_to_ready(folder: Path) -> float:
    """Seconds from starting the command until /readyz says yes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "hashigo.cli.main", "serve", "--port", str(port), "--allow-root", "--quiet"]
    with (folder / "ready.log").open("w") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while not _is_ready(port):
                time.sleep(0.005)
            return time.perf_counter() - start
        finally:
            process.terminate()
            process.wait()


def megabytes(running: Running) -> float:
    """Memory of the service's processes together in MB; what they share counts once (proportional set size)."""
    total = 0
    for number in (running.process.pid, *running.workers()):
        rollup = Path(f"/proc/{number}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


def install_megabytes() -> float:
    """How much `hashigo[serve]` adds to a plain installation, in MB on disk."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [
            f"{folder}/bin/pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-c",
            str(ROOT / "constraints.txt"),
        ]
        sizes = []
        for what in (str(ROOT), f"{ROOT}[serve]"):
            subprocess.run([*pip, what], check=True)
            files = [path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink()]
            sizes.append(sum(path.stat().st_size for path in files) / 1e6)
    return sizes[1] - sizes[0]


def taps(running: Running, folder: Path) -> list[float]:
    """Milliseconds from the tap on a colour until the page shows the result; [] without Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        return []
    from playwright.sync_api import sync_playwright

    photo = folder / "large.jpg"
    photo.write_bytes(make_photo(12, "grey"))
    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{running.port}/")
        page.set_input_files("#files", photo)
        page.wait_for_selector("#thumbs li.done")
        milliseconds = []
        for number in range(TAPS):
            box = page.locator(".pane.after").bounding_box()
            x, y = 0.55 + 0.4 * (number % 6) / 6, 0.1 + 0.8 * (number // 6) / 6
            page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
            page.evaluate(
                "() => { performance.clearMarks(); addEventListener('pointerup', (event) => { window.tapped = event.timeStamp; }, { once: true, capture: true }); }"
            )
            page.locator("#swatches button").nth(number % 21).click()
            shown = "() => performance.getEntriesByName('hashigo-shown')[0]?.startTime ?? null"
            while (at := page.evaluate(shown)) is None:
                page.wait_for_timeout(5)
            milliseconds.append(at - page.evaluate("() => window.tapped"))
            page.wait_for_timeout(50)
        browser.close()
    return milliseconds


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All measurements as plain values."""
    distinct = [make_photo(1, "grey", seed) for seed in range(min(20, arguments.photos))]
    photos = [distinct[number % len(distinct)] for number in range(arguments.photos)]
    report: dict[str, Any] = {"surroundings": surroundings(), "photos": len(photos), "clients": CLIENTS, "rounds": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for number, photo in enumerate(photos):
            (folder / "in" / f"{number:04}.jpg").write_bytes(photo)
        command = [
            str(Path(sys.executable).with_name("hashigo")),
            "colorize",
            str(folder / "in"),
            "-o",
            str(folder / "out"),
            "--existing",
            "overwrite",
        ]
        single = [*command[:2], str(folder / "in" / "0000.jpg"), *command[3:]]
        with serving(folder, "--workers", "2") as running, as_rembg() as other:
            for port in (running.port, other):
                latencies(port, photos[:4])
            for number in range(arguments.rounds):
                say(f"round {number + 1} of {arguments.rounds}")
                whole, one = spend(command).seconds, spend(single).seconds
                report["rounds"].append({
                    "command line per photo": (whole - one) / max(1, len(photos) - 1), "command line, photos per second": len(photos) / whole,
                    "service, one photo": latencies(running.port, photos[:40]), "service, photos per second": photos_per_second(running.port, photos),
                    "as rembg, one photo": latencies(other, photos[:40]), "as rembg, photos per second": photos_per_second(other, photos),
                })  # fmt: skip
            report["megabytes"] = megabytes(running)
            report["tap milliseconds"] = taps(running, folder)
        report["ready seconds"] = [seconds_to_ready(folder) for _ in range(7)]
    report["install megabytes"] = install_megabytes() if arguments.install else None
    return report


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    rounds = report["rounds"]

    def middle(key: str) -> float:
        return median(each[key] for each in rounds)

    def p50(key: str) -> float:
        return median(seconds for each in rounds for seconds in each[key])

    alone, shown = p50("service, one photo") / middle("command line per photo"), middle("service, photos per second")
    load = median(each["service, photos per second"] / each["command line, photos per second"] for each in rounds)
    rows = [
        ("Start to ready", f"{median(report['ready seconds']):.2f} s", told(median(report["ready seconds"]) <= 1.5, "≤ 1.5 s")),
        ("One photo alone, p50", f"{1000 * p50('service, one photo'):.0f} ms, {alone:.2f} × the {1000 * middle('command line per photo'):.0f} ms per photo of "
         "`hashigo colorize` on the folder", told(alone <= 2, "≤ 2 ×")),
        (f"{report['clients']} clients at once", f"{shown:.1f} photos/s, {load:.2f} × the {middle('command line, photos per second'):.1f} of `hashigo colorize`", told(load >= 0.85, "≥ 0.85 ×")),
        ("Memory, two workers", f"{report['megabytes']:.0f} MB", told(report["megabytes"] <= 700, "≤ 700 MB")),
        ("A server built as `rembg s` is", f"{1000 * p50('as rembg, one photo'):.0f} ms alone, {middle('as rembg, photos per second'):.1f} photos/s", ""),
    ]  # fmt: skip
    if taps := sorted(report["tap milliseconds"]):
        late = taps[int(0.95 * len(taps))]
        rows.append(
            (
                "Tap on a colour to picture, 12 MP photo",
                f"p50 {median(taps):.0f} ms, p95 {late:.0f} ms",
                told(median(taps) <= 150, "≤ 150 ms"),
            )
        )
    if report["install megabytes"] is not None:
        rows.append(
            (
                "`[serve]` on disk",
                f"{report['install megabytes']:.0f} MB",
                told(report["install megabytes"] <= 25, "≤ 25 MB"),
            )
        )
    lines = [
        "| What | Measured | Goal |",
        "| --- | --- | --- |",
        *(f"| {what} | {value} | {goal} |" for what, value, goal in rows),
    ]
    place = report["surroundings"]
    return "\n".join(
        [
            f"{place['cpu']}, {place['cores']} cores; {report['photos']} grey photos of 1 MP; {len(rounds)} rounds in turns.",
            "",
            *lines,
        ]
    )


def main() -> None:
    """Measures, prints Markdown and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--install", action="store_true", help="measure the size of the extra too")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    report = measure(arguments)
    print(markdown(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
