"""The head's outline in pictures: where the mesh has it, where the person's mask has it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from avatars.heads.head import Head, landmark_points, vertex_normals
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

CHIN, BRIDGE = 152, 168
INWARDS_M, OUTWARDS_M, STEP_M = 0.025, 0.075, 0.0015  # where the mask's edge is looked for
RIM = 0.3  # cosine of normal and viewing ray: below, a vertex is near the outline
_BARE = ("face", "scalp", "ears", "lips", "eyelids")


class Edges(NamedTuple):
    """Rim vertices, and how far along their normals the mask ends."""

    view: Tensor  # [R] int64
    vertex: Tensor  # [R] int64
    gap_m: Tensor  # [R], positive where the person is larger than the mesh


def bare_head(head: Head) -> Tensor:  # [V] bool
    """The head without neck, torso and what is inside it."""
    return torch.stack([head.regions[name] for name in _BARE]).any(dim=0)


def find_edges(
    head: Head,
    vertices: Tensor,  # [B, V, 3] in each view's head frame
    cameras: Camera,  # B views of the crops
    masks: np.ndarray,  # [B, S, S] from 0 to 255
) -> Edges:
    """Where the outlines of mesh and person differ, above the chin."""
    normals = vertex_normals(vertices, head.faces)
    view_rays = vertices - cameras.position[:, None]
    depth = view_rays.norm(dim=-1)
    facing = (normals * view_rays).sum(dim=-1) / depth
    chin = landmark_points(head, vertices)[:, CHIN, 1:2]
    is_rim = (facing.abs() < RIM) & bare_head(head) & (vertices[..., 1] > chin)
    is_rim &= _on_outline(head, vertices, cameras)
    view, vertex = is_rim.nonzero(as_tuple=True)
    steps = torch.arange(-INWARDS_M, OUTWARDS_M, STEP_M).to(vertices)
    start, normal = vertices[view, vertex], normals[view, vertex]
    along = start[:, None] + steps[:, None] * normal[:, None]  # [R, N, 3]
    rotation = cameras.world_to_camera[view, :3, :3]
    local = along @ rotation.transpose(1, 2) + cameras.world_to_camera[view, None, :3, 3]
    on_screen = local @ cameras.intrinsics[view].transpose(1, 2)
    place = (on_screen[..., :2] / on_screen[..., 2:]).cpu().numpy() - 0.5
    number = np.broadcast_to(view.cpu().numpy()[:, None], place.shape[:2])
    inside = map_coordinates(
        masks, [number, place[..., 1], place[..., 0]], np.float32, order=1, mode="nearest"
    )
    return _first_exits(inside, view, vertex, steps)


def _first_exits(inside: np.ndarray, view: Tensor, vertex: Tensor, steps: Tensor) -> Edges:
    """The first place, from within, where the mask falls below one half."""
    leaves = (inside[:, :-1] >= 127.5) & (inside[:, 1:] < 127.5)
    first = leaves.argmax(axis=1)
    rows = np.arange(len(inside))
    before, after = inside[rows, first], inside[rows, first + 1]
    share = (before - 127.5) / np.maximum(before - after, 1e-6)
    known = torch.from_numpy(leaves.any(axis=1)).to(view.device)
    gap = steps[0] + (torch.from_numpy(first + share).to(steps)) * STEP_M
    return Edges(view[known], vertex[known], gap[known])


def _on_outline(head: Head, vertices: Tensor, cameras: Camera) -> Tensor:  # [B, V] bool
    """Vertices at most two pixels from a pixel that sees nothing of the whole bust."""
    seen = rasterize(vertices, head.faces, cameras).face_id >= 0
    empty = torch.nn.functional.max_pool2d((~seen).float()[:, None], 5, stride=1, padding=2)
    height, width = cameras.size
    place = cameras.project(vertices)[..., :2]
    column = place[..., 0].long().clamp(0, width - 1)
    row = place[..., 1].long().clamp(0, height - 1)
    inside = (place >= 0).all(dim=-1) & (place < place.new_tensor([width, height])).all(dim=-1)
    flat = empty.flatten(1).gather(1, row * width + column) > 0
    return flat & inside


def overlap_of_outlines(
    head: Head, vertices: Tensor, cameras: Camera, masks: np.ndarray
) -> Tensor:  # [B]
    """Intersection over union of the bare head and the person's mask, above the chin.

    Pixels where the mesh shows neck or torso, and those lower than the chin, do not count.
    """
    face_id = rasterize(vertices, head.faces, cameras).face_id.long()
    is_bare = bare_head(head)[head.faces].any(dim=1)
    hit = face_id >= 0
    ours = hit & is_bare[face_id.clamp(min=0)]
    person = torch.from_numpy(masks >= 128).to(ours.device)
    points = cameras.project(landmark_points(head, vertices))[..., :2]
    chin = points[:, CHIN]
    down = torch.nn.functional.normalize(chin - points[:, BRIDGE], dim=-1)
    height, width = cameras.size
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixel = torch.stack([columns, rows], dim=-1).to(chin) + 0.5
    below = ((pixel - chin[:, None, None]) * down[:, None, None]).sum(dim=-1) > 0
    counted = ~below & ~(hit & ~ours)
    both = (ours & person & counted).sum(dim=(1, 2))
    either = ((ours | person) & counted).sum(dim=(1, 2))
    return both / either.clamp(min=1)
