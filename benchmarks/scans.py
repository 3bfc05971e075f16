"""How a colorizer treats photos as people scan them: with mounts, on album pages, printed in dots, dark, faded, and paper.

The scans are made from colour photos. "away" is the mean CIEDE2000 between a scan's colours, where the photo is, and those that the model gives the same
photo without the damage, on the scan's luma; "paper" is the chroma of the strongest 5 % of what is not a photo, of 255 levels; "error" is the CIEDE2000
from the original relative to that of grey; "colourful" is the colourfulness relative to the original's. All with and without the
analysis of scans (`whole=True`), on the same scans.

    python benchmarks/scans.py PHOTOS [--model colorizer] [--limit 40]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import hashigo
from hashigo import color
from hashigo.apply.views import views
from hashigo.data import open_dataset
from hashigo.evaluation import originals
from hashigo.image.photo import photo_of
from hashigo.metrics import colourfulness, delta_e

Floats = NDArray[np.float32]


@dataclass
class Scan:
    """A scan's luma (H, W), the places (top, left) of the photo's copies on it, none on paper, and whether it has the brown tint of old prints."""

    y: Floats
    places: tuple[tuple[int, int], ...] = ()
    brown: bool = False


Maker = Callable[[Floats, np.random.Generator], Scan]


def paper(height: int, width: int, tone: float, rng: np.random.Generator) -> Floats:
    """A sheet with grain and uneven light."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 0.02 * (rng.uniform(-1, 1) * rows + rng.uniform(-1, 1) * columns)
    sheet: Floats = np.clip(tone + light + rng.normal(0, 0.008, (height, width)), 0, 1).astype(np.float32)
    return sheet


def mounted(y: Floats, rng: np.random.Generator) -> Scan:
    """On a mount of any tone, with margins of 5 to 30 %."""
    height, width = y.shape
    top, bottom, left, right = (int(side * rng.uniform(0.05, 0.3)) for side in (height, height, width, width))
    sheet = paper(height + top + bottom, width + left + right, rng.uniform(0, 1), rng)
    sheet[top : top + height, left : left + width] = y
    return Scan(sheet, ((top, left),))


def sepia(y: Floats, rng: np.random.Generator) -> Scan:
    """A brown print on cream-coloured paper."""
    return replace(mounted(0.05 + 0.85 * y, rng), brown=True)


def album_page(y: Floats, rng: np.random.Generator) -> Scan:
    """Four copies on a page, some mirrored places apart."""
    height, width = y.shape
    gaps = rng.integers(8, 60, 6)
    sheet = paper(2 * height + int(gaps[:3].sum()), 2 * width + int(gaps[3:].sum()), rng.uniform(0, 1), rng)
    places = tuple(
        (int(gaps[0] + row * (height + gaps[1])), int(gaps[3] + column * (width + gaps[4])))
        for row in (0, 1)
        for column in (0, 1)
    )
    for top, left in places:
        sheet[top : top + height, left : left + width] = y
    return Scan(sheet, places)


def printed(y: Floats, rng: np.random.Generator) -> Scan:
    """Black dots at 5 to 9 pixels, at 45 degrees or another angle."""
    pitch, angle = rng.uniform(5, 9), np.deg2rad(rng.choice([45, 45, 15, 30]))
    rows, columns = np.indices(y.shape)
    u, v = np.cos(angle) * columns + np.sin(angle) * rows, np.cos(angle) * rows - np.sin(angle) * columns
    screen = 0.5 + 0.25 * (np.cos(2 * np.pi * u / pitch) + np.cos(2 * np.pi * v / pitch))
    edge = np.clip((y - (0.05 + 0.9 * screen)) * 6 + 0.5, 0, 1)
    return Scan((0.1 + 0.75 * edge).astype(np.float32), ((0, 0),))


def toned(low: float, high: float) -> Maker:
    """With its luma between two values."""
    return lambda y, _: Scan((low + (high - low) * y).astype(np.float32), ((0, 0),))


def sheet(y: Floats, rng: np.random.Generator) -> Scan:
    """An empty sheet or card of any tone."""
    return Scan(paper(*y.shape, rng.uniform(0.05, 0.98), rng))


def letter(y: Floats, rng: np.random.Generator) -> Scan:
    """A sheet with lines of writing on a part of it."""
    height, width = 2 * y.shape[0], 2 * y.shape[1]
    image = Image.fromarray((255 * paper(height, width, rng.uniform(0.7, 0.95), rng)).astype(np.uint8))
    drawing, size = ImageDraw.Draw(image), int(rng.integers(10, 20))
    font = ImageFont.load_default(size)
    for line in range(int(rng.integers(4, max(5, height // (2 * size))))):
        words = " ".join("".join(rng.choice(list("aeinorstdl"), rng.integers(2, 9))) for _ in range(8))
        drawing.text((width // 12, height // 12 + line * 2 * size), words, fill=int(rng.integers(20, 90)), font=font)
    return Scan(np.asarray(image, np.float32) / 255)


KINDS: dict[str, Maker] = {
    "plain": toned(0, 1), "mounted": mounted, "sepia": sepia, "album page": album_page, "printed": printed, "dark": toned(0, 0.25), "light": toned(0.75, 1),
    "faded": toned(0.35, 0.7), "empty sheet": sheet, "letter": letter,
}  # fmt: skip


def main() -> None:
    """Prints a line for each kind of scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="colour photos: a folder, pack or named dataset")
    parser.add_argument("--model", default="colorizer")
    parser.add_argument("--limit", type=int, default=40, help="number of photos, spread over the set")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    args = parser.parse_args()
    kinds = {kind: KINDS[kind] for kind in args.kinds}
    models = {whole: hashigo.load(args.model, whole=whole) for whole in (True, False)}
    _false_alarms(args.photos)
    pictures = [photo.rgb() for _, photo in originals([open_dataset(args.photos, limit=args.limit)])]
    print(f"{len(pictures)} photos, model {args.model}; each pair: as one picture → with the analysis of scans\n")
    print(f"{'':<12}{'away':>14}{'paper':>16}{'error':>16}{'colourful':>16}")
    for kind, make in kinds.items():
        columns = [list(_scores(make, pictures, models[whole])) for whole in (True, False)]
        means = [np.array(rows, np.float64) for rows in columns]
        cells = []
        for number, digits in ((0, 2), (1, 1), (2, 3), (3, 2)):
            pair = [rows[:, number] for rows in means]
            known = not any(np.isnan(values).all() for values in pair)
            cells.append(" → ".join(f"{np.nanmean(values):.{digits}f}" for values in pair) if known else "")
        print(f"{kind:<12}{cells[0]:>14}{cells[1]:>16}{cells[2]:>16}{cells[3]:>16}")


def _false_alarms(photos: str) -> None:
    """Prints how many of all photos, as they are, are taken for something else."""
    found = {"with borders or on a page": 0, "as empty or written": 0, "as printed": 0}
    count = 0
    for _, photo in originals([open_dataset(photos)]):
        grey = photo_of(_grey(color.luma(photo.rgb())[0]))
        seen = views(grey)
        count += 1
        found["with borders or on a page"] += any(
            max(view.box.height, view.box.width) < max(photo.size) for view in seen
        )
        found["as empty or written"] += min(view.content for view in seen) < 1
        found["as printed"] += any(view.blur > 0 for view in seen)
    print(
        f"of {count} photos as they are, seen " + ", ".join(f"{what}: {number}" for what, number in found.items()),
        flush=True,
    )


def _scores(make: Maker, pictures: list[Floats], model: hashigo.Model) -> Iterator[tuple[float, ...]]:
    for number, rgb in enumerate(pictures):
        y = color.luma(rgb)[0]
        scan = make(y, np.random.default_rng(number))
        shown = _grey(scan.y)
        if scan.brown:
            shown = np.clip(shown[..., None] * np.array([0.95, 0.9, 0.8]) + np.array([20, 8, 0]), 0, 255).astype(
                np.uint8
            )
            scan = replace(scan, y=color.luma(photo_of(shown).rgb())[0])
        result = model(shown)
        chroma = color.chroma(np.ascontiguousarray(result.transpose(2, 0, 1), np.float32) / 255)
        outside = np.ones(scan.y.shape, bool)
        height, width = y.shape
        for top, left in scan.places:
            outside[top : top + height, left : left + width] = False
        strength = 255 * np.hypot(*chroma)
        tinted = float(np.quantile(strength[outside], 0.95)) if outside.any() else np.nan
        if not scan.places:
            yield np.nan, tinted, np.nan, np.nan
            continue
        alone = color.chroma(np.ascontiguousarray(model(_grey(y)).transpose(2, 0, 1), np.float32) / 255)
        rows = []
        for top, left in scan.places:  # everything on the scan's luma, where very dark and light colours are weaker
            part = slice(top, top + height), slice(left, left + width)
            seen = scan.y[part][None]
            copy, expected, original = (
                color.merge(seen, values) for values in (chroma[:, *part], alone, color.chroma(rgb))
            )
            grey = float(delta_e(original, np.repeat(seen, 3, axis=0)))
            strong = max(1e-6, float(colourfulness(original, original)))
            away, error = float(delta_e(expected, copy)), float(delta_e(original, copy)) / grey
            rows.append((away, tinted, error, float(colourfulness(original, copy)) / strong))
        yield tuple(np.mean(rows, axis=0))


def _grey(y: Floats) -> NDArray[np.uint8]:
    return photo_of(np.repeat(y[None], 3, axis=0)).pixels[..., 0].astype(np.uint8)


if __name__ == "__main__":
    main()
