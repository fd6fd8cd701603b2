"""What is made up inside of a mouth: its colours, and where teeth are."""

import cv2
import numpy as np
import pytest
import torch
from posed_face import PHOTO, frontal_likeness

from avatars.heads.head import landmark_points
from avatars.oneshot.likeness import Likeness
from avatars.oneshot.lips import part, prepare_lips
from avatars.oneshot.mouth import LOWER_LIP, UPPER_LIP, draw_mouth, prepare_mouth
from avatars.oneshot.mouth_colours import NOSTRILS, mouth_colours
from avatars.oneshot.pose_points import Shown, shown_points, source_points
from avatars.oneshot.teeth import seat_teeth
from avatars.transfer.performance import Frame

SKIN = np.array([180, 130, 110], np.uint8)


@pytest.fixture(scope="module")
def likeness() -> Likeness:
    return frontal_likeness()


def face(likeness: Likeness, hole: float) -> np.ndarray:
    """Skin, and nostrils that are darker by a factor."""
    picture = np.full((*PHOTO, 3), SKIN, np.uint8)
    low = likeness.landmarks[list(NOSTRILS)].min(axis=0).astype(int)
    high = likeness.landmarks[list(NOSTRILS)].max(axis=0).astype(int) + 1
    picture[low[1] : high[1], low[0] : high[0]] = hole * SKIN
    return picture


def test_nostrils_say_how_dark_a_mouth_is(likeness: Likeness) -> None:
    hard, soft = (mouth_colours(face(likeness, h), likeness.landmarks) for h in (0.05, 0.5))
    assert (hard.soft, soft.soft) == (0, 1)
    assert (hard.tongue < 0.15 * SKIN).all() and (soft.tongue > 0.5 * SKIN).all()
    assert (hard.cavity < soft.cavity).all() and (soft.cavity < soft.tongue).all()
    for colours in (hard, soft):
        assert (colours.teeth > colours.tongue).all()
        assert np.ptp(colours.teeth) < np.ptp(SKIN) * colours.teeth.max() / SKIN.max()


def driven(likeness: Likeness, **changes: float) -> tuple[Shown, np.ndarray]:
    """The head in the photo's pose with other expressions, and its landmarks."""
    motion = likeness.motion._replace(expression=likeness.motion.expression.clone())
    for name, value in changes.items():
        motion.expression[0, likeness.head.expression_names.index(name)] += value
    shown = shown_points(likeness, Frame(motion, likeness.head_to_camera[None]))
    return shown, landmark_points(likeness.head, shown.points[None])[0].numpy()


def test_upper_teeth_begin_at_the_closed_lips_and_stay_with_the_skull(likeness: Likeness) -> None:
    seated = seat_teeth(likeness, source_points(likeness).points)
    rows = {part: seated.head.regions[part] for part in ("upper_teeth", "lower_teeth")}
    rest, opened = (driven(seated, jawOpen=jaw)[0].points for jaw in (0.0, 0.6))
    lip = likeness.landmarks[13, 1]
    assert float(rest[rows["upper_teeth"], 1].max()) == pytest.approx(lip, abs=1.0)
    torch.testing.assert_close(rest[rows["upper_teeth"]], opened[rows["upper_teeth"]])
    assert float((opened - rest)[rows["lower_teeth"], 1].mean()) > 5


def test_a_closed_mouth_is_left_alone_and_an_open_one_shows_teeth_and_tongue(
    likeness: Likeness,
) -> None:
    seated = seat_teeth(likeness, source_points(likeness).points)
    picture = face(likeness, 0.5)
    mouth = prepare_mouth(seated.head, picture, likeness.landmarks)
    for jaw in (0.0, 0.6):
        shown, marks = driven(seated, jawOpen=jaw, mouthSmileLeft=jaw, mouthSmileRight=jaw)
        frame = picture.copy()
        draw_mouth(frame, mouth, shown.points, shown.depth, marks)
        if jaw == 0:
            np.testing.assert_array_equal(frame, picture)
            continue
        column = frame[int(marks[13, 1]) + 2 : int(marks[14, 1]) - 2, int(marks[13, 0])]
        nearest = [
            np.linalg.norm(column - colour, axis=1)
            for colour in (mouth.colours.teeth, mouth.colours.tongue)
        ]
        is_tooth = nearest[0] < nearest[1]
        assert is_tooth[: len(is_tooth) // 4].any() and not is_tooth[len(is_tooth) // 2]
        outside = np.abs(frame.astype(int) - picture).sum(axis=2) > 0
        rows, columns = np.nonzero(outside)
        assert rows.min() > marks[0, 1] and rows.max() < marks[17, 1]
        assert columns.min() >= marks[61, 0] - 2 and columns.max() <= marks[291, 0] + 2


def test_the_dark_line_between_lips_goes_when_they_part(likeness: Likeness) -> None:
    picture = face(likeness, 0.5)
    rest, opened = (driven(likeness, jawOpen=jaw)[1] for jaw in (0.0, 0.5))
    line = ((rest[list(UPPER_LIP)] + rest[list(LOWER_LIP)]) / 2).round().astype(np.int32)
    cv2.polylines(picture, [line], False, (60, 20, 20), 2)
    lips = prepare_lips(picture, rest)
    assert lips is not None and prepare_lips(picture, opened) is None
    column, row = line[len(line) // 2]
    for marks, is_dark in ((rest, True), (opened, False)):
        frame = picture.copy()
        part(frame, lips, marks)
        assert (frame[row - 1 : row + 2, column].min() < 100) == is_dark
        assert (frame.astype(int) >= picture).all()
        np.testing.assert_array_equal(
            frame[line[0, 1], line[0, 0]], picture[line[0, 1], line[0, 0]]
        )
