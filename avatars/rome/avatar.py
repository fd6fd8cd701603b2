"""ROME at work: a portrait becomes a textured head, which codes of other photos then move."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avatars import model_files as files
from avatars.deca.camera import project
from avatars.deca.networks import Deca, DecaCodes, load_deca
from avatars.flame.files import load_flame
from avatars.flame.model import ROOT, Flame, FlamePose, flame_vertices
from avatars.heads.head import vertex_normals
from avatars.heads.rotations import rotation_matrices
from avatars.orthographic import interpolate_flat, rasterize_flat
from avatars.rome.framing import SIZE, face_box, face_crop, uncropped
from avatars.rome.linear import LinearHair, load_linear_hair
from avatars.rome.networks import Rome, load_rome
from avatars.rome.surface import RomeSurface, load_rome_surface
from dnr.shapes import check_shape


@dataclass(frozen=True)
class RomeModel:
    """All files that ROME needs, opened."""

    rome: Rome
    deca: Deca
    flame: Flame
    surface: RomeSurface
    linear: LinearHair | None = None  # hair and neck from a linear basis instead of the networks

    def to(self, device: torch.device) -> RomeModel:
        """The same on `device`; networks are moved, not copied."""
        linear = None if self.linear is None else self.linear.to(device)
        return RomeModel(
            self.rome.to(device),
            self.deca.to(device),
            self.flame.to(self.flame.template.to(device)),
            self.surface.to(device),
            linear,
        )


class Source(NamedTuple):
    """What is kept of a portrait; every frame reuses it."""

    shape: Tensor  # [1, 100]
    texture: Tensor  # [1, 8, 256, 256]
    offsets: Tensor  # [1, V, 3], factors of the normal's components; with `linear`, metres


class Rendering(NamedTuple):
    """One frame, in ROME's square of the driver."""

    image: Tensor  # [B, 3, 256, 256]
    matte: Tensor  # [B, 1, 256, 256], logits
    vertices: Tensor  # [B, V, 3], metres, FLAME's axes, without the pose of the head
    on_screen: Tensor  # [B, V, 3], see deca.camera.project
    covered: Tensor  # [B, 1, 256, 256], 1 where the mesh is
    offsets: Tensor  # [B, V, 3], metres, from the bald head to the one with hair


def load_rome_model(folder: Path, linear: bool = False) -> RomeModel:
    """Everything out of the folder with the user's files; refuses by name what is missing."""
    for engine in ("ROME", "ROME, linear") if linear else ("ROME",):
        for wanted in files.missing_files(engine, folder):
            files.need_file(wanted, folder)
    rome = load_rome(files.need_file(files.ROME_WEIGHTS, folder))
    hair = load_linear_hair(folder) if linear else None
    return replace(load_frozen_parts(folder, rome), linear=hair)


def load_frozen_parts(folder: Path, rome: Rome) -> RomeModel:
    """Everything but ROME's own networks, which are given: what its training does not change."""
    return RomeModel(
        rome,
        load_deca(files.need_file(files.DECA_WEIGHTS, folder)),
        load_flame(files.need_file(files.FLAME_2020, folder)).to(torch.zeros(())),
        load_rome_surface(folder),
    )


def read_face(model: RomeModel, picture: Tensor, points: Tensor) -> DecaCodes:
    """DECA's codes of a square picture [B, 3, H, H] with face points [B, L, 2] in [-1, 1].

    The camera is that of the whole picture.
    """
    box = face_box(points.to(picture))
    codes = model.deca.coarse(face_crop(picture, box))
    return codes._replace(camera=uncropped(codes.camera, box))


@torch.no_grad()
def read_portrait(
    model: RomeModel,
    picture: Tensor,  # [1, 3, 256, 256]
    matte: Tensor,  # [1, 1, 256, 256], 1 on the person
    points: Tensor,  # [1, L, 2] in [-1, 1]
) -> Source:
    """All that a portrait gives: shape, texture and offsets of hair and neck."""
    check_shape("picture", picture, f"1 3 {SIZE} {SIZE}")
    codes = read_face(model, picture, points)
    texture = model.rome.texture(picture, matte)
    if model.linear is not None:
        offsets = model.linear(picture)
    else:
        offsets = surface_offsets(model, texture, posed(model, codes.shape, codes)[0])
    return Source(codes.shape, texture, offsets)


def posed(
    model: RomeModel, shape: Tensor, codes: DecaCodes
) -> tuple[Tensor, Tensor]:  # [B, V, 3], [B, 3]
    """The bald head with somebody's shape, and the expression and jaw of `codes`; its root."""
    zero = torch.zeros_like(codes.pose[:, :3])
    pose = FlamePose(zero, zero, codes.pose[:, 3:], zero[:, None].expand(-1, 2, -1))
    shape = shape.expand(len(zero), -1)
    vertices, joints = flame_vertices(model.flame, shape, codes.expression, pose)
    return vertices, joints[:, ROOT]


def surface_offsets(model: RomeModel, texture: Tensor, vertices: Tensor) -> Tensor:  # [B, V, 3]
    """Factors between -1 and 1 of the normals' components, zero but for hair and neck."""
    surface, batch = model.surface, len(vertices)
    texels = type(surface.texels)(*(f.expand(batch, *f.shape[1:]) for f in surface.texels))
    positions = interpolate_flat(texels, vertices, surface.faces).permute(0, 3, 1, 2)
    # Detached as published: the texture is to learn colours, not to serve the geometry.
    geometry = model.rome.geometry(texture.detach().expand(batch, -1, -1, -1), positions)
    lookup = surface.vertex_lookup[None, :, None].expand(batch, -1, -1, -1)
    local = functional.grid_sample(geometry, lookup, align_corners=False)[..., 0]
    code = surface.vertex_code.expand(batch, -1, -1)
    answer = torch.tanh(model.rome.mlp_deformer(torch.cat([local.transpose(1, 2), code], dim=2)))
    return answer * surface.movable[:, None]


def drive(
    model: RomeModel,
    source: Source,
    codes: DecaCodes,  # of the driver, from `read_face`
    as_published: bool = False,
) -> Rendering:
    """The portrait's head with the driver's expression, pose and camera.

    `as_published` computes the offsets again for every expression, with one more U-Net; otherwise
    those of the portrait stay, which hair and neck hardly notice.
    """
    bald, root = posed(model, source.shape, codes)
    offsets = source.offsets
    if as_published and model.linear is None:
        offsets = surface_offsets(model, source.texture, bald)
    if model.linear is None:
        offsets = offsets * vertex_normals(bald, model.surface.faces)
    vertices = bald + offsets
    turn = rotation_matrices(codes.pose[:, :3])
    turned = (vertices - root[:, None]) @ turn.transpose(1, 2) + root[:, None]
    on_screen = project(turned, codes.camera)
    return shade(model, source.texture, vertices, on_screen)._replace(offsets=offsets)


def shade(model: RomeModel, texture: Tensor, vertices: Tensor, on_screen: Tensor) -> Rendering:
    """The mesh drawn with its neural texture, and the picture that the U-Net makes of it."""
    surface, batch = model.surface, len(vertices)
    pixels = torch.cat([(on_screen[..., :2] + 1) * (SIZE / 2), on_screen[..., 2:]], dim=-1)
    seen = rasterize_flat(pixels, surface.faces, (SIZE, SIZE))
    covered = (seen.face_id >= 0)[:, None].to(vertices)
    uv = interpolate_flat(seen, surface.uv, surface.uv_faces)
    lookup = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], dim=-1)
    features = functional.grid_sample(
        texture.expand(batch, -1, -1, -1), lookup, align_corners=False
    )
    normals = interpolate_flat(seen, vertex_normals(vertices, surface.faces), surface.faces)
    image, matte = model.rome.picture(features * covered, normals.permute(0, 3, 1, 2))
    return Rendering(image, matte, vertices, on_screen, covered, torch.zeros_like(vertices))
