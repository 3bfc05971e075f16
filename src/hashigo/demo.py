"""The demonstration: everything once, on pictures that come with the dependencies, told on one page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from hashigo.apply.jobs import Options, run
from hashigo.apply.model import Model, load
from hashigo.apply.planning import plan
from hashigo.errors import MissingExtraError
from hashigo.image.photo import Photo, photo_of, read, write
from hashigo.metrics import colourfulness, delta_e
from hashigo.pages.page import Page
from hashigo.pages.plots import curves
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, Recipe, TaskRecipe

EPOCHS = 30
SHOWN = (1, 5, EPOCHS)
CONDITIONS = {"with skip connections": "concat", "without": "none"}
Say = Callable[[str], None]


def demo(folder: str | Path, say: Say = lambda _: None) -> Path:
    """Colours photos, trains two small networks on digits, and writes `report.html`; returns its path.

    folder: gets `photos/original`, `photos/grey`, `photos/color`, `digits/…` (the two runs) and the page. What an earlier
    demonstration left there is made anew. say: called with a line for each step.

    Raises:
        MissingExtraError: the extra 'train' is not installed.
    """
    folder = Path(folder)
    photos = bundled_photos()
    start = time.perf_counter()
    page = Page("hashigo: pictures in, pictures back")
    page.text(
        "This page was made by “hashigo demo” on this machine: photos that came with scikit-image and scikit-learn, "
        "coloured by the model that comes with hashigo, and two small U-Net autoencoders trained on handwritten digits."
    )
    say(f"colouring {len(photos)} photos")
    _colour(photos, folder / "photos", page)
    say(f"training two small networks on digits, {EPOCHS} epochs each")
    _digits(folder / "digits", page, say)
    page.text(f"Made in {time.perf_counter() - start:.0f} seconds.", soft=True)
    page.write(folder / "report.html")
    return folder / "report.html"


def bundled_photos() -> dict[str, Photo]:
    """Colour photos that come with scikit-image and scikit-learn, by name.

    Raises:
        MissingExtraError: they are not installed.
    """
    try:
        import skimage.data
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise MissingExtraError("the demonstration", "train", error.name or "") from error
    names = ("astronaut", "chelsea", "coffee", "rocket")
    photos = {name: photo_of(np.asarray(getattr(skimage.data, name)())) for name in names}
    samples = load_sample_images()
    for name, pixels in zip(samples.filenames, samples.images, strict=True):
        photos[Path(name).stem] = photo_of(np.ascontiguousarray(pixels))
    return photos


def _colour(photos: dict[str, Photo], folder: Path, page: Page) -> None:
    for name, photo in photos.items():
        write(photo, folder / "original" / f"{name}.jpg")
        grey = np.asarray(Image.fromarray(photo.on_white()).convert("L"))
        write(replace(photo, pixels=grey), folder / "grey" / f"{name}.jpg")
    model = load("colorizer")
    start = time.perf_counter()
    jobs = plan([folder / "grey" / f"{name}.jpg" for name in photos], folder / "color", model.task.suffix)
    outcomes = list(run(model, jobs, Options(existing="overwrite")))
    seconds = time.perf_counter() - start
    page.heading("Colouring black-and-white photos")
    page.text(
        f"{len(outcomes)} photos in {seconds:.1f} s, files included ({model.engine.description}). The network saw only the "
        "grey photo, reduced; its colours were scaled up, and the photo kept its own full-size brightness exactly. Under "
        "each: CIEDE2000 to the original (0 is equal; in brackets that of the grey photo) and colourfulness (in brackets "
        "the original's)."
    )
    for outcome in outcomes:
        _before_and_after(photos[outcome.job.source.stem], outcome.job.source, outcome.job.target, page)
    _about(model, page)


def _before_and_after(original: Photo, grey: Path, coloured: Path, page: Page) -> None:
    before, after = read(grey), read(coloured)
    rgb = original.rgb()
    page.row(
        [("grey", _small(before)), ("coloured", _small(after)), ("original", _small(original))],
        f"{grey.stem}: CIEDE2000 {delta_e(rgb, after.rgb()):.1f} ({delta_e(rgb, before.rgb()):.1f}), "
        f"colourfulness {colourfulness(rgb, after.rgb()):.0f} ({colourfulness(rgb, rgb):.0f})",
    )


def _small(photo: Photo, width: int = 480) -> Photo:
    if photo.width <= width:
        return photo
    return photo_of(photo.resized(round(photo.height * width / photo.width), width).clip(0, 1))


def _about(model: Model, page: Page) -> None:
    page.text(
        "On your own photos: hashigo colorize album/ -o coloured/. What the model was trained on and what it does not do "
        f"well stands in its card, {model.folder.path / 'README.md'}.",
        soft=True,
    )


def _digits(folder: Path, page: Page, say: Say) -> None:
    try:
        from hashigo.training.run import train
    except ImportError as error:
        raise MissingExtraError("the demonstration", "train", error.name or "") from error
    series, rows, runs = {}, [], {}
    for label, skips in CONDITIONS.items():
        run_folder = folder / skips
        _clear(run_folder)
        result = train(digits_recipe(skips), run_folder, onnx=False)
        series[f"{label}, validation"] = [(row["epoch"], row["val_loss"]) for row in result.metrics]
        series[f"{label}, training"] = [(row["epoch"], row["train_loss"]) for row in result.metrics]
        last = result.metrics[-1]
        rows.append([label, f"{last['train_loss']:.2f}", f"{last['val_loss']:.2f}", f"{result.seconds:.0f} s"])
        runs[label] = run_folder
        say(f"{label}: validation loss {last['val_loss']:.2f} after {EPOCHS} epochs")
    page.heading("Two autoencoders: what skip connections do")
    page.text(
        "The article's small U-Net (4-8-16 channels) learns to give back handwritten digits, once with skip connections "
        "and once without. The loss is its squared error, summed over a digit's 28 × 28 pixels. (The validation loss of "
        "the first epochs is high because BatchNorm's running averages, with Keras's momentum of 0.99, lag behind.)"
    )
    dashed = [name for name in series if name.endswith("training")]
    page.plot(curves(series, x="epoch", y="squared error per digit", dashed=dashed), "Loss, on a logarithmic scale")
    page.table(["", "training loss", "validation loss", "time"], rows)
    for label, run_folder in runs.items():
        panels = [(f"epoch {epoch}", run_folder / "panels" / f"epoch-{epoch:04d}.png") for epoch in SHOWN]
        page.row(
            panels,
            f"{label}: 25 digits never trained on; in each panel the network's answers, then the originals",
            True,
        )


def digits_recipe(skips: str) -> Recipe:
    """The article's small U-Net on scikit-learn's digits, enlarged to 28×28."""
    return Recipe(
        task=TaskRecipe("autoencode-grey"),
        network=NetworkRecipe(options={"width": 4, "depth": 2, "latent_activation": "tanh", "skips": skips}),
        data=DataRecipe(train="digits", validation="digits", size=28, flip=False),
        machine=MachineRecipe(compile="off"),
        epochs=EPOCHS,
        panels=25,
        checkpoint_minutes=0,
    )


def _clear(folder: Path) -> None:
    """Removes what an earlier demonstration left, and nothing else."""
    for name in ("checkpoints", "panels", "tensorboard"):
        for file in sorted((folder / name).glob("*")):
            file.unlink()
