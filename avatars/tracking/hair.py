"""How far hair and ears stand off the fitted head, so that its outline is the person's."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from torch import Tensor

from avatars.heads.head import Head, Motion, head_vertices
from avatars.tracking.outline import find_edges
from dnr.geometry.cameras import Camera

ROUNDS, ROUNDS_MORE = 4, 1  # the outline is made by other vertices when the head has grown
LEAST_M, MOST_M = -0.012, 0.06
STIFFNESS = {"scalp": 0.02, "ears": 0.5, "face": 2.0}  # against one observed edge
SMOOTH = 60.0  # against one observed edge: hair has no dents of the size of a vertex
OUTLIER_M = 0.006  # edges that disagree more with their surroundings count less


def fit_offsets(
    head: Head,
    identity: Tensor,  # [I]
    motion: Motion,  # B frames
    cameras: Camera,  # their crops
    masks: np.ndarray,  # [B, S, S]
    start: Tensor | None = None,  # [V], what is nearly right already
) -> Tensor:  # [V] metres along the normals at rest
    """The smoothest offsets that put the outlines where the masks end."""
    stiffness, bends = _stiffness(head), _bending(head)
    offsets = torch.zeros(len(head.template)).to(identity) if start is None else start
    for _ in range(ROUNDS if start is None else ROUNDS_MORE):
        vertices = head_vertices(head, identity, motion, offsets)
        edges = find_edges(head, vertices, cameras, masks)
        wanted = (offsets[edges.vertex] + edges.gap_m).cpu().numpy()
        place = edges.vertex.cpu().numpy()
        # A vertex sees many frames: hair moves and masks flicker, so errors count linearly.
        off = np.abs(wanted - offsets[edges.vertex].cpu().numpy())
        weight = 1 / np.maximum(off / OUTLIER_M, 1)
        count = len(stiffness)
        pull = np.bincount(place, weight, count)
        right = np.bincount(place, weight * wanted, count)
        system = diags(pull + stiffness) + SMOOTH * bends
        solved = np.clip(np.asarray(spsolve(system.tocsc(), right)), LEAST_M, MOST_M)
        offsets = torch.from_numpy(solved).to(identity)
    return offsets


def _stiffness(head: Head) -> np.ndarray:  # [V]
    """How strongly each vertex is held at 0; what is not hair, ear or cheek does not move."""
    held = np.full(len(head.template), 1e6)
    for name, value in STIFFNESS.items():
        held[head.regions[name].cpu().numpy()] = value
    for name in ("lips", "eyelids"):
        held[head.regions[name].cpu().numpy()] = 1e3
    return held


def _bending(head: Head) -> coo_matrix:  # [V, V]
    """Square of the mesh's mean-of-neighbours operator: large where offsets are not smooth."""
    faces = head.faces.cpu().numpy()
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    count = len(head.template)
    links = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count)).tocsr()
    links.data[:] = 1
    degree = np.maximum(np.asarray(links.sum(axis=1))[:, 0], 1)
    operator = diags(np.ones(count)) - diags(1 / degree) @ links
    return operator.T @ operator
