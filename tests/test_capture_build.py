"""From photos or a video to a capture folder, in stages that can be resumed."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dnr.capture import build
from dnr.capture.build import CaptureOptions, build_capture, captured, mesh_is_made
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos
from dnr.capture.pictures import CAPTIONS, stored_pictures
from dnr.capture.posed_photos import LENS_KEYS, Pose
from dnr.capture.poses import Registration
from dnr.capture.quality import quality_table
from dnr.capture.stereo import STEREO_PIXELS, Depths, stereo_height
from dnr.cli import MakeCapture, capture
from dnr.errors import InputError
from dnr.geometry.camera_files import DISTORTION_KEYS, read_frames, write_frames
from dnr.geometry.cameras import Camera
from dnr.geometry.mesh_files import load_mesh
from dnr.geometry.meshes import Mesh
from dnr.images import png_bytes
from dnr.raster.rasterize import rasterize
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.render import View, render_view
from dnr.synthetic.room import FOV_DEG, TARGET
from dnr.synthetic.scenes import build_scene
from dnr.synthetic.viewpoints import aim

SIZE = (88, 108)
SCALE = 20.0


def arc(count: int) -> Camera:
    """Views of the room from a quarter of a circle."""
    angle = np.linspace(0.2, 1.6, count)
    height = 0.25 + 0.15 * np.sin(3 * angle)
    around = np.stack([np.cos(angle), np.sin(angle), height], axis=1)
    return aim(TARGET + 1.7 * around, np.asarray(TARGET), FOV_DEG, SIZE)


def elsewhere(cameras: Camera) -> Camera:
    """The same views of a scene that is turned, SCALE times as large, and far from the origin."""
    mixed = torch.tensor([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]], dtype=torch.float64)
    turn = torch.linalg.qr(mixed)[0]
    turn = (turn * torch.linalg.det(turn)).to(cameras.position)
    matrix = cameras.world_to_camera.clone()
    matrix[:, :3, :3] = cameras.world_to_camera[:, :3, :3] @ turn.T
    centre = SCALE * cameras.position @ turn.T + turn.new_tensor([300, -50, 20])
    matrix[:, :3, 3] = -(matrix[:, :3, :3] @ centre[..., None])[..., 0]
    return Camera(matrix, cameras.intrinsics, cameras.size)


@pytest.fixture(scope="module")
def truth() -> list[View]:
    """Photos of the room and their exact depth."""
    config = SceneConfig("room", SIZE, 1, 0, texture_size=512)
    scene, cameras = build_scene(config), arc(13)
    return [render_view(scene, cameras[index]) for index in range(len(cameras))]


@pytest.fixture(scope="module")
def posed(truth: list[View], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos and their cameras, in a folder whose name is not plain, as nerfstudio writes them:
    in a frame that is turned, scaled and moved against the one they were found in."""
    folder, cameras = tmp_path_factory.mktemp("posed") / "my roöm", elsewhere(arc(len(truth)))
    (folder / "images").mkdir(parents=True)
    for index, view in enumerate(truth):
        pixels = np.rint(view.image * 255).astype(np.uint8)
        (folder / "images" / f"{index:02d}.png").write_bytes(png_bytes(pixels))
    write_frames(
        folder / "transforms.json", cameras, [f"images/{i:02d}.png" for i in range(len(truth))]
    )
    document = json.loads((folder / "transforms.json").read_text())
    document["applied_transform"] = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]
    document["applied_scale"] = 1 / SCALE
    (folder / "transforms.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def built(posed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "capture"
    build_capture(posed, out, CaptureOptions())
    return out


def test_a_capture_without_mesh_gets_one_in_its_own_frame(truth: list[View], built: Path) -> None:
    mesh, _ = load_capture_mesh(load_capture(built))
    near, whole, cameras = [], [], elsewhere(arc(len(truth)))
    for index, (view, made) in enumerate(zip(truth, load_capture(built).views, strict=True)):
        moved = cameras[index].world_to_camera - made.camera.world_to_camera
        assert float(moved.abs().max()) < 1e-4
        depth = rasterize(mesh.vertices, mesh.faces, made.camera).depth[0].numpy()
        assert (depth > 0).all(), "the shell fills every picture, also held-out ones"
        error = np.abs(depth / (SCALE * view.depth) - 1)
        middle = np.s_[20:60, 34:74]  # the statue; the walls repeat themselves
        near.append(error[middle][view.depth[middle] < 2])
        whole.append(error)
    near = np.concatenate(near)
    voxel = 0.035  # of the distance: a hundred pixels' worth across the room
    assert np.median(near) < voxel and (near < 3 * voxel).mean() > 0.8
    assert np.median(whole) < 2 * voxel


def test_the_record_and_the_pictures_tell_how_it_went(built: Path) -> None:
    record = json.loads((built / "capture.json").read_text())
    assert record["proxy"]["coverage_worst"] > 0.95 and not record["proxy"]["open"]
    assert {row[2] for row in quality_table(built)} <= {"good", "usable", "poor"}
    for name in ("cameras", "depths", "normals", "atlas"):
        assert (built / "report" / f"{name}.png").stat().st_size > 1000
    assert not (built / "cache").exists()
    shown = stored_pictures(built / "report")
    assert [caption for caption, _ in shown] == list(CAPTIONS.values())
    assert all(picture.dtype == np.uint8 and picture.std() > 1 for _, picture in shown)
    assert stored_pictures(built / "images") == []


def test_finished_stages_are_not_repeated(posed: Path, built: Path) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()}
    notes = build_capture(posed, built, CaptureOptions())
    assert notes[-1] == "13 cameras imported"
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_stage_that_broke_off_is_resumed_after_the_last_finished_one(
    posed: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the seam: anything that makes a mesh from photos and depths can stand in."""
    out = tmp_path / "capture"
    few = tmp_path / "few"  # finding depths of all would take long
    shutil.copytree(posed, few)
    document = json.loads((few / "transforms.json").read_text())
    document["frames"] = document["frames"][:5]
    (few / "transforms.json").write_text(json.dumps(document))

    def killed(photos: Photos, depths: Depths) -> Mesh:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_capture(few, out, CaptureOptions(), killed)
    assert (out / "report" / "depths.png").is_file() and not (out / "mesh.obj").exists()
    (out / ".mesh.0123abcd.part.obj").touch()  # as a kill leaves it
    monkeypatch.delattr(build, "find_depths")
    mesh, _ = load_capture_mesh(load_capture(built))

    def stands_in(photos: Photos, depths: Depths) -> Mesh:
        assert np.mean([(depth > 0).mean() for depth in depths.confirmed]) > 0.1
        return mesh

    build_capture(few, out, CaptureOptions(), stands_in)
    assert len(load_capture_mesh(load_capture(out))[0]) == len(mesh)
    assert not list(out.rglob(".*")) and not (out / "cache").exists()


@pytest.mark.slow
def test_a_killed_process_leaves_what_the_next_one_goes_on_from(
    posed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "capture"
    code = "import sys; from pathlib import Path; from dnr.capture.build import *; "
    code += "build_capture(Path(sys.argv[1]), Path(sys.argv[2]), CaptureOptions())"
    with subprocess.Popen([sys.executable, "-c", code, str(posed), str(out)]) as process:
        while process.poll() is None and not (out / "cache" / "depths.npz").exists():
            time.sleep(0.02)
        process.kill()
    assert not (out / "mesh.obj").exists()
    monkeypatch.delattr(build, "find_depths")
    build_capture(posed, out, CaptureOptions())
    assert len(load_capture_mesh(load_capture(out))[0]) > 1000
    assert not list(out.rglob(".*"))


def test_a_surface_that_cannot_be_fused_is_poissons(
    posed: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(photos: Photos, depths: Depths) -> Mesh:
        raise InputError("no surface.")

    made, _ = load_capture_mesh(load_capture(built))
    record: dict = {"notes": []}
    monkeypatch.setattr(build, "fused_proxy", fails)
    monkeypatch.setattr(build, "poisson_proxy", lambda photos, depths: made)
    assert build._surface(None, None, record, fails) is made  # pyright: ignore
    assert record["notes"] == ["a Poisson surface was made instead of a fused one: no surface."]
    with pytest.raises(InputError):
        build._surface(None, None, record, lambda photos, depths: fails(photos, depths))  # pyright: ignore


def test_the_command_finishes_a_capture_and_prints_its_table(
    posed: Path, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture(MakeCapture(posed, built, check=True))
    printed = capsys.readouterr().out
    assert "13 cameras imported" in printed and f"capture: {built}" in printed
    for row in ("worst photo covered", "depth confirmed", "depth of mesh and photos"):
        assert f"\n{row} " in printed


def test_cameras_that_were_refused_are_not_sought_again(
    posed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--yes after a refusal takes what was found."""
    photos, sought = tmp_path / "photos", []
    shutil.copytree(posed / "images", photos)

    def found(folder: Path, names: list[str], *_: object) -> Registration:
        sought.append(names)
        lens = {key: 50.0 for key in LENS_KEYS} | {key: 0.0 for key in DISTORTION_KEYS}
        poses = [Pose(name, np.eye(4), lens | {"w": SIZE[1], "h": SIZE[0]}) for name in names[:4]]
        lost = {name: "its details do not fit the others" for name in names[4:]}
        return Registration(poses, lost, 0.5, np.zeros((0, 3)), 9.0, 0.1, 300.0, [4])

    monkeypatch.setattr(build, "register", found)
    monkeypatch.setattr(build, "_reconstruct", lambda *_: None)
    for _ in range(2):
        with pytest.raises(InputError, match=r"only 4 of 13 .*--yes"):
            build_capture(photos, tmp_path / "out", CaptureOptions())
        assert not (tmp_path / "out" / "transforms.json").exists()
    notes = build_capture(photos, tmp_path / "out", CaptureOptions(yes=True))
    assert len(sought) == 1 and "only 4 of 13" in notes[0]
    assert len(read_frames(tmp_path / "out" / "transforms.json")) == 4


def test_stereo_works_on_equally_many_pixels_of_every_shape() -> None:
    for size in ((960, 540), (1080, 1920), (512, 512)):
        height = stereo_height([size])
        assert height * height * size[1] / size[0] == pytest.approx(STEREO_PIXELS, rel=0.01)
    assert stereo_height([(88, 108), (50, 60)]) == 88, "small photos stay as they are"


def test_training_takes_a_finished_capture_as_it_is(posed: Path, built: Path) -> None:
    assert captured(built, built.parent / "run", None, False) == (built, [])
    assert captured(posed, built.parent / "run", built / "mesh.obj", False) == (posed, [])
    assert mesh_is_made(built) and not mesh_is_made(posed)


def test_a_mesh_of_the_users_own_is_taken_as_it_is(posed: Path, tmp_path: Path) -> None:
    """Named, or found as mesh.ply beside another program's cameras; in their frame."""
    (tmp_path / "own.obj").write_text("v 0 0 1\nv 1 0 1\nv 0 1 2\nf 1 2 3\n")
    notes = build_capture(posed, tmp_path / "a", CaptureOptions(mesh=tmp_path / "own.obj"))
    assert "the mesh is own.obj, as it was given" in notes
    expected = [[0, 0, 1], [1, 0, 1], [0, 1, 2]]
    found = load_mesh(tmp_path / "a" / "mesh.obj")
    assert sorted(found.vertices.tolist()) == sorted(expected) and found.uvs.isfinite().all()
    project = shutil.copytree(posed, tmp_path / "project")
    shutil.copy(tmp_path / "own.obj", project / "mesh.obj")
    notes = build_capture(project, tmp_path / "b", CaptureOptions())
    assert "the mesh is mesh.obj, as it was given" in notes
    assert not mesh_is_made(tmp_path / "b")
    with pytest.raises(InputError, match="holds another capture"):
        build_capture(posed, tmp_path / "a", CaptureOptions(mesh=project / "mesh.obj"))


def test_what_cannot_be_captured_is_named(posed: Path, built: Path, tmp_path: Path) -> None:
    empty = tmp_path / "nothing here"
    empty.mkdir()
    with pytest.raises(InputError, match="not a capture"):
        captured(empty, tmp_path / "run", None, False)
    with pytest.raises(InputError, match="there is no"):
        build_capture(tmp_path / "missing.mp4", tmp_path / "out", CaptureOptions())
    with pytest.raises(InputError, match="holds another capture"):
        build_capture(posed.parent, built, CaptureOptions())
    with pytest.raises(InputError, match="holds another capture"):
        build_capture(posed, built, CaptureOptions(object=True))
    with pytest.raises(InputError, match="single picture"):
        build_capture(posed / "images" / "00.png", tmp_path / "out2", CaptureOptions())
    with pytest.raises(InputError, match="--frames"):
        build_capture(posed, tmp_path / "out3", CaptureOptions(frames=2))
