"""The article's U-Net side by side: the article's Keras code, torch, hashigo's training run, ONNX Runtime and OpenVINO.

    python3 -m venv .venv-keras && .venv-keras/bin/pip install -r benchmarks/requirements-keras.txt
    .venv/bin/python benchmarks/article_unet.py --json article_unet.json

The network is the article's (96×96, width 64, depth 4, skip connections), RGB to RGB and grey to RGB, on the CPU. Every
contender is a process of its own that sleeps until its turn; they take turns in rounds, the order moved on by one in each
round, so that a slow minute of the machine hits them all. Matrix products measured in the same rounds give the peak.
Without Keras's environment its rows are left out. For a look in a minute:

    .venv/bin/python benchmarks/article_unet.py --rounds 1 --train-steps 1 --forward-steps 1 --warmup 1 --width 8
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from typing import Any

from article_table import Row, markdown, plain, rates, ratio
from surroundings import surroundings
from turns import Turn, Worker, WorkerError

SIZE = 96


@dataclass(frozen=True)
class Contender:
    """Who takes turns: `key` is "train-…", "forward-…", "keras-train-…", "keras-forward-…" or "peak-…"."""

    key: str
    label: str
    precision: str
    asked: bool = False
    """Takes part only where --only names it."""

    @property
    def script(self) -> str:
        """The file of the worker."""
        return {"keras": "keras_unet.py", "peak": "peak.py"}.get(self.key.split("-")[0], "torch_unet.py")


CONTENDERS = (
    Contender("keras-train-fp32-plain", "Keras", "fp32"),
    Contender("keras-train-bf16-plain", "Keras, mixed_bfloat16", "bf16"),
    Contender("keras-train-fp32-xla", "Keras, XLA", "fp32", asked=True),
    Contender("keras-train-bf16-xla", "Keras, mixed_bfloat16, XLA", "bf16", asked=True),
    Contender("train-eager-fp32", "torch eager, channels first", "fp32"),
    Contender("train-eager-bf16", "torch eager, channels last", "bf16"),
    Contender("train-hashigo", "**hashigo train**", "auto"),
    Contender("keras-forward-fp32-predict", "Keras predict_on_batch", "fp32"),
    Contender("keras-forward-fp32-function", "Keras, tf.function", "fp32"),
    Contender("keras-forward-bf16-predict", "Keras predict_on_batch, mixed_bfloat16", "bf16"),
    Contender("keras-forward-bf16-function", "Keras, tf.function, mixed_bfloat16", "bf16"),
    Contender("keras-forward-fp32-xla", "Keras, tf.function, XLA", "fp32", asked=True),
    Contender("keras-forward-bf16-xla", "Keras, tf.function, mixed_bfloat16, XLA", "bf16", asked=True),
    Contender("forward-eager-fp32", "torch eager, channels first", "fp32"),
    Contender("forward-torch-engine", "**hashigo, torch engine**", "auto"),
    Contender("forward-compiled-bf16", "torch compiled, channels last", "bf16"),
    Contender("forward-onnxruntime", "ONNX Runtime", "fp32"),
    Contender("forward-openvino", "**hashigo, OpenVINO engine**", "auto"),
    Contender("peak-mm-fp32", "peak: matrix product", "fp32"),
    Contender("peak-mm-bf16", "peak: matrix product", "bf16"),
    Contender("peak-conv-fp32", "3×3 convolution, torch", "fp32"),
    Contender("peak-conv-bf16", "3×3 convolution, torch", "bf16"),
)


def chosen(kind: str, only: Sequence[str]) -> list[Contender]:
    """The contenders of "train" or "forward", and the peaks, which are always measured with them."""
    names = (f"{kind}-", f"keras-{kind}-")
    return [
        c
        for c in CONTENDERS
        if c.key.startswith("peak-")
        or (c.key.startswith(names) and (any(fnmatch(c.key, pattern) for pattern in only) if only else not c.asked))
    ]


def work_per_picture(channels: int, width: int, depth: int) -> dict[str, float]:
    """GFLOP of one picture, forward and training (forward and both gradients), counted on the network itself."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from hashigo.networks import make_network

    with torch.device("meta"):
        network = make_network("unet", in_channels=channels, width=width, depth=depth)
        picture = torch.zeros(1, channels, SIZE, SIZE)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        network(picture)
    with FlopCounterMode(display=False) as training:
        network(picture).sum().backward()
    return {"forward": forward.get_total_flops() / 1e9, "train": training.get_total_flops() / 1e9}


def export(channels: int, arguments: argparse.Namespace, folder: Path) -> Path:
    """The network that the torch contenders have, as ONNX."""
    from hashigo.models.onnx import export_onnx
    from torch_unet import network

    options = {"channels": channels, "width": arguments.width, "depth": arguments.depth}
    return export_onnx(network(options), folder / f"unet-{channels}.onnx")


def start(
    contenders: Sequence[Contender], options: dict[str, Any], keras_python: str, stack: ExitStack
) -> Iterator[tuple[Contender, Worker | WorkerError]]:
    """Starts and warms one worker after another; those that fail come as their error."""
    for contender in contenders:
        say(f"starting {contender.key}")
        python = keras_python if contender.script == "keras_unet.py" else sys.executable
        folder = Path(options["folder"]) / contender.key
        folder.mkdir(parents=True)
        given = json.dumps({**options, "contender": contender.key, "folder": str(folder)})
        command = [python, str(Path(__file__).with_name(contender.script)), given]
        try:
            worker = Worker(command, folder / "log.txt")
        except WorkerError as error:
            yield contender, error
            continue
        stack.callback(worker.close)
        yield contender, worker


def take_turns(
    workers: dict[Contender, Worker], rounds: int, steps: int, failed: Callable[[Contender, WorkerError], None]
) -> dict[Contender, list[Turn]]:
    """All rounds; each starts one contender later than the round before. Who fails is told of and left out."""
    turns: dict[Contender, list[Turn]] = {contender: [] for contender in workers}
    order = list(workers)
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        first = number % len(order)
        for contender in order[first:] + order[:first]:
            if contender not in turns:
                continue
            try:
                turns[contender].append(workers[contender].turn(number, steps))
            except WorkerError as error:
                failed(contender, error)
                del turns[contender]
    return turns


def phase(kind: str, channels: int, arguments: argparse.Namespace, folder: Path, notes: list[str]) -> dict[str, Any]:
    """Training or forward of one network: every contender, every round."""
    say(f"{kind}, {channels} channels in")
    steps = arguments.train_steps if kind == "train" else arguments.forward_steps
    options = {
        "channels": channels, "size": SIZE, "width": arguments.width, "depth": arguments.depth,
        "batch": arguments.batch, "warmup": arguments.warmup, "planned": arguments.rounds * steps,
        "compile": arguments.compile, "folder": str(folder / f"{kind}-{channels}"), "onnx": str(folder / f"unet-{channels}.onnx"),
    }  # fmt: skip
    contenders = chosen(kind, arguments.only)
    if not Path(arguments.keras_python).is_file():
        contenders = [c for c in contenders if c.script != "keras_unet.py"]
    workers: dict[Contender, Worker] = {}

    def failed(contender: Contender, error: WorkerError) -> None:
        notes.append(f"Failed: {kind}, {channels} channels in, {contender.key} {error}")

    with ExitStack() as stack:
        for contender, worker in start(contenders, options, arguments.keras_python, stack):
            if isinstance(worker, Worker):
                workers[contender] = worker
            else:
                failed(contender, worker)
        turns = take_turns(workers, arguments.rounds, steps, failed)
        abouts = {contender: workers[contender].about for contender in turns}
    gflop = work_per_picture(channels, arguments.width, arguments.depth)[kind]
    return {
        "kind": kind, "channels": channels, "batch": arguments.batch, "steps": steps, "rounds": arguments.rounds,
        "cores": surroundings()["cores"], "gflop_per_picture": gflop, **figures(turns, abouts, gflop, arguments.batch),
    }  # fmt: skip


def figures(
    turns: dict[Contender, list[Turn]], abouts: dict[Contender, dict[str, Any]], gflop: float, batch: int
) -> dict[str, Any]:
    """Rows and peaks of a phase, and all its turns.

    Raises:
        SystemExit: the contenders' networks have not the same number of parameters.
    """
    counts = {about["parameters"] for about in abouts.values() if "parameters" in about}
    if len(counts) > 1:
        raise SystemExit(f"expected the same network everywhere, got {sorted(counts)} parameters")
    speed = {c: rates(t, abouts[c].get("gflop_per_step", batch)) for c, t in turns.items()}
    peak = {c.precision: median(speed[c].values()) for c in turns if c.key.startswith("peak-mm-")}
    keras = [c for c in turns if c.key.startswith("keras-") and c.precision == "bf16" and not c.asked]
    best_keras = max(keras, key=lambda c: median(speed[c].values()), default=None)
    plain_torch = next((c for c in turns if c.key.endswith("-eager-fp32")), None)
    rows: list[Row] = []
    peaks: list[Row] = []
    for c, own in speed.items():
        is_peak = c.key.startswith("peak-")
        setup = abouts[c].get("setup", "")
        precision = c.precision if c.precision != "auto" else "bf16" if "bfloat16" in setup else "fp32"
        gflops = median(own.values()) * (1.0 if is_peak else gflop)
        row = Row(
            c.key, c.label, precision, setup, median(own.values()), min(own.values()), max(own.values()), gflops,
            None if is_peak or not best_keras else ratio(own, speed[best_keras]),
            None if is_peak or not plain_torch else ratio(own, speed[plain_torch]),
            gflops / peak[precision] if precision in peak else None,
        )  # fmt: skip
        (peaks if is_peak else rows).append(row)
    return {
        "parameters": next(iter(counts), 0), "rows": rows, "peaks": peaks,
        "turns": [{"contender": c.key, **asdict(turn)} for c, taken in turns.items() for turn in taken],
        "versions": {k: v for about in abouts.values() for k, v in about["versions"].items()},
    }  # fmt: skip


def run(arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """The whole benchmark: the report, and whether every contender came through."""
    machine = surroundings()
    notes = [
        "Ratios: the median over rounds of the ratio within each round. Keras bf16 is the faster of Keras's ways where there are two.",
        "% of peak: against the measured matrix product of the row's precision, medians of the same rounds.",
        "GFLOP: multiplications and additions of convolutions and products, counted by torch.utils.flop_counter.",
    ]
    if not Path(arguments.keras_python).is_file():
        notes.append(
            f"Keras's rows are missing: no {arguments.keras_python}; see the head of benchmarks/article_unet.py."
        )
    known = len(notes)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        phases = []
        for channels in (3 if kind == "rgb" else 1 for kind in arguments.inputs):
            export(channels, arguments, Path(name))
            phases += [phase(kind, channels, arguments, Path(name), notes) for kind in arguments.kinds]
    versions = {k: v for part in phases for k, v in part.pop("versions").items()}
    settings = {name: value for name, value in vars(arguments).items() if name not in ("json", "keras_python")}
    report = {"machine": machine, "versions": versions, "settings": settings, "phases": phases, "notes": notes}
    return report, len(notes) == known


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    listed = lambda text: text.split(",")  # noqa: E731
    default_python = Path(__file__).parent.parent / ".venv-keras" / "bin" / "python"
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train-steps", type=int, default=1, help="training steps per turn")
    parser.add_argument("--forward-steps", type=int, default=2, help="forward passes per turn")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the first turn, not timed")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=64, help="the article's is 64; less for a quick look")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--inputs", type=listed, default=["rgb", "grey"], help="rgb, grey or rgb,grey")
    parser.add_argument("--kinds", type=listed, default=["train", "forward"], help="train, forward or train,forward")
    parser.add_argument("--only", type=listed, default=[], help="names of contenders, comma-separated, * and ? allowed")
    parser.add_argument("--compile", choices=("auto", "on", "off"), default="auto", help="hashigo train's own setting")
    parser.add_argument("--keras-python", default=os.path.relpath(default_python))
    parser.add_argument("--json", type=Path, help="writes everything, each turn too, to this file")
    return parser.parse_args(arguments)


def main() -> int:
    """Runs, prints Markdown, writes JSON; 1 if a contender failed."""
    arguments = parse()
    report, complete = run(arguments)
    print(markdown(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(plain(report), indent=1) + "\n", encoding="utf-8")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
