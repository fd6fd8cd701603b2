"""Motion without jitter: still stretches become still, fast ones (a blink) stay as they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

REACH = 3
"""Frames to either side that are looked at."""
SIGMA_FRAMES = 1.5
EXPRESSION_STEP, GAZE_STEP, TURN_STEP, PLACE_STEP = 0.06, 0.04, 0.02, 0.004
"""Changes larger than this, in the units of each, are motion and not noise."""


def smoothed(values: Tensor, step: float) -> Tensor:  # [T, *]
    """A bilateral filter over time, each number on its own.

    Neighbours count by how near they are in time, and by how little their value differs in units
    of `step`: what moves on purpose does not drag the rest along.
    """
    if len(values) < 2:
        return values
    flat = values.reshape(len(values), -1).T[:, None]  # [C, 1, T]
    around = functional.pad(flat, (REACH, REACH), mode="replicate")
    total, weights = torch.zeros_like(flat), torch.zeros_like(flat)
    for offset in range(-REACH, REACH + 1):
        other = around[..., REACH + offset : REACH + offset + len(values)]
        near = torch.exp(-0.5 * torch.tensor((offset / SIGMA_FRAMES) ** 2))
        weight = near * torch.exp(-0.5 * ((other - flat) / step) ** 2)
        total += weight * other
        weights += weight
    return (total / weights)[:, 0].T.reshape(values.shape)
