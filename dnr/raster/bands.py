"""Compiled functions, and several threads on one: each takes a range of rows or points."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import torch

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
"""Decorates the kernels of this room. Division by zero gives infinity, as in NumPy and PyTorch."""


def run_in_bands(kernel: Callable[..., None], length: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` so that every index below `length` is done once.

    Kernels release the interpreter lock and write only to their own range, so the result does not
    depend on the number of threads, which is `torch.get_num_threads()`. Plain threads, not numba's:
    those keep spinning after the first use, abort when two Python threads use them at once, and
    break in forked loaders.
    """
    count = max(1, min(torch.get_num_threads(), length))
    if count == 1:
        kernel(0, length, *arguments)
        return
    starts = [length * band // count for band in range(count + 1)]
    with ThreadPoolExecutor(count) as pool:
        bands = [pool.submit(kernel, first, last, *arguments) for first, last in pairwise(starts)]
        for band in bands:
            band.result()
