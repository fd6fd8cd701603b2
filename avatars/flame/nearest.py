"""The closest points of a triangle mesh."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

CANDIDATES = 40  # faces with the nearest centres; enough where faces do not differ tenfold in size


def closest_points(
    points: np.ndarray,  # [N, 3]
    vertices: np.ndarray,  # [V, 3]
    faces: np.ndarray,  # [F, 3]
) -> tuple[np.ndarray, np.ndarray]:  # [N] int64 face, [N, 3] weights of its corners
    """For each point where it is nearest to the surface; normals play no part."""
    corners = vertices[faces]
    tree = KDTree(corners.mean(axis=1))
    nearby = tree.query(points, k=min(CANDIDATES, len(faces)))[1].reshape(len(points), -1)
    weights = _closest_on_triangles(points[:, None], corners[nearby])  # [N, K, 3]
    places = (weights[..., None] * corners[nearby]).sum(axis=2)
    best = ((places - points[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(points))
    return nearby[rows, best], weights[rows, best]


def _closest_on_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Weights of the corners [*, 3, 3]: inside of the triangle, else on the nearest edge."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    ab, ac, ap = b - a, c - a, points - a
    d11, d12, d22 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d1, d2 = (ab * ap).sum(-1), (ac * ap).sum(-1)
    area = d11 * d22 - d12 * d12
    is_flat = area <= 1e-12 * d11 * d22  # to a line: only edges count
    area = np.where(is_flat, 1, area)
    v, w = (d22 * d1 - d12 * d2) / area, (d11 * d2 - d12 * d1) / area
    best = np.stack([1 - v - w, v, w], axis=-1)
    least = np.where((best >= 0).all(-1) & ~is_flat, 0.0, np.inf)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
        length = np.maximum((edge * edge).sum(-1), 1e-30)
        along = np.clip(((points - start) * edge).sum(-1) / length, 0, 1)
        distance = ((start + along[..., None] * edge - points) ** 2).sum(-1)
        on_edge = np.zeros_like(best)
        on_edge[..., first], on_edge[..., second] = 1 - along, along
        nearer = distance < least
        best = np.where(nearer[..., None], on_edge, best)
        least = np.where(nearer, distance, least)
    return best
