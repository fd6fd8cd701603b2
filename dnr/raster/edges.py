"""Which pixels one sample at the centre does not stand for: rims and jumps in depth."""

import math

import numpy as np
import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.bands import compiled, run_in_bands
from dnr.raster.surface import Fragments

STEEPEST = 10.0
"""A face explains a depth step of at most so many pixel widths to the next pixel (84 degrees)."""

ROUGHNESS = 0.5
"""Depth steps that need no explanation, in pixel widths: bumps finer than a pixel."""


@torch.no_grad()
def edge_pixels(fragments: Fragments, mesh: Mesh, camera: Camera) -> Tensor:  # [B, H, W] bool
    """Pixels that differ from one of their 8 neighbours in being hit, or across a jump in depth.

    Between two pixels on one continuous surface 1/z changes by something between what the planes
    of their two faces predict, however sharp the crease. Whatever lies outside is a jump. Geometry
    that no pixel centre near it hits goes unnoticed. Computed on the processor for every device.
    """
    face_id = fragments.face_id.cpu().numpy()
    depth = fragments.depth.cpu().numpy()
    vertices, faces = mesh.vertices.detach().cpu().numpy(), mesh.faces.cpu().numpy()
    intrinsics = camera.intrinsics.detach().double()
    camera_to_world = camera.world_to_camera.detach().double().inverse()
    to_world = (camera_to_world[:, :3, :3] @ intrinsics.inverse()).cpu().numpy()
    origins = camera_to_world[:, :3, 3].cpu().numpy()
    focal_px = intrinsics[:, :2, :2].det().abs().sqrt().tolist()
    edge = np.zeros(face_id.shape, np.bool_)
    for view in range(len(camera)):
        geometry = vertices, faces, to_world[view], origins[view]
        planes = tuple(np.zeros((3, *camera.size), np.float32))
        run_in_bands(_fit_planes, camera.size[0], face_id[view], depth[view], *geometry, *planes)
        run_in_bands(_find_edges, camera.size[0], *planes, focal_px[view], edge[view])
    return torch.from_numpy(edge).to(fragments.face_id.device)


@compiled
def _fit_planes(
    first_row,
    last_row,
    face_id,
    depth,
    vertices,
    faces,
    to_world,
    origin,
    over_depth,
    slope_x,
    slope_y,
):
    """1/z of every hit pixel, and how it changes per column and row on the face's plane.

    Points p on a plane have n . (p - origin) = d, and p = origin + z * to_world @ pixel, therefore
    1/z = n . (to_world @ pixel) / d.
    """
    last = -1
    dx, dy = 0.0, 0.0
    for i in range(first_row, last_row):
        for j in range(face_id.shape[1]):
            f = face_id[i, j]
            if f < 0:
                continue
            if f != last:
                last = f
                a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
                ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
                bx, by, bz = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
                cx, cy, cz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
                nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
                d = nx * (ax - origin[0]) + ny * (ay - origin[1]) + nz * (az - origin[2])
                over = 1 / d if d != 0 else math.inf
                dx = (nx * to_world[0, 0] + ny * to_world[1, 0] + nz * to_world[2, 0]) * over
                dy = (nx * to_world[0, 1] + ny * to_world[1, 1] + nz * to_world[2, 1]) * over
            over_depth[i, j] = 1 / depth[i, j]
            slope_x[i, j] = dx
            slope_y[i, j] = dy


@compiled
def _find_edges(first_row, last_row, over_depth, slope_x, slope_y, focal_px, edge):
    """Mark both pixels of every broken pair; bands share the pairs across their common end."""
    height, width = over_depth.shape
    broken = np.empty(width, np.bool_)
    for i in range(max(first_row - 1, 0), last_row):
        for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
            y = i + dy
            if y >= height:
                continue
            here, there = (
                slice(max(0, -dx), width - max(0, dx)),
                slice(max(0, dx), width + min(0, dx)),
            )
            _compare(
                over_depth[i, here], slope_x[i, here], slope_y[i, here],
                over_depth[y, there], slope_x[y, there], slope_y[y, there],
                np.float32(dx), np.float32(dy), np.float32(focal_px), broken,
            )  # fmt: skip
            if i >= first_row:
                edge[i, here] |= broken[: width - abs(dx)]
            if y < last_row:
                edge[y, there] |= broken[: width - abs(dx)]


@compiled
def _compare(here, here_x, here_y, there, there_x, there_y, dx, dy, focal_px, broken):
    """Which pairs of two rows do not belong to one surface; without branches, to be vectorised."""
    steep, rough = np.float32(STEEPEST) / focal_px, np.float32(ROUGHNESS) / focal_px
    quarter = np.float32(0.25)
    for j in range(len(here)):
        scale = max(here[j], there[j])
        limit = steep * scale
        first = min(max(here_x[j] * dx + here_y[j] * dy, -limit), limit)
        second = min(max(there_x[j] * dx + there_y[j] * dy, -limit), limit)
        slack = rough * scale + quarter * (abs(first) + abs(second))
        step = there[j] - here[j]
        jump = (step < min(first, second) - slack) | (step > max(first, second) + slack)
        broken[j] = jump | ((here[j] > 0) != (there[j] > 0))
