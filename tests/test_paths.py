"""Camera paths against circles, and through the views that they were given."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dnr.errors import InputError
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.meshes import Mesh
from dnr.geometry.paths import load_path, orbit, save_path, through_views
from dnr.geometry.smoothing_groups import make_mesh

SIZE = (30, 44)
TARGET = torch.tensor([0.4, -0.3, 0.2]).double()


def ring(azimuth_deg: np.ndarray, elevation_deg: float = 25.0) -> Camera:
    """Views from 3 away of a target beside the origin, with z up."""
    azimuth = torch.from_numpy(np.deg2rad(azimuth_deg))
    elevation = torch.tensor(np.deg2rad(elevation_deg))
    level = torch.stack([azimuth.cos(), azimuth.sin()], dim=1) * elevation.cos()
    height = elevation.sin().expand(len(azimuth), 1)
    place = TARGET + 3 * torch.cat([level, height], dim=1)
    pose = look_at(place, TARGET, torch.tensor([0.0, 0, 1]).double())
    return Camera(pose, intrinsics_from_fov(40, SIZE, pose).expand(len(pose), 3, 3), SIZE)


@pytest.fixture
def mesh(rng: np.random.Generator) -> Mesh:
    vertices = TARGET + torch.from_numpy(rng.uniform(-0.5, 0.5, (8, 3)))
    return make_mesh(vertices, torch.tensor([[0, 1, 2], [5, 6, 7]]))


def angle_deg(first: Camera, second: Camera) -> np.ndarray:
    turn = first.world_to_camera[:, :3, :3] @ second.world_to_camera[:, :3, :3].mT
    return np.rad2deg(Rotation.from_matrix(turn.numpy()).magnitude())


def test_orbit_continues_a_ring_of_cameras(mesh: Mesh) -> None:
    cameras = ring(np.arange(0, 360, 24.0))
    path = orbit(cameras, mesh, 10)
    expected = ring(np.arange(0, 360, 36.0))
    assert path.size == SIZE
    # the pull towards the middle of the mesh may move it by a percent
    torch.testing.assert_close(path.position, expected.position, atol=0.03, rtol=0)
    assert angle_deg(path, expected).max() < 1
    torch.testing.assert_close(path.intrinsics, expected.intrinsics)


def test_orbit_finds_another_up() -> None:
    """The same scene lying on its side gives the same path lying on its side."""
    cameras = ring(np.arange(0, 360, 40.0))
    vertices = TARGET + torch.eye(3).double()
    side = torch.eye(4).double()
    side[:3, :3] = torch.from_numpy(Rotation.from_euler("xyz", [1.5, 0.3, 0.2]).as_matrix())
    faces = torch.tensor([[0, 1, 2]])
    upright = orbit(cameras, make_mesh(vertices, faces), 7)
    box = make_mesh(vertices @ side[:3, :3].T, faces)
    lying = orbit(cameras.from_object(torch.linalg.inv(side)), box, 7)
    torch.testing.assert_close(
        lying.position, upright.position @ side[:3, :3].T, atol=0.05, rtol=0
    )  # the middle of the bounding box moves a little


def test_orbit_of_a_one_sided_capture_swings_where_it_was_seen(mesh: Mesh) -> None:
    path = orbit(ring(np.linspace(170, 250, 9)), mesh, 24)
    offset = path.position - TARGET
    azimuth = np.rad2deg(np.arctan2(offset[:, 1].numpy(), offset[:, 0].numpy())) % 360
    assert azimuth.min() == pytest.approx(170, abs=2)
    assert azimuth.max() == pytest.approx(250, abs=2)
    assert np.abs(np.diff(np.append(azimuth, azimuth[0]))).max() < 12, "it must not jump"


def test_orbit_of_one_view_looks_at_the_mesh(mesh: Mesh) -> None:
    path = orbit(ring(np.array([30.0])), mesh, 5)
    screen = path.project(mesh.vertices)
    assert torch.isfinite(path.world_to_camera).all()
    assert (screen[..., 2] > 0).all()


@pytest.mark.parametrize("closed", [False, True])
def test_a_flight_passes_all_views(closed: bool, rng: np.random.Generator) -> None:
    cameras = ring(np.sort(rng.uniform(0, 320, 7)))
    path = through_views(cameras, 2000, closed)
    for view in range(len(cameras)):
        distance = (path.position - cameras.position[view]).norm(dim=1)
        nearest = int(distance.argmin())
        assert distance[nearest] < 0.01
        assert angle_deg(path[nearest], cameras[view])[0] < 0.5
    steps = path.position.diff(dim=0).norm(dim=1)
    assert steps.max() < 3 * steps.median(), "the pace must be steady"
    turns = torch.linalg.det(path.world_to_camera[:, :3, :3])
    torch.testing.assert_close(turns, torch.ones_like(turns))


def test_open_flights_end_at_the_last_view_and_closed_ones_at_the_first() -> None:
    cameras = ring(np.array([0.0, 40, 90, 130]))
    path = through_views(cameras, 9)
    torch.testing.assert_close(path.world_to_camera[0], cameras.world_to_camera[0])
    torch.testing.assert_close(path.world_to_camera[-1], cameras.world_to_camera[-1])
    around = through_views(cameras, 900, closed=True)
    torch.testing.assert_close(around.world_to_camera[0], cameras.world_to_camera[0])
    step = (around.position[1] - around.position[0]).norm()
    assert 0.5 * step < (around.position[-1] - around.position[0]).norm() < 1.5 * step


def test_a_flight_along_a_circle_stays_near_it() -> None:
    path = through_views(ring(np.arange(0, 360, 30.0)), 100, closed=True)
    radius = (path.position - TARGET).norm(dim=1)
    torch.testing.assert_close(radius, torch.full_like(radius, 3.0), atol=0.03, rtol=0)
    screen = path.project(TARGET[None])[:, 0, :2]
    middle = torch.tensor([SIZE[1] / 2, SIZE[0] / 2]).double()
    assert (screen - middle).abs().max() < 1


def test_optics_change_along_the_way() -> None:
    cameras = ring(np.array([0.0, 40.0]))
    zoomed = cameras.intrinsics.clone()
    zoomed[1, :2, :2] *= 2
    path = through_views(Camera(cameras.world_to_camera, zoomed, SIZE), 3)
    torch.testing.assert_close(path.intrinsics[1, 0, 0], 1.5 * zoomed[0, 0, 0])


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("azimuth", [[10.0], [10, 10], [10, 30], [10, 30, 30, 10]])
def test_few_and_repeated_views_make_a_path(azimuth: list[float], closed: bool) -> None:
    cameras = ring(np.array(azimuth))
    path = through_views(cameras, 5, closed)
    assert len(path) == 5
    assert torch.isfinite(path.world_to_camera).all()
    torch.testing.assert_close(path.world_to_camera[0], cameras.world_to_camera[0])


def test_turning_on_the_spot_is_a_path() -> None:
    turn = torch.from_numpy(Rotation.from_euler("y", [[0], [0.4], [0.8]]).as_matrix())
    pose = torch.eye(4).double().repeat(3, 1, 1)
    pose[:, :3, :3] = turn
    intrinsics = intrinsics_from_fov(40, SIZE, pose).expand(3, 3, 3)
    path = through_views(Camera(pose, intrinsics, SIZE), 5)
    expected = torch.from_numpy(Rotation.from_euler("y", 0.2).as_matrix())
    torch.testing.assert_close(path.world_to_camera[1, :3, :3], expected)


def test_paths_need_frames(mesh: Mesh) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        orbit(ring(np.array([0.0, 90])), mesh, 0)


def test_a_written_path_is_read_again(tmp_path: Path) -> None:
    cameras = ring(np.array([0.0, 40, 90])).to(torch.zeros(0))
    save_path(tmp_path / "path.json", cameras)
    path = load_path(tmp_path / "path.json")
    torch.testing.assert_close(path.world_to_camera, cameras.world_to_camera)
    torch.testing.assert_close(path.intrinsics, cameras.intrinsics)
    assert path.size == SIZE


def test_a_path_needs_its_size(tmp_path: Path) -> None:
    cameras = ring(np.array([0.0]))
    save_path(tmp_path / "path.json", cameras)
    text = (tmp_path / "path.json").read_text().replace('"w": 44,', "")
    (tmp_path / "path.json").write_text(text)
    with pytest.raises(InputError, match="one w and one h"):
        load_path(tmp_path / "path.json")
