"""From bad photos and films, through the command's whole first half, to a sentence or to a part."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dnr.capture import build
from dnr.capture.build import CaptureOptions, build_capture
from dnr.errors import InputError
from dnr.files import read_json
from dnr.geometry.camera_files import read_frames
from dnr.images import png_bytes
from dnr.synthetic.config import SceneConfig, SceneName
from dnr.synthetic.render import render_view
from dnr.synthetic.room import FOV_DEG, TARGET
from dnr.synthetic.scenes import build_scene
from dnr.synthetic.viewpoints import aim
from dnr.video import write_video

pytest.importorskip("pycolmap")
SIZE = (270, 330)


def pictures(scene: SceneName, positions: np.ndarray, targets: np.ndarray, size=SIZE):
    """uint8 photos of a bench scene from some places."""
    cameras = aim(positions, targets, FOV_DEG, size)
    made = build_scene(SceneConfig(scene, size, 1, 0, texture_size=512))
    return [
        np.rint(render_view(made, cameras[k]).image * 255).astype(np.uint8)
        for k in range(len(cameras))
    ]


def around(count: int, distance: float) -> np.ndarray:  # [count, 3]
    """Places on a third of a circle."""
    angle = np.linspace(0.2, 0.2 + 0.13 * count, count)
    height = 0.3 + 0.2 * np.sin(2 * angle)
    return distance * np.stack([np.cos(angle), np.sin(angle), height], axis=1)


@pytest.fixture(scope="module")
def room() -> list[np.ndarray]:
    """Ten good photos of the room."""
    target = np.asarray(TARGET)
    return pictures("room", target + around(10, 1.7), target)


@pytest.fixture(autouse=True)
def without_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests look at is over when the cameras are found."""
    monkeypatch.setattr(build, "_reconstruct", lambda *_: None)


def written(folder: Path, photos: list[np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    for photo in photos:
        name = f"{len(list(folder.iterdir())):02d}.png"
        (folder / name).write_bytes(png_bytes(photo))
    return folder


def test_photos_of_nothing_are_a_sentence(tmp_path: Path) -> None:
    source = written(tmp_path / "blank", [np.full((60, 80, 3), 128, np.uint8)] * 9)
    with pytest.raises(InputError, match=r"9 of 9 have too few details.*Film again"):
        build_capture(source, tmp_path / "out", CaptureOptions(yes=True))
    assert not (tmp_path / "out" / "transforms.json").exists()


def test_films_that_are_none_are_a_sentence(tmp_path: Path) -> None:
    """Nothing is left behind that would stop the next try, with the same film or another."""
    for name, data, words in (
        ("Leer.mp4", b"", "is empty"),
        ("not a film.mp4", b"x" * 4000, "cannot be read as a video"),
    ):
        film = tmp_path / name
        film.write_bytes(data)
        for _ in range(2):
            with pytest.raises(InputError, match=words):
                build_capture(film, tmp_path / "out", CaptureOptions())


@pytest.mark.slow
def test_photos_that_are_all_blurred_are_a_sentence(room: list, tmp_path: Path) -> None:
    smear = np.zeros((61, 61), np.float32)
    smear[30] = 1 / 61
    blurred = [cv2.filter2D(photo, -1, smear) for photo in room]
    source = written(tmp_path / "moved while filming", blurred)
    with pytest.raises(InputError, match=r"(could be placed|fit together).*Film again"):
        build_capture(source, tmp_path / "out", CaptureOptions())


@pytest.mark.slow
def test_a_camera_that_only_turns_is_a_sentence(tmp_path: Path) -> None:
    place = TARGET + 1.7 * np.array([[0.62, 0.78, 0.35]])
    angle = np.linspace(0.3, 1.5, 10)
    away = np.stack([np.cos(angle), np.sin(angle), np.full(10, 0.2)], axis=1)
    turned = pictures("room", np.repeat(place, 10, axis=0), place - away)
    source = written(tmp_path / "tripod", turned)
    with pytest.raises(InputError, match=r"(turned on the spot|did not move).*Film again"):
        build_capture(source, tmp_path / "out", CaptureOptions())


@pytest.mark.slow
def test_ten_frames_in_a_folder_with_a_strange_name_are_enough(room: list, tmp_path: Path) -> None:
    strange = tmp_path / "Füchse über all 狐"
    strange.mkdir()
    write_video(strange / "mein film.mp4", iter(room), 10)
    out = strange / "auf nahme"
    build_capture(strange / "mein film.mp4", out, CaptureOptions(frames=10))
    assert len(read_frames(out / "transforms.json")) >= 8


@pytest.mark.slow
def test_of_two_scenes_in_one_folder_the_larger_is_used(room: list, tmp_path: Path) -> None:
    """Their photos have two sizes, and therefore two lenses."""
    middle = np.array([0.0, 0.0, 0.3])
    other = pictures("still-life", middle + around(8, 3.0) + [0, 0, 0.6], middle, (240, 300))
    source = written(tmp_path / "mixed", [*room, *other])
    notes = build_capture(source, tmp_path / "out", CaptureOptions())
    assert any("10 of 18 photos placed" in note for note in notes)
    assert any("two scenes" in note for note in notes)
    frames = read_frames(tmp_path / "out" / "transforms.json")
    assert {frame.lens.size for frame in frames} == {SIZE}
    assert len(read_json(tmp_path / "out" / "capture.json")["poses"]["left_out"]) == 8
