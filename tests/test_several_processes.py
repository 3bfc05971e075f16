"""Training in several processes, on one computer or several: the same steps, the same weights, and resuming after one of them was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from hashigo.cli.main import main
from hashigo.training.shared_norm import SharedBatchNorm2d, share_batch_norms

RECIPE = {
    "task": {"name": "autoencode-grey"}, "network": {"name": "unet", "options": {"width": 4, "depth": 2}},
    "data": {"train": "digits", "limit": 240, "validation_share": 0.1},
    "optimizer": {"name": "sgd", "lr": 0.0001, "momentum": 0.9}, "machine": {"accelerator": "cpu", "compile": "off", "precision": "fp32", "threads": 1},
    "epochs": 3, "batch_size": 20, "panels": 0, "checkpoint_minutes": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def on_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes meet on the loopback interface, whatever this computer calls itself."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


def command(recipe: Path, run: Path, *words: str) -> list[str]:
    return ["-m", "hashigo.cli.main", "train", str(recipe), "--run", str(run), *words]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def on_two_nodes(recipe: Path, run: Path, *words: str) -> list[subprocess.Popen[bytes]]:
    """torchrun on two computers, which are this one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    launch = [
        "-m",
        "torch.distributed.run",
        "--nnodes=2",
        "--nproc-per-node=1",
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint=127.0.0.1:{port}",
        "--local-addr=127.0.0.1",
        "--max-restarts=0",
    ]
    return [
        subprocess.Popen(
            [sys.executable, *launch, "--no-python", "--", sys.executable, *command(recipe, run, "--machine.nodes", "2", *words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]  # fmt: skip


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-3, atol=1e-4, msg=name)


def test_any_number_of_processes_learns_the_same_also_if_one_is_killed(recipe: Path, tmp_path: Path) -> None:
    assert main(["train", str(recipe), "--run", str(tmp_path / "one")]) == 0
    two = command(recipe, tmp_path / "two", "--machine.devices", "2")
    subprocess.run([sys.executable, *two], check=True, capture_output=True)
    close(weights(tmp_path / "one"), weights(tmp_path / "two"))
    run = tmp_path / "nodes"
    nodes = on_two_nodes(recipe, run)
    deadline = time.monotonic() + 600
    while not (run / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    trainers = _children(nodes[1].pid)
    for process in (nodes[1].pid, *trainers):
        os.kill(process, signal.SIGKILL)
    nodes[0].terminate()
    for node in nodes:
        node.communicate()
    assert not (run / "model").exists()
    for node in on_two_nodes(recipe, run, "--resume"):
        error = node.communicate()[1]
        assert node.returncode == 0, error.decode()
    expected = weights(tmp_path / "two")
    assert all(torch.equal(value, expected[name]) for name, value in weights(run).items())


def _children(process: int) -> list[int]:
    """Processes that this one has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = path.read_text().split(" ", 1)
        except OSError:
            continue
        if int(rest.rpartition(")")[2].split()[1]) == process:
            found.append(int(number))
    return found


def test_shared_batch_norm_alone_is_the_usual_one() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    x = torch.randn(5, 3, 8, 8)
    expected = network(x)
    parameters = [id(parameter) for parameter in network.parameters()]
    share_batch_norms(network)
    assert isinstance(network[1], SharedBatchNorm2d)
    assert [id(parameter) for parameter in network.parameters()] == parameters
    torch.testing.assert_close(network(x), expected)
