"""The square and its inverse, and the plate behind the person."""

from __future__ import annotations

import numpy as np
import pytest

from avatars.stage.plate import PlateSums, background_plate, filled
from avatars.stage.square import Square, square_around


def smooth(height: int, width: int) -> np.ndarray:  # float32 [H, W, 3]
    y, x = np.mgrid[:height, :width] / max(height, width)
    image = np.stack([x, y, 0.5 + 0.3 * np.sin(4 * x + 3 * y)], axis=-1)
    return image.astype(np.float32)


@pytest.mark.parametrize("size", [120, 64, 200])
def test_paste_undoes_cut(size: int) -> None:
    frame = smooth(200, 260)
    square = Square(left=70, top=40, side=120, size=size, frame=(200, 260))
    back = square.paste(square.cut(frame), frame)
    inner = (slice(44, 156), slice(74, 186))  # resizing repeats the outermost pixels
    assert np.abs(back[inner] - frame[inner]).max() < 1 / 255
    if size == 120:
        assert np.abs(back - frame).max() < 1e-6


def test_the_seam_is_soft_inside_the_frame_and_absent_at_its_edges() -> None:
    square = Square(left=0, top=30, side=100, size=50, frame=(130, 200))
    seam = square.seam()[..., 0]
    assert seam[50, 0] == 1 and seam[-1, 50] == 1  # left and bottom are those of the frame
    assert seam[0, 50] < 0.05 and seam[50, -1] < 0.05
    assert np.abs(np.diff(seam[:, 50])).max() < 0.25
    frame = np.zeros((130, 200, 3), np.float32)
    pasted = square.paste(np.ones((50, 50, 3), np.float32), frame)
    assert (pasted[:30] == 0).all() and (pasted[:, 100:] == 0).all()
    assert pasted[80, 50, 0] == 1


def test_the_square_holds_the_face_and_lies_in_the_frame() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        height, width = rng.integers(200, 900, 2)
        face = rng.uniform(0.1, 0.45) * min(height, width)
        start = rng.uniform([0, 0], [width - face, height - face])
        points = start + rng.uniform(0, face, (30, 68, 2))
        square = square_around(points, (int(height), int(width)), 256)
        assert square.left >= 0 and square.left + square.side <= width
        assert square.top >= 0 and square.top + square.side <= height
        assert (points >= [square.left - 1, square.top - 1]).all()
        assert (points <= [square.left + square.side + 1, square.top + square.side + 1]).all()


def test_the_plate_shows_what_was_seen_and_continues_it_elsewhere() -> None:
    scene = (smooth(90, 120) * 255).round().astype(np.uint8)
    pairs = []
    for step in range(20):  # somebody of a flat colour who moves a little
        mask = np.zeros((90, 120), np.float32)
        mask[20:90, 40 + step // 2 : 75 + step // 2] = 1
        frame = scene.copy()
        frame[mask > 0] = (255, 0, 0)
        pairs.append((frame, mask))
    plate = background_plate(pairs, (90, 120))
    truth = scene / 255
    assert np.abs(plate.image - truth)[plate.known].max() < 0.01
    assert not plate.known[60, 60] and plate.known[60, 20]
    assert np.abs(plate.image - truth).max() < 0.25  # no ghost: the person is pure red
    red = plate.image[..., 0] - plate.image[..., 1:].mean(axis=-1)
    assert np.abs(red - (truth[..., 0] - truth[..., 1:].mean(axis=-1))).max() < 0.3


def test_filling_keeps_what_is_known_and_copes_with_nothing() -> None:
    image = smooth(33, 47)
    known = np.zeros((33, 47), bool)
    known[::5, ::7] = True
    result = filled(image, known)
    assert np.abs(result - image)[known].max() < 1e-6
    assert np.abs(result - image).max() < 0.15
    assert (filled(image, np.zeros_like(known)) == 0.5).all()
    sums = PlateSums((33, 47))
    sums.add(np.zeros((33, 47, 3), np.uint8), np.ones((33, 47)))
    assert np.isfinite(sums.plate().image).all()
