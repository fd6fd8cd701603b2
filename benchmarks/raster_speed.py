"""Speed of the rasteriser and of texture lookups, one thread."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from benchmarks.results import Results, Row
from benchmarks.timing import copy_bandwidth, measure, threads
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.raster.rasterize import Backend, rasterize
from dnr.textures.pyramid import Pyramid
from dnr.textures.summed import SummedPyramid

FRAGMENT_BYTES = 4 + 12 + 4
"""Face, weights and depth of a pixel."""
CHANNELS = 16
LEVELS = 4
FINEST = 512
EYE_TARGET_UP = torch.tensor([[0.0, -3.0, 1.0]]), torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])


def measure_raster(results: Results, face_counts: tuple[int, ...], side: int, repeats: int) -> None:
    """Add a row per number of faces and rasteriser that is missing."""
    backends: tuple[Backend, ...] = ("cpu", "pytorch3d") if find_spec("pytorch3d") else ("cpu",)
    for count in face_counts:
        for backend in backends:
            if not results.has("raster", faces=count, side=side, backend=backend):
                results.add("raster", _raster_row(count, side, backend, repeats))


def _raster_row(count: int, side: int, backend: Backend, repeats: int) -> Row:
    vertices, faces = bumpy_sphere(count)
    intrinsics = intrinsics_from_fov(45, (side, side), vertices)
    camera = Camera(look_at(*EYE_TARGET_UP), intrinsics, (side, side))
    with threads(1):
        times = measure(lambda: rasterize(vertices, faces, camera, backend), repeats)
        moved = vertices.nbytes + faces.nbytes + side * side * FRAGMENT_BYTES
        floor = 1000 * moved / copy_bandwidth()
    row: Row = {"faces": count, "side": side, "backend": backend}
    return row | {"ms_min": times.least, "ms_median": times.median, "byte_floor_ms": floor}


def bumpy_sphere(num_faces: int) -> tuple[Tensor, Tensor]:  # [V, 3], [F, 3]
    """About `num_faces` triangles around the origin."""
    rows = round((num_faces / 4) ** 0.5)
    columns = 2 * rows
    down, across = torch.meshgrid(
        torch.linspace(0.001, torch.pi - 0.001, rows + 1),
        torch.linspace(0, 2 * torch.pi, columns + 1)[:-1],
        indexing="ij",
    )
    radius = 1 + 0.05 * torch.sin(9 * across) * torch.sin(7 * down)
    ring = radius * down.sin()
    points = torch.stack([ring * across.cos(), ring * across.sin(), radius * down.cos()], dim=-1)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    first, beside = row * columns + column, row * columns + (column + 1) % columns
    upper = torch.stack([first, first + columns, beside], dim=-1)
    lower = torch.stack([beside, first + columns, beside + columns], dim=-1)
    faces = torch.stack([upper, lower], dim=2).reshape(-1, 3)
    return points.reshape(-1, 3), faces


def measure_sampling(results: Results, side: int, repeats: int) -> None:
    """Add the row of a frame full of lookups, fused and by torch, if it is missing."""
    if results.has("sampling", side=side):
        return
    sizes = tuple(FINEST >> level for level in range(LEVELS))
    pyramid = Pyramid(sizes, CHANNELS, always=sizes[-1] + 1)
    torch.nn.init.normal_(pyramid.texels, generator=torch.Generator().manual_seed(0))
    uv, footprint = frame_of_uv(side)
    with threads(1), torch.inference_mode():
        summed = SummedPyramid(pyramid)
        ways = [summed.look_up, pyramid.look_up, pyramid.sample]
        times = [measure(lambda way=way: way(uv, footprint), repeats) for way in ways]
        exact = pyramid.sample(uv, footprint)
        difference = max(float((way(uv, footprint) - exact).abs().max()) for way in ways[:2])
    moved = pyramid.texels.nbytes + uv.nbytes + footprint.nbytes + len(uv) * CHANNELS * 4
    row: Row = {
        "side": side,
        "channels": CHANNELS,
        "levels": LEVELS,
        "byte_floor_ms": 1000 * moved / copy_bandwidth(),
        "difference": difference,
    }
    for name, taken in zip(("summed", "fused", "torch"), times, strict=True):
        row |= {f"{name}_ms_min": taken.least, f"{name}_ms_median": taken.median}
    results.add("sampling", row)


def frame_of_uv(side: int) -> tuple[Tensor, Tensor]:  # [N, 2], [N, 1]
    """A frame that sees most of the texture, turned by 30 degrees: surfaces rarely lie straight."""
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    place = (torch.stack([column, row], dim=-1).reshape(-1, 2) + 0.5) / side - 0.5
    turn = torch.tensor([[0.866, 0.5], [-0.5, 0.866]])
    uv = (place @ turn + 0.5).clamp(0, 1)
    return uv.contiguous(), torch.full((len(uv), 1), 1 / side)
