"""Films: how steady the colours are beside frame by frame, and how fast.

    .venv/bin/python benchmarks/video.py steady PHOTOS --films 12
    .venv/bin/python benchmarks/video.py speed PHOTOS --frames 480
    .venv/bin/python benchmarks/video.py presets PHOTOS --frames 480

`steady`: films of a window that moves over a photo, with film grain. Since the motion is known, so is what should stay the same. Flicker: mean difference of the chroma (of 255) between a
frame and the next one moved back. CDC: colour distribution consistency (Liu et al. 2024), the Jensen-Shannon divergence of the colour histograms of frames 1, 2 and 4 apart, in 1/1000. Beside them the
colourfulness and CIEDE2000 to the original in colour, since a grey film flickers least.
`speed`: a film of 854 × 480 pixels with `hashigo colorize`. `presets`: the same film, in colour, through x264 alone with four of its presets: time, size and SSIM.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hashigo import color
from hashigo.apply.model import Model, load
from hashigo.data import open_dataset
from hashigo.data.build import to_short_side
from hashigo.image.photo import Photo
from hashigo.metrics import colourfulness
from hashigo.tasks.enlarging import enlarged
from hashigo.video import between, jobs
from hashigo.video import steady as steadying
from hashigo.video.between import KeyFrames, Placed, coloured
from hashigo.video.colorize import AHEAD, CHUNK
from hashigo.video.steady import SHARE, Look, Mean, Motion, Scenes, State, steadied

LUMA = np.array(color.LUMA_WEIGHTS)
COMMAND = "from hashigo.video import between; between.EVERY = {every}; from hashigo.cli.main import main; raise SystemExit(main({words}))"


class Film:
    """A window that moves over a photo. places: of its upper left corner."""

    def __init__(self, photo: np.ndarray, frames: int, rng: np.random.Generator, grain: float, path: float) -> None:
        height, width = min(160, photo.shape[0] - 30), min(224, photo.shape[1] - 50)
        self.places = [
            (round((photo.shape[0] - height) * path * t / frames), round((photo.shape[1] - width) * path * t / frames))
            for t in range(frames)
        ]
        self.size = height, width
        self.frames = [photo[top : top + height, left : left + width] for top, left in self.places]
        self.lumas = [
            np.clip(np.rint(frame @ LUMA + rng.normal(0, grain, self.size)), 0, 255).astype(np.uint8)
            for frame in self.frames
        ]

    def flicker(self, chroma: Sequence[np.ndarray]) -> float:
        """The mean difference between a frame's chroma and the next one's at the same places of the photo."""
        found = []
        for t in range(1, len(chroma)):
            down, right = (now - before for now, before in zip(self.places[t], self.places[t - 1], strict=True))
            height, width = self.size
            found.append(
                np.abs(chroma[t][:, : height - down, : width - right] - chroma[t - 1][:, down:, right:]).mean()
            )
        return 255 * float(np.mean(found))


def steady(args: argparse.Namespace) -> None:
    """Prints a row for each method."""
    model, rng = load(args.model), np.random.default_rng(0)
    photos = open_dataset(args.photos, limit=args.films)
    rows: dict[str, list[tuple[float, ...]]] = {}
    for number in range(len(photos)):
        film = Film(photos.picture(number), args.frames, rng, args.grain, args.path)
        for name, chroma in methods(model, film).items():
            rgb = [
                color.merge(luma[None].astype(np.float32) / 255, planes)
                for luma, planes in zip(film.lumas, chroma, strict=True)
            ]
            true = [frame.transpose(2, 0, 1).astype(np.float32) / 255 for frame in film.frames]
            some = range(2, len(rgb), 5)
            rows.setdefault(name, []).append(
                (
                    film.flicker(chroma), consistency(rgb), float(np.mean([colourfulness(true[t], rgb[t]) for t in some])),
                    float(np.mean([color.ciede2000(color.lab(rgb[t]), color.lab(true[t])).mean() for t in some])),
                )
            )  # fmt: skip
    usual = np.mean(rows["frame by frame"], axis=0)
    for name, values in rows.items():
        mean = np.mean(values, axis=0)
        print(
            f"{name}: flicker {mean[0]:.2f} ({mean[0] / usual[0]:.2f} ×), CDC {mean[1]:.2f}, colourfulness {mean[2]:.1f} ({100 * mean[2] / usual[2]:.0f} %), "
            f"CIEDE2000 {mean[3]:.2f}"
        )


def methods(model: Model, film: Film) -> dict[str, list[np.ndarray]]:
    """Each method's chroma for all frames, at their size."""
    call, motion, scenes = model.call(whole=True), Motion(), Scenes()
    looks = []
    for luma in film.lumas:
        seen = model.prepare(Photo(luma), call)
        small = motion.reduced(luma)
        looks.append(Look(small, model.each_output(seen, call)[0].values, scenes.begins(small), scenes.change))
    answers = [model.task.answer(look.output) for look in looks]
    mean = [answers[0]]
    for answer in answers[1:]:
        mean.append(mean[-1] + SHARE * (answer - mean[-1]))
    past = Mean()
    before = [past.add(look, motion, starts=look.is_cut).transpose(2, 0, 1) for look in looks]
    both = averaged(looks, motion, jobs.CHUNK, steadying.AHEAD)
    found = {
        "frame by frame": answers, f"running mean of colours ({SHARE:g})": mean,
        "outputs along motion, frames before": [model.task.answer(output) for output in before],
        "outputs along motion, both sides": [model.task.answer(output) for output in both],
        "the same of key frames, and colours between them (hashigo)": keyed(model, looks, motion),
    }  # fmt: skip
    return {name: [enlarged(answer, *film.size) for answer in values] for name, values in found.items()}


def averaged(looks: Sequence[Look], motion: Motion, size: int, after: int) -> list[np.ndarray]:
    """The looks' outputs along the motion, in chunks of `size`, each with `after` more."""
    state = State()
    starts = range(0, len(looks), size)
    chunks = [(looks[start : start + size], looks[start + size : start + size + after]) for start in starts]
    return [output for chunk, ahead in chunks for output in steadied(chunk, ahead, state, motion)]


def keyed(model: Model, looks: Sequence[Look], motion: Motion) -> list[np.ndarray]:
    """The chroma of all frames if the network sees the key frames only."""
    keys = KeyFrames()
    frames = [
        Placed(time, look.luma, look.is_cut, keys.choose(look.luma, motion, is_cut=look.is_cut))
        for time, look in enumerate(looks)
    ]
    seen = [look for look, frame in zip(looks, frames, strict=True) if frame.match is None]
    answers = [model.task.answer(output) for output in averaged(seen, motion, CHUNK, AHEAD)]
    return list(coloured(frames, answers, None, motion))


def consistency(rgb: Sequence[np.ndarray]) -> float:
    """The mean Jensen-Shannon divergence of histograms of each channel between frames 1, 2 and 4 apart, in 1/1000."""
    histograms = [
        np.stack([np.histogram(channel, 256, (0, 1))[0] / channel.size for channel in np.clip(picture, 0, 1)])
        for picture in rgb
    ]
    found = []
    for apart in (1, 2, 4):
        for one, other in zip(histograms, histograms[apart:], strict=False):
            middle = (one + other) / 2
            for part in (one, other):
                with np.errstate(divide="ignore", invalid="ignore"):
                    found.append(np.where(part > 0, part * np.log(part / middle), 0).sum(axis=1).mean() / 2)
    return 1000 * 2 * float(np.mean(found))


def moving(photos: str, frames: int) -> Iterator[np.ndarray]:
    """The frames of a film: a window of 854 × 480 pixels that moves over four photos, with film grain; uint8 (480, 854, 3)."""
    pictures, rng = open_dataset(photos, limit=4), np.random.default_rng(0)
    for number in range(frames):
        photo = to_short_side(pictures.picture(number * 4 // frames), 700)
        top = left = number % (frames // 4)
        window = photo[top % 200 : top % 200 + 480, left % 60 : left % 60 + 854]
        window = np.pad(window, ((0, 480 - window.shape[0]), (0, 854 - window.shape[1]), (0, 0)), mode="reflect")
        yield np.clip(window + rng.normal(0, 4, (480, 854, 1)), 0, 255).astype(np.uint8)


def made(frames: Iterable[np.ndarray], path: Path, *options: str) -> None:
    """Writes frames, uint8 (480, 854, C), as a film of 24 frames per second."""
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-s", "854x480", "-r", "24", *options, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    for frame in frames:
        process.stdin.write(frame.tobytes())  # type: ignore[union-attr]
    process.stdin.close()  # type: ignore[union-attr]
    if process.wait():
        raise SystemExit(f"{path}: ffmpeg could not write it")


def presets(args: argparse.Namespace) -> None:
    """Prints a row for each of four presets."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "film.avi", Path(folder) / "film.mp4"
        plain = ["-pix_fmt", "rgb24", "-i", "pipe:0", "-pix_fmt", "yuv420p", "-c:v", "rawvideo"]
        made(moving(args.photos, args.frames), source, *plain)
        for preset in ("medium", "fast", "faster", "veryfast"):
            start = time.perf_counter()
            options = ["-c:v", "libx264", "-preset", preset, "-crf", "17"]
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, *options, target], check=True)
            seconds = time.perf_counter() - start
            compared = ["ffmpeg", "-i", target, "-i", source, "-lavfi", "[0:v][1:v]ssim", "-f", "null", "-"]
            told = subprocess.run(compared, capture_output=True, text=True, check=True).stderr
            print(
                f"{preset}: {seconds:.1f} s, {target.stat().st_size / 1e6:.1f} MB, SSIM {told.rpartition('All:')[2].split()[0]}"
            )


def speed(args: argparse.Namespace) -> None:
    """Frames per second of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "film.mp4"
        grey = (np.rint(frame @ LUMA).astype(np.uint8) for frame in moving(args.photos, args.frames))
        made(grey, source, "-pix_fmt", "gray", "-i", "pipe:0", "-pix_fmt", "yuv420p")
        for model in ("colorizer", "fast"):
            start = time.perf_counter()
            words = ["colorize", str(source), "-o", f"{folder}/{model}.mp4", "--model", model]
            command = [sys.executable, "-c", COMMAND.format(every=args.every, words=words)]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            print(
                f"{model}: {args.frames} frames of 854 × 480 in {seconds:.1f} s: {args.frames / seconds:.1f} frames/s"
            )


def main() -> None:
    """Chooses what to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    calm = kinds.add_parser("steady")
    calm.add_argument("--films", type=int, default=12)
    calm.add_argument("--frames", type=int, default=24)
    calm.add_argument("--grain", type=float, default=8.0, help="standard deviation of the film grain, of 255")
    calm.add_argument("--path", type=float, default=1.0, help="share of the photo that the window moves over")
    calm.add_argument("--model", default="colorizer")
    quick = kinds.add_parser("speed")
    quick.add_argument("--frames", type=int, default=480)
    encoding = kinds.add_parser("presets")
    encoding.add_argument("--frames", type=int, default=480)
    for command in (calm, quick, encoding):
        command.add_argument("photos")
    for command in (calm, quick):
        command.add_argument(
            "--every", type=int, default=between.EVERY, help="frames from one key frame to the next, at most"
        )
    args = parser.parse_args()
    between.EVERY = getattr(args, "every", between.EVERY)
    {"steady": steady, "speed": speed, "presets": presets}[args.kind](args)


if __name__ == "__main__":
    main()
