"""Wrinkles become normals."""

from pathlib import Path

import numpy as np
import torch
from flame_files import VERTICES

from avatars.deca.detail import DetailSpace, detail_normals, load_detail_space
from avatars.orthographic import uv_fragments
from dnr.geometry.meshes import Mesh
from dnr.images import write_png


def sheet() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A square of 0.2 m that faces +z, its UVs the whole square."""
    uv = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    vertices = torch.cat([0.2 * uv, torch.zeros(4, 1)], dim=1)
    return vertices, uv, torch.tensor([[0, 1, 2], [0, 2, 3]])


def test_normals_are_those_of_the_displaced_surface() -> None:
    vertices, uv, faces = sheet()
    mask = torch.ones(256, 256)
    mask[:, :64] = 0
    space = DetailSpace(uv_fragments(uv, faces, (256, 256)), faces, mask, torch.zeros(256, 256))
    u = (torch.arange(256) + 0.5) / 256
    height = 0.002 * torch.sin(20 * u)[None, :].expand(256, -1)
    normals = detail_normals(space, height[None, None], vertices[None])[0]
    slope = 0.002 * 20 * torch.cos(20 * u) / 0.2  # dz/dx by hand
    expected = torch.stack([-slope, 0 * slope, 1 + 0 * slope], dim=1)
    expected = expected / expected.norm(dim=1, keepdim=True)
    inside = normals[10:-10, 70:-10]
    torch.testing.assert_close(
        inside, expected[70:-10].expand_as(inside), atol=2e-3, rtol=0
    )  # finite differences
    torch.testing.assert_close(normals[5, 5], torch.tensor([0.0, 0, 1]))


def test_the_space_is_read_from_the_published_files(tmp_path: Path, rng) -> None:
    image = np.zeros((512, 512, 3), np.uint8)
    image[256:] = 255
    write_png(tmp_path / "mask.png", image)
    fixed = rng.normal(0, 1e-3, (256, 256))
    np.save(tmp_path / "fixed.npy", fixed)
    vertices = torch.rand(VERTICES, 3)
    _, uv, faces = sheet()
    template = Mesh(vertices, faces, uv, faces, faces)
    space = load_detail_space(template, tmp_path / "mask.png", tmp_path / "fixed.npy")
    assert space.mask[:128].sum() == 0 and space.mask[128:].min() == 1
    np.testing.assert_allclose(space.fixed, fixed, atol=1e-9)
    assert (space.texels.face_id >= 0).all()
