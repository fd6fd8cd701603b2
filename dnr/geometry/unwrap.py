"""Texture coordinates that a texture can be painted on: tested, and made where they are not."""

from __future__ import annotations

import math

import numba
import numpy as np
import torch

from dnr.errors import InputError
from dnr.geometry.meshes import Mesh

MOST_FACES = 200_000
"""Unwrapping takes about 15 s at 80k faces on one core and grows faster than the faces."""
TEST_SIZE = 1024  # texels along each side where overlaps are counted
MOST_OVERLAP = 0.01  # of the covered texels
LEAST_COVERED = 0.005  # of all texels
MOST_COLLAPSED = 0.01  # of the surface
_OUTSIDE_TOLERANCE = 1e-4  # a tenth of a texel
_NO_AREA = 1e-12  # a millionth of a texel


def ensure_uvs(mesh: Mesh) -> tuple[Mesh, str | None]:
    """The mesh with one place in the texture for each point; and what was done, if anything."""
    problem = uv_problem(mesh)
    if problem is None:
        return mesh, None
    if len(mesh) > MOST_FACES:
        raise InputError(
            f"the mesh {problem}, and {len(mesh)} faces are too many to unwrap here. "
            f"Simplify it to at most {MOST_FACES} faces, or unwrap it in a modelling program."
        )
    return unwrap(mesh), f"the mesh {problem}: it was unwrapped anew"


def uv_problem(mesh: Mesh) -> str | None:
    """Why the uvs cannot be used, as the end of a sentence about the mesh; None if they can."""
    if len(mesh.uvs) == 0 or bool((mesh.uv_faces < 0).any()):
        return "has no uvs" if len(mesh.uvs) == 0 else "has faces without uvs"
    used = mesh.uvs[mesh.uv_faces].detach().cpu().double().numpy()  # [F, 3, 2]
    if not np.isfinite(used).all():
        return "has uvs that are not finite"
    if used.min() < -_OUTSIDE_TOLERANCE or used.max() > 1 + _OUTSIDE_TOLERANCE:
        return "has uvs outside of [0, 1]"
    on_surface = _areas(mesh.vertices[mesh.faces].detach().cpu().double().numpy())
    collapsed = on_surface[_areas(used) < _NO_AREA].sum() / max(on_surface.sum(), 1e-300)
    if collapsed > MOST_COLLAPSED:
        return f"has uvs without area on {100 * collapsed:.0f} % of its surface"
    once, twice = covered_texels(used, TEST_SIZE)
    if once < LEAST_COVERED * TEST_SIZE**2:
        return f"has uvs that cover only {100 * once / TEST_SIZE**2:.2g} % of the texture"
    if twice > MOST_OVERLAP * once:
        return f"has uvs that overlap on {100 * twice / once:.0f} % of the covered texture"
    return None


def unwrap(mesh: Mesh, size: int = 1024, padding_px: int = 4) -> Mesh:
    """The same surface with new uvs, charts apart by `padding_px` texels of a texture of `size`."""
    import xatlas  # takes a while to load, and most meshes come with uvs

    atlas = xatlas.Atlas()
    atlas.add_mesh(
        mesh.vertices.detach().cpu().float().numpy(), mesh.faces.cpu().numpy().astype(np.uint32)
    )
    pack = xatlas.PackOptions()
    pack.resolution, pack.padding, pack.bilinear = size, padding_px, True
    atlas.generate(pack_options=pack)
    _, uv_faces, uvs = atlas[0]
    return Mesh(
        mesh.vertices,
        mesh.faces,
        torch.from_numpy(uvs).to(mesh.vertices),
        torch.from_numpy(uv_faces.astype(np.int64)).to(mesh.faces),
        mesh.normal_faces,
    )


def covered_texels(
    triangles: np.ndarray,  # [F, 3, 2] uvs
    size: int,
) -> tuple[int, int]:
    """How many texel centres at least one triangle covers, and how many more than one.

    Edges that triangles share count for one of them only. Counting stops early where dozens of
    layers lie over each other.
    """
    return _count_covered(np.clip(triangles, 0, 1) * size, size)


def _areas(triangles: np.ndarray) -> np.ndarray:  # [F, 3, 2 or 3] -> [F]
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    squares = (first**2).sum(1) * (second**2).sum(1) - (first * second).sum(1) ** 2
    return np.sqrt(np.maximum(squares, 0)) / 2


@numba.njit(cache=True)
def _count_covered(triangles: np.ndarray, size: int) -> tuple[int, int]:
    layers = np.zeros((size, size), np.uint8)
    budget = 64 * size * size
    for triangle in triangles:
        low, high = triangle[:, 1].min(), triangle[:, 1].max()
        # rows whose centres lie in [low, high)
        for row in range(math.ceil(low - 0.5), math.ceil(high - 0.5)):
            left, right = np.inf, -np.inf
            for corner in range(3):
                start, end = triangle[corner], triangle[(corner + 1) % 3]
                if start[1] > end[1]:
                    start, end = end, start  # both triangles of an edge compute the same crossing
                if start[1] <= row + 0.5 < end[1]:
                    slope = (end[0] - start[0]) / (end[1] - start[1])
                    crossing = start[0] + (row + 0.5 - start[1]) * slope
                    left, right = min(left, crossing), max(right, crossing)
            if right <= left:
                continue
            first, last = math.ceil(left - 0.5), min(math.ceil(right - 0.5), size)
            for column in range(first, last):
                if layers[row, column] < 2:
                    layers[row, column] += 1
            budget -= last - first
        if budget < 0:
            break
    return (layers > 0).sum(), (layers > 1).sum()
