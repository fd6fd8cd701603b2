import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from avatars.detectors import face_alignment, mediapipe
from avatars.detectors.face_alignment import POINT_WEIGHTS, SEARCH_WEIGHTS
from avatars.detectors.faces import IBUG, OVAL, box, from_ibug, overlap
from avatars.detectors.quiet import quiet_stderr
from avatars.detectors.recorded import recorded_detector
from dnr.array_files import save_arrays
from dnr.errors import InputError

PICTURE = np.zeros((40, 60, 3), np.uint8)


def test_boxes_ignore_points_that_are_not_there(rng: np.random.Generator) -> None:
    points = rng.uniform(10, 50, (478, 2)).astype(np.float32)
    points[::3] = np.nan
    there = points[np.isfinite(points[:, 0])]
    np.testing.assert_array_equal(box(points), [*there.min(axis=0), *there.max(axis=0)])
    one, other = np.array([0.0, 0, 4, 2]), np.array([3.0, 1, 5, 3])
    assert overlap(one, other) == pytest.approx(1 / 11)
    assert overlap(one, one) == 1 and overlap(one, one + 10) == 0


def test_lists_of_points_name_each_once() -> None:
    assert len(IBUG) == len(set(IBUG)) == 68 and len(OVAL) == len(set(OVAL)) == 36


def test_recorded_points_come_back_frame_by_frame(tmp_path: Path, rng) -> None:
    points = rng.uniform(0, 50, (4, 68, 3))
    points[2] = np.nan
    save_arrays(tmp_path / "points.npz", {"points": points})
    detect = recorded_detector(tmp_path / "points.npz")
    faces = [detect(PICTURE) for _ in range(6)]
    assert [len(found) for found in faces] == [1, 1, 0, 1, 0, 0]
    np.testing.assert_allclose(faces[1][0].points[list(IBUG)], points[1, :, :2], rtol=1e-6)
    assert np.isfinite(faces[1][0].points[:, 0]).sum() == 68


@pytest.mark.parametrize("count", [468, 478])
def test_recorded_meshes_keep_their_numbering(count: int, tmp_path: Path, rng) -> None:
    points = rng.uniform(0, 50, (2, count, 2)).astype(np.float32)
    save_arrays(tmp_path / "points.npz", {"points": points})
    face = recorded_detector(tmp_path / "points.npz")(PICTURE)[0]
    np.testing.assert_array_equal(face.points[:count], points[0])
    assert np.isnan(face.points[count:]).all()


def test_other_recordings_are_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "points.npz", {"points": np.zeros((5, 70, 2))})
    with pytest.raises(InputError, match="478 or 468 or 68"):
        recorded_detector(tmp_path / "points.npz")


class Package(ModuleType):
    """A stand-in for face-alignment that finds as many faces as `boxes` has rows."""

    boxes = np.array([[1.0, 2, 30, 40, 0.9]])

    class LandmarksType:
        TWO_D = 1

    class FaceAlignment:
        def __init__(self, kind: int, device: str, face_detector: str, flip_input: bool) -> None:
            assert (kind, device, face_detector) == (1, "cpu", "sfd")
            self.face_detector = self

        def detect_from_image(self, image: np.ndarray) -> np.ndarray:
            return Package.boxes

        def get_landmarks_from_image(self, image, detected_faces) -> list[np.ndarray]:
            return [np.arange(136.0).reshape(68, 2) for _ in detected_faces]


def test_face_alignment_is_used_only_with_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match="not installed"):
        face_alignment.face_alignment_detector()
    monkeypatch.setattr(face_alignment, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "face_alignment", Package("face_alignment"))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match=SEARCH_WEIGHTS):
        face_alignment.face_alignment_detector()
    (tmp_path / "checkpoints" / SEARCH_WEIGHTS).touch()
    with pytest.raises(InputError, match=POINT_WEIGHTS[0]):
        face_alignment.face_alignment_detector()
    (tmp_path / "checkpoints" / POINT_WEIGHTS[0]).touch()
    detect = face_alignment.face_alignment_detector()
    (face,) = detect(PICTURE)
    assert face.score == 0.9
    np.testing.assert_array_equal(face.points, from_ibug(np.arange(136.0).reshape(68, 2), 1).points)
    monkeypatch.setattr(Package, "boxes", np.zeros((0, 5)))
    assert detect(PICTURE) == []


def test_mediapipe_sees_nothing_in_a_black_picture_and_says_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert mediapipe.mediapipe_detector()(PICTURE) == []
    assert mediapipe.mediapipe_masker()(PICTURE).shape == PICTURE.shape[:2]
    assert capfd.readouterr().err == ""


def test_another_mediapipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe, "version", lambda name: "0.10.35")
    with pytest.raises(InputError, match=r"0\.10\.35 is installed and 0\.10\.21 is needed"):
        mediapipe.mediapipe_detector()


def test_noise_is_kept_back_unless_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"noise\n")
        print("more noise", file=sys.stderr)
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
    with pytest.raises(RuntimeError), quiet_stderr():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"
