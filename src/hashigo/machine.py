"""Everything known about this computer: cores, memory, bfloat16, compilers, versions. Importing it loads no heavy package."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import math
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGES = ("hashigo", "torch", "lightning", "numpy", "scikit-learn", "scikit-image")
"""Packages whose versions a study records."""

_M_MMAP_THRESHOLD = -3  # malloc.h


def cores() -> int:
    """Processor cores that this process may use: fewer than the machine has if its affinity is limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_rank() -> int:
    """This process's number among those that train together on one or several computers, 0 if it is alone.

    torchrun sets RANK, Slurm SLURM_PROCID, and Lightning NODE_RANK and LOCAL_RANK.
    """
    given = os.environ
    slurm = "" if given.get("SLURM_JOB_NAME") in ("bash", "interactive") else given.get("SLURM_PROCID", "")
    for rank in (given.get("RANK", ""), slurm):
        if rank.isdecimal():
            return int(rank)
    return int(given.get("NODE_RANK", "0") != "0" or given.get("LOCAL_RANK", "0") != "0")


def state_folder() -> Path:
    """The folder for what hashigo remembers between runs: HASHIGO_STATE, or the system's usual place."""
    if own := os.environ.get("HASHIGO_STATE"):
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "hashigo"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hashigo"
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "hashigo"


def quarter_of_memory() -> int:
    """A quarter of the machine's memory in bytes: larger arrays are kept on disk."""
    if not hasattr(os, "sysconf"):  # Windows
        return 1 << 32
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4)


def free_memory(device: torch.device) -> float:
    """A GPU's free memory in bytes; infinite for the CPU, whose memory the pictures need not leave."""
    import torch

    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch keeps it for later
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return math.inf


def has_torch() -> bool:
    """Whether torch is installed; does not import it."""
    return importlib.util.find_spec("torch") is not None


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX), as torch sees it."""
    import torch

    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def has_compiler() -> bool:
    """Whether torch.compile can work: a C++ compiler on the PATH or named by CXX, and Python's own headers."""
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    return headers and any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++") if name)


def processor_name() -> str:
    """The processor's name according to torch or the system."""
    import torch

    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine())


def package_version(package: str) -> str:
    """The version of an installed package, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True)
class Environment:
    """A machine and the versions on it, as results are stored with."""

    processor: str
    cores: int
    """Cores that the process may use."""
    threads: int
    """Threads that torch takes for one operation."""
    gpu: str
    """The GPU's name, or "none"."""
    system: str
    python: str
    packages: dict[str, str]
    """Versions of `PACKAGES`."""

    @property
    def device(self) -> str:
        """The device that trains here: the GPU, or the processor if there is none."""
        return self.processor if self.gpu == "none" else self.gpu

    def as_dict(self) -> dict[str, str | int]:
        """Plain values, including the packages' versions."""
        values = asdict(self)
        return {**{name: value for name, value in values.items() if name != "packages"}, **self.packages}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Environment:
        """The environment from the values of `as_dict`; values that an older version did not store are "unknown" or 0."""
        text = {name: str(value) for name, value in values.items()}
        named = ("processor", "cores", "threads", "gpu", "system", "python")
        return cls(
            processor=text.get("processor", "unknown"),
            cores=int(text.get("cores", 0)),
            threads=int(text.get("threads", 0)),
            gpu=text.get("gpu", "none"),
            system=text.get("system", "unknown"),
            python=text.get("python", "unknown"),
            packages={name: version for name, version in text.items() if name not in named},
        )


def environment() -> Environment:
    """This machine and the versions on it."""
    import torch

    return Environment(
        processor=processor_name(),
        cores=cores(),
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        system=platform.platform(),
        python=platform.python_version(),
        packages={package: package_version(package) for package in PACKAGES},
    )


def return_large_memory(least: int = 1 << 20) -> None:
    """Has blocks of `least` bytes or more go back to the system as soon as they are freed (Linux with glibc; elsewhere nothing changes).

    By default, glibc keeps blocks of up to 32 MB once such a block has been freed, in one arena per thread.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, least)


def limit_memory(megabytes: float) -> None:
    """From now on, the process may use this much memory beyond what it has: a photo that needs more fails with MemoryError instead of taking
    the machine down (Linux)."""
    with contextlib.suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii")
        data = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (data + int(megabytes * 1e6), hard))


def held_memory(unknown: float = math.nan) -> float:
    """The process's resident memory now, in MB; `unknown` where the system has no /proc."""
    held = _of_status("VmRSS")
    return unknown if held is None else held


def _of_status(key: str) -> float | None:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith(key))
    except (OSError, StopIteration):
        return None


def peak_memory() -> float:
    """The process's peak resident memory since its start, in MB, without GPU memory; NaN on Windows.

    On Linux it comes from /proc, because `getrusage` there inherits the parent's peak.
    """
    if (most := _of_status("VmHWM")) is not None:
        return most
    try:
        import resource
    except ImportError:
        return math.nan
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def peak_gpu_memory() -> float:
    """The peak memory of this process's tensors on torch's GPU, in MB; 0 without one.

    Memory of CUDA itself and of torch's cache is not included.
    """
    import torch

    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.max_memory_allocated() / 1e6 if used else 0.0
