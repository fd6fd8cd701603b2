"""How long things take on this machine, and how fast its memory is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np
import torch


class Times(NamedTuple):
    """Milliseconds."""

    least: float
    median: float


def measure(
    work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time
) -> Times:
    """Run `work` once to warm up (compilation, caches), then `repeats` times with the clock on.

    Processor time is what one thread would take on a quiet machine; for several threads pass
    `time.perf_counter`.
    """
    work()
    taken = []
    for _ in range(repeats):
        began = clock()
        work()
        taken.append(1000 * (clock() - began))
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


@cache
def copy_bandwidth() -> float:
    """Bytes per second that one thread reads and writes while it copies; measured once a run."""
    num_bytes = 1 << 28
    source = torch.ones(num_bytes, dtype=torch.uint8)  # larger than any cache
    target = torch.empty_like(source)
    with threads(1):
        return 2 * num_bytes / (measure(lambda: target.copy_(source), 5).least / 1000)
