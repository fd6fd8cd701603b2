"""Parts of a mesh that stand turned from how they were captured: what they shade, they shade so.

A renderer has learned highlights for directions as captured. A part that is moved takes its view
directions along, and with them its highlights, as if its lamps moved too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dnr.raster.surface import Surface


class Turns(nn.Module):
    """A rotation for every face."""

    def __init__(self, rotation: Tensor, part: Tensor) -> None:  # [P, 3, 3], int64 [F] below P
        super().__init__()
        self.rotation = nn.Buffer(rotation)
        self.part = nn.Buffer(part)

    def undone(self, surface: Surface, face_id: Tensor) -> Surface:  # leading [*], int32 [*]
        """The surface with directions as they were before the parts were turned."""
        turn = self.rotation[self.part[face_id.clamp(min=0).long()]]
        normal, view = (
            (direction[..., None, :] @ turn)[..., 0, :]
            for direction in (surface.normal, surface.view)
        )
        return surface._replace(normal=normal, view=view)

    def is_valid(self) -> bool:
        """Whether every face has one of the rotations."""
        return bool(((self.part >= 0) & (self.part < len(self.rotation))).all())


def no_turns(parts: int, faces: int) -> Turns | None:
    """Room for so many parts; None for none."""
    if not parts:
        return None
    return Turns(torch.eye(3).repeat(parts, 1, 1), torch.zeros(faces, dtype=torch.int64))
