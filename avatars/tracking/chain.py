"""Least squares along time: many small problems, each tied to the next, solved together exactly."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_chain(
    blocks: Tensor,  # [T, P, P], symmetric positive definite
    ties: Tensor,  # [T - 1, P] of at least 0: how stiffly neighbours hold each other
    right: Tensor,  # [T, P]
) -> Tensor:  # [T, P]
    """The x that minimises sum x'Bx / 2 - x'r + sum ties * (x[t + 1] - x[t]) ** 2 / 2.

    A forward pass that carries what the past says into each block, and a backward pass that brings
    the future in: what Rauch, Tung and Striebel do for Kalman filters.
    """
    frames = len(blocks)
    stiff = torch.diag_embed(_beside(ties, frames)) + blocks
    told, inverses = right.clone(), []
    for t in range(frames):
        block = stiff[t]
        if t:
            tie = ties[t - 1]
            carried = tie[:, None] * inverses[-1]
            block = block - carried * tie
            told[t] += carried @ told[t - 1]
        inverses.append(torch.cholesky_inverse(torch.linalg.cholesky(block)))
    solution = torch.empty_like(right)
    for t in range(frames - 1, -1, -1):
        pulled = told[t] if t == frames - 1 else told[t] + ties[t] * solution[t + 1]
        solution[t] = inverses[t] @ pulled
    return solution


def tie_forces(values: Tensor, ties: Tensor) -> Tensor:  # [T, P] differences to the next [T-1, P]
    """Where the ties pull each frame: minus their gradient, [T, P]."""
    pull = ties * values
    return _before(pull) - _after(pull)


def _beside(ties: Tensor, frames: int) -> Tensor:  # [T - 1, P] -> [T, P]
    """The sum of the ties on both sides of each frame."""
    total = ties.new_zeros(frames, ties.shape[1])
    total[:-1] += ties
    total[1:] += ties
    return total


def _before(pull: Tensor) -> Tensor:
    return torch.cat([pull, pull.new_zeros(1, pull.shape[1])])


def _after(pull: Tensor) -> Tensor:
    return torch.cat([pull.new_zeros(1, pull.shape[1]), pull])
