"""The layers that one photo is taken apart into."""

import numpy as np
import pytest

from avatars.oneshot.backdrop import take_apart
from avatars.oneshot.completion import completed
from avatars.oneshot.mouth import LOWER_LIP, UPPER_LIP, opening_of
from avatars.oneshot.own_mouth import cut_out, lay_in

HEIGHT, WIDTH = 120, 100


def gradient() -> np.ndarray:
    """A plain background, float [H, W, 3]."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return np.stack([60 + rows, 80 + 0.5 * columns, 100 + 0 * rows], axis=-1)


def disc(row: float, column: float, radius: float) -> np.ndarray:  # [H, W] bool
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def ring(column: float, row: float, radius: float) -> np.ndarray:  # [478, 2]
    angle = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    place = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (np.array([column, row]) + radius * place).astype(np.float32)


def test_background_goes_on_behind_the_person_and_other_people_stay_in_it() -> None:
    person, other = disc(60, 40, 18), disc(25, 85, 8)
    image = gradient()
    image[person], image[other] = (200, 30, 30), (20, 200, 20)
    layers = take_apart(
        image.astype(np.uint8), ring(40, 60, 15), lambda _: (person | other).astype(np.float32)
    )
    assert layers.person[60, 40] == pytest.approx(1, abs=1e-3) and layers.person[25, 85] == 0
    hidden = np.abs(layers.plate[person].astype(float) - gradient()[person])
    assert hidden.mean() < 6 and hidden.max() < 30
    assert (layers.plate[25, 85] == (20, 200, 20)).all()
    away = ~disc(60, 40, 30)
    np.testing.assert_array_equal(layers.plate[away], image.astype(np.uint8)[away])


def test_layers_of_a_room_and_its_pattern_go_on_behind_the_hole() -> None:
    rows, columns = np.indices((HEIGHT, WIDTH))
    wall = np.where(rows < 70, 200, 60) + 25 * ((rows // 4 + columns // 4) % 2)
    room = np.repeat(wall[..., None], 3, axis=2).astype(np.uint8)
    hole = (np.abs(columns - 50) < 22) & (rows > 25)
    seen = room.copy()
    seen[hole] = (255, 0, 0)
    made = completed(seen, ~hole)
    np.testing.assert_array_equal(made[~hole], room[~hole])
    assert np.ptp(made[hole].astype(int), axis=-1).max() <= 2, "nothing of the thing is left"
    for part, level in ((rows < 66, 212), (rows > 74, 72)):
        assert abs(made[hole & part].mean() - level) < 8
    assert made[hole & (rows < 66)].std() > 8  # not smeared
    np.testing.assert_array_equal(completed(seen, ~hole), made)
    np.testing.assert_array_equal(completed(seen, np.ones_like(hole)), seen)
    tiny = completed(seen[:9, :11], ~hole[:9, :11] & (columns[:9, :11] > 2))
    assert tiny.shape == (9, 11, 3)


def mouth_marks(half_gap: float, drop: float) -> np.ndarray:  # [478, 2]
    """An almond between (30, 60) and (70, 60), its chin `drop` lower than at rest."""
    marks = ring(50, 60, 40)
    across = np.linspace(30, 70, 11)
    arch = half_gap * np.sin(np.linspace(0, np.pi, 11))
    marks[list(UPPER_LIP)] = np.stack([across, 60 - arch], axis=1)
    marks[list(LOWER_LIP)] = np.stack([across, 60 + arch + drop * arch / half_gap], axis=1)
    for number in (152, 148, 377, 175, 199, 200):
        marks[number, 1] += drop
    return marks


def test_an_open_mouth_lies_where_it_was_and_parts_with_the_jaw() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    picture[:60], picture[60:] = (220, 210, 200), (150, 50, 50)  # teeth above, tongue below
    marks = mouth_marks(10, 0)
    rim = np.stack([marks[list(UPPER_LIP)], marks[list(LOWER_LIP)]])
    own = cut_out(picture, marks, rim, opening_of(rim))
    assert own is not None and cut_out(picture, marks, rim, 0.01) is None
    corner = np.array([30, 45])
    same = np.zeros((40, 40, 3), np.float32)
    lay_in(same, own, marks, corner)
    middle = np.s_[10:20, 10:30]
    original = picture[45:85, 30:70].astype(np.float32)
    assert np.abs(same[middle] - original[middle]).mean() < 8
    opened = np.zeros((40, 40, 3), np.float32)
    lay_in(opened, own, mouth_marks(10, 8), corner)
    assert np.abs(opened[8:12, 15:25] - (220, 210, 200)).max() < 3  # teeth stay with the skull
    assert np.abs(opened[27:30, 15:25] - (150, 50, 50)).max() < 3  # the tongue goes with the jaw
    assert opened[18:21, 15:25].mean() < 120  # and between them it is dark
