"""Distillation (Hinton, Vinyals & Dean 2015): trained models whose mean opinion a network learns to give, besides what the pictures themselves teach."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from hashigo.errors import RecipeError
from hashigo.models.folder import ModelFolder, load_network
from hashigo.tasks import Task
from hashigo.tasks.capabilities import Imitates


class Teachers:
    """The weighted mean of trained models' opinions.

    Args:
        folders: the models and the weights of their opinions.
        task: the student's; the models must have its kind and classes.
        size: short side at which photos look to the student as in training, 0 if unknown. A teacher that was trained on larger or smaller
            ones sees them enlarged or reduced.

    Raises:
        RecipeError: models of another task or with other classes, or a task whose answers cannot be imitated.
    """

    def __init__(self, folders: Sequence[tuple[ModelFolder, float]], task: Task, size: int) -> None:
        if not isinstance(task, Imitates):
            raise RecipeError(
                f"teachers: expected a task whose answers are distributions, such as colorize-bins, got {task.name!r}"
            )
        self.student: Imitates = task
        self.tasks: list[Imitates] = []
        for folder, _ in folders:
            if not isinstance(folder.task, Imitates) or folder.task.name != task.name:
                raise RecipeError(
                    f"teachers: expected models of the task {task.name!r}, got {folder.path} of the task {folder.task.name!r}"
                )
            if tuple(folder.task.classes) != tuple(task.classes):
                raise RecipeError(f"teachers: expected models with the student's classes, got others in {folder.path}")
            self.tasks.append(folder.task)
        total = sum(share for _, share in folders)
        if total <= 0 or any(share < 0 for _, share in folders):
            raise RecipeError("teachers: expected positive weights, such as runs/a=0.7, runs/b=0.3")
        self.shares = [share / total for _, share in folders]
        self.scales = [folder.size / size if folder.size and size else 1.0 for folder, _ in folders]
        self.networks: list[nn.Module] = [load_network(folder).requires_grad_(False).eval() for folder, _ in folders]

    @torch.no_grad()
    def __call__(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """The mean of their distributions for inputs x (N, C, H, W), at the size (h, w) of the student's answer: (N, K, h, w)."""
        total: Tensor | None = None
        for network, task, share, scale in zip(self.networks, self.tasks, self.shares, self.scales, strict=True):
            network.to(x.device)
            seen = x if scale == 1 else _scaled(x, scale)
            opinion = task.opinion(network(seen).float())
            fitted = share * _fitted(opinion, (int(size[0]), int(size[1])))
            total = fitted if total is None else total + fitted
        if total is None:
            raise RecipeError("teachers: expected at least one model")
        return total

    def about(self) -> dict[str, object]:
        """What opinions depend on besides the networks' weights, as plain values."""
        return {"shares": self.shares, "scales": self.scales, "tasks": [repr(task) for task in self.tasks]}

    def loss(self, output: Tensor, opinion: Tensor) -> Tensor:
        """The loss of the student's output (N, K, h, w) against an opinion."""
        return self.student.imitation(output, opinion)


def _scaled(x: Tensor, scale: float) -> Tensor:
    """Inputs at another size. Hints, in all channels but the first, stay what they are: squares of one colour."""
    luma = interpolate(x[:, :1], scale_factor=scale, mode="bilinear", antialias=scale < 1)
    return torch.cat([luma, interpolate(x[:, 1:], luma.shape[-2:], mode="nearest")], dim=1) if x.shape[1] > 1 else luma


def _fitted(opinion: Tensor, size: tuple[int, int]) -> Tensor:
    """Distributions at another size: means where it is smaller."""
    if tuple(opinion.shape[-2:]) == size:
        return opinion
    if opinion.shape[-2] >= size[0] and opinion.shape[-1] >= size[1]:
        return adaptive_avg_pool2d(opinion, size)
    return interpolate(opinion, size, mode="bilinear", align_corners=False)
