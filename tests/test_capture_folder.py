"""Capture folders: what is accepted, and one sentence for everything else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.errors import InputError

SIZE = (12, 16)
WIDTH_HEIGHT = (16, 12)  # as Pillow has it
TRIANGLE = "v -1 -1 0\nv 1 -1 0\nv 0 1 0\nvt 0.1 0.1\nvt 0.9 0.1\nvt 0.5 0.9\nf 1/1 2/2 3/3\n"


def pose(distance: float = 5) -> list[list[float]]:
    """Looks from +z at the origin."""
    matrix = np.eye(4)
    matrix[2, 3] = distance
    return matrix.tolist()


def frame(name: str, **more: Any) -> dict[str, Any]:
    return {"file_path": name, "transform_matrix": pose(), **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photos and a triangle; each test spoils what it is about."""
    (tmp_path / "images").mkdir()
    names = [f"images/{number}.png" for number in range(10)]
    for name in names:
        Image.new("RGB", WIDTH_HEIGHT).save(tmp_path / name)
    (tmp_path / "mesh.obj").write_text(TRIANGLE)
    write(tmp_path, [frame(name) for name in names])
    return tmp_path


def write(folder: Path, frames: list[dict[str, Any]], **top: Any) -> None:
    lens = {"w": SIZE[1], "h": SIZE[0], "fl_x": 14.0, **top}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))


def test_a_plain_capture_holds_out_every_eighth_view(folder: Path) -> None:
    write(folder, [frame(f"images/{number}.png") for number in reversed(range(10))], k1=0.1)
    capture = load_capture(folder)
    assert [view.name for view in capture.views][:2] == ["images/9.png", "images/8.png"]
    held_out = {view.name for view in capture.views if view.split == "test"}
    assert held_out == {"images/0.png", "images/8.png"}
    assert any("every 8th" in note for note in capture.notes)
    view = capture.views[0]
    assert view.camera.size == SIZE
    assert view.distortion == (0.1, 0, 0, 0, 0)
    assert view.mask_path is None
    assert capture.mesh_path == folder / "mesh.obj"


def test_a_given_split_is_kept(folder: Path) -> None:
    write(folder, [frame("images/0.png"), frame("images/1.png", split="test")])
    capture = load_capture(folder)
    assert [view.split for view in capture.views] == ["train", "test"]
    assert capture.notes == []


def test_blender_sets_leave_out_size_and_suffix(folder: Path) -> None:
    document = {"camera_angle_x": 1.0, "frames": [frame("./images/3"), frame("images\\4.png")]}
    (folder / "transforms.json").write_text(json.dumps(document))
    first, second = load_capture(folder).views
    assert first.image_path == folder / "images/3.png"
    assert first.camera.size == SIZE
    focal = SIZE[1] / 2 / np.tan(0.5)
    assert float(first.camera.intrinsics[0, 0, 0]) == pytest.approx(focal)
    assert second.name == "images/4.png"


def test_photos_that_ask_to_be_turned_are_noted(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", WIDTH_HEIGHT).save(folder / "images/0.jpg", exif=exif)
    write(folder, [frame("images/0.jpg"), frame("images/1.png")])
    assert any(
        "images/0.jpg" in note and "as stored" in note for note in load_capture(folder).notes
    )


def test_the_mesh_may_lie_elsewhere(folder: Path) -> None:
    other = folder / "images" / "proxy.obj"
    (folder / "mesh.obj").rename(other)
    assert load_capture(folder, other).mesh_path == other
    with pytest.raises(InputError, match=r"has no mesh\.obj, mesh\.ply or mesh\.glb"):
        load_capture(folder)
    with pytest.raises(InputError, match="no mesh at"):
        load_capture(folder, folder / "nothing.obj")


def spoil_size(folder: Path) -> None:
    Image.new("RGB", (8, 6)).save(folder / "images/3.png")


def spoil_mask(folder: Path) -> None:
    Image.new("L", (8, 6)).save(folder / "mask.png")
    write(folder, [frame("images/0.png", mask_path="mask.png")])


def spoil_image(folder: Path) -> None:
    (folder / "images/3.png").write_bytes(b"this is no image")


def spoil_postscript(folder: Path) -> None:
    """Pillow would hand this to another program."""
    (folder / "images/3.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 12\n")


SPOILERS = {
    r"3.png is 8 x 6 pixels, but transforms.json says 16 x 12": spoil_size,
    r"mask.png is 8 x 6 pixels, but its photo is 16 x 12": spoil_mask,
    r"3.png cannot be read": spoil_image,
    r"images/3.png cannot": spoil_postscript,
    r"no image .*gone.png": lambda f: write(f, [frame("images/0.png", mask_path="gone.png")]),
    r"1 of the 10 images .* missing, the first is images/3.png": lambda f: (
        f / "images/3.png"
    ).unlink(),
    r"points to \.\./secret.png": lambda f: write(f, [frame("../secret.png")]),
    r"points to images/\.\./\.\./x": lambda f: write(f, [frame("images/../../x.png")]),
    r"points to /etc/passwd": lambda f: write(f, [frame("/etc/passwd")]),
    r"points to \.\.\\": lambda f: write(f, [frame("..\\secret.png")]),
    r"points to \.\./m.png": lambda f: write(f, [frame("images/0.png", mask_path="../m.png")]),
    r"no file_path": lambda f: write(f, [{"transform_matrix": pose()}]),
    r"images/0.png twice": lambda f: write(f, [frame("images/0.png"), frame("./images/0.png")]),
    r"every frame as test": lambda f: write(f, [frame("images/0.png", split="test")]),
    r"lists no frames": lambda f: write(f, []),
    r"there is no .*transforms.json": lambda f: (f / "transforms.json").unlink(),
}


@pytest.mark.parametrize("message", SPOILERS)
def test_spoiled_captures_are_named(message: str, folder: Path) -> None:
    SPOILERS[message](folder)
    with pytest.raises(InputError, match=message) as caught:
        load_capture(folder)
    assert str(folder) in str(caught.value)


def test_a_capture_is_a_folder(folder: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        load_capture(folder / "transforms.json")


def test_absolute_paths_into_the_folder_are_fine(folder: Path) -> None:
    write(folder, [frame(str(folder / "images/0.png"))])
    assert load_capture(folder).views[0].name == "images/0.png"


def test_the_mesh_comes_with_its_uvs(folder: Path) -> None:
    mesh, notes = load_capture_mesh(load_capture(folder))
    assert notes == []
    assert len(mesh.uvs) == 3
    (folder / "mesh.obj").write_text("v -1 -1 0\nv 1 -1 0\nv 0 1 0\nf 1 2 3\n")
    mesh, notes = load_capture_mesh(load_capture(folder))
    assert len(mesh.uvs) == 3
    assert any("unwrapped" in note for note in notes)


@pytest.mark.parametrize(
    ("place", "message"), [("0 0 9", "behind every camera"), ("40 0 0", "outside of every photo")]
)
def test_a_mesh_that_no_camera_sees_is_refused(place: str, message: str, folder: Path) -> None:
    x, y, z = map(float, place.split())
    corners = [(x - 1, y - 1, z), (x + 1, y - 1, z), (x, y + 1, z)]
    lines = [f"v {a} {b} {c}" for a, b, c in corners]
    (folder / "mesh.obj").write_text("\n".join([*lines, "f 1 2 3"]))
    with pytest.raises(InputError, match=message):
        load_capture_mesh(load_capture(folder))


def test_a_mesh_larger_than_all_photos_is_seen(folder: Path) -> None:
    """None of its vertices is inside of any image."""
    (folder / "mesh.obj").write_text("v -99 -99 0\nv 99 -99 0\nv 0 99 0\nf 1 2 3\n")
    mesh, _ = load_capture_mesh(load_capture(folder))
    assert torch.isfinite(mesh.vertices).all()


def test_photos_without_the_mesh_are_noted(folder: Path) -> None:
    away = {"file_path": "images/1.png", "transform_matrix": pose(-5)}
    write(folder, [frame("images/0.png"), away])
    _, notes = load_capture_mesh(load_capture(folder))
    assert notes == ["1 photos do not show the mesh, the first is images/1.png"]
