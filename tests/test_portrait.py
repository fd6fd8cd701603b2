"""Pictures of every odd kind become 8-bit RGB, or are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from posed_face import PHOTO, posed_face

from avatars.detectors.faces import LEFT_EYE_OUTER, NUM_POINTS, RIGHT_EYE_OUTER, Face
from avatars.oneshot import actor
from avatars.oneshot.choose_face import choose_face
from avatars.oneshot.portrait import LONGEST_SIDE, read_portrait
from dnr.errors import InputError

SIZE = (96, 80)


def ramp() -> np.ndarray:
    """uint8 [96, 80, 3]: red to the right, green downwards."""
    rows, columns = np.indices(SIZE)
    return np.stack([2 * columns, 2 * rows, np.full(SIZE, 60)], axis=-1).astype(np.uint8)


def face(left: float, width: float) -> Face:
    points = np.random.default_rng(0).uniform(0, 1, (NUM_POINTS, 2)) * [width, 40] + [left, 20]
    points[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER]] = [[left + 2, 30], [left + width - 2, 32]]
    return Face(points.astype(np.float32), 1.0)


def test_modes_become_rgb(tmp_path: Path) -> None:
    picture = Image.fromarray(ramp())
    for mode, name in (("RGB", "a.png"), ("L", "b.png"), ("P", "c.png"), ("1", "d.png")):
        picture.convert(mode).save(tmp_path / name)
        image = read_portrait(tmp_path / name).image
        expected = np.asarray(picture.convert(mode).convert("RGB"))
        np.testing.assert_array_equal(image, expected)


def test_cmyk_is_near_its_colours(tmp_path: Path) -> None:
    Image.fromarray(ramp()).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    difference = read_portrait(tmp_path / "a.jpg").image.astype(int) - ramp()
    assert np.abs(difference).mean() < 4


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    portrait = read_portrait(tmp_path / "a.png")
    np.testing.assert_allclose(portrait.image[..., 1], levels / 257, atol=0.51)
    assert "16 bits" in portrait.notes[0]


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    picture = np.dstack([ramp(), np.full(SIZE, 255, np.uint8)])
    picture[:40, :, 3] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    portrait = read_portrait(tmp_path / "a.png")
    assert (portrait.image[:40] == 255).all()
    np.testing.assert_array_equal(portrait.image[40:], ramp()[40:])
    assert "transparent" in portrait.notes[0]


def test_cameras_rotation_is_undone(tmp_path: Path) -> None:
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(ramp())))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise to see it upright
    turned.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_portrait(tmp_path / "a.png").image, ramp())


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(ramp() // (1 + index)) for index in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    portrait = read_portrait(tmp_path / "a.png")
    np.testing.assert_array_equal(portrait.image, ramp())
    assert "animated" in portrait.notes[0]


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500), (10, 20, 30)).save(tmp_path / "a.jpg")
    portrait = read_portrait(tmp_path / "a.jpg")
    assert portrait.image.shape == (LONGEST_SIDE // 2, LONGEST_SIDE, 3)
    assert "its longest side was 3000" in portrait.notes[0]


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.jpg cannot be read as a picture"):
        read_portrait(tmp_path / "a.jpg")


def test_cut_off_and_tiny_and_bombs_are_refused(tmp_path: Path) -> None:
    Image.fromarray(ramp()).resize((400, 400)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_portrait(tmp_path / "a.jpg")
    Image.new("L", (20, 30)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="only 20 x 30 pixels"):
        read_portrait(tmp_path / "b.png")
    Image.new("1", (30_000, 30_000)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match="more than 200 million pixels"):
        read_portrait(tmp_path / "c.png")


def test_the_largest_face_is_chosen_and_named() -> None:
    image, notes = np.zeros((100, 200, 3), np.uint8), []
    faces = [face(120, 60), face(10, 40)]
    points = choose_face(Path("a.jpg"), image, lambda _: faces, None, notes)
    np.testing.assert_array_equal(points, faces[0].points)
    assert "2 faces were found; number 2 from the left" in notes[0]
    points = choose_face(Path("a.jpg"), image, lambda _: faces, 1, [])
    np.testing.assert_array_equal(points, faces[1].points)


def test_faces_that_cannot_be_used_are_refused() -> None:
    image = np.zeros((100, 200, 3), np.uint8)

    def refuse(faces: list[Face], words: str, number: int | None = None) -> None:
        with pytest.raises(InputError, match=words):
            choose_face(Path("a.jpg"), image, lambda _: faces, number, [])

    refuse([], "no face was found in a.jpg")
    refuse([face(10, 40)], "--portrait-face 2 is not there", 2)
    refuse([face(-20, 60)], "partly outside")
    refuse([face(10, 20)], "only (19|20) pixels wide")
    lying = face(10, 60)
    refuse([Face(lying.points[:, ::-1] * 0.9, 1.0)], "lies on its side")


def test_faces_turned_far_aside_are_refused_and_half_turned_ones_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (PHOTO[1], PHOTO[0]), (150, 120, 110)).save(tmp_path / "a.png")
    monkeypatch.setattr(actor, "mediapipe_detector", lambda: None)
    everything = np.ones(PHOTO, np.float32)
    monkeypatch.setattr(actor, "mediapipe_masker", lambda: lambda _: everything)
    for degrees in (62, 36):
        pixels = posed_face(degrees)
        monkeypatch.setattr(actor, "choose_face", lambda *_, points=pixels: points)
        if degrees > actor.MOST_TURNED_DEG:
            with pytest.raises(InputError, match=r"a\.png is turned away by \d\d degrees"):
                actor.portrait_actor(tmp_path / "a.png")
        else:
            _, notes = actor.portrait_actor(tmp_path / "a.png")
            assert "a frontal one moves better" in notes[-1]
