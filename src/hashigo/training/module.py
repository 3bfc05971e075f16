"""The LightningModule: a task, a network, their loss, and the averages of an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from hashigo.data.loader import Batch
from hashigo.errors import RecipeError, TrainingError
from hashigo.networks.base import Network
from hashigo.networks.encoders.base import Pretrained
from hashigo.randomness import PictureRng, step_seed
from hashigo.tasks import Task, task_config
from hashigo.training.recipe import OptimizerRecipe
from hashigo.training.step import Criterion, Step, step
from hashigo.training.teachers import Teachers

Checkpoint = dict[str, Any]  # tensors and plain values, nested as Lightning nests them
Group = dict[str, object]
"""Parameter groups for torch's optimizers."""


GREY = 1 / 255
"""A picture whose channels differ by less than this on average has no colours to teach."""


class Average:
    """A running mean weighted by pictures, kept on the device so that no step waits for it."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.count = 0

    def add(self, value: Tensor, count: int) -> None:
        """Adds the mean `value` of `count` pictures."""
        value = value.detach()
        value = (value if value.device.type == "mps" else value.double()) * count
        self.total = value if self.total is None else self.total + value
        self.count += count

    def state(self) -> tuple[float, int]:
        """(sum, count) as plain numbers, for a checkpoint."""
        return (0.0 if self.total is None else float(self.total)), self.count

    def restore(self, state: tuple[float, int], device: torch.device) -> None:
        """Restores the values of `state`."""
        self.total, self.count = torch.tensor(state[0], dtype=torch.float64, device=device), state[1]

    def take(self) -> float:
        """The mean, NaN if nothing was added; then resets."""
        mean = float(self.total) / self.count if self.total is not None and self.count else float("nan")
        self.total, self.count = None, 0
        return mean


class Restorer(LightningModule):
    """Trains a network for a task.

    Args:
        task: provides input, target and random variations.
        network: any network whose channels match the task.
        loss: name of one of the task's losses.
        optimizer: its settings.
        steps: total steps of the run, for the schedule.
        seed: the recipe's seed, for augmentation.
        compiled: run the network through torch.compile.
        channels_last: memory format of weights and pictures.
        about: the machine's setup, for progress displays.
        teachers: models to imitate, and their share of the training loss.
    """

    CHECK_EVERY = 20
    """Steps between checks that the loss is finite; a check makes the GPU wait."""

    def __init__(
        self,
        task: Task,
        network: Network,
        *,
        loss: str,
        optimizer: OptimizerRecipe,
        steps: int,
        seed: int = 0,
        compiled: bool = False,
        channels_last: bool = False,
        about: str = "",
        teachers: tuple[Teachers, float] | None = None,
    ) -> None:
        super().__init__()
        self.about = about
        self.task, self.network = task, network
        part = network.pretrainable
        pretrained = (
            () if part is None else part.pretrained_parameters() if isinstance(part, Pretrained) else part.parameters()
        )
        self._pretrained = {id(parameter) for parameter in pretrained}
        backbone = network.backbone
        self._backbone = set() if backbone is None else {id(parameter) for parameter in backbone.parameters()}
        self.loss: Criterion = task.criterion(loss)
        self.optimizer_recipe, self.steps, self.seed = optimizer, steps, seed
        self.train_loss, self.val_loss = Average(), Average()
        self.metrics: dict[str, float] = {}
        self.first_step: int | None = None
        self._bad: Tensor | None = None
        if optimizer.encoder_lr == 0:  # a step is faster without its gradients; it stays frozen afterwards
            for parameter in network.parameters():
                if id(parameter) in self._pretrained:
                    parameter.requires_grad_(False)
        if optimizer.backbone_blocks > len(network.backbone_blocks):
            raise RecipeError(
                f"optimizer.backbone_blocks: expected at most {len(network.backbone_blocks)}, the blocks of this network's backbone, got {optimizer.backbone_blocks}"
            )
        if backbone is not None and (optimizer.backbone_lr == 0 or optimizer.backbone_blocks):
            backbone.requires_grad_(False)
            for block in network.backbone_blocks[-optimizer.backbone_blocks :] if optimizer.backbone_lr else ():
                block.requires_grad_(True)
        self.teachers = None if teachers is None else teachers[0]
        self.teacher_share = 0.0 if teachers is None else teachers[1]
        self._channels_last = channels_last
        if channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # through a closure, so that the compiled copy's names do not enter the state dict
        run = torch.compile(network.own_loss) if compiled else network.own_loss
        self._run: Callable[..., tuple[Tensor, Tensor | None]] = lambda *inputs: run(*inputs)
        self.compiled = compiled
        self._backbone_run = network.backbone_features
        if compiled and backbone is not None:  # its weights become constants of the compiled code, laid out for it
            self._backbone_run = torch.compile(network.backbone_features, dynamic=False, options={"freezing": True})

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer in float32: (N, in, H, W) → (N, out, H, W)."""
        return self._answer(x)[0].float()

    def _answer(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return self._run(x) if features is None else self._run(x, features)

    @torch.no_grad()
    def backbone_features(self, rgb: Tensor, rng: PictureRng) -> Tensor:
        """What the network's backbone computes of pictures (n, 3, H, W), with the random variations of `rng`: (n, features, h, w)."""
        x, _ = self.task.pair(rgb, rng)
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=self._autocast):
            return self._backbone_run(x)

    @torch.no_grad()
    def opinion(self, rgb: Tensor, rng: PictureRng) -> Tensor:
        """What the teachers make of pictures (n, 3, H, W), with the random variations of `rng`: (n, K, h, w), at the size of the network's answers.

        Raises:
            RecipeError: there are none.
        """
        if self.teachers is None:
            raise RecipeError("teachers: expected at least one model, got none")
        x, _ = self.task.pair(rgb, rng)
        size = [-(-side // self.network.answer_scale) for side in rgb.shape[-2:]]
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=self._autocast):
            return self.teachers(x, size)

    def training_rng(self, version: int, indices: Tensor) -> PictureRng:
        """The random variations of training pictures, except for their crops."""
        return PictureRng(self.seed, version, indices)

    def validation_rng(self, version: int, indices: Tensor) -> PictureRng:
        """The random variations of validation pictures, the same in every epoch."""
        return PictureRng(self.seed + 1, 0, indices)

    def on_train_start(self) -> None:
        """Stores the start of this session; never called for a finished run that is resumed."""
        self.first_step = self.trainer.global_step

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch, augmented by (seed, epoch, index)."""
        rng = self.training_rng(batch.version, batch.indices)
        place = self.trainer.global_step * self.trainer.world_size + self.global_rank
        torch.manual_seed(step_seed(self.seed, place))  # for dropout and latents
        loss = self._loss(batch, rng) if self.teachers is None else self._taught(batch, rng, self.teachers)
        self.train_loss.add(loss, len(batch.rgb))
        self._watch(loss, batch)
        return loss

    def _loss(self, batch: Batch, rng: PictureRng) -> Tensor:
        return self._step(batch, rng).loss(self.loss)

    def _step(self, batch: Batch, rng: PictureRng) -> Step:
        def run(x: Tensor) -> tuple[Tensor, Tensor | None]:
            return self._answer(x, batch.features)

        return step(self.network, self.task, batch.rgb, rng, run=run)

    def _taught(self, batch: Batch, rng: PictureRng, teachers: Teachers) -> Tensor:
        """The loss of one batch with teachers. Grey pictures would teach grey, so they count for the teachers only."""
        made = self._step(batch, rng)
        opinion = teachers(made.x, made.output.shape[-2:]) if batch.opinion is None else batch.opinion
        with torch.autocast(made.output.device.type, enabled=False):
            loss = self.teacher_share * teachers.loss(made.output, opinion)
        coloured = (batch.rgb.amax(dim=1) - batch.rgb.amin(dim=1)).flatten(1).mean(dim=1) > GREY
        if coloured.any():
            shown = Step(made.x, made.output[coloured], made.target[coloured], None, made.criterion)
            loss = loss + (1 - self.teacher_share) * coloured.float().mean() * shown.loss(self.loss)
        return loss if made.own is None else loss + made.own

    def _watch(self, loss: Tensor, batch: Batch) -> None:
        """Records the first batch whose loss is not finite; checks from time to time, on the CPU always."""
        here = torch.where(torch.isfinite(loss.detach()), -1, batch.number).to(torch.int64)
        self._bad = here if self._bad is None else torch.where(self._bad >= 0, self._bad, here)
        if self.device.type == "cpu" or batch.number % self.CHECK_EVERY == 0:
            self.check_finite(batch.epoch)

    def check_finite(self, epoch: int) -> None:
        """Stops the run if the loss of an earlier step was not finite.

        Raises:
            TrainingError: naming the step and the batch.
        """
        number = -1 if self._bad is None else int(self._bad)
        if number < 0:
            return
        batches = len(self.trainer.train_dataloader or [])
        raise TrainingError(
            f"the loss was not finite at step {epoch * batches + number} (epoch {epoch + 1}, batch {number} of {batches}); "
            "the last good checkpoint is kept. Lower optimizer.lr, set optimizer.clip, or try machine.precision=fp32"
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds the loss of one validation batch; damage is the same in every epoch."""
        torch.manual_seed(step_seed(self.seed + 1, batch_idx))
        loss = self._loss(batch, self.validation_rng(batch.version, batch.indices))
        self.val_loss.add(loss, len(batch.rgb))

    def restore(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A validation batch for display: the network's inputs as pictures, and its results, (N, 3, H, W)."""
        rng = self.validation_rng(batch.version, batch.indices)
        x = self.task.encode(self.task.degrade(batch.rgb, rng))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
            output = self(x)
        return self.task.shown(x).clamp(0, 1), self.task.restore(x, output)

    @property
    def _autocast(self) -> bool:
        return "bf16" in str(self.trainer.precision)

    def on_validation_epoch_end(self) -> None:
        """Publishes the epoch's figures; validation comes after the epoch's last step and before the callbacks."""
        self.check_finite(self.current_epoch)
        self.metrics = {
            "train_loss": self._mean(self.train_loss),
            "val_loss": self._mean(self.val_loss),
            "lr": float(self.optimizers().param_groups[0]["lr"]),  # type: ignore[union-attr]
        }
        if not math.isfinite(self.metrics["val_loss"]):
            raise TrainingError(
                f"the validation loss was not finite after epoch {self.current_epoch + 1}; the last good checkpoint is kept. "
                "Look at the validation pictures, lower optimizer.lr, or try machine.precision=fp32"
            )
        self.log_dict(self.metrics)

    def _mean(self, average: Average) -> float:
        """The average over all processes; then resets."""
        if self.trainer.world_size == 1:
            return average.take()
        here = torch.tensor(average.state(), dtype=torch.float64, device=self.device)
        total, count = torch.as_tensor(self.all_gather(here)).sum(dim=0)
        average.take()
        return float(total / count)

    def on_save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Refuses to save after a bad loss; stores the running mean, so that a resumed run reports the same curve."""
        self.check_finite(self.current_epoch)
        checkpoint["train_loss"] = self.train_loss.state()
        checkpoint["task"] = task_config(self.task)

    def on_load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Restores the running mean."""
        self.train_loss.restore(checkpoint["train_loss"], torch.device("cpu"))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The recipe's optimizer and schedule."""
        recipe = self.optimizer_recipe
        rates = {"": 1.0, "pretrained": recipe.encoder_lr, "backbone": recipe.backbone_lr}
        parts: dict[str, list[nn.Parameter]] = {part: [] for part in rates}
        for parameter in self.network.parameters():
            if parameter.requires_grad:
                place = id(parameter)
                parts[
                    "backbone" if place in self._backbone else "pretrained" if place in self._pretrained else ""
                ].append(parameter)
        groups = [{"params": part, "lr": recipe.lr * rates[name]} for name, part in parts.items() if part]
        optimizer, schedule = make_optimizer(groups, recipe, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def restorer(module: LightningModule) -> Restorer:
    """The module that Lightning passes to a callback, with its actual type.

    Raises:
        TypeError: another module is being trained.
    """
    if not isinstance(module, Restorer):
        raise TypeError(f"expected a Restorer, got {type(module).__name__}; train with hashigo.train")
    return module


def make_optimizer(
    parameters: Iterable[Tensor] | Iterable[Group], recipe: OptimizerRecipe, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """A recipe's optimizer and its schedule over `steps` steps, which must be advanced after each step."""
    optimizer: torch.optim.Optimizer
    if recipe.name == "sgd":
        optimizer = torch.optim.SGD(parameters, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    else:
        optimizer = torch.optim.AdamW(parameters, recipe.lr, weight_decay=recipe.weight_decay)

    def factor(step: int) -> float:
        """The share of the peak learning rate at `step`."""
        rise = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
        if recipe.schedule == "constant":
            return rise
        done = min(1.0, max(0.0, (step - recipe.warmup) / max(1, steps - recipe.warmup)))
        return rise * 0.5 * (1.0 + math.cos(done * math.pi))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
