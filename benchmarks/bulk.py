"""Bulk processing: how fast a plan of a million names is made and gone through again, the rate beside `hashigo colorize`, and what a hundred million photos would cost.

    .venv/bin/python benchmarks/bulk.py names --count 1000000
    .venv/bin/python benchmarks/bulk.py rate PHOTOS --count 2000 --rounds 2
    .venv/bin/python benchmarks/bulk.py soak PHOTOS --kills 20
    .venv/bin/python benchmarks/bulk.py cost PHOTOS --rate 5

`names`: files of one byte; planned, then planned again, and gone through again with a report for each shard, each in a process of its own whose peak memory is measured.
`rate`: the same photos by `hashigo colorize`, `hashigo bulk run` and `hashigo bulk run --engine ray`, in turns.
`soak`: runs that are killed at random moments (driver, worker, and with Ray actor and raylet), and continued until nothing is left; the results must be those of `hashigo colorize`, byte for byte.
`cost`: requests to an object store (moto on this computer), counted; and what they, and computers that do `--rate` photos per second and core, would cost for many photos.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from hashigo.bulk import plan as planning
from hashigo.bulk.plan import STATE, read_manifest, read_plan, read_shards
from hashigo.bulk.reports import PhotoReport, report_of, write_report
from hashigo.bulk.settings import BulkSettings
from hashigo.bulk.shards import options_key, shard_key, source_of
from hashigo.bulk.storage import Folder, place_of
from hashigo.data import open_dataset

HASHIGO = [sys.executable, "-m", "hashigo.cli.main"]


def timed(*words: object) -> tuple[float, float]:
    """Seconds and peak memory in MB of a command of hashigo."""
    start = time.perf_counter()
    process = subprocess.Popen([*HASHIGO, *map(str, words)], stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(said.decode())
    return time.perf_counter() - start, usage.ru_maxrss / 1e3


@contextmanager
def scratch(folder: str) -> Iterator[Path]:
    """An empty folder for the time of a measurement."""
    path = Path(tempfile.mkdtemp(prefix="hashigo-bulk-", dir=folder or None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def names(args: argparse.Namespace) -> None:
    """A plan of many names."""
    with scratch(args.folder) as root:
        album, out = root / "album", root / "out"
        for number in range(args.count):
            if number % 1000 == 0:
                (folder := album / f"{number // 1000:06d}").mkdir(parents=True)
            (folder / f"{number:09d}.jpg").write_bytes(b"x")
        for what in ("plan", "plan again"):
            seconds, memory = timed("bulk", "plan", album, "-o", out)
            print(f"{what}: {args.count:,} names in {seconds:.1f} s, {memory:.0f} MB")
        options = options_key(BulkSettings())
        place = Folder(out)
        plan = read_plan(str(out))
        for shard in read_shards(place):
            items = read_manifest(place, shard)
            photos = [
                PhotoReport(source_of(plan, item), item.version, "done", item.size, item.result("color"))
                for item in items
            ]
            write_report(place, report_of(shard.id, shard_key(shard, options), photos, len(photos), 1.0), photos)
        seconds, memory = timed("bulk", "run", "-o", out)
        print(f"second run over {args.count:,} finished photos: {seconds:.1f} s, {memory:.0f} MB")
        seconds, memory = timed("bulk", "status", "-o", out)
        print(f"status: {seconds:.1f} s, {memory:.0f} MB")


def album_of(photos: str, count: int, folder: Path) -> Path:
    """So many photos as JPEG files."""
    dataset = open_dataset(photos, limit=count)
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(dataset.picture(number % len(dataset))).save(folder / f"{number:06d}.jpg", quality=90)
    return folder


def rate(args: argparse.Namespace) -> None:
    """Photos per second in turns."""
    with scratch(args.folder) as root:
        album = album_of(args.photos, args.count, root / "album")
        seconds: dict[str, list[float]] = {}
        for turn in range(args.rounds):
            for name, words in (("colorize", ()), ("local", ("--engine", "local")), ("ray", ("--engine", "ray"))):
                out = root / f"{name}-{turn}"
                if name == "colorize":
                    taken, memory = timed("colorize", album, "-o", out)
                else:
                    timed("bulk", "plan", album, "-o", out)
                    taken, memory = timed("bulk", "run", "-o", out, *words)
                seconds.setdefault(name, []).append(taken)
                print(f"{name}: {args.count / taken:.1f} photos/s, driver at most {memory:.0f} MB", flush=True)
                shutil.rmtree(out)
        usual = min(seconds["colorize"])
        for name, values in seconds.items():
            print(f"{name}: best {args.count / min(values):.1f} photos/s, {usual / min(values):.2f} × colorize")


def soak(args: argparse.Namespace) -> None:
    """Kills and continues."""
    planning.PHOTOS = 10
    rng = random.Random(args.seed)
    with scratch(args.folder) as root:
        album = album_of(args.photos, args.count, root / "album")
        (album / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
        timed("colorize", album, "-o", root / "expected")
        expected = _tree(root / "expected")
        for engine, whom in (
            ("local", "driver"),
            ("local", "worker"),
            ("ray", "driver"),
            ("ray", "worker"),
            ("ray", "actor"),
            ("ray", "raylet"),
        ):
            if args.only not in ("", f"{engine}-{whom}"):
                continue
            out, kills = root / f"{engine}-{whom}", 0
            planning.make_plan([str(album)], str(out))
            start = time.perf_counter()
            while kills < args.kills:
                process = subprocess.Popen(
                    [*HASHIGO, "bulk", "run", "-o", str(out), "--engine", engine], stderr=subprocess.DEVNULL
                )
                ended = False
                while not ended and kills < args.kills:
                    time.sleep(rng.uniform(0.5, 4.0) if engine == "local" else rng.uniform(4.0, 12.0))
                    ended = process.poll() is not None
                    kills += 0 if ended else _kill(process.pid, whom, rng)
                    ended = ended or whom in ("driver", "raylet")
                if ended and whom == "driver":
                    process.kill()
                process.wait()
                if not any(True for _ in _missing(out)):
                    shutil.rmtree(out)  # all is done: again from the start
                    planning.make_plan([str(album)], str(out))
            subprocess.run(
                [*HASHIGO, "bulk", "run", "-o", str(out), "--engine", engine], check=False, stderr=subprocess.DEVNULL
            )
            found = _tree(out)
            same = found == expected
            half = [path for path in out.rglob(".*") if path.is_file() and STATE not in path.parts]
            print(
                f"{engine}, {whom} killed {kills} times in {time.perf_counter() - start:.0f} s: {'results equal' if same else 'RESULTS DIFFER'}, "
                f"{len(half)} half-written files, {len(list(_missing(out)))} shards left",
                flush=True,
            )  # fmt: skip


@contextmanager
def store(log: Path) -> Iterator[None]:
    """An S3 server with an empty bucket; the environment leads to it. log: has a line for each request."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as file:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=file, stderr=file)
    address = f"http://127.0.0.1:{port}"
    os.environ |= {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"
    }  # fmt: skip
    try:
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"))
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        yield
    finally:
        server.kill()
        server.wait()


def requests(log: Path) -> Counter[str]:
    """How many requests of each kind there have been: LIST, GET (with HEAD), PUT (with POST), DELETE."""
    found: Counter[str] = Counter()
    for method, query in re.findall(r'"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP', log.read_text(errors="replace")):
        listing = method == "GET" and "list-type" in query
        found["LIST" if listing else {"HEAD": "GET", "POST": "PUT"}.get(method, method)] += 1
    return found


def cost(args: argparse.Namespace) -> None:
    """Counts requests, and multiplies."""
    hours = args.photos_in_all / args.rate / args.cores / args.nodes / 3600
    print(
        f"{args.photos_in_all:,.0f} photos at {args.rate:g} per second and core on {args.nodes} computers with {args.cores} cores: {hours:.0f} hours, "
        f"{hours * args.nodes * args.node_price:,.0f} $ at {args.node_price:g} $ per computer and hour"
    )
    prices = {"LIST": args.put_price, "PUT": args.put_price, "GET": args.get_price, "DELETE": 0.0}
    with scratch(args.folder) as root:
        album = album_of(args.photos, args.count, root / "album")
        with store(root / "log"):
            for path in album.iterdir():
                place_of("s3://bucket/album").write(path.name, path.read_bytes())
            for name, words in (("results as files", ()), ("results as tar files", ("--tars",))):
                before = requests(root / "log")
                out = f"s3://bucket/{len(words)}"
                timed("bulk", "plan", "s3://bucket/album", "-o", out)
                timed("bulk", "run", "-o", out, "--model", "fast", *words)
                made = requests(root / "log") - before
                each = {kind: made[kind] / args.count for kind in prices}
                dollars = sum(args.photos_in_all * each[kind] * price / 1000 for kind, price in prices.items())
                counted = ", ".join(f"{1000 * number:.0f} {kind}" for kind, number in each.items())
                print(f"{name}: per 1,000 photos {counted}; for all {dollars:,.0f} $", flush=True)


def _missing(out: Path) -> Iterator[str]:
    place = Folder(out)
    yield from (
        shard.id for shard in read_shards(place) if not (out / STATE / "reports" / f"{shard.id}.jsonl").exists()
    )


def _tree(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and STATE not in path.parts)
    return {
        path.relative_to(out).as_posix(): path.read_bytes() if path.suffix != ".jsonl" else _failed(path) for path in files if not path.name.startswith(".")
    }  # fmt: skip


def _failed(path: Path) -> bytes:
    return "\n".join(sorted(json.loads(line)["input"] for line in path.read_text().splitlines())).encode()


def _kill(driver: int, whom: str, rng: random.Random) -> int:
    """Kills one process; returns how many."""
    marks = {"worker": b"hashigo.bulk.worker", "actor": b"ray::RayWorker", "raylet": b"raylet/raylet"}
    if whom == "driver":
        os.kill(driver, signal.SIGKILL)
        return 1
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marks[whom] in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    if not found:
        return 0
    try:
        os.kill(rng.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def main() -> None:
    """Chooses what to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="", help="where temporary files go")
    kinds = parser.add_subparsers(dest="kind", required=True)
    many = kinds.add_parser("names")
    many.add_argument("--count", type=int, default=1_000_000)
    speed = kinds.add_parser("rate")
    speed.add_argument("photos")
    speed.add_argument("--count", type=int, default=2_000)
    speed.add_argument("--rounds", type=int, default=2)
    stress = kinds.add_parser("soak")
    stress.add_argument("photos")
    stress.add_argument("--count", type=int, default=300)
    stress.add_argument("--kills", type=int, default=20)
    stress.add_argument("--only", default="", help="engine and whom to kill, such as ray-raylet; default: all six")
    stress.add_argument("--seed", type=int, default=0)
    price = kinds.add_parser("cost")
    price.add_argument("photos")
    price.add_argument("--count", type=int, default=1_000)
    price.add_argument("--photos-in-all", type=float, default=1e8)
    price.add_argument("--rate", type=float, required=True, help="photos per second and core, from `rate`")
    price.add_argument("--nodes", type=int, default=100)
    price.add_argument("--cores", type=int, default=16)
    price.add_argument("--node-price", type=float, default=0.714, help="$ per hour (AWS c7i.4xlarge, us-east-1, 2025)")
    price.add_argument("--put-price", type=float, default=0.005, help="$ per 1,000 PUT or LIST (S3 Standard)")
    price.add_argument("--get-price", type=float, default=0.0004, help="$ per 1,000 GET (S3 Standard)")
    args = parser.parse_args()
    {"names": names, "rate": rate, "soak": soak, "cost": cost}[args.kind](args)
    print(f"highest memory of a child process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
