"""One photo of a made-up person is driven, and compared with pictures of that person moving."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from avatars.detectors.faces import OVAL
from avatars.heads.files import load_head
from avatars.heads.head import Head, Motion, head_vertices, landmark_points, still
from avatars.heads.rotations import rotation_matrices
from avatars.oneshot.borders import dome, find_crown, find_shoulders, torso_below, widen
from avatars.oneshot.engine import Puppet, picture, prepare
from avatars.oneshot.eye_motion import eye_motion
from avatars.oneshot.eyes import LEFT, RIGHT
from avatars.oneshot.likeness import person_of
from avatars.oneshot.window import window_around
from avatars.synthetic.actors import ACTORS, identity_of
from avatars.synthetic.studio import Studio, open_studio, project, take_picture
from avatars.transfer.neutral import neutral
from avatars.transfer.performance import Frame, Performance
from avatars.transfer.transfer import TransferOptions, transferred

SIZE = 224
PLACE = torch.tensor([0.0, 0.03, 0.62])
FACING = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


class Scene(NamedTuple):
    head: Head
    studio: Studio
    identity: torch.Tensor
    photo: np.ndarray
    landmarks: np.ndarray
    puppet: Puppet


def shot(
    head: Head, studio: Studio, identity: torch.Tensor, motion: Motion, turn: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, Frame]:
    """The picture, its true landmarks, and what was done."""
    rotation = rotation_matrices(turn) @ FACING
    pose = torch.cat([rotation, PLACE[:, None]], dim=1)[None]
    vertices = head_vertices(head, identity, motion)
    local = vertices @ rotation.T + PLACE
    image = take_picture(studio, local[0].double().numpy(), 0)
    marks = project(landmark_points(head, local)[0].double().numpy(), SIZE)[:, :2]
    return image, marks.astype(np.float32), Frame(motion, pose)


@pytest.fixture(scope="module")
def scene() -> Scene:
    head = load_head()
    actor = next(iter(ACTORS.values()))
    studio = open_studio(head, actor, SIZE)
    identity = torch.from_numpy(identity_of(actor, head)).float()
    photo, landmarks, _ = shot(head, studio, identity, still(head), torch.zeros(3))

    def masker(image: np.ndarray) -> np.ndarray:
        mask = np.zeros(image.shape[:2], np.float32)
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        mask[int(low[1]) - 40 :, int(low[0]) - 30 : int(high[0]) + 30] = 1
        return mask

    return Scene(head, studio, identity, photo, landmarks, prepare(head, photo, landmarks, masker))


def driven(
    scene: Scene, changes: dict[str, float], gaze: float, turn: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The true picture, the driven photo, and the true landmarks."""
    motion = still(scene.head)
    motion.expression[0, scene.head.names(*changes)] = torch.tensor(list(changes.values()))
    motion = motion._replace(gaze=motion.gaze + torch.tensor([gaze, 0.0]))
    truth, marks, frame = shot(scene.head, scene.studio, scene.identity, motion, turn)
    _, _, rest = shot(scene.head, scene.studio, scene.identity, still(scene.head), torch.zeros(3))
    both = Motion(*(torch.cat(pair) for pair in zip(rest.motion, frame.motion, strict=True)))
    clip = Performance(
        scene.head.name, scene.identity, both, torch.cat([rest.pose, frame.pose]),
        torch.arange(2).double(), 1.0, torch.ones(2, dtype=torch.bool),
    )  # fmt: skip
    options = TransferOptions(neutral_frame=0, smooth=False)
    person = person_of(scene.head, scene.puppet.likeness)
    done = transferred(clip, neutral(scene.head, clip, 0), person, options)
    return truth, picture(scene.puppet, done.frame(1)), marks


def error(one: np.ndarray, other: np.ndarray, marks: np.ndarray, numbers: tuple[int, ...]) -> float:
    """Mean squared difference in the box around some landmarks."""
    low = np.maximum(marks[list(numbers)].min(axis=0).astype(int) - 4, 0)
    high = marks[list(numbers)].max(axis=0).astype(int) + 5
    box = np.s_[low[1] : high[1], low[0] : high[0]]
    return float(((one[box].astype(float) - other[box]) ** 2).mean())


def test_rest_is_the_photo(scene: Scene) -> None:
    _, made, marks = driven(scene, {}, 0.0, torch.zeros(3))
    assert made.shape == scene.photo.shape and made.dtype == np.uint8
    assert error(made, scene.photo, marks, OVAL) < 8


@pytest.mark.parametrize(
    ("changes", "gaze", "turn", "where"),
    [
        ({"jawOpen": 0.3}, 0.0, 0.0, (18, 83, 313, 152)),
        ({"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7}, 0.0, 0.0, (61, 291, 0, 17)),
        ({"eyeBlinkLeft": 0.7, "eyeBlinkRight": 0.7}, 0.0, 0.0, (*RIGHT.upper, *RIGHT.lower)),
        ({}, 0.3, 0.0, (*LEFT.upper, *LEFT.lower)),
        ({}, 0.0, 0.2, OVAL),
        ({"jawOpen": 0.15}, 0.0, -0.2, OVAL),
    ],
)
def test_driven_photo_is_nearer_to_the_truth(
    scene: Scene, changes: dict[str, float], gaze: float, turn: float, where: tuple[int, ...]
) -> None:
    truth, made, marks = driven(scene, changes, gaze, torch.tensor([0.0, turn, 0.0]))
    before = error(truth, scene.photo, marks, where)
    assert error(truth, made, marks, where) < 0.75 * before


def test_turns_are_held_back_softly(scene: Scene) -> None:
    limits = person_of(scene.head, scene.puppet.likeness).limits
    assert limits is not None
    ends = np.degrees(limits.turn[1].numpy())
    assert 12 < ends[0] < 20 and 12 < ends[1] < 20


def test_eyes_are_compared_in_their_own_coordinates(scene: Scene) -> None:
    marks = scene.landmarks.astype(np.float64)
    turned = marks @ np.array([[0.9, 0.3], [-0.3, 0.9]]) + [5, -3]
    for names in (RIGHT, LEFT):
        motion = eye_motion(marks, turned, names)
        assert motion.opening == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose([motion.lower, *motion.iris], 0, atol=1e-6)
        shut = marks.copy()
        shut[list(names.upper)] = shut[list(names.lower)]
        assert eye_motion(marks, shut, names).opening == pytest.approx(0, abs=1e-6)


def test_windows_stay_inside_the_photo() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        photo = int(generator.integers(64, 900)), int(generator.integers(64, 900))
        face = generator.uniform(20, 0.5 * min(photo))
        corner = generator.uniform(0, 1, 2) * (np.array(photo[::-1]) - face)
        window = window_around(corner + generator.uniform(0, face, (478, 2)), photo)
        rows, columns = window.slices
        assert 0 <= rows.start < rows.stop <= photo[0]
        assert 0 <= columns.start < columns.stop <= photo[1]
        assert min(window.field) >= 8 and max(window.field) <= 288


def test_shoulders_grow_only_below_the_photo() -> None:
    person = np.zeros((40, 60), np.float32)
    person[20:, 25:35] = 1
    shoulders = find_shoulders(person, False, 30.0)
    assert shoulders is not None and find_shoulders(person, True, 30.0) is None
    shift = np.zeros((40, 60, 2), np.float32)
    widen(shift, shoulders)
    assert (shift == 0).all()
    shift[..., 1] = 15  # everything has risen by 15 cells
    widen(shift, shoulders)
    assert (shift[:25, :, 0] == 0).all()
    edge = 30 + 5 + 3.5 + 0.5 + shift[39, 39, 0]  # a cell four beyond the torso's own width
    assert edge < 36 and (shift[39, 30:, 0] <= 0).all()


def test_clothes_go_on_below_the_photo_and_get_plain() -> None:
    image = np.full((40, 60, 3), (90, 60, 30), np.uint8)
    image[:, 29:31] = 250  # a tie
    person = np.zeros((40, 60), np.uint8)
    person[20:, 20:40] = 255
    below = torso_below(image, person, 30.0)
    assert below.dtype == np.uint8 and below.shape[1:] == (60, 4)
    assert (below[..., 3] == person[-1]).all()
    assert below[0, 30, 0] > 220 and below[-1, 30, 0] < 100
    assert (np.abs(below[:, 22, :3] - np.array([90.0, 60, 30])) <= 1).all()


def test_hair_that_the_photo_cuts_off_ends_in_a_dome() -> None:
    person = np.zeros((40, 60), np.float32)
    person[:30, 20:40] = 1
    crown = find_crown(person, False)
    assert crown is not None and find_crown(person, True) is None
    shift = np.zeros((40, 60, 2), np.float32)
    assert (dome(shift, crown) == 1).all()
    shift[..., 1] = -12  # everything has sunk by 12 cells
    hair = dome(shift, crown)
    assert (hair[12:] == 1).all() and (hair[:5, 20:40] == 0).all()
    widths = (hair[:12, 20:40] > 0.5).sum(axis=1)
    assert widths[11] > 16 and (np.diff(widths) >= 0).all() and widths[8] < widths[11]
