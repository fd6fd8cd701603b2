"""The made-up actors: what their films show is what the truth beside them says."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatars.heads.files import load_head
from avatars.heads.head import Head, Motion, head_vertices, landmark_points
from avatars.synthetic.actors import ACTORS, identity_of
from avatars.synthetic.film import FilmOptions, Truth, film, load_truth
from avatars.synthetic.performance import perform
from avatars.synthetic.posing import hair_offsets, posed, rest_shape
from avatars.synthetic.skin import find_texels
from avatars.synthetic.studio import FOCAL, project
from avatars.synthetic.voice import speak
from avatars.synthetic.zbuffer import draw
from dnr.errors import InputError
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize
from dnr.video import read_frames

FRAMES, SIZE = 20, 192
LIDS = (159, 145)  # of the right eye


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("actors") / "a"
    film(folder, FilmOptions("A", FRAMES, seed=3, size=SIZE))
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    return load_truth(folder)


@pytest.fixture(scope="module")
def frames(folder: Path) -> np.ndarray:  # [T, H, W, 3]
    return np.stack(list(read_frames(folder / "actor.mp4")))


def test_the_heads_own_code_gives_the_actors_landmarks(head: Head, truth: Truth) -> None:
    """Two implementations: the actor's in NumPy, and the one that trackers use."""
    numbers = [torch.from_numpy(field).float() for field in truth[:6]]
    identity, offsets, expression, gaze, neck, pose = numbers
    vertices = head_vertices(head, identity, Motion(expression, gaze, neck), offsets)
    points = landmark_points(head, vertices) @ pose[:, :, :3].transpose(1, 2) + pose[:, None, :, 3]
    pixels = points[..., :2] / points[..., 2:] * float(truth.focal) + SIZE / 2
    np.testing.assert_allclose(pixels, truth.landmarks, atol=2e-3)


def test_pupils_are_dark_and_lips_are_red_where_the_truth_has_them(
    truth: Truth, frames: np.ndarray
) -> None:
    checked, redness = 0, []
    for marks, image in zip(truth.landmarks, frames.astype(float), strict=True):
        lip, cheek = (image[tuple(np.floor(marks[mark]).astype(int)[::-1])] for mark in (17, 205))
        redness.append(lip[0] / lip[1] / (cheek[0] / cheek[1]))
        opening = np.linalg.norm(marks[LIDS[0]] - marks[LIDS[1]])
        if opening < 0.09 * np.linalg.norm(marks[33] - marks[263]):
            continue
        column, row = np.round(marks[468] - 0.5).astype(int)
        patch = image[row - 5 : row + 6, column - 9 : column + 10].sum(axis=2)
        found = np.unravel_index(patch.argmin(), patch.shape)
        assert np.hypot(found[0] - 5, found[1] - 9) < 2.3
        checked += 1
    assert checked > FRAMES // 2
    assert np.mean(redness) > 1.15


def test_the_voice_moves_with_the_jaw(head: Head) -> None:
    performance = perform(head, np.array([0.0, -0.1, -0.1]), 240, 30, seed=1)
    sound = speak(head, performance, 30, 200.0, seed=1)
    assert len(sound) == 240 / 30 * 24_000 and np.abs(sound).max() <= 1
    loudness = np.sqrt((sound.reshape(240, -1) ** 2).mean(axis=1))
    jaw = performance.expression[:, head.names("jawOpen")[0]]
    agreement = [np.corrcoef(np.roll(loudness, shift), jaw)[0, 1] for shift in range(-3, 4)]
    assert np.argmax(agreement) == 3 and agreement[3] > 0.6
    assert loudness[jaw < 1e-4].max() < 0.1 * loudness.max()
    spectrum = np.abs(np.fft.rfft(sound))
    assert 150 < np.fft.rfftfreq(len(sound), 1 / 24_000)[spectrum.argmax()] < 1500


def test_the_film_has_sound_of_the_same_length(folder: Path, frames: np.ndarray) -> None:
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    with av.open(str(folder / "actor.mp4")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert abs(samples / stream.codec_context.sample_rate - FRAMES / 30) < 0.1


def test_motion_is_smooth_and_plausible(head: Head) -> None:
    performance = perform(head, np.array([0.0, -0.1, -0.1]), 600, 30, seed=5)
    assert performance.expression.min() >= 0 and performance.expression.max() <= 1
    poses = Rotation.from_matrix(performance.head_to_camera[:, :, :3])
    steps = (poses[1:] * poses[:-1].inv()).magnitude()
    assert np.degrees(steps).max() < 4
    blink = performance.expression[:, head.names("eyeBlinkLeft")[0]]
    assert 3 <= (np.diff((blink > 0.8).astype(int)) == 1).sum() <= 15  # in 20 s
    yaw = np.degrees(np.arctan2(*performance.head_to_camera[:, 0:3:2, 2].T))
    assert 15 < np.ptp(yaw) and np.abs(performance.gaze).max() < 0.6
    turns = Rotation.from_rotvec(performance.neck)
    torso = poses * turns.inv()  # what is left is the torso: it hardly turns
    assert np.degrees((torso * torso[0].inv()).magnitude()).max() < 15


def test_the_same_seed_makes_the_same_performance(head: Head) -> None:
    joint = np.zeros(3)
    first, again, other = (perform(head, joint, 40, 30, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.expression, other.expression)
    people = [identity_of(actor, head) for actor in ACTORS.values()]
    assert np.linalg.norm(people[0] - people[1]) > 3


def test_its_own_zbuffer_sees_what_the_rasterizer_sees(head: Head) -> None:
    actor = ACTORS["B"]
    rest = rest_shape(head, identity_of(actor, head), hair_offsets(head, actor.look.hair_m))
    performance = perform(head, head.neck_joint.double().numpy() @ rest, 3, 30, seed=2)
    points = posed(head, rest, performance, 2)
    faces = head.faces.numpy()
    face_id, share = draw(project(points, 96)[faces], (96, 96))
    matrix = torch.tensor([[FOCAL * 96, 0, 48], [0, FOCAL * 96, 48], [0, 0, 1]])[None]
    camera = Camera(torch.eye(4)[None], matrix, (96, 96))
    seen = rasterize(torch.from_numpy(points).float(), head.faces, camera)
    same = face_id == seen.face_id[0].numpy()
    assert same.mean() > 0.998 and (face_id >= 0).mean() > 0.3
    gap = np.abs(share - seen.barycentric[0].numpy()).max(axis=2)
    assert gap[same].max() < 0.02


def test_the_texture_map_finds_the_template_again(head: Head) -> None:
    texels = find_texels(head, 128)
    assert texels.place.mean() > 0.5
    rows, columns = texels.place.nonzero()
    uv = np.stack([(columns + 0.5) / 128, 1 - (rows + 0.5) / 128], axis=1)
    for face in (1000, 4000, 7000):
        nearest = np.linalg.norm(uv - head.uv[head.uv_faces[face, 0]].numpy(), axis=1).argmin()
        corner = head.template[head.faces[face, 0]].numpy()
        assert np.linalg.norm(texels.point[nearest] - corner) < 0.01


def test_detectors_take_the_actor_for_a_face(frames: np.ndarray, truth: Truth) -> None:
    mediapipe = pytest.importorskip("avatars.detectors.mediapipe")
    detect = mediapipe.mediapipe_detector()
    for index in range(0, FRAMES, 5):
        faces = detect(frames[index])
        assert len(faces) == 1
        marks = truth.landmarks[index]
        gap = np.linalg.norm(faces[0].points[:, :2] - marks, axis=1)
        assert np.median(gap) < 0.05 * np.linalg.norm(marks[33] - marks[263])


def test_options_out_of_range_and_taken_folders_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="--size must be 64 to 1024, got 10"):
        FilmOptions(size=10)
    with pytest.raises(InputError, match="exists already"):
        film(folder, FilmOptions(frames=1, size=64))
