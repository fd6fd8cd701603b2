"""The size of a pixel's patch in uv units, against differences of uv between rays."""

import math

import pytest
import torch
from torch import Tensor

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate

SIZE = (31, 46)


def quad(stretch: float = 1.0) -> Mesh:
    """A square on z = 2 + x, its uv sheared and scaled by `stretch`."""
    corners = torch.tensor([[-1.0, -1, 1], [1, -1, 3], [1, 1, 3], [-1, 1, 1]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    shear = torch.tensor([[0.3, 0.05], [-0.1, 0.2]], dtype=torch.float64)
    uvs = stretch * corners[:, :2] @ shear.T + 0.5
    return Mesh(corners, faces, uvs, faces, torch.zeros_like(faces))


def cameras(size: tuple[int, int] = SIZE) -> Camera:
    """Two places; focal lengths differ between axes, and the principal point is off the centre."""
    position = torch.tensor([[0.0, 0, 0], [0.8, -1.5, -0.7]], dtype=torch.float64)
    target = torch.tensor([0.0, 0, 2], dtype=torch.float64)
    pose = look_at(position, target, torch.tensor([0.1, 1.0, 0], dtype=torch.float64))
    intrinsics = intrinsics_from_fov(70.0, size, position).repeat(2, 1, 1)
    intrinsics[:, 0] *= 1.3
    intrinsics[:, 1, 2] += 2.0
    return Camera(pose, intrinsics, size)


def uv_on_rays(mesh: Mesh, camera: Camera, pixels: Tensor) -> Tensor:  # [B, N, 2] -> [B, N, 2]
    """uv where rays through `pixels` (column, row) meet the plane z = 2 + x."""
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    local = homogeneous @ camera.intrinsics.inverse().transpose(1, 2)
    ray = local @ camera.world_to_camera[:, :3, :3]
    origin = camera.position[:, None]
    along = (2 + origin[..., 0] - origin[..., 2]) / (ray[..., 2] - ray[..., 0])
    point = origin + along[..., None] * ray
    triangle, uvs = mesh.vertices[:3, :2], mesh.uvs[:3]
    to_uv = torch.linalg.solve(triangle[1:] - triangle[0], uvs[1:] - uvs[0])
    return (point[..., :2] - triangle[0]) @ to_uv + uvs[0]


@pytest.mark.parametrize("moves", [False, True])
def test_it_is_the_root_of_the_uv_area_of_a_pixel(moves: bool) -> None:
    """The Jacobian of uv by pixel, from central differences of exact rays; both code paths."""
    mesh, camera = quad(), cameras()
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    used = mesh.moved(mesh.vertices.clone().requires_grad_()) if moves else mesh
    footprint = interpolate(seen, used, camera).footprint[..., 0]
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    centre = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2).double() + 0.5
    step = 1e-4
    across, down = (
        uv_on_rays(mesh, camera, centre + step * axis)
        - uv_on_rays(mesh, camera, centre - step * axis)
        for axis in torch.eye(2, dtype=torch.float64)
    )
    area = (across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]).abs() / (2 * step) ** 2
    hit = seen.face_id >= 0
    assert hit[0].sum() > 100 and hit[1].sum() > 100
    expected = area.sqrt().reshape(2, *SIZE)[hit]
    assert expected.max() / expected.min() > 2, "the quad must be slanted enough to tell"
    torch.testing.assert_close(footprint.detach()[hit], expected, rtol=1e-5, atol=0)
    assert not footprint[~hit].any()


def test_twice_the_pixels_see_half_the_patch() -> None:
    """At the same point: the quad's centre, seen in the middle of odd images."""
    mesh = quad()
    found = []
    for size in ((31, 31), (93, 93)):
        intrinsics = intrinsics_from_fov(50.0, size, mesh.vertices)
        camera = Camera(torch.eye(4, dtype=torch.float64)[None], intrinsics, size)
        seen = rasterize(mesh.vertices, mesh.faces, camera)
        middle = size[0] // 2
        found.append(float(interpolate(seen, mesh, camera).footprint[0, middle, middle, 0]))
    assert found[0] / found[1] == pytest.approx(3.0, rel=1e-9)
    focal_px = 31 / 2 / math.tan(math.radians(25))
    patch = (2 / focal_px) ** 2 * 0.065  # in x and y, which slanting does not change on the axis
    assert found[0] == pytest.approx(math.sqrt(patch), rel=1e-9)


def test_it_is_at_most_all_of_the_texture() -> None:
    mesh, camera = quad(stretch=1e4), cameras()
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    footprint = interpolate(seen, mesh, camera).footprint[seen.face_id >= 0]
    assert torch.equal(footprint, torch.ones_like(footprint))


def test_faces_without_uv_area_leave_gradients_finite() -> None:
    """Their footprint is zero, where a square root has no slope; no gradient runs through it."""
    mesh, camera = quad(stretch=0.0), cameras()
    vertices = mesh.vertices.clone().requires_grad_()
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    surface = interpolate(seen, mesh.moved(vertices), camera)
    assert not surface.footprint.any()
    sum(field.square().sum() for field in surface).backward()  # type: ignore[union-attr]
    assert vertices.grad is not None
    assert torch.isfinite(vertices.grad).all()
    assert vertices.grad.abs().max() > 0
