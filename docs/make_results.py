"""Makes what docs/results.md shows of a study: its plots as pictures, and its numbers without those of single pictures.

    .venv/bin/python docs/make_results.py STUDY_FOLDER[=NAME]…

writes docs/results/NAME-PLOT.svg for each plot, docs/results/NAME.json, and for the studies of photos
docs/results/NAME-photos.png: photos that come with scikit-image, which may be shown here, through the study's networks.
NAME is the study's if left out. Of contingency tables and maps only those in `SHOWN` are kept.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hashigo.data import PictureSet
from hashigo.data.build import to_short_side
from hashigo.demo import bundled_photos
from hashigo.latents.extract import features  # noqa: F401  (fails early where torch is missing)
from hashigo.models import open_model
from hashigo.pages.panels import grid, save_png
from hashigo.studies.purity.network import reconstructions
from hashigo.studies.purity.report import SHOWN_PARTS
from hashigo.studies.purity.settings import CONDITIONS

HERE = Path(__file__).parent / "results"
PLOTS = {
    "purity": ["intervals", "epochs", "losses"],
    "autoencode": ["training-loss", "validation-loss"],
    "generate": ["losses"],
    "colorize": ["training-loss", "validation-loss", "loss", "ciede2000", "psnr", "colourfulness"],
}
"""What the first plots of each study's page are called."""
PICTURES = ["vae", "zeroed", "ladder", "donors", "borrowed", "", "nearest", "level-none", "level-bottleneck", "level-14", "level-28", "between-vae",
            "between-ladder"]  # fmt: skip
"""What the pictures on the page of the study `generate` are called; "" for those that are not kept."""
SHOWN = ("bottleneck", "both", "raw")
"""Conditions of the study of purity whose tables and maps are shown."""
RECONSTRUCTED = ("original", "bottleneck", "both", "alone")
"""Conditions of the study of purity whose reconstructions are shown, if there are remedies."""
LEFT_OUT = ("runs", "contingency", "part", "each", "points", "names", "per_picture")
"""Keys of results.json that are long and not needed to check a claim."""


def standalone(svg: str) -> str:
    """A plot of a page as a file of its own: English, dark ink on the page's light paper."""
    svg = re.sub(r'<tspan class="ja".*?</tspan>', "", svg, flags=re.S).replace("currentColor", "#22252a")
    svg = svg.replace("var(--paper, none)", "#fdfcf9")
    if "xmlns=" not in svg.split(">", 1)[0]:
        svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    head, rest = svg.split(">", 1)
    head = head.replace("<svg", '<svg width="640"', 1)  # else as wide as the window
    return f'{head}><rect width="100%" height="100%" fill="#fdfcf9"/>{rest}\n'


def shortened(value: Any) -> Any:
    """The numbers without what is long, rounded to five significant digits."""
    if isinstance(value, dict):
        return {key: shortened(one) for key, one in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [shortened(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def photos(folder: Path, conditions: list[str], side: int, path: Path) -> None:
    """Rows of photos: the original, then what each network gives."""
    squares = []
    for photo in bundled_photos().values():
        small = to_short_side(np.asarray(photo.pixels), side)
        top, left = (small.shape[0] - side) // 2, (small.shape[1] - side) // 2
        squares.append(small[top : top + side, left : left + side])
    some = PictureSet.from_array(np.stack(squares))
    rows = [np.stack(squares).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)]
    for name in conditions:
        model = next(one for one in (folder / "conditions" / name, folder / name) if one.is_dir())
        rows.append(reconstructions(open_model(model).path, some))
    sheets = [grid([row], columns=len(squares)) for row in rows]
    gap = np.ones((3, 6, sheets[0].shape[2]), np.float32)
    save_png(np.concatenate([part for sheet in sheets for part in (sheet, gap)][:-1], axis=1), path)


def pictures(page: str, name: str, names: Sequence[str]) -> None:
    """The page's pictures as files, called so; "" for those that are not kept."""
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    for picture, content in zip(names, found, strict=False):
        if picture:
            (HERE / f"{name}-{picture}.png").write_bytes(base64.b64decode(content))


def names_of_plots(study: str, results: Any) -> list[str]:
    """What the page's plots are called, in their order; "" for those that are not kept."""
    names = list(PLOTS[study])
    if study == "purity":
        conditions = [name for name in results["conditions"] if CONDITIONS[name].part in SHOWN_PARTS]
        names[1:2] = [f"epochs-{name}" for name in conditions]
        if any(CONDITIONS[name].part == "remedies" for name in results["conditions"]):
            names.append("remedies")
        rows = [*conditions, "raw"]
        names += [f"{kind}-{row}" if row in SHOWN else "" for kind in ("labels", "map") for row in rows]
    return names


def main() -> None:
    """Goes over the folders that were given."""
    HERE.mkdir(exist_ok=True)
    for word in sys.argv[1:]:
        folder, _, name = word.partition("=")
        results = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))
        study = results["study"]
        name = name or study
        page = (Path(folder) / "report.html").read_text(encoding="utf-8")
        for plot, svg in zip(names_of_plots(study, results), re.findall(r"<svg.*?</svg>", page, re.S), strict=False):
            if plot:
                (HERE / f"{name}-{plot}.svg").write_text(standalone(svg), encoding="utf-8")
        for key in ("root", "data_root"):
            results["settings"].pop(key, None)
        (HERE / f"{name}.json").write_text(json.dumps(shortened(results), indent=1) + "\n", encoding="utf-8")
        if study == "generate":
            pictures(page, name, PICTURES)
        elif study == "purity" and "alone" in results["conditions"]:
            some = [name for name in results["conditions"] if CONDITIONS[name].part != "controls"]
            pictures(page, name, [one if one in RECONSTRUCTED else "" for one in ("original", *some)])
        elif study != "purity":
            photos(Path(folder), list(results["conditions"]), results["settings"]["crop"], HERE / f"{name}-photos.png")


if __name__ == "__main__":
    main()
