"""How long things take on this machine, and how fast its memory is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch


class Times(NamedTuple):
    """Milliseconds of wall-clock time."""

    least: float
    median: float


def measure(work: Callable[[], object], repeats: int) -> Times:
    """Run `work` once to warm up (compilation, caches), then `repeats` times with the clock on."""
    work()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return Times(min(taken), float(np.median(taken)))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch and our own kernels use so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def copy_bandwidth(num_bytes: int = 1 << 28) -> float:
    """Bytes per second that one thread reads and writes while it copies."""
    source = torch.ones(num_bytes, dtype=torch.uint8)  # larger than any cache
    target = torch.empty_like(source)
    with threads(1):
        return 2 * num_bytes / (measure(lambda: target.copy_(source), 5).least / 1000)
