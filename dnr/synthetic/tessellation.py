"""Solids as triangles, with the chart coordinates of every corner."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dnr.synthetic.primitives import BOX, CYLINDER, DISC, NUM_CHARTS, SPHERE, surface_points
from dnr.synthetic.scene import Solid

Floats = np.ndarray
Ints = np.ndarray

FLAT_COARSER = 3.0
"""Cells of flat sides are this much longer than those of curved ones."""


class Patch(NamedTuple):
    """The triangles of one solid in unit coordinates, counterclockwise seen from outside."""

    points: Floats  # [V, 3]
    faces: Ints  # [F, 3]
    charts: Ints  # [F]
    st: Floats  # [F, 3, 2] chart coordinates of every corner


def cell_edge(solids: tuple[Solid, ...], num_faces: int) -> float:
    """The edge length that brings the whole tessellation closest to `num_faces`."""

    def missed(edge: float) -> float:
        counts = (
            len(_chart_cells(solid, chart, edge)[1])
            for solid in solids
            for chart in range(NUM_CHARTS[solid.kind])
        )
        return abs(sum(counts) - num_faces)

    largest = max(max(solid.half_size) for solid in solids)
    return float(min(largest * np.geomspace(0.005, 2.0, 400), key=missed))


def tessellate(solid: Solid, edge: float) -> Patch:
    """Triangles about `edge` long in the world; charts meet in shared vertices."""
    points, corners, charts = [], [], []
    count = 0
    for chart in range(NUM_CHARTS[solid.kind]):
        st, triangles = _chart_cells(solid, chart, edge)
        points.append(surface_points(solid.kind, chart, st))
        corners.append((triangles + count, st[triangles]))
        charts.append(np.full(len(triangles), chart))
        count += len(st)
    faces = np.concatenate([indices for indices, _ in corners])
    # Neighbouring charts compute the same point by different formulas: weld what is equal.
    _, first, inverse = np.unique(
        np.concatenate(points).round(9), axis=0, return_index=True, return_inverse=True
    )
    return Patch(
        np.concatenate(points)[first],
        inverse.reshape(-1)[faces],
        np.concatenate(charts),
        np.concatenate([st for _, st in corners]),
    )


def _chart_cells(solid: Solid, chart: int, edge: float) -> tuple[Floats, Ints]:
    """(s, t) of the vertices and the triangles of one chart."""
    x, y, z = solid.half_size
    around = 4 * max(2, round(np.pi * (x + y) / edge / 4))
    if solid.kind == SPHERE:
        cells = max(2, round(np.pi / 2 * (x + y + z) / 3 / edge))
        return _grid(cells, cells)
    if solid.kind == BOX:
        counts = [max(2, round(2 * half / (edge * FLAT_COARSER))) for half in (x, y, z)]
        across, up = [(1, 2), (1, 2), (0, 2), (0, 2), (0, 1), (0, 1)][chart]
        return _grid(counts[across], counts[up])
    if solid.kind == CYLINDER and chart == 0:
        return _grid(around, max(1, round(2 * z / edge)))
    assert solid.kind in (CYLINDER, DISC)
    return _rings(around, max(1, round((x + y) / 2 / (edge * FLAT_COARSER))))


def _grid(columns: int, rows: int) -> tuple[Floats, Ints]:
    """A unit square of cells, each cut into two triangles."""
    s, t = np.meshgrid(np.arange(columns + 1) / columns, np.arange(rows + 1) / rows)
    corner = np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)
    a, b, c, d = (corner.reshape(-1) + step for step in (0, 1, columns + 2, columns + 1))
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return np.stack([s.reshape(-1), t.reshape(-1)], axis=1), triangles


def _rings(around: int, rings: int) -> tuple[Floats, Ints]:
    """A disc in the unit square: a fan in the middle, then rings of cells."""
    angle = 2 * np.pi * np.arange(around) / around
    radius = np.arange(1, rings + 1)[:, None] / rings
    circle = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(-1, 2)
    st = 0.5 + 0.5 * np.concatenate([np.zeros((1, 2)), circle])
    here, after = np.arange(around), np.roll(np.arange(around), -1)
    triangles = [np.stack([np.zeros(around, np.int64), 1 + here, 1 + after], 1)]
    for ring in range(rings - 1):
        inner, outer = 1 + ring * around, 1 + (ring + 1) * around
        triangles.append(np.stack([inner + here, outer + here, outer + after], 1))
        triangles.append(np.stack([inner + here, outer + after, inner + after], 1))
    return st, np.concatenate(triangles)
