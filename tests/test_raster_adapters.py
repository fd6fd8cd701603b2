"""The adapters against the reference: with the real packages where installed, and everywhere with
stand-ins that follow the packages' documented conventions, pixel by pixel."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.raster import nvdiffrast as nvdiffrast_adapter
from dnr.raster.rasterize import Backend, rasterize
from dnr.raster.surface import Fragments

SIZE = (19, 30)


def scene(device: str = "cpu") -> tuple[Tensor, Tensor, Camera]:
    """Two views of random triangles, two of them behind a camera in part."""
    rng = np.random.default_rng(3)
    corners = rng.normal(size=(24, 1, 3)) + 0.6 * rng.normal(size=(24, 3, 3))
    corners[:2] = 3 * rng.normal(size=(2, 3, 3))
    vertices = torch.from_numpy(corners.reshape(-1, 3)).float().to(device)
    position = torch.tensor([[0.3, 0.4, -2.5], [2.2, -0.9, 0.8]], device=device)
    up = torch.tensor([0.0, 1.0, 0.0], device=device)
    intrinsics = intrinsics_from_fov(55.0, SIZE, position).repeat(2, 1, 1)
    camera = Camera(look_at(position, torch.zeros_like(up), up), intrinsics, SIZE)
    return vertices, torch.arange(72, device=device).reshape(-1, 3), camera


def nearest(
    corners: Tensor, place: Tensor
) -> tuple[Tensor, Tensor]:  # [F, 3, 3], [H, W, 2] -> [H, W] faces, [H, W, 3] weights
    """Ray casting: solve corners' weights for homogeneous (x, y, w); w > 0 lies ahead."""
    homogeneous = torch.cat([place, torch.ones_like(place[..., :1])], dim=-1).double()
    weights = torch.einsum("fck,hwc->fhwk", corners.double().inverse(), homogeneous)
    over = weights.sum(dim=-1)  # 1 / w
    hit = (weights >= 0).all(dim=-1) & (over > 0)
    found = torch.where(hit, over, 0).max(dim=0)
    face = torch.where(found.values > 0, found.indices, -1)
    chosen = weights.gather(0, found.indices[None, ..., None].expand(1, -1, -1, 3))[0]
    return face, chosen / chosen.sum(dim=-1, keepdim=True)


def same(found: Fragments, expected: Fragments) -> None:
    clear = found.face_id == expected.face_id
    assert clear.float().mean() > 0.995
    assert (expected.face_id >= 0).float().mean() > 0.4
    hit = clear & (expected.face_id >= 0)
    torch.testing.assert_close(found.depth[hit], expected.depth[hit], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.barycentric[hit], expected.barycentric[hit], rtol=0, atol=2e-3)
    missed = found.face_id < 0
    assert not found.depth[missed].any() and not found.barycentric[missed].any()
    assert found.face_id.dtype == torch.int32


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["pytorch3d", "nvdiffrast"])
def test_the_real_packages_match_the_reference(backend: Backend) -> None:
    pytest.importorskip(backend)
    vertices, faces, camera = scene("cuda")
    same(rasterize(vertices, faces, camera, backend), rasterize(vertices, faces, camera, "cpu"))


def test_pytorch3d_on_the_cpu_matches_the_reference() -> None:
    pytest.importorskip("pytorch3d")
    vertices, faces, camera = scene()
    same(rasterize(vertices, faces, camera, "pytorch3d"), rasterize(vertices, faces, camera))


def test_conventions_of_nvdiffrast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows from y = -1 to 1 of clip space; (u, v, z/w, face + 1), u and v of corners 0 and 1."""

    def stand_in(
        context: object, clip: Tensor, triangles: Tensor, resolution: list[int], grad_db: bool
    ) -> tuple[Tensor, None]:
        assert clip.dtype == torch.float32 and triangles.dtype == torch.int32
        height, width = resolution
        row, column = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        y, x = torch.meshgrid(2 * row / height - 1, 2 * column / width - 1, indexing="ij")
        images = []
        for positions in clip:
            corners = positions[triangles.long()]
            face, weights = nearest(corners[..., [0, 1, 3]], torch.stack([x, y], dim=-1))
            z, w = (weights * corners[face.clamp(min=0)][..., 2:].permute(3, 0, 1, 2)).sum(dim=-1)
            hit = (face >= 0) & (z.abs() <= w)
            fields = (weights[..., 0], weights[..., 1], z / w, face + 1)
            images.append(torch.where(hit[..., None], torch.stack(fields, dim=-1), 0))
        return torch.stack(images).float(), None

    package = ModuleType("nvdiffrast")
    module = ModuleType("nvdiffrast.torch")
    vars(module).update(rasterize=stand_in, RasterizeCudaContext=lambda device: None)
    vars(package).update(torch=module)
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", module)
    nvdiffrast_adapter._context.cache_clear()
    vertices, faces, camera = scene()
    same(rasterize(vertices, faces, camera, "nvdiffrast"), rasterize(vertices, faces, camera))
    nvdiffrast_adapter._context.cache_clear()


def test_conventions_of_pytorch3d(monkeypatch: pytest.MonkeyPatch) -> None:
    """x left and y up, the shorter side spans two; faces are counted over the whole batch."""

    def stand_in(
        meshes: SimpleNamespace, image_size: tuple[int, int], z_clip_value: float, **options: object
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        assert options["perspective_correct"] and not options["cull_backfaces"]
        assert options["faces_per_pixel"] == 1 and options["blur_radius"] == 0
        height, width = image_size
        shorter = min(height, width)
        row, column = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        y, x = torch.meshgrid(
            (height - 2 * row) / shorter, (width - 2 * column) / shorter, indexing="ij"
        )
        faces, depths, barycentric = [], [], []
        for index, (verts, triangles) in enumerate(zip(meshes.verts, meshes.faces, strict=True)):
            corners = verts[triangles]
            z = corners[..., 2]
            unprojected = torch.cat([corners[..., :2] * z[..., None], z[..., None]], dim=-1)
            face, weights = nearest(unprojected, torch.stack([x, y], dim=-1))
            depth = (weights * z[face.clamp(min=0)]).sum(dim=-1)
            hit = (face >= 0) & (depth >= z_clip_value)
            faces.append(torch.where(hit, face + index * len(triangles), -1))
            depths.append(torch.where(hit, depth, -1))
            barycentric.append(torch.where(hit[..., None], weights, -1))
        return (
            torch.stack(faces)[..., None],
            torch.stack(depths).float()[..., None],
            torch.stack(barycentric).float()[..., None, :],
            None,
        )

    names = ("pytorch3d", "pytorch3d.renderer", "pytorch3d.renderer.mesh")
    for name in (*names, "pytorch3d.renderer.mesh.rasterize_meshes", "pytorch3d.structures"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    raster = sys.modules["pytorch3d.renderer.mesh.rasterize_meshes"]
    vars(raster).update(rasterize_meshes=stand_in)
    vars(sys.modules["pytorch3d.structures"]).update(Meshes=SimpleNamespace)
    vertices, faces, camera = scene()
    same(rasterize(vertices, faces, camera, "pytorch3d"), rasterize(vertices, faces, camera))
