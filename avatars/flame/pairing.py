"""Which point of one head is which point of FLAME: mediapipe's 468 skin points on both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avatars.flame.landmarks import SurfacePoints
from avatars.flame.model import Flame
from avatars.flame.nearest import closest_points
from avatars.heads.head import Head, at_rest, landmark_points
from dnr.shapes import check_shape

SKIN_POINTS = 468
ROUNDS = 8
NEAR_WEIGHT = 0.1  # of a nearest point, against one that is known to be the same
IDENTITY_RIDGE = 3e-8  # metres squared that a coefficient of one costs, per point


@dataclass(frozen=True)
class Pairing:
    """The same points on FLAME, and where FLAME's mean face lies in the other head's frame."""

    points: SurfacePoints  # [468] on FLAME
    turn: Tensor  # [3, 3], X_flame = turn X_head + shift; both in metres
    shift: Tensor  # [3]
    identity: Tensor  # [I], the other head made as similar to FLAME's mean as it can be
    gap: Tensor  # [468], metres, between the two surfaces after that


def pair_points(
    head: Head,
    flame: Flame,
    known: SurfacePoints,  # [K] on FLAME
    numbers: Tensor,  # [K] int64, what mediapipe calls them
) -> Pairing:
    """Fit `head` to FLAME's mean face by the points that are known, then by nearest ones.

    `known` come with FLAME: mediapipe's own (105), or iBUG's (51) under their nearest numbers.
    """
    check_shape("numbers", numbers, f"{len(known.face)}")
    vertices, faces = flame.template.numpy().astype(np.float64), flame.faces.numpy()
    skin = landmark_points(head, at_rest(head, torch.zeros_like(head.identity[:, 0, 0]))[None])[0]
    basis = landmark_points(head, head.identity)[:, :SKIN_POINTS].numpy().astype(np.float64)
    mean = skin[:SKIN_POINTS].numpy().astype(np.float64)
    targets = known.on(flame.template[None], flame.faces)[0].numpy().astype(np.float64)
    code = np.zeros(len(basis))
    turn, shift = rigid(mean[numbers], targets)
    face = np.zeros(SKIN_POINTS, np.int64)
    weights = np.zeros((SKIN_POINTS, 3))
    for _ in range(ROUNDS):
        placed = (mean + np.tensordot(code, basis, 1)) @ turn.T + shift
        face, weights = closest_points(placed, vertices, faces)
        nearest = (vertices[faces[face]] * weights[..., None]).sum(axis=1)
        goal, trust = nearest.copy(), np.full(SKIN_POINTS, NEAR_WEIGHT)
        goal[numbers], trust[numbers] = targets, 1.0
        turn, shift = rigid(placed_model(mean, basis, code), goal, trust)
        code = identity_for(mean, basis, (goal - shift) @ turn, trust)
    placed = placed_model(mean, basis, code) @ turn.T + shift
    face, weights = closest_points(placed, vertices, faces)
    face[numbers], weights[numbers] = known.face.numpy(), known.weights.numpy()
    found = (vertices[faces[face]] * weights[..., None]).sum(axis=1)
    return Pairing(
        SurfacePoints(torch.from_numpy(face), torch.from_numpy(weights)),
        torch.from_numpy(turn).float(),
        torch.from_numpy(shift).float(),
        torch.from_numpy(code).float(),
        torch.from_numpy(np.linalg.norm(found - placed, axis=1)).float(),
    )


def placed_model(mean: np.ndarray, basis: np.ndarray, code: np.ndarray) -> np.ndarray:  # [N, 3]
    """Points of a linear model."""
    return mean + np.tensordot(code, basis, 1)


def identity_for(
    mean: np.ndarray,  # [N, 3]
    basis: np.ndarray,  # [I, N, 3]
    goal: np.ndarray,  # [N, 3], in the same frame
    trust: np.ndarray,  # [N]
) -> np.ndarray:  # [I]
    """The coefficients whose points come nearest to `goal`, none larger than they need to be."""
    root = np.sqrt(trust)[:, None]
    rows = (basis * root).reshape(len(basis), -1).T
    ridge = IDENTITY_RIDGE * len(mean) * np.eye(len(basis))
    return np.linalg.solve(rows.T @ rows + ridge, rows.T @ ((goal - mean) * root).ravel())


def rigid(
    source: np.ndarray,  # [N, 3]
    target: np.ndarray,  # [N, 3]
    trust: np.ndarray | None = None,  # [N]
) -> tuple[np.ndarray, np.ndarray]:  # [3, 3], [3]
    """The rotation and shift that bring `source` nearest to `target` (Kabsch 1976)."""
    weight = np.ones(len(source)) if trust is None else trust
    weight = (weight / weight.sum())[:, None]
    middle, goal = (weight * source).sum(axis=0), (weight * target).sum(axis=0)
    u, _, v = np.linalg.svd((weight * (source - middle)).T @ (target - goal))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    turn = (u @ flip @ v).T
    return turn, goal - turn @ middle
