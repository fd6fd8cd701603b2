"""What a person looks like: an albedo texture on the head, and the light of a clip.

Shading is 9 bands of spherical harmonics of the normal in the camera's axes: lamps stand still
while heads turn. Albedo and light share one factor, which nothing here needs to know.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avatars.heads.head import Head, head_mesh
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate
from dnr.textures.harmonics import harmonics

SIDE = 192  # texels: about as fine as faces in crops of 256 pixels are
ROUNDS = 5  # of taking turns between light and albedo
OUTLIER = 0.08  # colours that are off by more count less and less
SKIN = ("face", "ears", "lips", "eyelids", "scalp")
_HIDDEN = ("mouth", "tongue", "right_eyeball", "left_eyeball", "right_socket", "left_socket")
FACING = 0.25  # cosine: surfaces seen at a grazing angle say little


class Appearance(NamedTuple):
    """Colours in [0, 1]."""

    albedo: Tensor  # [1, 3, SIDE, SIDE]
    light: Tensor  # [9, 3]


class Sight(NamedTuple):
    """The P pixels of one picture that show skin or hair well enough to compare."""

    pixel: Tensor  # [P, 2] int64, row and column
    face: Tensor  # [P] int64
    barycentric: Tensor  # [P, 3]
    uv: Tensor  # [P, 2]
    normal: Tensor  # [P, 3] in the camera's axes
    weight: Tensor  # [P], less where the surface is seen at an angle


def skin_faces(head: Head) -> Tensor:  # [F] bool
    """Faces whose colour stays the same when the face moves: no teeth, no eyes."""
    shown = torch.stack([head.regions[name] for name in SKIN]).any(dim=0)
    hidden = torch.stack([head.regions[name] for name in _HIDDEN]).any(dim=0)
    return (shown & ~hidden)[head.faces].all(dim=1)


def see(
    head: Head, skin: Tensor, vertices: Tensor, camera: Camera, mask: Tensor, every: int = 1
) -> Sight:  # [F] bool, [V, 3], one view, [S, S] in [0, 1]
    """What of the skin one view shows, on every so-manieth row and column."""
    fragments = rasterize(vertices[None], head.faces, camera)
    surface = interpolate(fragments, head_mesh(head, vertices), camera)
    face = fragments.face_id[0].long()
    cosine = (surface.normal[0] * surface.view[0]).sum(dim=-1)
    good = (face >= 0) & skin[face.clamp(min=0)] & (mask > 0.8) & (cosine > FACING)
    chosen = torch.zeros_like(good)
    chosen[::every, ::every] = True
    row, column = (good & chosen).nonzero(as_tuple=True)
    rotation = camera.world_to_camera[0, :3, :3]
    return Sight(
        torch.stack([row, column], dim=1),
        face[row, column],
        fragments.barycentric[0, row, column],
        surface.uv[0, row, column],
        surface.normal[0, row, column] @ rotation.T,
        cosine[row, column],
    )


def learn_appearance(sights: list[Sight], colours: list[Tensor]) -> Appearance:  # [P, 3] each
    """The albedo and light that explain all pictures best, in turns."""
    uv, colour = torch.cat([s.uv for s in sights]), torch.cat(colours)
    weight = torch.cat([s.weight for s in sights])
    bands = harmonics(torch.cat([s.normal for s in sights]), 2)  # [N, 9]
    light = bands.new_zeros(9, 3)
    light[0] = 1 / 0.28209479177387814  # even light from everywhere
    albedo = bands.new_zeros(1, 3, SIDE, SIDE)
    sure = weight
    for _ in range(ROUNDS):
        shade = (bands @ light).clamp(min=0.05)
        albedo = _average(uv, colour / shade, weight * shade.mean(dim=1) ** 2)
        own = _look_up(albedo, uv)
        off = (own * shade - colour).norm(dim=1)  # a hand, a shadow: rare colours count little
        weight = sure / (1 + (off / OUTLIER) ** 2)
        rows = bands[:, None] * own[..., None]  # [N, 3, 9]
        normal = torch.einsum("n,nci,ncj->cij", weight, rows, rows)
        right = torch.einsum("n,nci,nc->ci", weight, rows, colour)
        steady = 0.01 * normal.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]
        eye = torch.eye(9).to(normal)
        light = torch.linalg.solve(normal + steady * eye, right + steady[..., 0] * light.T).T
    return Appearance(albedo, light)


def predict(appearance: Appearance, sight: Sight) -> Tensor:  # [P, 3]
    """The colours that a view should have."""
    shade = harmonics(sight.normal, 2) @ appearance.light
    return _look_up(appearance.albedo, sight.uv) * shade.clamp(min=0.05)


def colours_at(image: Tensor, sight: Sight) -> Tensor:  # [3, S, S] -> [P, 3]
    """The colours that a view has."""
    return image[:, sight.pixel[:, 0], sight.pixel[:, 1]].T


def _average(uv: Tensor, colour: Tensor, weight: Tensor) -> Tensor:  # [1, 3, SIDE, SIDE]
    """Weighted means texel by texel; texels that nothing shows take those around them."""
    column = (uv[:, 0] * SIDE).long().clamp(0, SIDE - 1)
    row = ((1 - uv[:, 1]) * SIDE).long().clamp(0, SIDE - 1)
    texel = row * SIDE + column
    values = torch.cat([colour * weight[:, None], weight[:, None]], dim=1)
    total = values.new_zeros(SIDE * SIDE, 4).index_add(0, texel, values)
    image = total.T.reshape(1, 4, SIDE, SIDE)
    level, levels = image, [image]
    while level.shape[-1] > 3:
        level = functional.avg_pool2d(level, 2)
        levels.append(level)
    filled = levels[-1]
    for finer in levels[-2::-1]:  # coarser levels count only where finer ones know nothing
        coarse = functional.interpolate(filled, finer.shape[-2:], mode="bilinear")
        coarse = coarse / coarse[:, 3:].clamp(min=1e-12)
        filled = finer + 1e-3 * coarse
    return filled[:, :3] / filled[:, 3:].clamp(min=1e-12)


def _look_up(texture: Tensor, uv: Tensor) -> Tensor:  # [1, 3, SIDE, SIDE], [P, 2] -> [P, 3]
    grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=-1)[None, None]
    found = functional.grid_sample(texture, grid, padding_mode="border", align_corners=False)
    return found[0, :, 0].T
