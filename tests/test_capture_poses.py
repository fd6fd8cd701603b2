"""Structure from motion on photos of a scene whose cameras are known."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.capture_truth import similarity
from dnr.capture.posed_photos import write_transforms
from dnr.capture.poses import TOO_FEW_DETAILS, Registration, register
from dnr.errors import InputError
from dnr.geometry.camera_files import read_frames
from dnr.images import png_bytes
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.render import render_view
from dnr.synthetic.room import FOV_DEG, TARGET
from dnr.synthetic.scenes import build_scene
from dnr.synthetic.viewpoints import aim

pytest.importorskip("pycolmap")
SIZE = (270, 330)


@pytest.mark.slow
def test_cameras_of_a_room_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    angle = np.linspace(0.2, 1.8, 14)
    around = np.stack([np.cos(angle), np.sin(angle), 0.3 + 0.2 * np.sin(2 * angle)], axis=1)
    cameras = aim(TARGET + 1.7 * around, np.asarray(TARGET), FOV_DEG, SIZE)
    scene = build_scene(SceneConfig("room", SIZE, 1, 0))
    names = [f"photo {index:02d}.png" for index in range(len(cameras))]
    for index, name in enumerate(names):
        pixels = np.rint(render_view(scene, cameras[index]).image * 255).astype(np.uint8)
        (tmp_path / name).write_bytes(png_bytes(pixels))
    found = register(tmp_path, names, tmp_path / "scratch", focal_px=300.0)
    assert [pose.name for pose in found.poses] == names and found.problem() is None
    assert found.pieces == [14] and not found.left_out
    told = capsys.readouterr().err
    for line in ("finding details  14/14", "comparing photos  91/91", "placing photos  14/14"):
        assert line in told
    assert found.error_px < 0.7 and found.angle_deg > 5
    lens = found.poses[0].lens
    assert lens["fl_x"] == pytest.approx(float(cameras.intrinsics[0, 0, 0]), rel=0.01)
    write_transforms(tmp_path / "transforms.json", found.poses)
    matrices = [
        f.world_to_camera[0].double().numpy() for f in read_frames(tmp_path / "transforms.json")
    ]
    centres = np.array([-matrix[:3, :3].T @ matrix[:3, 3] for matrix in matrices])
    scale, rotation, shift = similarity(centres, cameras.position.numpy())
    away = np.linalg.norm(scale * centres @ rotation.T + shift - cameras.position.numpy(), axis=1)
    assert away.max() < 0.02
    own, true = np.array(matrices)[:, :3, :3], cameras.world_to_camera.numpy()[:, :3, :3]
    between, expected = own @ own[0].T, true @ true[0].T
    cosines = (np.einsum("nij,nij->n", between, expected) - 1) / 2
    turned_deg = np.degrees(np.arccos(cosines.clip(-1, 1)))
    # A short arc leaves the focal length about a percent off, and with it the turn of 92 degrees.
    assert turned_deg.max() < 1.5


@pytest.mark.slow
def test_a_camera_that_only_turns_is_noticed(tmp_path: Path) -> None:
    """A model can be built from such photos all the same; it is an invention."""
    place = TARGET + 1.7 * np.array([[0.62, 0.78, 0.35]])
    scene = build_scene(SceneConfig("room", SIZE, 1, 0))
    names = [f"{index:02d}.png" for index in range(10)]
    for name, angle in zip(names, np.linspace(0.3, 1.5, 10), strict=True):
        target = place[0] - [np.cos(angle), np.sin(angle), 0.2]
        pixels = render_view(scene, aim(place, target, FOV_DEG, SIZE)[0]).image
        (tmp_path / name).write_bytes(png_bytes(np.rint(pixels * 255).astype(np.uint8)))
    try:
        problem = register(tmp_path, names, tmp_path / "scratch").problem()
    except InputError as error:
        problem = str(error)
    assert "only turned on the spot" in str(problem) or "did not move" in str(problem)


def test_photos_of_nothing_end_in_advice(tmp_path: Path) -> None:
    names = [f"{index}.png" for index in range(9)]
    for name in names:
        (tmp_path / name).write_bytes(png_bytes(np.full((60, 80, 3), 128, np.uint8)))
    with pytest.raises(InputError, match=r"9 of 9 have too few details.*Film again"):
        register(tmp_path, names, tmp_path / "scratch")


def test_too_few_placed_photos_or_too_little_parallax_is_a_problem() -> None:
    def registration(
        placed: int, left_out: int, angle_deg: float, turned: float = 0.1, seen: float = 30.0
    ) -> Registration:
        lost = {f"{index}.png": TOO_FEW_DETAILS for index in range(left_out)}
        pieces = [placed, 3] if left_out > 3 else [placed]
        poses = [None] * placed
        return Registration(
            poses,  # type: ignore
            lost,
            0.5,
            np.zeros((0, 3)),
            angle_deg,
            turned,
            seen,
            pieces,
        )

    assert registration(10, 9, 8.0).problem() is None
    assert "only 9 of 20 photos could be placed (11 have" in str(registration(9, 11, 8.0).problem())
    assert "hardly moved" in str(registration(20, 0, 1.0).problem())
    assert "90 % of what" in str(registration(20, 0, 9.0, turned=0.9).problem())
    assert registration(20, 0, 9.0, turned=0.7, seen=900.0).problem() is None, "flat, walked by"
    assert "95 % of what" in str(registration(20, 0, 9.0, turned=0.95, seen=900.0).problem())


def test_notes_name_what_is_left_out_and_scenes_that_do_not_fit_together() -> None:
    lost = {f"{index}.png": "its details do not fit the others" for index in range(8)}
    found = Registration([None] * 12, lost, 0.5, np.zeros((0, 3)), 9.0, 0.1, 300.0, [12, 8])  # type: ignore
    notes = found.notes()
    assert notes[0] == "12 of 20 photos placed, mean error 0.50 px"
    assert "2 pieces that do not fit together (12 and 8 photos)" in notes[1]
    assert notes[2].startswith("0.png is left out") and "3 more" in notes[-1] and len(notes) == 8
