"""Films that make tracking hard: something comes out, and the doubtful frames are marked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatars.heads.files import load_head
from avatars.synthetic.actors import ACTORS, identity_of
from avatars.synthetic.performance import Performance, perform
from avatars.synthetic.posing import hair_offsets, posed, rest_shape
from avatars.synthetic.studio import open_studio, project, take_picture
from avatars.tracking.doubt import WORDS
from avatars.tracking.options import TrackOptions
from avatars.tracking.summary import DOUBTFUL, summary
from avatars.tracking.track import Track
from avatars.tracking.track_video import track_video
from dnr.video import write_video

HEAD = load_head()
FRAMES, SIZE = 8, 192
FAST = TrackOptions(refine=False, report=False)
Frames = list[np.ndarray]


def pictures(actor: str, performance: Performance) -> tuple[Frames, list[np.ndarray]]:
    """Frames, and the 478 points in each."""
    person = ACTORS[actor]  # type: ignore[index]
    rest = rest_shape(HEAD, identity_of(person, HEAD), hair_offsets(HEAD, person.look.hair_m))
    studio = open_studio(HEAD, person, SIZE)
    corners = HEAD.faces[HEAD.landmark_faces].numpy()
    share = HEAD.landmark_bary.double().numpy()[..., None]
    images, points = [], []
    for frame in range(len(performance.expression)):
        vertices = posed(HEAD, rest, performance, frame)
        images.append(take_picture(studio, vertices, frame))
        points.append(project((vertices[corners] * share).sum(axis=1), SIZE)[:, :2])
    return images, points


@pytest.fixture(scope="module")
def performance() -> Performance:
    return perform(HEAD, np.array([0.0, -0.1, -0.08]), FRAMES, 10.0, 3)


@pytest.fixture(scope="module")
def film(performance: Performance) -> tuple[Frames, list[np.ndarray]]:
    return pictures("A", performance)


@pytest.fixture
def follow(tmp_path: Path) -> Callable[..., tuple[Track, list[str]]]:
    def run(frames: Frames, options: TrackOptions = FAST) -> tuple[Track, list[str]]:
        write_video(tmp_path / "film.mp4", iter(frames), 10.0)
        track = track_video(tmp_path / "film.mp4", tmp_path / "track", options)
        rows = (tmp_path / "track" / "quality.csv").read_text().splitlines()[1:]
        return track, [row.rsplit(",", 1)[-1] if '"' not in row else row for row in rows]

    return run


def painted(image: np.ndarray, outline: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    over = image.copy()
    cv2.fillConvexPoly(over, cv2.convexHull(outline.astype(np.int32)), colour, cv2.LINE_AA)
    return over


def test_a_face_half_outside_is_doubtful(film, follow) -> None:
    frames, points = film
    left = round(float(points[5][[133, 362], 0].mean()))
    aside = [
        frame if k < 5 else np.concatenate([frame[:, left:], np.full_like(frame[:, :left], 90)], 1)
        for k, frame in enumerate(frames)
    ]
    track, _ = follow(aside)
    assert track.doubt[:4].max() < DOUBTFUL <= track.doubt[5:].min()


def test_a_profile_is_doubtful(performance: Performance, follow) -> None:
    """Farther and farther round, until the detector sees nothing, or nonsense."""
    poses = performance.head_to_camera.copy()
    for frame, degrees in enumerate(np.linspace(0, 95, FRAMES)):
        turn = cv2.Rodrigues(np.array([0, np.radians(degrees), 0]))[0]
        poses[frame, :, :3] = poses[0, :, :3] @ turn
    frames, _ = pictures("A", performance._replace(head_to_camera=poses))
    track, why = follow(frames)
    assert track.doubt[:2].max() < DOUBTFUL <= track.doubt[5:7].min()
    assert WORDS["turned"] in why[5] or WORDS["lost"] in why[5]


def test_of_two_people_one_is_followed(film, performance, follow, tmp_path: Path) -> None:
    others, _ = pictures("B", performance)
    small = [cv2.resize(image, None, fx=0.7, fy=0.7) for image in others]
    wall = np.full((SIZE - len(small[0]), len(small[0]), 3), 90, np.uint8)
    both = [
        np.concatenate([one, np.concatenate([wall, other])], axis=1)
        for one, other in zip(film[0], small, strict=True)
    ]
    track, _ = follow(both)
    assert (track.landmarks[..., 0].mean(dim=1) < SIZE).all() and track.found.all()
    second = track_video(tmp_path / "film.mp4", tmp_path / "second", replace(FAST, face=2))
    assert (second.landmarks[..., 0].mean(dim=1) > SIZE).all() and second.found.all()


def test_sunglasses_and_a_hand_are_seen(film, follow) -> None:
    """The hand catches more light than the face; one of the same shade would pass for skin."""
    frames, points = list(film[0]), film[1]
    for eye in ([70, 107, 133, 119, 50], [336, 300, 263, 280, 348]):
        frames[6] = painted(frames[6], points[6][eye], (12, 12, 14))
    mouth = points[7][[234, 454, 152, 172, 397, 4]] + [0, 10]
    frames[7] = painted(frames[7], mouth, (232, 190, 165))
    track, why = follow(frames, TrackOptions(report=False))
    assert track.doubt[:6].max() < DOUBTFUL <= track.doubt[6:].min()
    assert all(WORDS["covered"] in row or WORDS["lost"] in row for row in why[6:])


def test_a_tiny_face_is_found_and_doubtful(film, follow) -> None:
    """48 pixels from brow to chin, in a picture ten times as wide."""
    frames, points = film
    scale = 48 / float(np.ptp(points[0][:468, 1]))
    wide = []
    for frame in frames:
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        whole = np.full((240, 480, 3), 120, np.uint8)
        whole[60 : 60 + len(small), 200 : 200 + len(small)] = small
        wide.append(whole)
    track, why = follow(wide)
    assert track.found.float().mean() > 0.7 and WORDS["width_px"] in why[3]
    assert (track.landmarks[3].mean(dim=0) > track.landmarks.new_tensor([190, 50])).all()


def test_greys_are_tracked_as_well(film, follow) -> None:
    greys = [
        np.repeat(frame.mean(axis=2, keepdims=True).astype(np.uint8), 3, 2) for frame in film[0]
    ]
    track, _ = follow(greys)
    assert track.found.all() and track.doubt.max() < DOUBTFUL


def test_one_frame_is_one_frame(film, follow) -> None:
    track, _ = follow(film[0][:1])
    assert summary(track)[0].startswith("1 frame,") and len(track) == 1
