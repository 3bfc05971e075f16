"""What starting hashigo costs: wall time and peak memory of short commands, and the size of a plain installation.

    .venv/bin/python benchmarks/startup.py --install --json startup.json

Every command is a process of its own; they take turns in rounds. `--install` also installs hashigo without extras into a
temporary environment (from PyPI's packages), measures what that adds on disk, and colours a photo there. Ends with status
1 when something that starts quickly imports a heavy package, or when the plain installation does not work.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from processes import Spent, command_line, peak_megabytes, say, spend, told
from surroundings import surroundings

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "openvino", "matplotlib")
TARGETS = {"hashigo --help": 0.4, "import hashigo": 0.2}
"""Seconds of wall time."""
TARGET_INSTALL = 350
"""MB on disk."""
SOURCES = ("src", "pyproject.toml", "README.md", "LICENSE")
"""All that a wheel is made of."""


def photo() -> Path:
    """A real photo, 640 × 427, that comes with scikit-image (which is not imported)."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("expected scikit-image, for its photos, got none: pip install -e '.[dev]'")
    return Path(spec.origin).parent / "data" / "rocket.jpg"


@dataclass(frozen=True)
class Command:
    """What is timed, `words`, and Python code that does the same, for its memory."""

    words: list[str]
    code: str


def commands(scratch: Path) -> dict[str, Command]:
    """Everything that is timed; the first is the floor, Python itself."""
    hashigo = str(Path(sys.executable).with_name("hashigo"))
    colorize = ["colorize", str(photo()), "-o", str(scratch / "result.jpg"), "--existing", "overwrite"]
    return {
        "python -c pass": Command([sys.executable, "-c", "pass"], "pass"),
        "import hashigo": Command([sys.executable, "-c", "import hashigo"], "import hashigo"),
        "hashigo --help": Command([hashigo, "--help"], command_line("--help")),
        "hashigo colorize, one photo": Command([hashigo, *colorize], command_line(*colorize)),
    }


def take_turns(chosen: dict[str, Command], rounds: int) -> dict[str, list[Spent]]:
    """All rounds, each in the other direction than the one before; one round ahead, untimed, fills the disk's cache."""
    taken: dict[str, list[Spent]] = {name: [] for name in chosen}
    for number in range(rounds + 1):
        for name in list(chosen)[:: -1 if number % 2 else 1]:
            spent = spend(chosen[name].words)
            if number:
                taken[name].append(spent)
    return taken


def heavy_imports() -> dict[str, list[str]]:
    """The heavy packages that `import hashigo` and `hashigo --help` import; none is right."""
    look = f"print(' '.join(sorted(set(sys.modules) & set({HEAVY!r}))))"
    codes = {
        "import hashigo": f"import sys, hashigo\n{look}",
        "hashigo --help": f"import sys\n{command_line('--help')}\n{look}",
    }
    found = {}
    for name, code in codes.items():
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
        found[name] = done.stdout.splitlines()[-1].split()
    return found


def disk(folder: Path) -> int:
    """Bytes that a folder takes on disk, as `du` counts them."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def install() -> dict[str, Any]:
    """hashigo without extras in an environment of its own: MB on disk without pip, packages, and that it colours."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        scratch, source = Path(name), Path(name) / "source"
        source.mkdir()
        for part in SOURCES:  # a copy, so that nothing of an earlier build gets into the wheel, and none is left
            whole = ROOT / part
            if whole.is_dir():
                shutil.copytree(whole, source / part, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
            else:
                shutil.copy(whole, source / part)
        environment = scratch / "venv"
        say("a fresh environment")
        spend([sys.executable, "-m", "venv", str(environment)])
        before, pip = disk(environment), [str(environment / "bin" / "python"), "-m", "pip"]
        say("pip install .")
        spent = spend([*pip, "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(source)])
        added = disk(environment) - before
        listed = subprocess.run([*pip, "list", "--format=freeze"], stdout=subprocess.PIPE, check=True, text=True)
        result = scratch / "result.jpg"
        coloured = spend([str(environment / "bin" / "hashigo"), "colorize", str(photo()), "-o", str(result)])
        return {
            "megabytes": added / 1e6,
            "seconds": spent.seconds,
            "packages": listed.stdout.split(),
            "colours": result.is_file(),
            "colorize": asdict(coloured),
        }


def measure(rounds: int, with_install: bool) -> dict[str, Any]:
    """The whole benchmark, as plain values."""
    machine = surroundings()
    with tempfile.TemporaryDirectory() as scratch:
        chosen = commands(Path(scratch))
        taken = take_turns(chosen, rounds)
        peaks = {name: peak_megabytes(command.code) for name, command in chosen.items()}
    return {
        "machine": machine, "rounds": rounds, "heavy": heavy_imports(),
        "commands": {name: [asdict(one) for one in spent] for name, spent in taken.items()}, "megabytes": peaks,
        "install": install() if with_install else None,
        "targets": {**TARGETS, "install megabytes": TARGET_INSTALL},
    }  # fmt: skip


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    here = report["machine"]
    lines = [
        f"{here['date']} · {here['cpu']}, {here['cores']} cores, {here['memory_gib']} GiB · {here['system']}, "
        f"Python {here['python']} · load at start {here['load'][0]}",
        "",
        f"Medians of {report['rounds']} rounds.",
        "",
        "| command | wall | processor | peak memory | target |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name, spent in report["commands"].items():
        seconds, cpu = (median(one[key] for one in spent) for key in ("seconds", "cpu"))
        target = told(seconds <= TARGETS[name], f"≤ {TARGETS[name]} s") if name in TARGETS else ""
        lines.append(f"| {name} | {seconds:.3f} s | {cpu:.3f} s | {report['megabytes'][name]:.0f} MB | {target} |")
    added = report["install"]
    if added:
        works = "colours" if added["colours"] else "**does not colour**"
        target = told(added["megabytes"] <= TARGET_INSTALL, f"≤ {TARGET_INSTALL} MB")
        lines.append(
            f"| `pip install .`, no extras: {added['megabytes']:.0f} MB on disk, {works} | {added['seconds']:.1f} s | | | {target} |"
        )
    lines.append("")
    for name, modules in report["heavy"].items():
        lines.append(
            f"- {name} imports {'**' + ', '.join(modules) + '**' if modules else 'none'} of {', '.join(HEAVY)}."
        )
    return "\n".join(lines)


def main() -> int:
    """Measures, prints Markdown, writes JSON; 1 if something heavy is imported or the installation does not colour."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--install", action="store_true", help="installs hashigo without extras and measures that too")
    parser.add_argument("--json", type=Path, help="writes everything, each round too, to this file")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("expected at least one round")
    report = measure(arguments.rounds, arguments.install)
    print(markdown(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    wrong = any(report["heavy"].values()) or (report["install"] is not None and not report["install"]["colours"])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
