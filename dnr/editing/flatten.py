"""Parts that hang together with the rest: cut off, and the hole spanned by a smooth surface."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from torch import Tensor

from dnr.geometry.meshes import Mesh

WHISPER = 1e-6
"""How much vertices hold on to their places: those that hang on no rim would have none."""


def with_islands(mesh: Mesh, body: np.ndarray, faces: np.ndarray) -> np.ndarray:  # bool [F] each
    """`faces` and what of `body` would be left hanging in the air, if it is smaller than they are.

    A lasso seldom catches the far side of a thing.
    """
    corners = mesh.faces.cpu().numpy()
    rest = body & ~faces
    shared = np.zeros(len(mesh.vertices), bool)
    shared[corners[faces]] = True
    touched = shared[corners].max(axis=1)
    left = np.flatnonzero(rest)
    count = len(mesh.vertices)
    pairs = np.concatenate([corners[left][:, [0, 1]], corners[left][:, [1, 2]]])
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    number = np.asarray(connected_components(graph, directed=False)[1])[corners[left][:, 0]]
    size = np.bincount(number)
    hangs = np.bincount(number, touched[left]) > 0  # what was apart before stays
    island = np.asarray(hangs & (size < faces.sum()))
    if size.size:
        island[size.argmax()] = False
    grown = faces.copy()
    grown[left[island[number]]] = True
    return grown


def flattened(mesh: Mesh, faces: np.ndarray) -> Tensor:  # [V, 3]
    """Vertices with those inside of `faces` (bool [F]) moved onto a membrane over their rim.

    Each comes to lie in the middle of its neighbours, so a bulge becomes what it stood on. The
    faces keep their triangles and their place in the texture.
    """
    corners = mesh.faces.cpu().numpy()
    inner = np.zeros(len(mesh.vertices), bool)
    inner[corners[faces]] = True
    inner[corners[~faces]] = False
    free = np.flatnonzero(inner)
    place = np.full(len(mesh.vertices), -1, np.int64)
    place[free] = np.arange(len(free))
    edges = corners[faces][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    start, end = np.concatenate([edges, edges[:, ::-1]]).T
    start, end = start[place[start] >= 0], end[place[start] >= 0]
    vertices = mesh.vertices.cpu().double().numpy()
    within = place[end] >= 0
    right = WHISPER * vertices[free]
    np.add.at(right, place[start[~within]], vertices[end[~within]])
    count = len(free)
    degree = np.bincount(place[start], minlength=count) + WHISPER
    rows = np.concatenate([np.arange(count), place[start[within]]])
    columns = np.concatenate([np.arange(count), place[end[within]]])
    values = np.concatenate([degree, -np.ones(int(within.sum()))])
    moved = vertices.copy()
    if count:
        moved[free] = splu(coo_array((values, (rows, columns)), (count, count)).tocsc()).solve(
            right
        )
    return torch.from_numpy(moved.astype(np.float32))
