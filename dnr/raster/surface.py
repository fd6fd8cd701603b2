"""What every pixel sees of a mesh: the bundle that textures and renderers work on."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Fragments(NamedTuple):
    """The nearest face behind every pixel centre."""

    face_id: Tensor  # [B, H, W] int32, -1 where nothing is hit
    barycentric: Tensor  # [B, H, W, 3], perspective-correct weights of the face's corners
    depth: Tensor  # [B, H, W], camera z; 0 where nothing is hit


class Surface(NamedTuple):
    """Surface points: leading dimensions * are [B, H, W] for images or [N] for lists of points.

    Where nothing is hit all fields are zero.
    """

    uv: Tensor  # [*, 2]
    position: Tensor  # [*, 3]
    normal: Tensor  # [*, 3], unit, smooth, turned towards the viewer's side of the face
    view: Tensor  # [*, 3], unit, from the surface to the camera
