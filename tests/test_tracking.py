"""The passes around the fit: faces followed, crops, doubts, files."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatars.detectors.faces import Face
from avatars.detectors.recorded import replay
from avatars.heads.files import load_head
from avatars.heads.head import still
from avatars.tracking.crops import back, crop_matrices, cut
from avatars.tracking.doubt import Signs, doubts, reasons, seconds_lost, total_doubt
from avatars.tracking.looking import follow, look
from avatars.tracking.neck import neck_turns
from avatars.tracking.stages import fingerprint, is_done, workshop
from avatars.tracking.summary import summary
from avatars.tracking.track import (
    LANDMARKS,
    TRACK,
    Track,
    camera,
    crop_camera,
    load_track,
    save_track,
)
from avatars.tracking.track_video import TrackOptions, track_video
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError
from dnr.footage import open_footage
from dnr.video import write_video

FRAMES = 12


@pytest.fixture(scope="module")
def grey_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "grey.mp4"
    write_video(path, (np.full((60, 90, 3), 90, np.uint8) for _ in range(FRAMES)))
    return path


def face_at(left: float, top: float, side: float) -> Face:
    rng = np.random.default_rng(0)
    return Face((rng.random((478, 2)) * side + (left, top)).astype(np.float32), 1.0)


def followed(faces: list[list[Face]], video: Path, folder: Path, choice: int | None = None):
    rows = iter(faces)
    footage = open_footage(video)
    folder.mkdir(exist_ok=True)
    look(footage, lambda image: next(rows), folder, int, pytest.fail)
    return follow(folder, video, choice, folder / "points.npy")


def test_the_largest_for_longest_is_followed(grey_video: Path, tmp_path: Path) -> None:
    """A passer-by is larger but soon gone, and detectors return faces in any order."""
    faces = [[face_at(5 + t, 10, 20), face_at(60 - t, 30, 15)] for t in range(FRAMES)]
    faces[3] = [face_at(30, 0, 59), *faces[3][::-1]]
    looked = followed(faces, grey_video, tmp_path / "a")
    assert looked.found.all() and looked.people >= 2
    np.testing.assert_array_equal(looked.landmarks[5], faces[5][0].points)
    second = followed(faces, grey_video, tmp_path / "b", choice=2)
    np.testing.assert_array_equal(second.landmarks[3], faces[3][1].points)
    with pytest.raises(InputError, match="--face must be 1 to"):
        followed(faces, grey_video, tmp_path / "c", choice=9)


def test_lost_frames_are_bridged_and_said(grey_video: Path, tmp_path: Path) -> None:
    faces = [[face_at(5 + t, 10, 20)] for t in range(FRAMES)]
    faces[0] = faces[4] = faces[5] = faces[11] = []
    looked = followed(faces, grey_video, tmp_path / "a")
    assert np.nonzero(~looked.found)[0].tolist() == [0, 4, 5, 11]
    expected = face_at(9, 10, 20).points
    np.testing.assert_allclose(looked.landmarks[4], expected, atol=1e-4)
    np.testing.assert_array_equal(looked.landmarks[0], looked.landmarks[1])
    np.testing.assert_array_equal(looked.landmarks[11], looked.landmarks[10])


def test_a_head_that_jumps_alone_is_the_same_head(grey_video: Path, tmp_path: Path) -> None:
    faces = [[face_at(5 + 60 * (t % 2), 10, 20)] for t in range(FRAMES)]
    looked = followed(faces, grey_video, tmp_path / "a")
    assert looked.found.all() and looked.people == 1


def test_a_video_without_a_face_is_a_sentence(grey_video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no face was found in any of the 12 frames"):
        track_video(grey_video, tmp_path / "track", TrackOptions(report=False))
    assert not (tmp_path / "track").exists()


def test_a_still_head_gets_a_still_crop_and_a_wandering_one_a_smooth_one() -> None:
    still_box = np.tile([300.0, 200, 360, 280], (50, 1))
    matrices = crop_matrices(still_box, (720, 1280), 256, 30)
    assert np.ptp(matrices, axis=0).max() == 0
    wander = still_box + np.linspace(0, 700, 50)[:, None] * [1, 0, 1, 0]
    matrices = crop_matrices(wander, (720, 1280), 256, 10)
    assert np.ptp(matrices[:, 0, 0]) == 0, "the scale never changes"
    assert np.abs(np.diff(matrices[:, 0, 2], n=2)).max() < 1
    middles = (wander[:, :2] + wander[:, 2:]) / 2
    inside = np.einsum("tij,tj->ti", matrices[:, :, :2], middles) + matrices[:, :, 2]
    assert (inside > 20).all() and (inside < 236).all()
    whole = crop_matrices(np.tile([100.0, 100, 300, 380], (9, 1)), (480, 480), 256, 30)
    np.testing.assert_allclose(whole[0], [[256 / 480, 0, 0], [0, 256 / 480, 0]])


def test_crops_put_points_where_their_matrix_says_and_back() -> None:
    """A bright disc keeps its centre, with pixel centres at +0.5."""
    image = np.zeros((100, 140, 3), np.uint8)
    centre = np.array([62.25, 41.75])
    spot = tuple(int(v) for v in np.round((centre - 0.5) * 16))
    cv2.circle(image, spot, 6 * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
    for scale in (0.5, 1.0, 2.5):
        matrix = np.array([[scale, 0, -scale * 30], [0, scale, -scale * 12]])
        crop = cut(image, matrix, round(64 * max(scale, 1)))[..., 0].astype(float)
        rows, columns = np.indices(crop.shape) + 0.5
        found = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
        np.testing.assert_allclose(found, matrix[:, :2] @ centre + matrix[:, 2], atol=0.06 * scale)
        inverse = back(matrix)
        np.testing.assert_allclose(inverse[:, :2] @ found + inverse[:, 2], centre, atol=0.06)


def test_doubt_has_reasons() -> None:
    good = [np.zeros(3) for _ in range(4)] + [np.full(3, 100.0), np.zeros(3)]
    good[1] = np.array([2.0, 2.0, 9.0])
    good[0] = np.array([0.0, 0.04, 0.0])
    signs = Signs(*good)
    total = total_doubt(signs)
    assert total[0] == 0 and total[1] == 0.5 and total[2] == 1
    assert reasons(signs, 0) == "" and reasons(signs, 2) == "landmarks and head disagree"
    assert doubts(signs).shape == (6, 3)
    found = np.array([True, False, False, True])
    np.testing.assert_allclose(seconds_lost(found, np.arange(4.0)), [0, 1, 1, 0])


def small_track(rng: np.random.Generator) -> Track:
    head = load_head()
    motion = still(head, FRAMES)
    pose = torch.eye(3, 4).repeat(FRAMES, 1, 1)
    pose[:, 2, 3] = 0.7
    return Track(
        head="anny", identity=torch.zeros(len(head.identity)),
        offsets=torch.zeros(len(head.template)), motion=motion, head_to_camera=pose,
        focal=200.0, size=(60, 90), fps=25.0, times=torch.arange(FRAMES).double() / 25,
        landmarks=torch.from_numpy(rng.random((FRAMES, 478, 2)).astype(np.float32)),
        found=torch.ones(FRAMES, dtype=torch.bool), doubt=torch.zeros(FRAMES),
        crop=torch.tensor([[2.0, 0, -30], [0, 2, -20]]).double().repeat(FRAMES, 1, 1),
    )  # fmt: skip


def test_tracks_come_back_as_they_were_saved(tmp_path: Path, rng: np.random.Generator) -> None:
    track = small_track(rng)
    save_track(tmp_path, track)
    back_again = load_track(tmp_path)
    for name, value in vars(track).items():
        other = getattr(back_again, name)
        pairs = zip(value, other, strict=True) if name == "motion" else [(value, other)]
        for one, two in pairs:
            assert torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two
    lines = summary(replace(track, doubt=torch.tensor([0.0, 0.9, 0.9, 0.1] * 3)))
    assert any("1-2, 5-6, 9-10" in line for line in lines)


def test_cameras_of_frame_and_crop_agree(rng: np.random.Generator) -> None:
    track, frames = small_track(rng), torch.tensor([0, 3])
    points = torch.tensor([[0.01, 0.02, 0.0], [-0.03, 0.01, 0.02]])
    whole = camera(track, frames).project(points)[..., :2]
    inside = crop_camera(track, frames).project(points)[..., :2]
    affine = track.crop[0].float()
    torch.testing.assert_close(inside, whole @ affine[:, :2].T + affine[:, 2])
    torch.testing.assert_close(whole[0, 0], torch.tensor([45 + 200 * 0.01 / 0.7, 30 + 4 / 0.7]))


def test_damaged_tracks_are_sentences(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="is no head track"):
        load_track(tmp_path)
    save_track(tmp_path, small_track(rng))
    arrays = load_arrays(tmp_path / TRACK)
    for change, words in (
        ({"gaze": np.zeros((3, 2, 2))}, "gaze is"),
        ({"format_version": np.array(9)}, "newer version"),
        ({"head": np.zeros(())}, "head is"),
    ):
        save_arrays(tmp_path / TRACK, {**arrays, **change})
        with pytest.raises(InputError, match=words):
            load_track(tmp_path)
    save_arrays(tmp_path / TRACK, {k: v for k, v in arrays.items() if k != "crop"})
    with pytest.raises(InputError, match="lacks crop"):
        load_track(tmp_path)
    save_arrays(tmp_path / TRACK, arrays)
    (tmp_path / LANDMARKS).write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read"):
        load_track(tmp_path)


def test_shoulders_take_up_slow_turns_only() -> None:
    angle = torch.cat([torch.zeros(60), torch.full((240,), 0.5)])
    rotation = torch.eye(3).repeat(300, 1, 1)
    rotation[:, 0, 0], rotation[:, 0, 2] = angle.cos(), angle.sin()
    rotation[:, 2, 0], rotation[:, 2, 2] = -angle.sin(), angle.cos()
    neck = neck_turns(rotation, 10.0)
    assert neck[60, 1] > 0.15 and neck[250].norm() < 0.01
    assert neck[:, [0, 2]].abs().max() < 1e-5


def test_work_in_the_way_is_never_removed(grey_video: Path, tmp_path: Path) -> None:
    source = fingerprint(grey_video, TrackOptions())
    assert source == fingerprint(grey_video, TrackOptions(device="cpu"))
    assert source != fingerprint(grey_video, TrackOptions(face=2))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="is no track"):
        is_done(tmp_path / "mine", source)
    folder = workshop(tmp_path / "new", source)
    (folder / "kept").touch()
    assert (workshop(tmp_path / "new", source) / "kept").exists()
    other = workshop(tmp_path / "new", {"video": "another"})
    assert other == folder and not (folder / "kept").exists()


def test_replayed_points_follow_the_frames() -> None:
    points = np.zeros((2, 478, 2), np.float32)
    detect = replay(points)
    assert [len(detect(np.zeros((4, 4, 3), np.uint8))) for _ in range(3)] == [1, 1, 0]
