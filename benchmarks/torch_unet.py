"""The article's U-Net on torch, ONNX Runtime, OpenVINO and in hashigo's own training run, taking turns for article_unet.py.

Usage: torch_unet.py JSON, with contender, channels, size, width, depth, batch, warmup, onnx, folder, planned, compile.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from hashigo.apply.engines import OpenVinoEngine, TorchEngine
from hashigo.data import PictureSet
from hashigo.networks import make_network
from hashigo.tasks.losses import sum_squared_error
from hashigo.training.recipe import MachineRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import train
from hashigo.training.setup import COMPILING_PAYS, choose
from turns import Turns

Options = dict[str, Any]
Step = Callable[[], object]


def network(options: Options) -> nn.Module:
    """The article's network, the same weights in every contender."""
    torch.manual_seed(0)
    return make_network("unet", in_channels=options["channels"], width=options["width"], depth=options["depth"])


def parameters(net: nn.Module) -> int:
    """Parameters as Keras counts them: BatchNorm's running means and variances too."""
    running = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
    return running + sum(p.numel() for p in net.parameters())


def pictures(options: Options, channels: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A batch of noise, (N, C, H, W), 0..1."""
    shape = (options["batch"], channels, options["size"], options["size"])
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def training_step(net: nn.Module, options: Options, fast: bool) -> Step:
    """Plain eager training with the article's loss and optimizer; `fast`: channels last and bfloat16 autocast."""
    layout = torch.channels_last if fast else torch.contiguous_format
    net = net.to(memory_format=layout).train()  # type: ignore[call-overload]
    x = torch.from_numpy(pictures(options, options["channels"])).contiguous(memory_format=layout)
    y = torch.from_numpy(pictures(options, 3))
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            output = net(x)
        loss = sum_squared_error(output.float(), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(loss)

    return step


def forward_step(net: nn.Module, options: Options, name: str) -> tuple[Step, str]:
    """A forward pass, NumPy array to NumPy array, by the runtime called `name`, and what that runtime says it is."""
    x = pictures(options, options["channels"])
    if name == "openvino":
        engine = OpenVinoEngine(options["onnx"], shape=x.shape)
        return lambda: engine(x), engine.description
    if name == "onnxruntime":
        import onnxruntime  # type: ignore[import-untyped]

        session = onnxruntime.InferenceSession(options["onnx"], providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"input": x}), "float32"
    if name == "torch-engine":
        on_torch = TorchEngine(net, "cpu")
        return lambda: on_torch(x), on_torch.description
    net = net.eval()
    if name == "eager-fp32":
        return lambda: _run(net, torch.from_numpy(x), False), "float32, channels first"
    # the same as the torch engine, but through the compiler
    compiled = torch.compile(net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    batch = torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
    return lambda: _run(compiled, batch, True), "bfloat16 autocast, channels last, compiled"


def _run(net: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, half: bool) -> object:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        return net(x).float().contiguous().numpy()


class AllOver(Exception):
    """Ends the training run when there are no more turns."""


class TakingTurns(Callback):
    """Makes a training run wait before a step until it is told to go on.

    A turn lasts from the start of its first step to the start of the step after its last: whole cycles with loader,
    augmentation, loss, optimizer and everything that Lightning and hashigo do in between.
    """

    def __init__(self, turns: Turns, warmup: int, choice: str) -> None:
        self.turns, self.left, self.choice, self.warm = turns, warmup, choice, False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Counts the step, and at the end of a turn waits for the next."""
        if not self.left:
            self._change(pl_module)
        self.left -= 1

    def _change(self, module: LightningModule) -> None:
        if self.warm:
            self.turns.done()
        else:
            net: Any = module.network
            self.turns.ready(setup=self.choice, parameters=parameters(net), versions=versions())
            self.warm = True
        self.left = self.turns.wait()
        if not self.left:
            raise AllOver


def hashigo_train(turns: Turns, options: Options) -> None:
    """What `hashigo train` runs, on noise; it ends when the turns do, long before the epoch's end with its panels and checkpoints."""
    planned = options["warmup"] + options["planned"] + 1
    recipe = Recipe(
        task=TaskRecipe("autoencode" if options["channels"] == 3 else "colorize-rgb"),
        network=NetworkRecipe("unet", {"width": options["width"], "depth": options["depth"]}),
        optimizer=OptimizerRecipe("sgd", lr=1e-3, momentum=0.9),
        machine=MachineRecipe(accelerator="cpu", compile=options["compile"]),
        epochs=COMPILING_PAYS, batch_size=options["batch"], panels=0, checkpoint_minutes=0,
    )  # fmt: skip
    shape = (planned * options["batch"], options["size"], options["size"], 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = PictureSet.from_array(noise), PictureSet.from_array(noise[: options["batch"]])
    setup = choose(recipe.machine, recipe.epochs * planned)
    taking_turns = TakingTurns(turns, options["warmup"], str(setup))
    try:
        train(recipe, Path(options["folder"]) / "run", callbacks=[taking_turns], data=data, onnx=False)
    except AllOver:
        return


def versions() -> dict[str, str]:
    """Versions of what may be running."""
    return {
        name: importlib.metadata.version(name) for name in ("torch", "lightning", "onnxruntime", "openvino", "numpy")
    }


def main(options: Options) -> None:
    """Builds the contender and takes turns."""
    turns = Turns()
    kind, name = options["contender"].split("-", 1)
    if name == "hashigo":
        return hashigo_train(turns, options)
    net = network(options)
    count = parameters(net)
    if kind == "train":
        step, setup = training_step(net, options, fast=name == "eager-bf16"), ""
    else:
        step, setup = forward_step(net, options, name)
    turns.serve(step, options["warmup"], setup=setup, parameters=count, versions=versions())
    return None


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
