"""Other trackers' files: each is written, read back, and read by the formulas of its program."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from avatars.deca.networks import DecaCodes
from avatars.flame.model import Flame
from avatars.formats.cap4d import read_cap4d, write_cap4d
from avatars.formats.face_codes import (
    SmirkCodes,
    read_deca_codes,
    read_smirk,
    write_deca_codes,
    write_smirk,
)
from avatars.formats.flame_track import (
    FlameTrack,
    about_root,
    head_at_rest,
    pinhole,
    track_vertices,
    views,
)
from avatars.formats.imavatar import read_imavatar, write_imavatar
from avatars.formats.insta import read_insta, write_insta
from avatars.formats.liveportrait import PortraitMotion, read_motion, write_motion
from avatars.formats.metrical import read_metrical, write_metrical
from avatars.formats.nha import read_nha, write_nha
from avatars.formats.vhap import read_vhap, read_vhap_tracking, write_vhap
from avatars.heads.rotations import rotation_matrices
from dnr.errors import InputError
from dnr.geometry.mesh_files import load_mesh
from dnr.geometry.meshes import Mesh

SIZE, FRAMES, POINTS = (240, 320), 7, 30


@pytest.fixture
def flame(generator: torch.Generator) -> Flame:
    """A cloud of points with FLAME's joints."""

    def draw(*shape: int, scale: float) -> Tensor:
        return torch.randn(*shape, generator=generator) * scale

    weights = torch.rand(POINTS, 5, generator=generator)
    regressor = torch.rand(5, POINTS, generator=generator)
    return Flame(
        draw(POINTS, 3, scale=0.08),
        torch.randint(0, POINTS, (40, 3), generator=generator),
        draw(300, POINTS, 3, scale=1e-3),
        draw(100, POINTS, 3, scale=1e-3),
        draw(36, POINTS, 3, scale=1e-3),
        regressor / regressor.sum(dim=1, keepdim=True),
        weights / weights.sum(dim=1, keepdim=True),
    )


@pytest.fixture
def track(generator: torch.Generator) -> FlameTrack:
    """A head that talks in front of a camera one metre away."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.2

    turn = rotation_matrices(draw(3)) @ torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    pose = torch.cat([turn, torch.tensor([[0.02], [-0.03], [1.1]])], dim=1)
    return FlameTrack(
        shape=draw(100),
        expression=draw(FRAMES, 50),
        rotation=draw(FRAMES, 3),
        neck=draw(FRAMES, 3),
        jaw=draw(FRAMES, 3),
        eyes=draw(FRAMES, 2, 3),
        eyelids=torch.zeros(FRAMES, 2),
        translation=draw(FRAMES, 3) * 0.1,
        camera=views(pose.expand(FRAMES, 3, 4), pinhole(700, 700, 150, 130), SIZE),
        images=tuple(f"images/{index:05d}.png" for index in range(FRAMES)),
    )


def pixels(flame: Flame, track: FlameTrack) -> Tensor:  # [T, V, 2]
    """Where the head's points are seen: what must survive every format."""
    return track.camera.project(track_vertices(flame, track))[..., :2]


def same(flame: Flame, first: FlameTrack, second: FlameTrack) -> None:
    torch.testing.assert_close(pixels(flame, first), pixels(flame, second), atol=0.02, rtol=0)


def frontal(track: FlameTrack) -> FlameTrack:
    """A camera on the axis, at z = 1."""
    pose = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1]])
    camera = views(pose.expand(FRAMES, 3, 4), pinhole(640, 640, 160, 120), SIZE)
    return replace(track, camera=camera)


def test_vhap(flame: Flame, track: FlameTrack, tmp_path: Path, generator) -> None:
    track = replace(track, offsets=torch.randn(POINTS, 3, generator=generator) * 0.01)
    write_vhap(tmp_path / "export", track)
    read = read_vhap(tmp_path / "export")
    same(flame, track, read)
    assert read.images == track.images and len(read_vhap(tmp_path / "export", "train")) == FRAMES
    content = json.loads((tmp_path / "export" / "transforms.json").read_text())
    frame = content["frames"][3]
    codes = np.load(tmp_path / "export" / frame["flame_param_path"])
    assert codes["jaw_pose"].shape == (1, 3) and codes["eyes_pose"].shape == (1, 6)
    vertices = track_vertices(flame, track)[3].numpy()
    local = (np.c_[vertices, np.ones(POINTS)] @ np.linalg.inv(frame["transform_matrix"]).T)[:, :3]
    column = content["fl_x"] * local[:, 0] / -local[:, 2] + content["cx"]  # NeRF: y up, along -z
    row = content["fl_y"] * local[:, 1] / local[:, 2] + content["cy"]
    np.testing.assert_allclose(pixels(flame, track)[3], np.c_[column, row], atol=0.02)


def test_vhap_tracking(flame: Flame, track: FlameTrack, tmp_path: Path) -> None:
    track = frontal(track)
    np.savez(
        tmp_path / "tracked.npz",
        rotation=track.rotation,
        translation=track.translation,
        neck_pose=track.neck,
        jaw_pose=track.jaw,
        eyes_pose=track.eyes.reshape(-1, 6),
        shape=track.shape,
        expr=track.expression,
        focal_length=np.array([2.0]),
        image_size=np.array(SIZE),
        timestep_id=np.array([f"{k:05d}" for k in range(FRAMES)]),
    )
    same(flame, track, read_vhap_tracking(tmp_path / "tracked.npz"))


def test_nha(flame: Flame, track: FlameTrack, tmp_path: Path) -> None:
    write_nha(tmp_path / "tracked_flame_params.npz", track)
    same(flame, track, read_nha(tmp_path / "tracked_flame_params.npz"))
    content = np.load(tmp_path / "tracked_flame_params.npz")
    local = track_vertices(flame, track)[2].numpy() @ content["RT"][:, :3] + content["RT"][:, 3]
    height, width = content["image_size"]
    focal = content["K"][0] * max(height, width)
    column = content["K"][1] * width - focal * local[:, 0] / local[:, 2]  # pytorch3d: x to the left
    row = (height - content["K"][2] * height) - focal * local[:, 1] / local[:, 2]
    np.testing.assert_allclose(pixels(flame, track)[2], np.c_[column, row], atol=0.02)


def test_metrical_tracker(flame: Flame, track: FlameTrack, tmp_path: Path, generator) -> None:
    track = replace(track, neck=0 * track.neck, eyelids=torch.rand(FRAMES, 2, generator=generator))
    with pytest.raises(ValueError, match="head at rest"):
        write_metrical(tmp_path / "clip", track)
    rest = head_at_rest(flame, track)
    same(flame, track, rest)
    write_metrical(tmp_path / "clip", rest)
    read = read_metrical(tmp_path / "clip")
    same(flame, track, read)
    torch.testing.assert_close(read.eyelids, track.eyelids)
    stored = torch.load(tmp_path / "clip" / "checkpoint" / "00002.frame", weights_only=False)
    matrix, lens = stored["opencv"]["R"][0], stored["opencv"]["K"][0]
    local = track_vertices(flame, rest)[2].numpy() @ matrix.T + stored["opencv"]["t"][0]
    np.testing.assert_allclose(
        pixels(flame, track)[2], (local @ lens.T)[:, :2] / local[:, 2:], atol=0.02
    )
    jaw = stored["flame"]["jaw"].reshape(2, 3)
    np.testing.assert_allclose(jaw, rotation_matrices(track.jaw[2])[:2], atol=1e-6)


def test_insta(flame: Flame, track: FlameTrack, tmp_path: Path, generator) -> None:
    uv = torch.rand(POINTS, 2, generator=generator)
    faces = torch.arange(POINTS).reshape(-1, 3)
    template = Mesh(torch.zeros(POINTS, 3), faces, uv, faces, faces)
    write_insta(tmp_path / "scene", track, flame, template)
    scene = read_insta(tmp_path / "scene")
    torch.testing.assert_close(scene.expression, track.expression, atol=1e-6, rtol=0)
    assert scene.is_test.tolist() == [False] * 4 + [True] * 3
    corners = load_mesh(scene.meshes[5])
    vertices = corners.vertices[corners.faces].reshape(-1, 3)
    seen = scene.camera[5].project(vertices)[0, :, :2]
    torch.testing.assert_close(seen, pixels(flame, track)[5], atol=0.02, rtol=0)


def test_imavatar(flame: Flame, track: FlameTrack, tmp_path: Path) -> None:
    marks = pixels(flame, track)[:, :12]
    write_imavatar(tmp_path / "flame_params.json", track, marks)
    read = read_imavatar(tmp_path / "flame_params.json", SIZE)
    same(flame, track, read)
    assert read.images == track.images
    content = json.loads((tmp_path / "flame_params.json").read_text())
    frame, lens = content["frames"][4], content["intrinsics"]
    assert lens[0] < 0 and len(frame["pose"]) == 15
    still = replace(track, translation=0 * track.translation)
    world = 4 * track_vertices(flame, still)[4].numpy()
    matrix = np.array(frame["world_mat"])
    local = world @ matrix[:, :3].T + matrix[:, 3]
    column = (local[:, 0] / local[:, 2] * lens[0] + lens[2]) * SIZE[1]
    row = (local[:, 1] / local[:, 2] * lens[1] + lens[3]) * SIZE[0]
    np.testing.assert_allclose(pixels(flame, track)[4], np.c_[column, row], atol=0.02)
    box = np.array(frame["bbox"]).reshape(2, 2)
    unit = marks[4].numpy() * 2 / [SIZE[1], SIZE[0]] - 1
    np.testing.assert_allclose(box, [unit.min(axis=0), unit.max(axis=0)], atol=1e-5)


def test_cap4d(flame: Flame, track: FlameTrack, tmp_path: Path) -> None:
    track = replace(track, pivot="origin", eyes=track.eyes[:, :1].expand(-1, 2, -1))
    write_cap4d(tmp_path / "fit.npz", track)
    read = read_cap4d(tmp_path / "fit.npz")
    same(flame, track, read)
    same(flame, track, about_root(flame, read))
    content = np.load(tmp_path / "fit.npz")
    still = replace(track, rotation=0 * track.rotation, translation=0 * track.translation)
    turn = rotation_matrices(torch.from_numpy(content["rot"]))[1].numpy()
    world = track_vertices(flame, still)[1].numpy() @ turn.T + content["tra"][1]
    world = world * [-1, -1, 1]
    local = world @ content["extr"][0, :3, :3].T + content["extr"][0, :3, 3]
    column = content["fx"][0, 0] * local[:, 0] / local[:, 2] + content["cx"][0, 0]
    row = content["fy"][0, 0] * local[:, 1] / local[:, 2] + content["cy"][0, 0]
    np.testing.assert_allclose(pixels(flame, track)[1], np.c_[column, row], atol=0.02)


@pytest.mark.parametrize("name", ["codes.npz", "codes.mat"])
def test_deca_codes(tmp_path: Path, generator, name: str) -> None:
    parts = [torch.randn(3, n, generator=generator) for n in (100, 50, 50, 6, 3)]
    codes = DecaCodes(*parts, torch.randn(3, 9, 3, generator=generator))  # type: ignore[call-arg]
    detail = torch.randn(3, 128, generator=generator)
    write_deca_codes(tmp_path / name, codes, detail)
    read, read_detail = read_deca_codes(tmp_path / name)
    for before, after in zip((*codes, detail), (*read, read_detail), strict=True):
        assert after is not None
        torch.testing.assert_close(before, after)


@pytest.mark.parametrize("name", ["smirk.npz", "smirk.pt"])
def test_smirk(tmp_path: Path, generator, name: str) -> None:
    parts = [torch.randn(2, n, generator=generator) for n in (300, 50, 3, 3, 2, 3)]
    codes = SmirkCodes(*parts)  # type: ignore[call-arg]
    write_smirk(tmp_path / name, codes)
    for before, after in zip(codes, read_smirk(tmp_path / name), strict=True):
        torch.testing.assert_close(before, after)


@pytest.mark.parametrize("openings", [True, False])
def test_liveportrait(tmp_path: Path, generator, openings: bool) -> None:
    motion = PortraitMotion(
        torch.rand(FRAMES, generator=generator),
        rotation_matrices(torch.randn(FRAMES, 3, generator=generator)),
        torch.randn(FRAMES, 21, 3, generator=generator),
        torch.randn(FRAMES, 3, generator=generator),
        torch.rand(FRAMES, 2, generator=generator) if openings else None,
        torch.rand(FRAMES, generator=generator) if openings else None,
        25.0,
    )
    write_motion(tmp_path / "motion.pkl", motion)
    stored = pickle.loads((tmp_path / "motion.pkl").read_bytes())
    assert stored["n_frames"] == FRAMES and stored["motion"][0]["exp"].shape == (1, 21, 3)
    assert stored["motion"][0]["R"].shape == (1, 3, 3) and stored["motion"][0]["t"].shape == (1, 3)
    for before, after in zip(motion, read_motion(tmp_path / "motion.pkl"), strict=True):
        if isinstance(before, Tensor):
            torch.testing.assert_close(before, after)
        else:
            assert before == after
    older = stored | {"motion": [{**f, "R_d": f["R"]} for f in stored["motion"]]}
    older["motion"] = [{k: v for k, v in f.items() if k != "R"} for f in older["motion"]]
    (tmp_path / "older.pkl").write_bytes(pickle.dumps(older))
    torch.testing.assert_close(read_motion(tmp_path / "older.pkl").rotation, motion.rotation)


def test_wrong_files_end_in_a_sentence(track: FlameTrack, tmp_path: Path) -> None:
    write_vhap(tmp_path / "export", track)
    (tmp_path / "export" / "flame_param" / "00003.npz").unlink()
    with pytest.raises(InputError, match=r"00003\.npz"):
        read_vhap(tmp_path / "export")
    write_nha(tmp_path / "nha.npz", track)
    content = dict(np.load(tmp_path / "nha.npz"))
    for changed, words in (
        ({"expr": content["expr"][:4]}, "numbers of frames differ"),
        ({"jaw_pose": np.full((FRAMES, 3), np.nan)}, "jaw_pose holds values that are not finite"),
        ({"rotation": np.zeros((FRAMES, 9))}, r"rotation is \[7, 9\]"),
    ):
        np.savez(tmp_path / "bad.npz", **content | changed)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=words):
            read_nha(tmp_path / "bad.npz")
    (tmp_path / "params.json").write_text('{"frames": [{}], "intrinsics": [1]}')
    with pytest.raises(InputError, match="file_path"):
        read_imavatar(tmp_path / "params.json")
    (tmp_path / "scene").mkdir()
    with pytest.raises(InputError, match=r"checkpoint"):
        read_metrical(tmp_path / "scene")
    (tmp_path / "motion.pkl").write_bytes(pickle.dumps({"motion": []}))
    with pytest.raises(InputError, match="no motion"):
        read_motion(tmp_path / "motion.pkl")
