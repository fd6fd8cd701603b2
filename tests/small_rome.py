"""ROME on a sheet instead of a head, with networks that are small enough to follow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from avatars.deca.camera import project
from avatars.deca.networks import DecaCodes
from avatars.flame.model import Flame
from avatars.orthographic import interpolate_flat, rasterize_flat
from avatars.rome.avatar import RomeModel, posed
from avatars.rome.framing import SIZE
from avatars.rome.surface import rome_surface
from dnr.array_files import save_arrays


class SmallNetworks(nn.Module):
    """The interface of `Rome`; notes which network was asked, and shows what the U-Net sees."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.mlp_deformer = nn.Linear(58, 3)

    def texture(self, photo: Tensor, matte: Tensor) -> Tensor:
        self.asked.append("texture")
        return torch.cat([photo, matte, photo, matte], dim=1)

    def geometry(self, texture: Tensor, positions: Tensor) -> Tensor:
        self.asked.append("geometry")
        return torch.cat([texture, positions, texture, texture, positions, positions[:, :2]], dim=1)

    def picture(self, features: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
        self.asked.append("picture")
        self.features, self.normals = features, normals
        return features[:, :3], normals[:, 2:]


class SmallDeca(nn.Module):
    """Codes of a face that looks at us; remembers the crop it was shown."""

    def coarse(self, image: Tensor) -> DecaCodes:
        self.shown = image
        zeros = image.new_zeros(len(image), 236)
        shape, texture, expression, pose, _, _ = zeros.split([100, 50, 50, 6, 3, 27], dim=1)
        camera = image.new_tensor([[7.0, 0.01, 0.02]]).expand(len(image), -1)
        light = image.new_zeros(len(image), 9, 3)
        return DecaCodes(shape + 0.1, texture, expression + 0.2, pose, camera, light)


def small_model(generator: torch.Generator) -> RomeModel:
    """A wavy sheet of 6 x 7 vertices in place of the head."""
    row, column = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    across, up = (column / 6 - 0.5).reshape(-1), (0.5 - row / 5).reshape(-1)
    template = 0.2 * torch.stack([across, up, 0.2 * torch.sin(9 * across)], dim=1)
    index = torch.arange(42).reshape(6, 7)
    a, b = index[:-1, :-1].reshape(-1), index[:-1, 1:].reshape(-1)
    c, d = index[1:, :-1].reshape(-1), index[1:, 1:].reshape(-1)
    faces = torch.cat([torch.stack([a, c, b], dim=1), torch.stack([b, c, d], dim=1)])
    weights = torch.zeros(42, 5)
    weights[:, 0] = 1
    flame = Flame(
        template,
        faces,
        torch.randn(300, 42, 3, generator=generator) * 1e-3,
        torch.randn(100, 42, 3, generator=generator) * 1e-3,
        torch.zeros(36, 42, 3),
        torch.full((5, 42), 1 / 42),
        weights,
    )
    uv = torch.stack([across + 0.5, up + 0.5], dim=1)
    lookup = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=1) * 0.9
    surface = rome_surface(faces, uv, faces, lookup, torch.arange(42) < 14)
    networks = SmallNetworks()
    for parameter in networks.parameters():
        nn.init.uniform_(parameter, -1, 1, generator=generator)
    return RomeModel(networks, SmallDeca(), flame, surface)  # type: ignore[arg-type]


def made_up_clip(folder: Path, model: RomeModel, seed: int) -> None:
    """Four frames of a sheet with somebody's colours, its poses known."""
    random = torch.Generator().manual_seed(seed)
    count, surface = 4, model.surface
    codes = SmallDeca().coarse(torch.zeros(count, 3, 224, 224))
    pose = 0.15 * torch.randn(count, 6, generator=random)
    shift = torch.tensor([0.0, 0.02, 0.02]) * torch.randn(count, 3, generator=random)
    codes = codes._replace(pose=pose, camera=codes.camera + shift)
    vertices, _ = posed(model, codes.shape, codes)
    screen = project(vertices, codes.camera)
    pixels = torch.cat([(screen[..., :2] + 1) * SIZE / 2, screen[..., 2:]], dim=-1)
    seen = rasterize_flat(pixels, surface.faces, (SIZE, SIZE))
    uv = interpolate_flat(seen, surface.uv, surface.uv_faces)
    tint = torch.rand(3, generator=random)
    waves = 0.5 + 0.4 * torch.sin(9 * uv[..., :1] + 7 * uv[..., 1:] + 6 * tint)
    folder.mkdir(parents=True)
    for index in range(count):
        cover = (seen.face_id[index] >= 0).numpy()
        image = (waves[index].numpy() * cover[..., None] * 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index:05d}.jpg"), image)
        cv2.imwrite(str(folder / f"{index:05d}.png"), cover.astype(np.uint8) * 255)
    points = torch.zeros(count, 68, 2)
    points[:, 36:42, 0], points[:, 42:48, 0], points[:, 48:60, 1] = -0.3, 0.3, 0.6
    save_arrays(
        folder / "clip.npz",
        {"points": points.numpy()} | {k: v.numpy() for k, v in codes._asdict().items()},
    )
