"""Interpolation against closed forms, and its gradients against finite differences."""

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor
from torch.nn import functional

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import Surface, interpolate

SIZE = (23, 34)


def cameras(dtype: torch.dtype = torch.float64, size: tuple[int, int] = SIZE) -> Camera:
    position = torch.tensor([[0.4, 0.7, -2.5], [2.0, -0.9, 1.2]], dtype=dtype)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=dtype)
    intrinsics = intrinsics_from_fov(45.0, size, position).repeat(2, 1, 1)
    return Camera(look_at(position, torch.zeros_like(up), up), intrinsics, size)


def sphere(dtype: torch.dtype = torch.float64, subdivisions: int = 2) -> Mesh:
    """Unit, with one uv per corner so that the uv indices differ from the vertex indices."""
    solid = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices = torch.tensor(solid.vertices, dtype=dtype)
    faces = torch.tensor(solid.faces)
    uvs = vertices[faces].reshape(-1, 3)[:, :2] / 2 + 0.5
    return Mesh(vertices, faces, uvs, torch.arange(len(uvs)).reshape(-1, 3), faces)


def pixel_rays(camera: Camera) -> np.ndarray:  # [B, H, W, 3], camera axes, depth one
    height, width = camera.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    return np.einsum("bij,hwj->bhwi", np.linalg.inv(camera.intrinsics.numpy()), pixels)


def test_uv_on_a_slanted_quad_is_perspective_correct() -> None:
    """On z = 2 + x uv is linear in x and y; a ray (a, b, 1) meets it at depth 2 / (1 - a)."""
    corners = torch.tensor([[-1.0, -1, 1], [1, -1, 3], [1, 1, 3], [-1, 1, 1]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    uvs = corners[:, :2] / 2 + 0.5
    mesh = Mesh(corners, faces, uvs, faces, torch.zeros_like(faces))
    size = (31, 46)
    intrinsics = intrinsics_from_fov(70.0, size, corners)
    camera = Camera(torch.eye(4, dtype=torch.float64)[None], intrinsics, size)
    seen = rasterize(corners, faces, camera)
    surface = interpolate(seen, mesh, camera)
    ray = pixel_rays(camera)[0]
    point = ray * (2 / (1 - ray[..., :1]))
    inside = (np.abs(point[..., :2]) < 1).all(axis=-1)
    hit = (seen.face_id[0] >= 0).numpy()
    np.testing.assert_array_equal(hit, inside)
    assert hit.mean() > 0.2
    np.testing.assert_allclose(surface.position[0][hit], point[hit], atol=1e-12)
    np.testing.assert_allclose(surface.uv[0][hit], point[hit][:, :2] / 2 + 0.5, atol=1e-12)
    toward = -point[hit] / np.linalg.norm(point[hit], axis=-1, keepdims=True)
    np.testing.assert_allclose(surface.view[0][hit], toward, atol=1e-12)
    normal = np.broadcast_to(np.array([1.0, 0, -1]) / np.sqrt(2), point[hit].shape)
    np.testing.assert_allclose(surface.normal[0][hit], normal, atol=1e-12)
    for field in surface:
        assert not field[0][~hit].any()


def test_normals_of_a_fine_sphere_are_its_radii() -> None:
    mesh, camera = sphere(subdivisions=4), cameras()
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    surface = interpolate(seen, mesh, camera)
    hit = seen.face_id >= 0
    radius = functional.normalize(surface.position[hit], dim=-1)
    assert (surface.normal[hit] * radius).sum(dim=-1).min() > np.cos(np.radians(1.0))


def test_normals_turn_only_where_the_face_itself_is_seen_from_behind() -> None:
    """From inside a sphere all normals point inwards; outside some smooth ones lean away."""
    mesh = sphere(subdivisions=1)
    seen = rasterize(mesh.vertices, mesh.faces, cameras())
    outside = interpolate(seen, mesh, cameras())
    hit = seen.face_id >= 0
    assert ((outside.normal * outside.position).sum(dim=-1)[hit] > 0.8).all()
    assert ((outside.normal * outside.view).sum(dim=-1)[hit] < 0).any(), "lean past the rim"
    centre = Camera(torch.eye(4, dtype=torch.float64)[None], cameras().intrinsics[:1], SIZE)
    seen = rasterize(mesh.vertices, mesh.faces, centre)
    inside = interpolate(seen, mesh, centre)
    assert (seen.face_id >= 0).all()
    assert ((inside.normal * inside.position).sum(dim=-1) < -0.8).all()


def test_opposite_smooth_normals_that_cancel_leave_the_normal_of_the_face() -> None:
    """Two sides of one sheet share their normal indices."""
    corners = torch.tensor([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 1]])
    mesh = Mesh(corners, faces, corners[:, :2], faces, faces)
    camera = Camera(torch.eye(4)[None], intrinsics_from_fov(40.0, SIZE, corners), SIZE)
    seen = rasterize(corners, faces, camera)
    for mesh_used in (mesh, mesh.moved(corners.clone().requires_grad_())):
        normal = interpolate(seen, mesh_used, camera).normal.detach()[seen.face_id >= 0]
        torch.testing.assert_close(normal, torch.tensor([0.0, 0, -1]).expand_as(normal))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_fast_path_equals_the_differentiable_one(dtype: torch.dtype) -> None:
    mesh, camera = sphere(dtype), cameras(dtype)
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    fast = interpolate(seen, mesh, camera)
    slow = interpolate(seen, mesh.moved(mesh.vertices.clone().requires_grad_()), camera)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    assert all(field.requires_grad for field in slow[:4])
    for one, other in zip(fast, slow, strict=True):
        assert not one.requires_grad
        assert one.dtype == other.dtype == dtype
        torch.testing.assert_close(one, other.detach(), rtol=0, atol=tolerance)


def test_a_batch_equals_its_views_one_by_one() -> None:
    mesh, camera = sphere(torch.float32), cameras(torch.float32)
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    together = interpolate(seen, mesh, camera, mesh.normals())
    for view in range(2):
        alone = interpolate(rasterize(mesh.vertices, mesh.faces, camera[view]), mesh, camera[view])
        for one, other in zip(together, alone, strict=True):
            assert torch.equal(one[view], other[0])


def test_gradients_of_vertices_and_camera() -> None:
    mesh, camera = sphere(subdivisions=0), cameras(size=(4, 5))
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    assert (seen.face_id >= 0).sum() > 10

    def surface(vertices: Tensor, world_to_camera: Tensor, uvs: Tensor) -> tuple[Tensor, ...]:
        moved = Mesh(vertices, mesh.faces, uvs, mesh.uv_faces, mesh.normal_faces)
        posed = Camera(world_to_camera, camera.intrinsics, camera.size)
        return interpolate(seen, moved, posed)[:4]  # the points, not the width of their filter

    inputs = (mesh.vertices.clone(), camera.world_to_camera.clone(), mesh.uvs.clone())
    assert torch.autograd.gradcheck(surface, tuple(x.requires_grad_() for x in inputs))


def test_gradients_match_differences_of_rasterised_images(generator: torch.Generator) -> None:
    """Inside triangles: pixels whose face is the same before and after a small deformation."""
    mesh, camera = sphere(), cameras()
    direction = torch.randn(mesh.vertices.shape, generator=generator, dtype=torch.float64)
    step = 1e-5

    def image(amount: float) -> tuple[Tensor, Surface]:
        moved = mesh.moved(mesh.vertices + amount * direction)
        seen = rasterize(moved.vertices, moved.faces, camera)
        return seen.face_id, interpolate(seen, moved, camera)

    (before, first), (after, second) = image(-step), image(step)
    kept = (before == after) & (before >= 0)
    assert kept.float().mean() > 0.2
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    amount = torch.zeros((), dtype=torch.float64, requires_grad=True)
    surface = interpolate(seen, mesh.moved(mesh.vertices + amount * direction), camera)
    for low, high, field in zip(first[:4], second[:4], surface[:4], strict=True):
        cotangent = torch.randn(field.shape, generator=generator, dtype=torch.float64)
        cotangent = cotangent * kept[..., None]
        (slope,) = torch.autograd.grad((field * cotangent).sum(), amount, retain_graph=True)
        expected = ((high - low) * cotangent).sum() / (2 * step)
        torch.testing.assert_close(slope, expected, rtol=1e-5, atol=1e-6)
