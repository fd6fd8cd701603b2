"""Kernels give the same bits wherever their arrays lie in memory.

Compilers test at run time whether arrays may overlap, and take a slower loop that rounds otherwise
if they cannot rule it out. Such tests may err when arrays are neighbours: two runs of one command
then end with other weights, once in ten thousand steps.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from dnr.renderers import directional_cpu
from dnr.textures import gather

N, CHANNELS, LAMPS = 33, 13, 16
Arrays = list[np.ndarray]


def placed(arrays: Arrays, order: np.ndarray, gap: int) -> Arrays:
    """Copies of all arrays in one block of memory, in this order, `gap` bytes apart."""
    sizes = [arrays[index].nbytes + gap + -arrays[index].nbytes % 16 for index in order]
    block = np.zeros(sum(sizes) + 4096, np.uint8)
    starts = np.cumsum([2048 + -block.ctypes.data % 64, *sizes])
    out = list(arrays)
    for index, (start, _) in zip(order, pairwise(starts), strict=True):
        bytes_ = block[start : start + arrays[index].nbytes]
        out[index] = bytes_.view(arrays[index].dtype).reshape(arrays[index].shape)
        out[index][:] = arrays[index]
    return out


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.normal(size=(count, 3))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def directions(rng: np.random.Generator) -> Arrays:
    neural = rng.normal(size=(N, CHANNELS)).astype(np.float32) / 20
    axes = np.ascontiguousarray(unit(rng, LAMPS).T)
    return [neural, unit(rng, N), unit(rng, N), axes, rng.random(LAMPS, np.float32) * 20]


def forward(rng: np.random.Generator) -> Arrays:
    return [*directions(rng), np.zeros((N, CHANNELS + 17 + LAMPS), np.float32)]


def backward(rng: np.random.Generator) -> Arrays:
    given = directions(rng)
    gradient = rng.normal(size=(N, CHANNELS + 17 + LAMPS)).astype(np.float32)
    return [*given, gradient, *(np.zeros_like(given[index]) for index in (0, 3, 4))]


def lookups(rng: np.random.Generator) -> Arrays:
    rows = 16 * 16 + 8 * 8
    texels, uv = rng.normal(size=(rows, CHANNELS)), rng.random((N, 2))
    footprint, out = rng.random((N, 1)) * 0.1, np.zeros((N, CHANNELS))
    return [array.astype(np.float32) for array in (texels, uv, footprint, out)]


def scattered(rng: np.random.Generator) -> Arrays:
    texels, uv, footprint, out = lookups(rng)
    gradient = rng.normal(size=out.shape).astype(np.float32)
    slots, rows = np.zeros(len(texels), np.int32), np.zeros(len(texels), np.int32)
    return [gradient, uv, footprint, slots, rows, np.zeros_like(texels)]


def adam(rng: np.random.Generator) -> Arrays:
    texels = lookups(rng)[0]
    moments = rng.random((len(texels), 2, CHANNELS), np.float32)
    ages = rng.integers(0, 9, len(texels)).astype(np.int32)
    rows = np.sort(rng.permutation(len(texels))[: 2 * N]).astype(np.int32)
    sums = rng.normal(size=(len(rows), CHANNELS)).astype(np.float32)
    rates, shrink = rng.random((2, 2, CHANNELS), np.float32) * 0.01
    corrections = 1 + rng.random((10, 2), np.float32)
    return [texels, moments, ages, rows, sums, rates, shrink, corrections]


SIZES, ALWAYS = np.array([16, 8]), 9
KERNELS: dict[str, tuple[Callable[[np.random.Generator], Arrays], Callable[..., object]]] = {
    "directions forward": (forward, directional_cpu._forward),
    "directions backward": (backward, directional_cpu._backward),
    "gather": (lookups, lambda t, uv, f, out: gather.gather(t, SIZES, ALWAYS, uv, f, out)),
    "scatter": (scattered, lambda g, uv, f, *out: gather.scatter(g, SIZES, ALWAYS, uv, f, *out)),
    "adam": (
        adam,
        lambda t, m, a, r, s, rates, shrink, c: gather.adam_rows(
            t, m, a, r, s, rates, shrink, np.array([0, 256]), c, np.array([0.9, 0.99], np.float32)
        ),
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_neighbours_in_memory_change_nothing(name: str, rng: np.random.Generator) -> None:
    make, kernel = KERNELS[name]
    arrays = make(rng)
    apart = placed(arrays, np.arange(len(arrays)), 4096)
    kernel(*apart)
    for trial in range(200):
        near = placed(arrays, rng.permutation(len(arrays)), int(rng.choice([0, 16, 64, 128])))
        kernel(*near)
        for number, (ours, theirs) in enumerate(zip(near, apart, strict=True)):
            assert np.array_equal(ours, theirs), f"argument {number} in trial {trial}"
