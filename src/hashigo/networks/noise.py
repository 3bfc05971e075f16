"""Random numbers that networks draw themselves, such as latents and what is dropped in training: from a generator of the thread's own, if it has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_GENERATOR: ContextVar[torch.Generator | None] = ContextVar("generator", default=None)


@contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Networks draw from this generator, in this thread; otherwise from torch's global one."""
    token = _GENERATOR.set(generator)
    try:
        yield
    finally:
        _GENERATOR.reset(token)


def noise_like(values: Tensor) -> Tensor:
    """Standard normal numbers of the shape, type and device of `values`."""
    generator = _GENERATOR.get()
    if generator is None:
        return torch.randn_like(values)
    return torch.randn(values.shape, generator=generator, dtype=values.dtype, device=generator.device).to(values.device)


def uniform(shape: Sequence[int], like: Tensor) -> Tensor:
    """Uniform numbers 0..1 of the type and device of `like`."""
    generator = _GENERATOR.get()
    if generator is None:
        return torch.rand(*shape, dtype=like.dtype, device=like.device)
    return torch.rand(*shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)
