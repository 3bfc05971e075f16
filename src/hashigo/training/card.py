"""The model card: a model's task, training, machine and results."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

import torch
import yaml

from hashigo.data import PictureSet
from hashigo.machine import processor_name
from hashigo.networks.base import Network
from hashigo.networks.encoders.base import Pretrained
from hashigo.tasks import Task
from hashigo.training.recipe import Recipe
from hashigo.training.setup import Setup


def model_card(
    recipe: Recipe,
    task: Task,
    training: PictureSet,
    validation: PictureSet,
    metrics: list[dict[str, float]],
    setup: Setup,
    pace: tuple[float, float],
    network: Network,
) -> str:
    """The card of a finished run, as Markdown with Hugging Face's metadata block. pace: the last session's (seconds, training pictures per second)."""
    best = min(metrics, key=lambda row: row["val_loss"])
    rows = f"""{_began(recipe, network)}| training pictures | {len(training):,}, {training.source} |
{_skipped(training)}| validation pictures | {len(validation):,}, {validation.source} |
| loss | {recipe.loss or task.loss}: {best["val_loss"]:.5g} on the validation pictures (epoch {best["epoch"]} of {recipe.epochs}) |
| machine | {machine(setup)} |
| time | {_time(*pace)} |
"""
    return _card(recipe, task, network, rows)


def begun_card(recipe: Recipe, task: Task, network: Network) -> str:
    """The card of a model that was put together from others without training."""
    return _card(recipe, task, network, f"| put together from | {recipe.start}, without training |\n")


def _card(recipe: Recipe, task: Task, network: Network, rows: str) -> str:
    parameters = sum(p.numel() for p in network.parameters())
    kind = " ".join((type(task).__doc__ or "").split("\n\n")[0].split())
    return f"""---
library_name: hashigo
tags: [{recipe.network.name}, autoencoder, {task.name}]
---
# {task.name}

{kind}

| | |
| --- | --- |
| network | {recipe.network.name}, {parameters:,} parameters, {_options(recipe.network.options)} |
{rows}| made with | hashigo {version("hashigo")}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d} |

Use it: `hashigo apply FOLDER photo.jpg`, or in Python `hashigo.load("FOLDER")("photo.jpg")`.

The recipe for `hashigo train`:

```yaml
{yaml.safe_dump(recipe.as_dict(), sort_keys=False)}```
"""


def _began(recipe: Recipe, network: Network) -> str:
    if recipe.start:
        return f"| initialized from | {recipe.start} |\n"
    if recipe.network.pretrained and isinstance(part := network.pretrainable, Pretrained):
        return f"| initialized from | {part.origin} |\n"
    return ""


def _time(seconds: float, rate: float) -> str:
    if not rate:
        return "all in earlier runs"
    return f"{seconds / 60:.1f} minutes in the last run, {rate:.0f} pictures/s including validation and panels"


def _skipped(pictures: PictureSet) -> str:
    return f"| left out | {len(pictures.skipped)} files that could not be read |\n" if pictures.skipped else ""


def machine(setup: Setup) -> str:
    """One line on the machine and how it was used."""
    if setup.accelerator == "cuda":
        return f"{torch.cuda.get_device_name()}; {setup}"
    return f"{processor_name()}, {torch.get_num_threads()} threads; {setup}"


def _options(options: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items()) or "default options"
