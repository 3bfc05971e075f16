"""Is a checkout slower than another? Colouring an album, start-up and training, in turns on the same machine.

    .venv/bin/python benchmarks/before_after.py ../before . --photos PHOTOS

Each turn is a process of its own that runs the checkout's command line with this environment's packages; the order changes
every round. Printed: medians of wall time in seconds and their ratio, after to before.
"""

from __future__ import annotations

import argparse
import compileall
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from checkouts import digits_recipe
from surroundings import surroundings

CODE = "import sys; from hashigo.cli.main import main; sys.exit(main(sys.argv[1:]))"


def timed(checkout: Path, words: list[str], cwd: Path) -> float:
    """Wall seconds of a command of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", CODE, *words], check=True, cwd=cwd, env=environment, capture_output=True)
    return time.perf_counter() - start


def tasks(checkout: Path, photos: list[Path], scratch: Path, turn: int) -> dict[str, list[str]]:
    """What is timed: name → words of the command line."""
    run = str(scratch / f"run-{checkout.name}-{turn}")
    digits, plain = digits_recipe(checkout), ["--machine.compile", "off", "--panels", "0"]
    wide = ["--task.name", "denoise", "--data.train", str(photos[0].parent), "--data.size", "64", "--data.crop", "64",
            "--network.options", '{"width": 16, "depth": 3}', "--epochs", "3"]  # fmt: skip
    return {
        "start-up (--help)": ["--help"],
        "colouring one photo": ["colorize", str(photos[0]), "-o", str(scratch / "one.jpg"), "--existing", "overwrite"],
        f"colouring {len(photos)} photos": ["colorize", *map(str, photos), "-o", str(scratch / "album"), "--existing", "overwrite"],
        "training, digits": ["train", digits, "--epochs", "8", "--run", f"{run}-digits", *plain],
        "training, photos of 64 × 64": ["train", digits, "--run", f"{run}-photos", *plain, *wide],
    }  # fmt: skip


def main() -> None:
    """Times both checkouts in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    photos = [path.resolve() for path in sorted(args.photos.rglob("*.jpg"))]
    checkouts = {"before": args.before.resolve(), "after": args.after.resolve()}
    for checkout in checkouts.values():  # otherwise the one with fewer compiled files pays for it in every turn
        compileall.compile_dir(checkout / "src", quiet=1)
    times: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="hashigo-turns-") as folder:
        scratch = Path(folder)
        for turn in range(args.rounds):
            order = list(checkouts) if turn % 2 == 0 else list(reversed(checkouts))
            for name in tasks(checkouts["before"], photos, scratch, turn):
                for which in order:
                    seconds = timed(
                        checkouts[which], tasks(checkouts[which], photos, scratch / which, turn)[name], scratch
                    )
                    times.setdefault(name, {}).setdefault(which, []).append(seconds)
    for name, seconds in times.items():
        before, after = median(seconds["before"]), median(seconds["after"])
        ratios = sorted(b / a for a, b in zip(seconds["before"], seconds["after"], strict=True))
        print(
            f"{name}: before {before:.2f} s, after {after:.2f} s, ratio {after / before:.3f} (turns {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    print(surroundings())


if __name__ == "__main__":
    main()
