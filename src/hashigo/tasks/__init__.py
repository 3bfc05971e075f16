"""Tasks: what is removed from a picture, and how a network's answer is put back.

`photo → Task.encode → network → Task.restore → photo`. A task is a frozen dataclass; the network knows nothing about it.
All methods take and return floating-point pictures of shape (3, H, W) or (N, 3, H, W), sRGB, 0..1, as NumPy arrays or
torch tensors. To add a task: one class in a file here and one entry in `TASKS`; the round-trip test picks it up.
"""

from __future__ import annotations

from dataclasses import asdict, fields

from hashigo.errors import RecipeError, did_you_mean
from hashigo.tasks.base import Task
from hashigo.tasks.colorizing import MOST_REWARD, VIVID, Colorize, ColorizeBins, ColorizeRgb
from hashigo.tasks.repairing import Deblur, Inpaint, Restore, SuperResolve
from hashigo.tasks.restoring import Autoencode, AutoencodeBinary, AutoencodeGrey, Denoise

__all__ = [
    "MOST_REWARD", "TASKS", "VIVID", "Autoencode", "AutoencodeBinary", "AutoencodeGrey", "Colorize", "ColorizeBins", "ColorizeRgb", "Deblur", "Denoise", "Inpaint", "Restore", "SuperResolve", "Task",
    "make_task", "task_config",
]  # fmt: skip

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        Autoencode,
        AutoencodeGrey,
        AutoencodeBinary,
        ColorizeRgb,
        Colorize,
        ColorizeBins,
        Denoise,
        Inpaint,
        SuperResolve,
        Deblur,
        Restore,
    )
}
"""Every task by its name."""


def make_task(name: str, **options: object) -> Task:
    """The task called `name` with its options.

    Raises:
        RecipeError: no such task (the message lists the known ones), or an unknown option.
    """
    if name not in TASKS:
        raise RecipeError(f"expected the name of a task, got {name!r}; {did_you_mean(name, TASKS)}")
    known = [field.name for field in fields(TASKS[name])]
    for option in options:
        if option not in known:
            hint = did_you_mean(option, known) if known else "it takes none"
            raise RecipeError(f"task {name!r} has no option {option!r}; {hint}")
    try:
        return TASKS[name](**options)
    except TypeError as error:
        raise RecipeError(f"task {name!r}: {error}") from error


def task_config(task: Task) -> dict[str, object]:
    """The task as plain values for a model's config.json: `{"name": …, option: value, …}`."""
    return {"name": task.name, **asdict(task)}
