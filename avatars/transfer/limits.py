"""How far an avatar may be driven: as far as its own clip went, and a little further."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from avatars.heads.rotations import rotation_vectors
from avatars.transfer.neutral import Neutral
from avatars.transfer.performance import Performance

RARE = 0.01
"""Share of frames at either end that do not count as trained."""
EXPRESSION_MARGIN = (0.25, 0.1)
"""Share of the trained range, and a constant, that may be added at either end."""
GAZE_MARGIN, TURN_MARGIN, PLACE_MARGIN = 0.10, 0.12, 0.2  # radians, radians, eye distances


class Limits(NamedTuple):
    """Low and high ends of what the avatar was trained on, relative to nothing but zero."""

    expression: Tensor  # [2, E]
    gaze: Tensor  # [2, 2, 2]
    turn: Tensor  # [2, 3], rotation vectors against the neutral pose, camera axes
    place: Tensor  # [2, 3], metres the neck joint moved


def limits(performance: Performance, rest: Neutral, places: Tensor) -> Limits:  # [T, 3]
    """The ranges of the clip an avatar is trained on."""
    turns = relative_turns(performance.head_to_camera[:, :, :3], rest.rotation)
    return Limits(
        _range(performance.motion.expression),
        _range(performance.motion.gaze),
        _range(turns),
        _range(places - rest.neck),
    )


def relative_turns(rotations: Tensor, rest: Tensor) -> Tensor:  # [T, 3, 3], [3, 3] -> [T, 3]
    """Rotation vectors, in the axes of the camera, that lead from `rest` to `rotations`."""
    return rotation_vectors(rotations @ rest.T)


def soft_clamp(values: Tensor, ends: Tensor, margin: Tensor | float) -> Tensor:
    """Values [T, *] as they are between ends [2, *]; beyond, they approach ends plus margin."""
    low, high = ends
    room = torch.as_tensor(margin, dtype=values.dtype).clamp(min=1e-6)
    above, below = (values - high).clamp(min=0), (low - values).clamp(min=0)
    inside = values.clamp(min=low, max=high)
    return inside + room * torch.tanh(above / room) - room * torch.tanh(below / room)


def _range(values: Tensor) -> Tensor:  # [T, *] -> [2, *]
    flat = values.reshape(len(values), -1)
    # In slices: quantile refuses large inputs.
    ends = [torch.quantile(column, torch.tensor([RARE, 1 - RARE]).to(column)) for column in flat.T]
    return torch.stack(ends, dim=1).reshape(2, *values.shape[1:])
