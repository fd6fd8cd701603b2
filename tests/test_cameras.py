"""Cameras against OpenCV and against what every camera must satisfy."""

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dnr.geometry.cameras import Camera, intrinsics_from_fov, join_cameras, look_at

SIZE = (30, 44)


@pytest.fixture
def cameras(rng: np.random.Generator) -> Camera:
    """Three unrelated views with unequal focal lengths and an off-centre principal point."""
    pose = np.tile(np.eye(4), (3, 1, 1))
    pose[:, :3, :3] = Rotation.random(3, rng=rng).as_matrix()
    pose[:, :3, 3] = rng.normal(size=(3, 3))
    intrinsics = torch.tensor([[[40.0, 0, 20], [0, 35, 17], [0, 0, 1]]]).double().repeat(3, 1, 1)
    return Camera(torch.from_numpy(pose), intrinsics, SIZE)


@pytest.fixture
def points(cameras: Camera, rng: np.random.Generator) -> torch.Tensor:  # [3, 50, 3]
    """In front of each of the cameras."""
    local = torch.from_numpy(rng.uniform([-1, -1, 2], [1, 1, 5], (3, 50, 3)))
    rotation, translation = cameras.world_to_camera[:, :3, :3], cameras.world_to_camera[:, :3, 3]
    return (local - translation[:, None]) @ rotation


def test_projection_matches_opencv(cameras: Camera, points: torch.Tensor) -> None:
    """OpenCV counts pixel centres from 0, we from 0.5: its principal point is half a pixel less."""
    for view in range(len(cameras)):
        matrix = cameras.intrinsics[view].numpy().copy()
        matrix[:2, 2] -= 0.5
        pose = cameras.world_to_camera[view].numpy()
        turn = Rotation.from_matrix(pose[:3, :3]).as_rotvec()
        expected, _ = cv2.projectPoints(points[view].numpy(), turn, pose[:3, 3], matrix, None)
        screen = cameras[view].project(points[view])[0]
        np.testing.assert_allclose(screen[:, :2] - 0.5, expected[:, 0], atol=1e-9)


def test_batches_project_like_single_views(cameras: Camera, points: torch.Tensor) -> None:
    alone = torch.cat([cameras[view].project(points[view]) for view in range(3)])
    torch.testing.assert_close(cameras.project(points), alone)
    torch.testing.assert_close(cameras[-1].world_to_camera, cameras[2].world_to_camera)


def test_position_is_the_origin_of_the_camera(cameras: Camera) -> None:
    local = cameras.in_camera(cameras.position[:, None])
    torch.testing.assert_close(local, torch.zeros_like(local))


def test_the_ray_of_a_pixel_meets_all_that_is_seen_there(cameras: Camera) -> None:
    rays, (height, width) = cameras.rays(), SIZE
    assert rays.shape == (3, height, width, 3)
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones(3, height, width).double())
    seen = cameras.project((cameras.position[:, None, None] + 2.5 * rays).flatten(1, 2))
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = torch.stack([column, row], dim=-1).double().flatten(0, 1) + 0.5
    torch.testing.assert_close(seen[..., :2], centres.expand(3, -1, -1))
    assert (seen[..., 2] > 0).all()


def test_look_at_puts_the_target_in_the_middle_and_up_above_it(generator) -> None:
    position = 3 + torch.rand(4, 3, generator=generator, dtype=torch.float64)
    target, up = torch.tensor([0.3, -0.2, 0.1]).double(), torch.tensor([0.1, 0.2, 1.0]).double()
    matrix = look_at(position, target, up)
    camera = Camera(matrix, intrinsics_from_fov(50, SIZE, matrix).expand(4, 3, 3), SIZE)
    torch.testing.assert_close(camera.position, position)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(4).double())
    screen = camera.project(torch.stack([target, target + 0.1 * up, target]))
    middle = torch.tensor([SIZE[1] / 2, SIZE[0] / 2]).double()
    torch.testing.assert_close(screen[:, 0, :2], middle.expand(4, 2))
    torch.testing.assert_close(screen[:, 0, 2], (position - target).norm(dim=-1))
    torch.testing.assert_close(screen[:, 1, 0], middle[:1].expand(4))  # not tilted
    assert (screen[:, 1, 1] < middle[1]).all()  # row 0 is on top


def test_field_of_view_is_the_vertical_one() -> None:
    camera = Camera(
        torch.eye(4).double()[None], intrinsics_from_fov(60, SIZE, torch.zeros(()).double()), SIZE
    )
    top = torch.tensor([[0.0, -np.tan(np.pi / 6), 1.0]]).double()
    torch.testing.assert_close(
        camera.project(top)[0, 0, :2], torch.tensor([22.0, 0.0]).double(), atol=1e-9, rtol=0
    )


def test_resizing_scales_what_is_seen(cameras: Camera, points: torch.Tensor) -> None:
    small = cameras.resized((15, 11))
    scale = torch.tensor([11 / 44, 15 / 30, 1.0]).double()
    torch.testing.assert_close(small.project(points), cameras.project(points) * scale)
    assert small.size == (15, 11)


def test_seen_from_a_moved_object(cameras: Camera, points: torch.Tensor) -> None:
    object_to_world = torch.eye(4).double()
    object_to_world[:3, :3] = torch.from_numpy(Rotation.from_euler("xyz", [0.3, 1, -2]).as_matrix())
    object_to_world[:3, 3] = torch.tensor([1.0, -2, 0.5])
    in_object = (points - object_to_world[:3, 3]) @ object_to_world[:3, :3]
    seen = cameras.from_object(object_to_world).project(in_object)
    torch.testing.assert_close(seen, cameras.project(points))


def test_only_cameras_of_one_size_can_be_joined(cameras: Camera) -> None:
    joined = join_cameras([cameras[0], cameras[2]])
    torch.testing.assert_close(joined.intrinsics, cameras.intrinsics[[0, 2]])
    with pytest.raises(ValueError, match="share one size"):
        join_cameras([cameras[0], cameras[1].resized((5, 6))])
