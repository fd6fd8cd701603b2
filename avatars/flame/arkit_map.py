"""ARKit's 52 expressions in FLAME's codes, and back: fitted on the same points of both heads.

There is no published table. FLAME's expressions are components of a statistic, ARKit's are
movements by name, so the table is fitted when the user's file is loaded: for each name, the FLAME
code that moves FLAME's face as the other head's expression moves its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import lsq_linear
from torch import Tensor

from avatars.flame.model import EXPRESSIONS, Flame, FlamePose, flame_vertices
from avatars.flame.pairing import SKIN_POINTS, Pairing
from avatars.heads.head import Head, landmark_points
from dnr.shapes import check_shape

ROUNDS = 4
CODE_RIDGE = 1e-8  # metres squared, per point, that a FLAME coefficient of one costs
JAW_RIDGE = 1e-5  # the same for a radian
NAME_RIDGE = 1e-9  # the same for a name at its full extent, on the way back
STEP = 1e-3  # radians, for differences


@dataclass(frozen=True)
class ArkitMap:
    """Linear both ways, but for the limits of the names."""

    names: tuple[str, ...]  # [E]
    expression: Tensor  # [E, 100], FLAME's code of each name at its full extent
    jaw: Tensor  # [E, 3], radians
    moves: Tensor  # [E, 468, 3], metres, what FLAME's points do for each name
    residual: Tensor  # [E], part of the other head's movement that FLAME cannot follow, 0 to 1

    def to_flame(self, amount: Tensor) -> tuple[Tensor, Tensor]:  # [T, E] -> [T, 100], [T, 3]
        """FLAME's expression code and jaw rotation."""
        check_shape("amount", amount, f"T {len(self.names)}")
        return amount @ self.expression.to(amount), amount @ self.jaw.to(amount)


def fit_arkit_map(head: Head, flame: Flame, pairing: Pairing) -> ArkitMap:
    """The table for this `head`, whose expressions have ARKit's names."""
    wanted = landmark_points(head, head.expression)[:, :SKIN_POINTS] @ pairing.turn.T
    goal = wanted.double().flatten(start_dim=1)  # [E, 1404]
    flame = flame.to(goal)
    code, jaw = goal.new_zeros(len(goal), EXPRESSIONS), goal.new_zeros(len(goal), 3)
    basis = _at_points(flame.expression, flame, pairing).flatten(start_dim=1)  # [100, 1404]
    ridge = torch.tensor([CODE_RIDGE] * EXPRESSIONS + [JAW_RIDGE] * 3).double() * SKIN_POINTS
    for _ in range(ROUNDS):
        now = flame_moves(flame, pairing, code, jaw).flatten(start_dim=1)
        turned = [
            flame_moves(flame, pairing, code, jaw + STEP * axis).flatten(start_dim=1)
            for axis in torch.eye(3).double()
        ]
        slopes = torch.stack([(each - now) / STEP for each in turned], dim=1)  # [E, 3, 1404]
        rows = torch.cat([basis.expand(len(goal), -1, -1), slopes], dim=1)
        before = torch.cat([code, jaw], dim=1)
        right = (rows @ (goal - now)[..., None])[..., 0] - ridge * before
        step = torch.linalg.solve(rows @ rows.transpose(1, 2) + torch.diag(ridge), right)
        code, jaw = code + step[:, :EXPRESSIONS], jaw + step[:, EXPRESSIONS:]
    moves = flame_moves(flame, pairing, code, jaw)
    extent = goal.norm(dim=1)
    missed = (moves.flatten(start_dim=1) - goal).norm(dim=1)
    still = extent < 1e-6  # movements that no skin point takes part in, such as the tongue's
    residual = torch.where(still, torch.zeros_like(missed), missed / extent.clamp(min=1e-9))
    code[still], jaw[still] = 0, 0
    parts = (code, jaw, moves, residual)
    return ArkitMap(head.expression_names, *(part.float() for part in parts))


def to_arkit(
    table: ArkitMap,
    flame: Flame,
    pairing: Pairing,
    expression: Tensor,  # [T, at most 100]
    jaw: Tensor,  # [T, 3]
) -> Tensor:  # [T, E] in [0, 1]
    """The amounts of ARKit's names that move FLAME's face as the codes do, as far as they can."""
    moved = flame_moves(flame, pairing, expression.to(flame.template), jaw.to(flame.template))
    columns = table.moves.flatten(start_dim=1).T.double().numpy()
    ridge = np.sqrt(NAME_RIDGE * SKIN_POINTS) * np.eye(columns.shape[1])
    rows = np.concatenate([columns, ridge])
    # The factor of rows has their products, so that each frame costs a 52 x 52 problem.
    factor = np.linalg.cholesky(rows.T @ rows)
    right = np.linalg.solve(factor, columns.T @ moved.flatten(start_dim=1).double().numpy().T)
    answers = [lsq_linear(factor.T, frame, bounds=(0, 1)).x for frame in right.T]
    return torch.from_numpy(np.stack(answers)).to(expression)


def flame_moves(
    flame: Flame, pairing: Pairing, expression: Tensor, jaw: Tensor
) -> Tensor:  # [T, 468, 3]
    """How far the paired points move from FLAME's face at rest."""
    still = torch.zeros_like(jaw)
    pose = FlamePose(still, still, jaw, still[:, None].expand(-1, 2, -1))
    none = still[:, :1]
    posed = flame_vertices(flame, none, expression, pose)[0]
    return _at_points(posed - flame.template, flame, pairing)


def _at_points(rows: Tensor, flame: Flame, pairing: Pairing) -> Tensor:  # [N, V, 3]
    return pairing.points.on(rows, flame.faces)
