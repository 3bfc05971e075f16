"""Do two checkouts give the same results, bit for bit? Colouring, a short training run and the quick purity study.

    .venv/bin/python benchmarks/same_results.py ../before . --photos PHOTOS --mnist DATA

Each checkout's own command line runs with this environment's packages, one after the other on the same machine. What is
compared: the pixels of every coloured photo; the weights and the losses of the run; all numbers of the study's
results.json except times, memory and versions. A checkout whose results are stored already (`--keep DIR`) is not run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from checkouts import digits_recipe

NOT_RESULTS = {
    "environment", "earlier_environments", "seconds", "measuring_seconds", "peak_memory_mb", "peak_gpu_memory_mb", "part",
}  # fmt: skip
"""Keys of results.json that differ from run to run or tell of the machine; "part" repeats other figures."""


def hashigo(checkout: Path, words: list[str], cwd: Path) -> None:
    """Runs a command of a checkout."""
    code = "import sys; from hashigo.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src")}
    subprocess.run([sys.executable, "-c", code, *words], check=True, cwd=cwd, env=environment)


def coloured(checkout: Path, photos: list[Path], folder: Path) -> dict[str, str]:
    """A digest of each coloured photo's pixels."""
    found = {}
    for model in ("colorizer", "tiny"):
        out = folder / model
        hashigo(checkout, ["colorize", *map(str, photos), "-o", str(out), "--model", model], folder)
        for path in sorted(out.rglob("*.color.*")):
            with Image.open(path) as image:
                found[f"{model}/{path.name}"] = hashlib.sha256(np.asarray(image).tobytes()).hexdigest()
    return found


def trained(checkout: Path, photos: Path, folder: Path) -> dict[str, str]:
    """Digests of the weights and losses of short runs on scikit-learn's digits and on photos."""
    found = {}
    recipe = digits_recipe(checkout)
    extra = {
        "autoencode": [],
        "denoise": ["--task.name", "denoise"],
        "bins": ["--data.train", str(photos.resolve()), "--data.size", "64", "--data.crop", "48", "--data.limit", "200",
                 "--task.name", "colorize-bins", "--task.options", '{"damaged": 0.5, "hinted": 0.5}',
                 "--network.options", '{"width": 4, "depth": 2, "stem": 2, "residual": true, "context": true}', "--ema", "0.99"],
    }  # fmt: skip
    for name, flags in extra.items():
        run = folder / name
        hashigo(checkout, ["train", recipe, "--epochs", "3", "--run", str(run), *flags], folder)
        found[f"{name}/metrics.csv"] = hashlib.sha256((run / "metrics.csv").read_bytes()).hexdigest()
        for tensor, values in load_file(run / "model" / "model.safetensors").items():
            # the plain encoder has been a part of its own since the network contract: only the names differ
            found[f"{name}/{tensor.removeprefix('encoder.')}"] = hashlib.sha256(values.tobytes()).hexdigest()
    return found


def without_times(value: Any) -> Any:
    """The value without what is no result."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in NOT_RESULTS}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of nested dictionaries and lists by their path."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {path: leaf for key, inner in pairs for path, leaf in flat(inner, f"{name}/{key}").items()}
    return {name: value}


def studied(checkout: Path, mnist: Path | None, folder: Path) -> dict[str, Any]:
    """All numbers of the quick purity study, on MNIST or, without it, on scikit-learn's digits."""
    data = ["--data", "digits"] if mnist is None else ["--data", "mnist", "--data-root", str(mnist.resolve())]
    hashigo(checkout, ["study", "purity", "--preset", "quick", *data, "--run", str(folder / "purity")], folder)
    return flat(without_times(json.loads((folder / "purity" / "results.json").read_text(encoding="utf-8"))))


def results(
    checkout: Path, photos: list[Path], mnist: Path | None, parts: list[str], keep: Path | None
) -> dict[str, Any]:
    """Everything that is compared of one checkout."""
    found: dict[str, Any] = {}
    for part in parts:
        stored = None if keep is None else keep / f"{checkout.resolve().name}-{part}.json"
        if stored is not None and stored.is_file():
            found[part] = json.loads(stored.read_text(encoding="utf-8"))
            continue
        with tempfile.TemporaryDirectory(prefix="hashigo-same-") as scratch:
            folder = Path(scratch)
            if part == "colouring":
                found[part] = coloured(checkout, photos, folder)
            elif part == "training":
                found[part] = trained(checkout, photos[0].parent, folder)
            else:
                found[part] = studied(checkout, mnist, folder)
        if stored is not None:
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_text(json.dumps(found[part], indent=1), encoding="utf-8")
    return found


def main() -> int:
    """Runs both and lists what differs; 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos; the first 20 are coloured")
    parser.add_argument("--mnist", type=Path, help="folder where mnist lies; without it the study takes digits")
    parser.add_argument("--parts", nargs="+", default=["colouring", "training", "study"])
    parser.add_argument("--keep", type=Path, help="folder for the results of each checkout")
    args = parser.parse_args()
    photos = [path.resolve() for path in sorted(args.photos.rglob("*.jpg"))[:20]]
    before, after = (results(one, photos, args.mnist, args.parts, args.keep) for one in (args.before, args.after))
    different = 0
    for part in args.parts:
        names = sorted({*before[part], *after[part]})
        differing = [name for name in names if before[part].get(name) != after[part].get(name)]
        different += len(differing)
        print(f"{part}: {len(names)} results, {len(differing)} differ")
        for name in differing[:20]:
            print(f"  {name}: {before[part].get(name)} | {after[part].get(name)}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
