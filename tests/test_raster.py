"""The rasterisers against ray casting, half-spaces and exact alignments."""

import time
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.raster.rasterize import Backend, rasterize

SIZE = (30, 41)
BACKENDS: tuple[Backend, ...] = ("reference", "cpu")


def cameras(size: tuple[int, int] = SIZE, dtype: torch.dtype = torch.float32) -> Camera:
    """Two views from 2.5 away; the second principal point is off centre."""
    position = torch.tensor([[0.3, 0.4, -2.5], [2.2, -0.9, 0.8]], dtype=dtype)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=dtype)
    intrinsics = intrinsics_from_fov(50.0, size, position).repeat(2, 1, 1)
    intrinsics[1, :2, 2] += torch.tensor([3.3, -2.1], dtype=dtype)
    return Camera(look_at(position, torch.zeros_like(up), up), intrinsics, size)


def rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:  # [B, 3], [B, H * W, 3]
    """Origins, and directions whose length along the optical axis is one."""
    height, width = camera.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    world = np.linalg.inv(camera.world_to_camera.double().numpy())
    local = pixels @ np.linalg.inv(camera.intrinsics.double().numpy()).transpose(0, 2, 1)
    return world[:, :3, 3], local @ world[:, :3, :3].transpose(0, 2, 1)


def cast(
    origin: np.ndarray, directions: np.ndarray, corners: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # [3], [P, 3], [F, 3, 3] -> depths [F, P], weights [F, P, 3]
    """Moeller and Trumbore's intersection, in float64; misses are infinitely far away."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    start = origin - corners[:, 0]
    cross = np.cross(directions[None], second[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        over = 1 / np.einsum("fpi,fi->fp", cross, first)
        b = np.einsum("fpi,fi->fp", cross, start) * over
        normal = np.cross(start, first)
        c = np.einsum("pi,fi->fp", directions, normal) * over
        depth = np.einsum("fi,fi->f", normal, second)[:, None] * over
        weights = np.stack([1 - b - c, b, c], axis=-1)
        hit = (weights >= 0).all(axis=-1) & (depth > 1e-5)
    return np.where(hit, depth, np.inf), weights


def soup(rng: np.random.Generator, count: int = 60) -> tuple[Tensor, Tensor]:
    """Random triangles: some leave the image, some pass behind the cameras, some are nothing."""
    corners = rng.normal(size=(count, 1, 3)) + 0.5 * rng.normal(size=(count, 3, 3))
    corners[:6] = 4 * rng.normal(size=(6, 3, 3))  # around the cameras
    corners[10, 2] = corners[10, 0]  # two corners in one place
    corners[11, 2] = 2 * corners[11, 1] - corners[11, 0]  # three corners on one line
    corners[12, 1, 2] = np.nan
    corners[13, 0, 0] = np.inf
    faces = torch.arange(3 * count).reshape(-1, 3)
    return torch.from_numpy(corners.reshape(-1, 3)).float(), faces


@pytest.mark.parametrize("backend", BACKENDS)
def test_nearest_face_weights_and_depth_match_ray_casting(
    backend: Backend, rng: np.random.Generator
) -> None:
    vertices, faces = soup(rng)
    camera = cameras()
    seen = rasterize(vertices, faces, camera, backend)
    corners = vertices.double().numpy()[faces.numpy()]
    sound = np.isfinite(corners).all(axis=(1, 2)) & ~np.isin(np.arange(len(corners)), (10, 11))
    for view, (origin, directions) in enumerate(zip(*rays(camera), strict=True)):
        depths, weights = cast(origin, directions, np.where(sound[:, None, None], corners, 0))
        depths[~sound] = np.inf
        order = np.sort(depths, axis=0)
        margin = np.abs(weights).min(axis=-1).min(axis=0, where=sound[:, None], initial=1)
        clear = (order[1] > order[0] * (1 + 1e-6)) | np.isinf(order[0])
        clear &= margin > 1e-7  # of every edge of every face
        assert clear.mean() > 0.99
        nearest = np.where(np.isinf(order[0]), -1, depths.argmin(axis=0))
        found = seen.face_id[view].reshape(-1).numpy()
        np.testing.assert_array_equal(found[clear], nearest[clear])
        hit = clear & (found >= 0)
        assert hit.mean() > 0.5, "the scene must be worth testing"
        pixel = np.flatnonzero(hit)
        depth = seen.depth[view].reshape(-1).numpy()[hit]
        barycentric = seen.barycentric[view].reshape(-1, 3).numpy()[hit]
        np.testing.assert_allclose(depth, order[0][hit], rtol=1e-6)
        np.testing.assert_allclose(barycentric, weights[found[hit], pixel], atol=1e-6)
        assert (seen.depth[view].reshape(-1).numpy()[found < 0] == 0).all()


def test_faces_across_the_near_plane_are_seen() -> None:
    """The floor under a standing camera fills the image below the horizon, all of it."""
    floor = torch.tensor([[-99.0, -1, -9], [99, -1, -9], [99, -1, 900], [-99, -1, 900]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    size = (20, 33)
    eye = look_at(torch.zeros(1, 3), torch.tensor([0.0, 0, 1]), torch.tensor([0.0, 1, 0]))
    camera = Camera(eye, intrinsics_from_fov(60.0, size, floor), size)
    for backend in BACKENDS:
        seen = rasterize(floor, faces, camera, backend)
        assert (seen.face_id[0, :10] == -1).all()
        assert (seen.face_id[0, 10:] >= 0).all()
        focal_px = camera.intrinsics[0, 1, 1]
        expected = focal_px / (torch.arange(10, 20) + 0.5 - 10)  # depth of a floor one below
        torch.testing.assert_close(seen.depth[0, 10:, 16], expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_seen_before_the_near_plane(backend: Backend) -> None:
    """A floor just below the camera reaches depth 1: it ends at depth 1e-6 on the screen."""
    below = 4e-7
    floor = torch.tensor([[-1e-3, below, 5e-7], [1e-3, below, 5e-7], [0, below, 1]])
    size = (9, 14)
    camera = Camera(torch.eye(4)[None], intrinsics_from_fov(60.0, size, floor), size)
    seen = rasterize(floor, torch.tensor([[0, 1, 2]]), camera, backend)
    depth = camera.intrinsics[0, 1, 1] * below / (torch.arange(9) + 0.5 - 4.5)
    expected = (depth > 1e-6) & torch.isfinite(depth)
    assert expected.tolist() == [False] * 5 + [True] * 3 + [False]
    assert torch.equal(seen.face_id[0, :, 7] == 0, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cpu_equals_the_reference_bit_for_bit_on_any_number_of_threads(
    dtype: torch.dtype, rng: np.random.Generator
) -> None:
    vertices, faces = soup(rng, 200)
    vertices, camera = vertices.to(dtype), cameras(dtype=dtype)
    reference = rasterize(vertices, faces, camera, "reference")
    assert reference.depth.dtype == reference.barycentric.dtype == dtype
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            seen = rasterize(vertices, faces, camera, "cpu")
            for expected, found in zip(reference, seen, strict=True):
                assert torch.equal(expected, found)
    finally:
        torch.set_num_threads(1)


def test_a_closed_mesh_has_no_holes() -> None:
    """A convex body is hit exactly when the ray enters all half-spaces before it leaves one."""
    sphere = trimesh.creation.icosphere(subdivisions=3)
    vertices, faces = torch.tensor(sphere.vertices), torch.tensor(sphere.faces)
    camera = cameras((129, 101), torch.float64)
    seen = rasterize(vertices, faces, camera)
    corners = vertices.numpy()[faces.numpy()]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    offsets = np.einsum("fi,fi->f", normals, corners[:, 0])
    for view, (origin, directions) in enumerate(zip(*rays(camera), strict=True)):
        enter, leave = np.full(len(directions), -np.inf), np.full(len(directions), np.inf)
        for start in range(0, len(normals), 256):  # some faces at a time, to save memory
            part = slice(start, start + 256)
            speed = directions @ normals[part].T
            when = (offsets[part] - normals[part] @ origin) / speed
            enter = np.maximum(enter, np.where(speed < 0, when, -np.inf).max(axis=1))
            leave = np.minimum(leave, np.where(speed > 0, when, np.inf).min(axis=1))
        hit = (seen.face_id[view] >= 0).reshape(-1).numpy()
        assert hit[leave > enter + 1e-9].all()
        assert not hit[leave < enter - 1e-9].any()
        np.testing.assert_allclose(seen.depth[view].reshape(-1).numpy()[hit], enter[hit], rtol=1e-6)


def aligned_grid() -> tuple[Tensor, Tensor, Camera]:
    """Squares whose corners and diagonals lie exactly on pixel centres, at depth one."""
    height, width = 5, 7
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    vertices = torch.stack([column + 0.5, row + 0.5, torch.ones_like(row)], dim=-1).reshape(-1, 3)
    corner = (row[:-1, :-1] * width + column[:-1, :-1]).reshape(-1, 1)
    upper = corner + torch.tensor([0, 1, width + 1])
    lower = corner + torch.tensor([0, width + 1, width])
    faces = torch.stack([upper, lower], dim=1).reshape(-1, 3)
    return vertices, faces, Camera(torch.eye(4)[None], torch.eye(3)[None], (height, width))


@pytest.mark.parametrize("backend", BACKENDS)
def test_shared_edges_and_corners_belong_to_the_lowest_face(backend: Backend) -> None:
    vertices, faces, camera = aligned_grid()
    expected = torch.full(camera.size, len(faces))
    for index in range(len(faces) - 1, -1, -1):
        for corner in vertices[faces[index]]:
            expected[int(corner[1]), int(corner[0])] = index
    for flipped in (faces, faces.flip(1)):
        seen = rasterize(vertices, flipped, camera, backend)
        assert torch.equal(seen.face_id[0], expected.int())


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_equal_faces_the_first_is_seen_from_both_sides(
    backend: Backend, rng: np.random.Generator
) -> None:
    vertices, faces = soup(rng, 20)
    camera = cameras()
    alone = rasterize(vertices, faces, camera, backend)
    twice = rasterize(
        vertices, torch.cat([faces, faces.roll(1, 1), faces.flip(1)]), camera, backend
    )
    assert torch.equal(alone.face_id, twice.face_id)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_equals_its_views_one_by_one(backend: Backend, rng: np.random.Generator) -> None:
    vertices, faces = soup(rng)
    moved = torch.stack([vertices, vertices.roll(1, 1)])
    camera = cameras()
    together = rasterize(moved, faces, camera, backend)
    for view in range(2):
        alone = rasterize(moved[view], faces, camera[view], backend)
        for one, other in zip(together, alone, strict=True):
            assert torch.equal(one[view], other[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_pixel_one_column_and_nothing_to_see(backend: Backend) -> None:
    triangle = torch.tensor([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]])
    faces = torch.tensor([[0, 1, 2]])
    for size in ((1, 1), (9, 1), (1, 9)):
        camera = Camera(torch.eye(4)[None], intrinsics_from_fov(5.0, size, triangle), size)
        seen = rasterize(triangle, faces, camera, backend)
        assert seen.face_id.shape == (1, *size)
        assert seen.face_id[0, size[0] // 2, size[1] // 2] == 0
        behind = rasterize(-triangle, faces, camera, backend)
        empty = rasterize(triangle, faces[:0], camera, backend)
        nowhere = rasterize(triangle[:0], faces[:0], camera, backend)
        for nothing in (behind, empty, nowhere):
            assert (nothing.face_id == -1).all()
            assert not nothing.barycentric.any() and not nothing.depth.any()


def test_wrong_input_is_named() -> None:
    vertices, camera = torch.rand(4, 3), cameras()
    for index in (-1, 4):
        with pytest.raises(ValueError, match="faces must index 4 vertices"):
            rasterize(vertices, torch.tensor([[0, 1, index]]), camera)
    with pytest.raises(ValueError, match="vertices must have shape"):
        rasterize(torch.rand(3, 4, 3), torch.tensor([[0, 1, 2]]), camera)
    with pytest.raises(ValueError, match="backend must be one of"):
        rasterize(vertices, torch.tensor([[0, 1, 2]]), camera, "opengl")  # pyright: ignore


@pytest.mark.parametrize("backend", ["pytorch3d", "nvdiffrast"])
def test_a_chosen_backend_never_falls_back(backend: Backend) -> None:
    if find_spec(backend):
        pytest.skip(f"{backend} is installed")
    with pytest.raises(ImportError, match=backend):
        rasterize(torch.rand(3, 3), torch.tensor([[0, 1, 2]]), cameras(), backend)


@pytest.mark.bench
@pytest.mark.parametrize(("rings", "limit_ms"), [(50, 5), (500, 150)])
def test_speed_on_one_core(rings: int, limit_ms: float) -> None:
    """10,000 and 1,000,000 faces of a sphere over 46 % of 512 x 512 pixels."""
    sphere = trimesh.creation.uv_sphere(radius=1.0, count=[rings + 1, 2 * rings])
    vertices, faces = torch.tensor(sphere.vertices).float(), torch.tensor(sphere.faces)
    size = (512, 512)
    position = torch.tensor([[1.5, 1.5, -3.02]])
    eye = look_at(position, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    camera = Camera(eye, intrinsics_from_fov(40.0, size, vertices), size)
    durations = []
    for _ in range(10):
        start = time.perf_counter()
        seen = rasterize(vertices, faces, camera, "cpu")
        durations.append(1e3 * (time.perf_counter() - start))
    assert 0.4 < (seen.face_id >= 0).float().mean() < 0.5
    assert min(durations) <= limit_ms, f"{len(faces)} faces took {min(durations):.1f} ms"
