"""`transforms.json`: its axes, its lenses, and files that nobody should have written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dnr.errors import InputError
from dnr.geometry.camera_files import Frame, read_frames, write_frames
from dnr.geometry.cameras import Camera, look_at

IDENTITY = np.eye(4).tolist()
FRAME = {"file_path": "a.png", "transform_matrix": IDENTITY}
LENS = {"w": 40, "h": 30, "fl_x": 50.0}


def read(folder: Path, frames: object, **top: object) -> list[Frame]:
    path = folder / "transforms.json"
    path.write_text(json.dumps({**LENS, **top, "frames": frames}))
    return read_frames(path)


def test_opengl_axes_are_turned(tmp_path: Path) -> None:
    """An OpenGL camera at z = 5 with no rotation looks down the z axis and has y upwards."""
    pose = np.eye(4)
    pose[2, 3] = 5
    (frame,) = read(tmp_path, [{**FRAME, "transform_matrix": pose.tolist()}])
    place = torch.tensor([[0.0, 0, 5]])
    expected = look_at(place, torch.zeros(3), torch.tensor([0.0, 1, 0]))
    torch.testing.assert_close(frame.world_to_camera, expected)
    camera = frame.camera((30, 40))
    seen = camera.project(torch.tensor([[1.0, 0, 0], [0.0, 1, 0]]))[0]
    assert seen[0].tolist() == [30, 15, 5]  # to the right
    assert seen[1].tolist() == [20, 5, 5]  # above


@pytest.mark.parametrize(
    ("lens", "expected"),
    [
        ({"fl_x": 50}, (50, 50, 20, 15)),
        ({"fl_x": 50, "fl_y": 60, "cx": 19, "cy": 16.5}, (50, 60, 19, 16.5)),
        ({"camera_angle_x": np.pi / 2}, (20, 20, 20, 15)),
        ({"camera_angle_x": np.pi / 2, "camera_angle_y": 2 * np.arctan(0.5)}, (20, 30, 20, 15)),
        ({"camera_angle_y": np.pi / 2}, (15, 15, 20, 15)),
        ({"camera_angle_x": 1.0, "fl_x": 50}, (50, 50, 20, 15)),
    ],
)
def test_lenses_are_completed(
    lens: dict[str, float], expected: tuple[float, ...], tmp_path
) -> None:
    (tmp_path / "transforms.json").write_text(json.dumps({**lens, "frames": [FRAME]}))
    (frame,) = read_frames(tmp_path / "transforms.json")
    assert frame.lens.size is None
    matrix = frame.lens.intrinsics((30, 40))[0]
    found = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_frame_may_have_its_own_lens(tmp_path: Path) -> None:
    own = {**FRAME, "fl_x": 70, "w": 80, "k1": 0.5, "split": "test", "mask_path": "m.png"}
    first, second = read(tmp_path, [FRAME, own], k1=0.1, p2=0.2, k3=0.3, camera_model="OPENCV")
    assert first.lens.distortion == (0.1, 0, 0, 0.2, 0.3)
    assert second.lens.distortion == (0.5, 0, 0, 0.2, 0.3)
    assert first.lens.size == (30, 40)
    assert second.lens.size == (30, 80)
    assert second.lens.intrinsics((30, 80))[0, 0].tolist() == [70, 0, 40]
    assert (first.split, second.split, second.mask_path) == (None, "test", "m.png")


def test_small_drift_is_rounded_away(tmp_path: Path, rng: np.random.Generator) -> None:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(rng=rng).as_matrix() + rng.normal(0, 1e-4, (3, 3))
    (frame,) = read(tmp_path, [{**FRAME, "transform_matrix": pose.tolist()}])
    rotation = frame.world_to_camera[0, :3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3), atol=1e-6, rtol=0)
    np.testing.assert_allclose(rotation.T.numpy() * [1, -1, -1], pose[:3, :3], atol=5e-4)


def test_written_frames_are_read_again(tmp_path: Path, rng: np.random.Generator) -> None:
    pose = np.tile(np.eye(4), (3, 1, 1))
    pose[:, :3, :3] = Rotation.random(3, rng=rng).as_matrix()
    pose[:, :3, 3] = rng.normal(size=(3, 3))
    lenses = torch.tensor([[[50.0, 0, 20], [0, 60, 17], [0, 0, 1]]]).repeat(3, 1, 1)
    lenses[1, 0, 0] = 70
    camera = Camera(torch.from_numpy(pose).float(), lenses, (30, 44))
    write_frames(tmp_path / "transforms.json", camera, ["a.png", "b.png", "c.png"])
    frames = read_frames(tmp_path / "transforms.json")
    assert [frame.file_path for frame in frames] == ["a.png", "b.png", "c.png"]
    for view, frame in enumerate(frames):
        assert frame.lens.size == (30, 44)
        torch.testing.assert_close(frame.world_to_camera, camera[view].world_to_camera)
        torch.testing.assert_close(frame.lens.intrinsics((30, 44)), camera[view].intrinsics)


def posed(*changes: tuple[int, int, Any]) -> list[dict[str, Any]]:
    """One frame whose matrix has other entries."""
    rows: list[list[Any]] = [list(row) for row in IDENTITY]
    for row, column, value in changes:
        rows[row][column] = value
    return [{**FRAME, "transform_matrix": rows}]


BAD_FRAMES = {
    "lists no frames": [],
    '"frames" of objects': {"a": 1},
    "list .*of objects": [FRAME, 3],
    "4 rows of 4 numbers": [{"file_path": "a.png"}],
    "must be 4 rows": posed((0, 0, "one")),
    "4 rows of 4": posed((0, 0, [1, 2])),
    "of 4 numbers": [{**FRAME, "transform_matrix": IDENTITY[:2]}],
    "NaN or infinite": posed((1, 3, float("nan"))),
    "NaN or inf": posed((1, 3, float("inf"))),
    "mirrors the world": posed((0, 0, -1)),
    "stretches by 1 to 1.01": posed((0, 0, 1.01)),
    "stretches by 0 to 1": posed((0, 0, 0)),
    "not a rotation with": posed((3, 0, 0.5)),
    "frame 1 .b.png. of": [FRAME, {"file_path": "b.png", "transform_matrix": 3}],
    "file_path of frame 0": [{**FRAME, "file_path": 7}],
    "mask_path of frame 0": [{**FRAME, "mask_path": ["m.png"]}],
    "split of frame 0": [{**FRAME, "split": "val"}],
    "camera model of .*is 'OPENCV_FISHEYE'": [{**FRAME, "camera_model": "OPENCV_FISHEYE"}],
    "camera model of .*is 'EQUI": [{**FRAME, "camera_model": "EQUIRECTANGULAR"}],
    "camera model of .*has is_fisheye": [{**FRAME, "is_fisheye": True}],
    "camera model of .*has k4": [{**FRAME, "k4": 0.1}],
    "fl_x of frame 0": [{**FRAME, "fl_x": "wide"}],
    "fl_x of .* from 0.001": [{**FRAME, "fl_x": 0}],
    "fl_x of frame": [{**FRAME, "fl_x": float("nan")}],
    "w of frame 0": [{**FRAME, "w": 10**400}],
    "h of frame 0": [{**FRAME, "h": True}],
    "must be whole, got 40.5": [{**FRAME, "w": 40.5}],
    "k1 of frame 0": [{**FRAME, "k1": None}],
    "camera_angle_x of frame 0": [{**FRAME, "camera_angle_x": 4}],
}


@pytest.mark.parametrize("message", BAD_FRAMES)
def test_bad_frames_are_named(message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, BAD_FRAMES[message])
    assert str(tmp_path / "transforms.json") in str(caught.value)


BAD_TEXTS = {
    "not valid JSON": b'{"frames": [',
    "valid JSON": b"",
    "not valid": b"\xff\xfe\x00\x01 no text",
    "nested too deeply": b"[" * 300_000,
    "must hold a JSON object": b"[1, 2]",
    "has no list": b"{}",
    "neither fl_x nor camera_angle_x": json.dumps({"frames": [FRAME]}).encode(),
}


@pytest.mark.parametrize("message", BAD_TEXTS)
def test_bad_texts_are_named(message: str, tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_bytes(BAD_TEXTS[message])
    with pytest.raises(InputError, match=message) as caught:
        read_frames(tmp_path / "transforms.json")
    assert str(tmp_path / "transforms.json") in str(caught.value)


def test_missing_and_enormous_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    with pytest.raises(InputError, match="there is no"):
        read_frames(path)
    with path.open("wb") as file:
        file.truncate(300 << 20)  # sparse: takes no space
    with pytest.raises(InputError, match="larger than 256 MiB"):
        read_frames(path)
