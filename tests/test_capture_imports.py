"""Cameras that other programs wrote, from fixtures written after their documentation."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from dnr.capture.colmap_models import largest_model, read_model
from dnr.capture.folder import load_views
from dnr.capture.imports import import_cameras, known_project
from dnr.errors import InputError

SIZE = (30, 40)


def poses(count: int) -> list[np.ndarray]:
    """World-to-camera matrices."""
    rng = np.random.default_rng(5)
    turns = Rotation.random(count, rng=rng).as_matrix()
    matrices = np.tile(np.eye(4), (count, 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = turns, rng.normal(size=(count, 3))
    return list(matrices)


def quaternion(matrix: np.ndarray) -> list[float]:
    x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    return [w, x, y, z]


def write_text_model(folder: Path, matrices: list[np.ndarray], lens: str) -> None:
    folder.mkdir(parents=True)
    (folder / "cameras.txt").write_text(f"# comment\n7 {lens}\n")
    lines = ["# comment"]
    for number, matrix in enumerate(matrices):
        numbers = [*quaternion(matrix), *matrix[:3, 3]]
        lines.append(
            f"{number + 1} {' '.join(map(repr, map(float, numbers)))} 7 my photo {number}.png"
        )
        lines.append("1.5 2.5 -1" if number else "")
    (folder / "images.txt").write_text("\n".join(lines) + "\n")


def write_binary_model(folder: Path, matrices: list[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    lens = struct.pack("<QiiQQ8d", 1, 7, 4, 40, 30, 50, 51, 19, 16, 0.1, -0.05, 0.002, 0.001)
    (folder / "cameras.bin").write_bytes(lens)
    data = struct.pack("<Q", len(matrices))
    for number, matrix in enumerate(matrices):
        data += struct.pack("<i7di", number + 1, *quaternion(matrix), *matrix[:3, 3], 7)
        data += f"my photo {number}.png".encode() + b"\0"
        data += struct.pack("<Q", number) + number * struct.pack("<ddq", 1.0, 2.0, -1)
    (folder / "images.bin").write_bytes(data)


def write_photos(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.full((*SIZE, 3), 10 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"my photo {number}.png")


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_colmap_models_keep_every_pose_and_lens(kind: str, tmp_path: Path) -> None:
    source, true = tmp_path / "pro ject", poses(5)
    if kind == "text":
        lens = "OPENCV 40 30 50 51 19 16 0.1 -0.05 0.002 0.001"
        write_text_model(source / "sparse" / "0", true, lens)
    else:
        write_binary_model(source / "sparse" / "0", true)
    write_photos(source / "images", 5)
    assert known_project(source)
    import_cameras(source, tmp_path / "capture")
    views, _ = load_views(tmp_path / "capture")
    assert len(views) == 5
    for number, view in enumerate(views):
        assert view.name == f"images/my photo {number}.png"
        np.testing.assert_allclose(view.camera.world_to_camera[0], true[number], atol=1e-5)
        np.testing.assert_allclose(
            view.camera.intrinsics[0], [[50, 0, 19], [0, 51, 16], [0, 0, 1]], rtol=1e-6
        )
        assert view.distortion == (0.1, -0.05, 0.002, 0.001, 0)


def test_the_largest_of_several_models_is_used(tmp_path: Path) -> None:
    for name, count in (("0", 2), ("1", 6), ("2", 3)):
        write_text_model(tmp_path / "sparse" / name, poses(count), "SIMPLE_PINHOLE 40 30 50 20 15")
    model = largest_model(tmp_path)
    assert model is not None and model == tmp_path / "sparse" / "1"
    assert len(read_model(model)) == 6


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("PINHOLE 40 30 50 51 19 16", (50, 51, 0, 0)),
        ("SIMPLE_RADIAL 40 30 50 19 16 0.1", (50, 50, 0.1, 0)),
        ("RADIAL 40 30 50 19 16 0.1 0.2", (50, 50, 0.1, 0.2)),
    ],
)
def test_simpler_lenses_are_filled_up(model: str, expected: tuple, tmp_path: Path) -> None:
    write_text_model(tmp_path / "m", poses(1), model)
    lens = read_model(tmp_path / "m")[0].lens
    assert tuple(lens[key] for key in ("fl_x", "fl_y", "k1", "k2")) == expected
    assert (lens["cx"], lens["cy"], lens["w"], lens["h"]) == (19, 16, 40, 30)


def test_what_colmap_models_may_be_wrong_with(tmp_path: Path) -> None:
    write_text_model(tmp_path / "fish", poses(2), "OPENCV_FISHEYE 40 30 50 50 20 15 0 0 0 0")
    with pytest.raises(InputError, match="OPENCV_FISHEYE"):
        read_model(tmp_path / "fish")
    write_binary_model(tmp_path / "short", poses(3))
    images = tmp_path / "short" / "images.bin"
    images.write_bytes(images.read_bytes()[:-90])
    with pytest.raises(InputError, match="cannot be read"):
        read_model(tmp_path / "short")
    write_text_model(tmp_path / "odd", poses(2), "PINHOLE 40 30 50")
    with pytest.raises(InputError, match="cannot be read"):
        read_model(tmp_path / "odd")
    write_text_model(tmp_path / "gone" / "sparse", poses(2), "SIMPLE_PINHOLE 40 30 50 20 15")
    with pytest.raises(InputError, match="are not in"):
        import_cameras(tmp_path / "gone", tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()


def test_blender_sets_keep_their_split(tmp_path: Path) -> None:
    """Names without suffix, one field of view for all, OpenGL axes."""
    source = tmp_path / "lego"
    for split, count in (("train", 3), ("test", 2)):
        frames = []
        for number in range(count):
            (source / split).mkdir(parents=True, exist_ok=True)
            Image.new("RGBA", (40, 30), (200, 10, 10, 128)).save(source / split / f"r_{number}.png")
            matrix = np.eye(4)
            matrix[2, 3] = 4 + number
            frame = {"file_path": f"./{split}/r_{number}", "transform_matrix": matrix.tolist()}
            frames.append(frame)
        document = {"camera_angle_x": 0.7, "frames": frames}
        (source / f"transforms_{split}.json").write_text(json.dumps(document))
    import_cameras(source, tmp_path / "capture")
    views, _ = load_views(tmp_path / "capture")
    assert [view.split for view in views] == ["train"] * 3 + ["test"] * 2
    focal = 20 / np.tan(0.35)
    np.testing.assert_allclose(views[0].camera.intrinsics[0, 0, 0], focal, rtol=1e-6)
    np.testing.assert_allclose(views[1].camera.position[0], [0, 0, 5], atol=1e-6)
    np.testing.assert_allclose(views[1].camera.world_to_camera[0, 2, :3], [0, 0, -1], atol=1e-6)


def check(tmp_path: Path, source: Path, true: list[np.ndarray], lens: list) -> None:
    """Import `source` and compare poses and lens with what it was made from."""
    assert known_project(source)
    import_cameras(source, tmp_path / "capture")
    views, _ = load_views(tmp_path / "capture")
    assert len(views) == len(true)
    for view, matrix in zip(views, true, strict=True):
        np.testing.assert_allclose(view.camera.world_to_camera[0], matrix, atol=1e-5)
        np.testing.assert_allclose(view.camera.intrinsics[0], lens, rtol=1e-6)


def opengl(matrix: np.ndarray) -> np.ndarray:
    """Camera-to-world with y up and z backwards."""
    return np.linalg.inv(matrix) @ np.diag([1, -1, -1, 1])


def test_polycam_scans(tmp_path: Path) -> None:
    true, source = poses(4), tmp_path / "scan"
    for folder in ("corrected_cameras", "corrected_images"):
        (source / "keyframes" / folder).mkdir(parents=True)
    for number, matrix in enumerate(true):
        rows = opengl(matrix)
        values = {f"t_{i}{j}": rows[i, j] for i in range(3) for j in range(4)}
        values |= {"width": 40, "height": 30, "fx": 50.0, "fy": 51.0, "cx": 19.0, "cy": 16.0}
        path = source / "keyframes" / "corrected_cameras" / f"{900 + 50 * number}.json"
        path.write_text(json.dumps(values))
        photo = source / "keyframes" / "corrected_images" / f"{path.stem}.jpg"
        Image.new("RGB", (40, 30)).save(photo)
    check(tmp_path, source, true, [[50, 0, 19], [0, 51, 16], [0, 0, 1]])


def test_record3d_scans_whose_photos_are_stored_at_half_the_size(tmp_path: Path) -> None:
    true, source = poses(3), tmp_path / "scan"
    (source / "rgb").mkdir(parents=True)
    rows = []
    for number, matrix in enumerate(true):
        to_world = opengl(matrix)
        turn = Rotation.from_matrix(to_world[:3, :3]).as_quat()
        rows.append([*turn, *to_world[:3, 3]])
        Image.new("RGB", (40, 30)).save(source / "rgb" / f"{number}.jpg")
    document = {"w": 80, "h": 60, "K": [100, 0, 0, 0, 102, 0, 38, 32, 1], "poses": rows}
    (source / "metadata").write_text(json.dumps(document))
    check(tmp_path, source, true, [[50, 0, 19], [0, 51, 16], [0, 0, 1]])


def write_metashape(source: Path, true: list[np.ndarray], lens: str) -> None:
    """The chunk is turned, scaled and moved; one camera is not aligned."""
    turn = Rotation.from_euler("xyz", [20, 30, 40], degrees=True).as_matrix()
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = 2.5 * turn, [1, 2, 3]
    cameras = '<camera id="9" sensor_id="0" label="lost"/>'
    for number, matrix in enumerate(true):
        local = np.linalg.inv(frame) @ np.linalg.inv(matrix)
        local[:3, :3] *= 2.5
        numbers = " ".join(map(repr, map(float, local.reshape(-1))))
        cameras += f'<camera id="{number}" sensor_id="0" label="my photo {number}">'
        cameras += f"<transform>{numbers}</transform></camera>"
    rotation = " ".join(map(repr, map(float, turn.reshape(-1))))
    text = f"""<?xml version="1.0" encoding="UTF-8"?><document version="2.0.0"><chunk>
    <sensors><sensor id="0" type="frame"><calibration type="frame">
    <resolution width="40" height="30"/>{lens}</calibration></sensor></sensors>
    <cameras>{cameras}</cameras><transform><rotation>{rotation}</rotation>
    <translation>1 2 3</translation><scale>2.5</scale></transform></chunk></document>"""
    source.mkdir()
    (source / "cameras.xml").write_text(text)


def test_metashape_files(tmp_path: Path) -> None:
    true = poses(3)
    lens = "<f>51</f><cx>-1</cx><cy>1</cy><b1>-1</b1>"
    lens += "<k1>0.1</k1><k3>0.04</k3><p1>0.03</p1><p2>0.02</p2>"
    write_metashape(tmp_path / "project", true, lens)
    write_photos(tmp_path / "project" / "images", 3)
    check(tmp_path, tmp_path / "project", true, [[50, 0, 19], [0, 51, 16], [0, 0, 1]])
    views, _ = load_views(tmp_path / "capture")
    assert views[0].distortion == (0.1, 0.0, 0.02, 0.03, 0.04), "Metashape's P1 is OpenCV's p2"


def test_metashape_lenses_that_are_not_understood(tmp_path: Path) -> None:
    write_metashape(tmp_path / "project", poses(2), "<f>51</f><k4>0.2</k4>")
    with pytest.raises(InputError, match="Undistort"):
        import_cameras(tmp_path / "project", tmp_path / "capture")
    bomb = tmp_path / "bomb"
    bomb.mkdir()
    (bomb / "cameras.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><document>&a;</document>')
    with pytest.raises(InputError, match="document type"):
        import_cameras(bomb, tmp_path / "capture")


def test_nerfstudio_sets_keep_lenses_masks_splits_and_frame(tmp_path: Path) -> None:
    """One lens for all but one photo, which has its own; nerfstudio has turned the world."""
    true, source = poses(3), tmp_path / "set"
    write_photos(source / "images", 3)
    (source / "masks").mkdir()
    Image.new("L", (40, 30), 255).save(source / "masks" / "1.png")
    frames = [
        {"file_path": f"./images/my photo {n}.png", "transform_matrix": opengl(matrix).tolist()}
        for n, matrix in enumerate(true)
    ]
    frames[1] |= {"mask_path": "masks/1.png", "fl_x": 70.0, "fl_y": 71.0, "cx": 18.0, "cy": 14.0}
    frames[2] |= {"split": "test", "k1": 0.2}
    turned = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]
    document = {"camera_model": "OPENCV", "w": 40, "h": 30, "fl_x": 50, "fl_y": 51, "cx": 19}
    document |= {"cy": 16, "k3": 0.05, "applied_transform": turned, "frames": frames}
    (source / "transforms.json").write_text(json.dumps(document))
    notes = import_cameras(source, tmp_path / "capture")
    assert "applied_transform" in notes[0]
    kept = json.loads((tmp_path / "capture" / "transforms.json").read_text())
    assert kept["applied_transform"] == turned
    views, _ = load_views(tmp_path / "capture")
    for view, matrix in zip(views, true, strict=True):
        np.testing.assert_allclose(view.camera.world_to_camera[0], matrix, atol=1e-5)
    focal = [float(view.camera.intrinsics[0, 0, 0]) for view in views]
    assert focal == [50, 70, 50] and views[2].distortion == (0.2, 0, 0, 0, 0.05)
    assert [view.split for view in views] == ["train", "train", "test"]
    assert views[1].mask_path is not None and views[0].mask_path is None
    document["camera_model"] = "OPENCV_FISHEYE"
    (source / "transforms.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="Undistort the photos first"):
        import_cameras(source, tmp_path / "fisheye")


def test_other_folders_are_no_projects(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    assert not known_project(tmp_path)
    assert not known_project(tmp_path / "my photo 0.png")
