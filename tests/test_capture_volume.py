"""Depth maps fused into a volume, holes filled, and the surface taken out of it."""

import numpy as np
import pytest
import torch

from dnr.capture.depth_maps import DepthMap
from dnr.capture.hole_filling import filled
from dnr.capture.proxy_surface import decimated, extract, paintable, seen_part, shell_around
from dnr.capture.stereo_views import StereoView
from dnr.capture.volume import MOST_VOXELS, Box, Distances, box_around, depth_of_exit, fuse
from dnr.geometry.cameras import Camera, look_at
from dnr.geometry.unwrap import uv_problem
from dnr.raster.rasterize import rasterize

RADIUS, SIZE = 0.8, (90, 100)


def cameras(count: int = 14) -> list[Camera]:
    """All around the origin, about 3 away."""
    generator = torch.Generator().manual_seed(1)
    position = torch.randn(count, 3, generator=generator)
    position = 3 * position / position.norm(dim=1, keepdim=True)
    matrices = look_at(position, torch.zeros(3), torch.tensor([0.1, 0.2, 1.0]))
    intrinsics = torch.tensor([[[120.0, 0, 50], [0, 120, 45], [0, 0, 1]]])
    return [Camera(matrices[i : i + 1], intrinsics, SIZE) for i in range(count)]


def sphere_view(camera: Camera) -> tuple[StereoView, DepthMap]:
    """Exact depth of the sphere, and a mask around it."""
    blank = np.zeros(SIZE, np.float32)
    matrix = camera.world_to_camera[0].double().numpy()
    view = StereoView(blank, blank > 0, blank > 0, camera.intrinsics[0].double().numpy(), matrix)
    rays, centre = view.rays().astype(np.float64), view.centre
    a, b, c = (rays**2).sum(-1), rays @ centre, centre @ centre - RADIUS**2
    root = b**2 - a * c
    hit = root > 0
    depth = np.where(hit, (-b - np.sqrt(np.maximum(root, 0))) / a, 1).astype(np.float32)
    return view._replace(usable=hit, outside=~hit), DepthMap(depth, hit.astype(np.float32))


@pytest.fixture(scope="module")
def fused() -> tuple[Box, Distances]:
    pairs = [sphere_view(camera) for camera in cameras()]
    points = np.random.default_rng(0).normal(size=(4000, 3))
    points *= RADIUS / np.linalg.norm(points, axis=1, keepdims=True)
    box = box_around(points, 110)
    return box, fuse(box, [view for view, _ in pairs], [depth for _, depth in pairs])


def test_depth_maps_of_a_sphere_make_a_sphere(fused) -> None:
    box, distances = fused
    vertices, faces = extract(filled(distances), box)
    radius = np.linalg.norm(vertices, axis=1)
    assert abs(radius.mean() - RADIUS) < 0.3 * box.voxel
    assert np.percentile(np.abs(radius - RADIUS), 99) < box.voxel
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((across * corners.mean(axis=1)).sum(axis=1) >= -1e-9).mean() > 0.99, "faces look out"
    volume = (corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.03), "and it is closed"


def test_holes_are_filled_with_the_solution_of_laplace() -> None:
    """x^2 - y^2 + z is harmonic: known on the rim and unknown inside, it must come back."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (29, 29, 29)), indexing="ij")
    truth = (x**2 - y**2 + 0.5 * z).astype(np.float32)
    known = np.maximum(np.maximum(abs(x), abs(y)), abs(z)) > 0.7
    found = filled(Distances(np.where(known, truth, 0), known.astype(np.float32)))
    np.testing.assert_array_equal(found[known], truth[known])
    assert np.abs(found - truth).max() < 0.08


def test_nothing_known_fills_with_zero() -> None:
    empty = np.zeros((13, 14, 15), np.float32)
    np.testing.assert_array_equal(filled(Distances(empty, empty)), empty)


def test_a_stray_point_does_not_blow_up_the_volume(rng) -> None:
    points = np.concatenate([rng.normal(size=(5000, 3)), [[1e9, 0, 0]]])
    box = box_around(points)
    assert np.prod(box.shape) < MOST_VOXELS and box.voxel < 0.1


def test_a_stray_camera_does_not_blow_up_the_shell(fused) -> None:
    box, _ = fused
    centres = np.array([[3, 0, 0], [0, 3, 0], [1e12, 0, -1e30]])
    vertices, _ = shell_around(box, centres)
    assert np.abs(vertices).max() < 5 * np.linalg.norm(box.high - box.low)


def test_cameras_stand_in_free_space_whatever_guesses_say() -> None:
    """One view guesses a surface right where the other camera stands."""
    first, measured = sphere_view(cameras()[0])
    other = first._replace(
        world_to_camera=np.array([[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 6.0], [0, 0, 0, 1]])
        @ first.world_to_camera,
        usable=np.ones(SIZE, bool),
        outside=np.zeros(SIZE, bool),
    )
    guess = DepthMap(np.full(SIZE, 6, np.float32), np.full(SIZE, 0.2, np.float32))
    corner = np.minimum(first.centre, other.centre) - 0.5
    shape = np.ceil((np.maximum(first.centre, other.centre) + 0.5 - corner) / 0.1).astype(int)
    box = Box(corner, 0.1, (int(shape[0]), int(shape[1]), int(shape[2])))
    found = fuse(box, [first, other], [measured, guess])
    place = tuple(np.rint((first.centre - box.low) / box.voxel).astype(int))
    assert filled(found)[place] > 0
    alone = fuse(box, [other], [guess])
    assert filled(alone)[place] <= 0.3, "the guess alone puts a surface there"


def test_rays_end_inside_the_box(fused) -> None:
    box, _ = fused
    view, _ = sphere_view(cameras()[0])
    ends = view.centre + view.rays() * depth_of_exit(view, box)[..., None]
    middle = ends[SIZE[0] // 2, SIZE[1] // 2]
    assert (middle > box.low).all() and (middle < box.high).all()


def test_culling_keeps_what_cameras_see_and_drops_islands(fused) -> None:
    box, distances = fused
    vertices, faces = extract(filled(distances), box)
    tiny = np.array([[2, 2, 2], [2.01, 2, 2], [2, 2.01, 2]], np.float32)
    together = (
        np.concatenate([vertices, 0.3 * vertices, tiny]),
        np.concatenate(
            [faces, faces + len(vertices), np.array([[0, 1, 2]], np.int32) + 2 * len(vertices)]
        ),
    )
    kept = seen_part(together, cameras())
    radius = np.linalg.norm(kept[0], axis=1)
    assert radius.min() > 0.9 * RADIUS, "the inner sphere is hidden"
    assert radius.max() < 1.1 * RADIUS, "the triangle is an island"


def test_decimation_stays_on_the_surface(fused) -> None:
    box, distances = fused
    surface = decimated(extract(filled(distances), box), 1500)
    assert len(surface[1]) <= 1600
    assert np.abs(np.linalg.norm(surface[0], axis=1) - RADIUS).max() < 1.5 * box.voxel


def test_mesh_and_shell_share_a_texture_and_fill_every_picture(fused) -> None:
    box, distances = fused
    surface = decimated(extract(filled(distances), box), 800)
    views = cameras()
    centres = np.concatenate([camera.position.numpy() for camera in views])
    shell = shell_around(box, centres)
    mesh = paintable(surface, shell)
    assert uv_problem(mesh) is None
    assert len(mesh) == len(surface[1]) + len(shell[1])
    torch.testing.assert_close(mesh.vertices[: len(surface[0])], torch.from_numpy(surface[0]))
    corners = mesh.uvs[mesh.uv_faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).abs()
    assert area[len(surface[1]) :].sum() < 0.2 * area.sum()
    for camera in views[:4]:
        assert bool((rasterize(mesh.vertices, mesh.faces, camera).face_id >= 0).all())
