"""What a benchmark ran on, as plain values."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "bf16", "asimd")
"""Processor flags that decide the speed of float32 and bfloat16."""


def surroundings() -> dict[str, Any]:
    """Processor, cores, flags, memory, load, system and time."""
    cpu = _first_fields(Path("/proc/cpuinfo"))
    flags = set((cpu.get("flags") or cpu.get("Features") or "").split())
    model = cpu.get("model name") or platform.processor() or platform.machine()
    identity = ", ".join(f"{k} {cpu[k]}" for k in ("cpu family", "model", "stepping") if k in cpu)
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": f"{model} ({identity})" if identity else model,
        "cores": usable,
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(pages * size / 2**30, 1),
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _first_fields(path: Path) -> dict[str, str]:
    """The "name : value" lines of a file up to its first empty line; nothing where there is no such file."""
    fields: dict[str, str] = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        if not line.strip():
            break
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields
