"""Colouring photos end to end with the bundled model: where the time goes, the memory, and a folder of photos.

    .venv/bin/python benchmarks/colouring.py --json colouring.json

Photos of 1 to 24 megapixels, made from real ones (scikit-image's, enlarged, with noise like a sensor's, JPEG of quality
92), RGB and grey. The model is loaded once. In each round every photo goes through the four stages one after another:
decode, network (with the reduction to its size), merge (the colour put back at full size), encode. The memory is the
peak of a process of its own that colours one photo of 12 megapixels. For a look in seconds:

    .venv/bin/python benchmarks/colouring.py --rounds 1 --megapixels 1 --memory-megapixels 1 --folder 4
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from hashigo.apply import Model, load
from hashigo.apply.jobs import Options, run
from hashigo.apply.planning import plan
from hashigo.image.photo import encode, read
from processes import command_line, peak_megabytes, say, told
from surroundings import surroundings

SOURCES = ("coffee.png", "rocket.jpg", "chelsea.png", "astronaut.png")
"""Photos in scikit-image's data folder."""

STAGES = ("decode", "network", "merge", "encode")
TARGET_SECONDS, TARGET_AT = 1.2, 12.0
TARGET_MEGABYTES = 700
TARGET_PER_SECOND = 8.0
DISTINCT = 20
"""Different photos in the folder; the rest are copies under other names, which cost as much to colour."""


@dataclass(frozen=True)
class Case:
    """One photo and the seconds of its stages, a list with an entry per round for each."""

    megapixels: float
    kind: str
    height: int
    width: int
    file_bytes: int
    network_size: tuple[int, int]
    seconds: dict[str, list[float]]

    @property
    def total(self) -> float:
        """The median over rounds of all stages together."""
        return median(sum(parts) for parts in zip(*self.seconds.values(), strict=True))


def make_photo(megapixels: float, kind: str, seed: int = 0) -> bytes:
    """A photo of 4:3 as a JPEG file: `kind` "rgb" or "grey"; the same for the same arguments."""
    import skimage

    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(width * 3 / 4)
    with Image.open(Path(skimage.__file__).parent / "data" / SOURCES[seed % len(SOURCES)]) as opened:
        image = opened.convert("RGB" if kind == "rgb" else "L")
    room = min(image.width / 4, image.height / 3)
    across, down = (image.width - 4 * room) / 2, (image.height - 3 * room) / 2
    box = (across, down, across + 4 * room, down + 3 * room)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box)).copy()
    rng = np.random.default_rng(seed)
    for row in pixels:
        row[:] = np.clip(row + rng.normal(0, 4, row.shape).astype(np.float32) + 0.5, 0, 255)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def stages(model: Model, data: bytes) -> dict[str, float]:
    """Seconds of each stage of colouring one photo, from file to file in memory."""
    marks = [time.perf_counter()]
    photo = read(data)
    marks.append(time.perf_counter())
    seen = model.prepare(photo)
    outputs = model.each_output(seen, model.call())
    marks.append(time.perf_counter())
    result = model.finish(photo, outputs, seen)
    marks.append(time.perf_counter())
    encode(result, "JPEG", 92)
    marks.append(time.perf_counter())
    return {name: marks[i + 1] - marks[i] for i, name in enumerate(STAGES)}


def time_stages(model: Model, megapixels: Sequence[float], rounds: int) -> list[Case]:
    """Every photo in every round, each once before the first, untimed."""
    photos = {(size, kind): make_photo(size, kind) for size in megapixels for kind in ("rgb", "grey")}
    taken: dict[tuple[float, str], list[dict[str, float]]] = {key: [] for key in photos}
    for number in range(rounds + 1):
        say("warming up" if number == 0 else f"round {number} of {rounds}")
        for key, data in photos.items():
            seconds = stages(model, data)
            if number:
                taken[key].append(seconds)
    cases = []
    for (size, kind), data in photos.items():
        height, width = read(data).size
        seconds_of = {name: [one[name] for one in taken[size, kind]] for name in STAGES}
        cases.append(Case(size, kind, height, width, len(data), model.network_size((height, width)), seconds_of))
    return cases


def memory(model: str, megapixels: float, kind: str) -> float:
    """Peak memory in MB of a process that starts, loads the model and colours one JPEG file, as the command does."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "photo.jpg", Path(name) / "result.jpg"
        source.write_bytes(make_photo(megapixels, kind))
        peak = peak_megabytes(command_line("colorize", str(source), "-o", str(target), "--model", model))
        if not target.is_file():
            raise SystemExit(f"expected {target}, found nothing")
        return peak


def folder(model: Model, count: int, megapixels: float, rounds: int) -> list[float]:
    """Photos per second over a folder of JPEG files, every second one grey, for each round."""
    with tempfile.TemporaryDirectory() as name:
        source, rates = Path(name) / "in", []
        source.mkdir()
        distinct = [make_photo(megapixels, "grey" if i % 2 else "rgb", seed=i) for i in range(min(count, DISTINCT))]
        for i in range(count):
            (source / f"{i:04d}.jpg").write_bytes(distinct[i % len(distinct)])
        for number in range(rounds):
            say(f"folder, round {number + 1} of {rounds}")
            jobs = plan([source], Path(name) / "out", model.task.suffix)
            start = time.perf_counter()
            outcomes = list(run(model, jobs, Options(existing="overwrite")))
            rates.append(count / (time.perf_counter() - start))
            failed = [outcome.error for outcome in outcomes if outcome.state != "done"]
            if failed or len(outcomes) != count:
                raise SystemExit(f"expected {count} coloured photos, {len(failed)} failed: {failed[:1]}")
    return rates


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole benchmark, as plain values."""
    machine = surroundings()
    say("memory")
    peaks = {kind: memory(arguments.model, arguments.memory_megapixels, kind) for kind in ("rgb", "grey")}
    start = time.perf_counter()
    model = load(arguments.model)
    loading = time.perf_counter() - start
    cases = time_stages(model, arguments.megapixels, arguments.rounds)
    rates = folder(model, arguments.folder, arguments.folder_megapixels, min(arguments.rounds, 3))
    return {
        "machine": machine, "model": f"{arguments.model}, {model.engine.description}", "loading_seconds": loading, "rounds": arguments.rounds,
        "photos": [{**asdict(case), "total": case.total} for case in cases],
        "memory": {"megapixels": arguments.memory_megapixels, "megabytes": peaks},
        "folder": {"photos": arguments.folder, "megapixels": arguments.folder_megapixels, "photos_per_second": rates},
        "targets": {"seconds_12_megapixels": TARGET_SECONDS, "megabytes": TARGET_MEGABYTES, "photos_per_second": TARGET_PER_SECOND},
    }  # fmt: skip


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    here, memory_, folder_ = report["machine"], report["memory"], report["folder"]
    lines = [
        f"{here['date']} · {here['cpu']}, {here['cores']} cores ({' '.join(here['flags'])}), {here['memory_gib']} GiB · "
        f"{here['system']}, Python {here['python']} · load at start {here['load'][0]}",
        "",
        f"{report['model']}, loaded in {report['loading_seconds']:.2f} s. Medians of {report['rounds']} rounds, seconds:",
        "",
        f"| photo | file | network sees | {' | '.join(STAGES)} | all | target |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for photo in report["photos"]:
        parts = " | ".join(f"{median(photo['seconds'][name]):.3f}" for name in STAGES)
        is_target = photo["megapixels"] == TARGET_AT
        target = told(photo["total"] <= TARGET_SECONDS, f"≤ {TARGET_SECONDS} s") if is_target else ""
        lines.append(
            f"| {photo['megapixels']:g} MP {photo['kind']}, {photo['width']} × {photo['height']} | "
            f"{photo['file_bytes'] / 1e6:.1f} MB | {photo['network_size'][1]} × {photo['network_size'][0]} | "
            f"{parts} | {photo['total']:.3f} | {target} |"
        )
    rate = median(folder_["photos_per_second"])
    lines += ["", "| | measured | target |", "| --- | ---: | --- |"]
    for kind, peak in memory_["megabytes"].items():
        is_target = memory_["megapixels"] == TARGET_AT
        target = told(peak <= TARGET_MEGABYTES, f"≤ {TARGET_MEGABYTES} MB") if is_target else ""
        lines.append(f"| peak memory, one {memory_['megapixels']:g} MP JPEG, {kind} | {peak:.0f} MB | {target} |")
    lines.append(
        f"| folder of {folder_['photos']} JPEGs of {folder_['megapixels']:g} MP | {rate:.1f} photos/s | "
        f"{told(rate >= TARGET_PER_SECOND, f'≥ {TARGET_PER_SECOND:g} photos/s')} |"
    )
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="the folder is done at most three times")
    parser.add_argument("--megapixels", type=floats, default=[1.0, 2.0, 6.0, 12.0, 24.0], help="sizes, comma-separated")
    parser.add_argument("--memory-megapixels", type=float, default=TARGET_AT, help="size of the photo for the memory")
    parser.add_argument("--folder", type=int, default=200, help="photos in the folder")
    parser.add_argument("--folder-megapixels", type=float, default=1.0, help="their size")
    parser.add_argument("--model", default="colorizer", help="name or folder of a model for colouring")
    parser.add_argument("--json", type=Path, help="writes everything, each round too, to this file")
    chosen = parser.parse_args(arguments)
    if min(chosen.rounds, chosen.folder) < 1:
        parser.error("expected at least one round and one photo")
    return chosen


def floats(text: str) -> list[float]:
    """Numbers, comma-separated."""
    return [float(part) for part in text.split(",")]


def main() -> int:
    """Measures, prints Markdown, writes JSON."""
    arguments = parse()
    report = measure(arguments)
    print(markdown(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
