"""A texture layout for heads: MakeHuman's charts, packed anew, with most texels for the face."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

PLACES = {  # left, bottom, right, top of each chart
    "head": (0.0, 0.36, 1.0, 1.0),
    "torso": (0.0, 0.0, 0.46, 0.35),
    "right_eyeball_front": (0.47, 0.20, 0.62, 0.35),
    "left_eyeball_front": (0.63, 0.20, 0.78, 0.35),
    "mouth": (0.79, 0.19, 1.0, 0.35),
    "right_socket": (0.47, 0.10, 0.56, 0.19),
    "left_socket": (0.57, 0.10, 0.66, 0.19),
    "right_eyeball_back": (0.47, 0.0, 0.56, 0.09),
    "left_eyeball_back": (0.57, 0.0, 0.66, 0.09),
    "tongue": (0.67, 0.0, 0.75, 0.18),
    "upper_teeth": (0.76, 0.10, 1.0, 0.18),
    "lower_teeth": (0.76, 0.0, 1.0, 0.09),
}
MARGIN = 0.004  # four texels of 1024 around every chart
FACE_RADIUS = 0.06  # metres around the point between nose and mouth ...
FACE_SHARE = 2.5  # ... that get so many more texels a metre


def charts(uv_faces: np.ndarray) -> np.ndarray:  # [F, 3] -> [F]
    """Which connected piece of the texture each face is in."""
    ends = np.concatenate([uv_faces[:, [0, 1]], uv_faces[:, [1, 2]]])
    size = int(uv_faces.max()) + 1
    links = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (size, size))
    return connected_components(links, directed=False)[1][uv_faces[:, 0]]


def name_charts(
    vertices: np.ndarray, faces: np.ndarray, uv_faces: np.ndarray, part: np.ndarray
) -> np.ndarray:  # [F] names out of PLACES
    """What each chart shows: told by its part, and by where it is on the body."""
    chart = charts(uv_faces)
    names = np.empty(len(faces), dtype=object)
    sizes = {label: int((chart == label).sum()) for label in np.unique(chart)}
    for label in sizes:
        rows = chart == label
        kind = part[rows][0]
        middle = vertices[faces[rows]].mean(axis=(0, 1))
        if kind in ("right_eyeball", "left_eyeball"):
            whole = vertices[faces[part == kind]].mean(axis=(0, 1))
            names[rows] = f"{kind}_{'front' if middle[2] > whole[2] else 'back'}"
        elif kind != "skin":
            names[rows] = kind
        elif middle[1] < -0.14:
            names[rows] = "torso"
        elif abs(middle[0]) > 0.015:
            names[rows] = "right_socket" if middle[0] < 0 else "left_socket"
        else:
            names[rows] = "head" if sizes[label] > 3000 else "mouth"
    return names


def pack(
    vertices: np.ndarray,  # [V, 3]
    faces: np.ndarray,  # [F, 3]
    uvs: np.ndarray,  # [U, 2]
    uv_faces: np.ndarray,  # [F, 3]
    names: np.ndarray,  # [F]
) -> np.ndarray:  # [U, 2]
    """The same charts in their new places."""
    placed = np.zeros_like(uvs)
    missing = set(PLACES) - set(names)
    if missing:
        raise ValueError(f"charts must be all of PLACES, these are missing: {missing}")
    for name in PLACES:
        rows = names == name
        used = np.unique(uv_faces[rows])
        flat = uvs[used]
        if name == "head":  # the base mesh's lies on its side, the chin to the right
            flat = _upright(vertices[faces[rows]], uvs[uv_faces[rows]], flat)
            whole = uvs.copy()
            whole[used] = flat
            flat = _rescaled(vertices[faces[rows]], whole[uv_faces[rows]], flat)
        left, bottom, right, top = PLACES[name]
        low, high = np.array([left, bottom]) + MARGIN, np.array([right, top]) - MARGIN
        extent = flat.max(axis=0) - flat.min(axis=0)
        placed[used] = low + (flat - flat.min(axis=0)) / extent * (high - low)
    return placed


def _upright(corners: np.ndarray, uv_corners: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Turned by a quarter so that the subject's left is right and the crown on top."""
    middle_uv, middle = uv_corners.mean(axis=1), corners.mean(axis=1)
    sideways = np.sign(np.corrcoef(middle_uv[:, 1], middle[:, 0])[0, 1])
    return np.stack([sideways * flat[:, 1], -flat[:, 0]], axis=1)


def _rescaled(corners: np.ndarray, uv_corners: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Each axis stretched by what its faces need: monotone, so nothing can come to overlap."""
    nose = np.array([0.0, -0.045, 0.03])
    middle = corners.mean(axis=1)
    distance = np.linalg.norm((middle - nose) * [1, 1, 0.5], axis=1)
    wanted = 1 + (FACE_SHARE - 1) * np.exp(-((distance / FACE_RADIUS) ** 2))
    area = _areas(corners)
    stretch = wanted * np.sqrt(area / np.maximum(_areas(uv_corners), 1e-12))
    importance = area * wanted**2
    moved = flat.copy()
    for axis in range(2):
        edges = np.linspace(flat[:, axis].min(), flat[:, axis].max(), 65)
        cell = np.clip(np.digitize(uv_corners.mean(axis=1)[:, axis], edges) - 1, 0, 63)
        total = np.bincount(cell, importance, 64)
        needed = np.bincount(cell, importance * stretch, 64) / np.maximum(total, 1e-12)
        needed = np.convolve(np.pad(needed, 3, mode="edge"), np.ones(7) / 7, mode="valid")
        moved[:, axis] = np.interp(flat[:, axis], edges, np.append(0, np.cumsum(needed)))
    return moved


def _areas(corners: np.ndarray) -> np.ndarray:  # [F, 3, 2 or 3] -> [F]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    squares = (first**2).sum(1) * (second**2).sum(1) - (first * second).sum(1) ** 2
    return np.sqrt(np.maximum(squares, 0)) / 2
