"""The benchmark of heads: its tables, and its measures on tracks that are known to be right."""

import numpy as np
import pytest
import torch

from avatars.heads.files import load_head
from avatars.heads.head import Motion, head_vertices, landmark_points
from avatars.synthetic.film import FilmOptions, Truth, film, load_truth
from avatars.tracking.track import Track, camera
from benchmarks.heads import ACTOR_COLUMNS, CLIP_COLUMNS, head_tables
from benchmarks.heads_measures import against_truth, agreement

HEAD = load_head()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = tmp_path_factory.mktemp("film") / "actor"
    film(folder, FilmOptions(frames=24, size=64, fps=12))
    return load_truth(folder)


@pytest.fixture
def perfect(truth: Truth) -> Track:
    """The truth as a track."""
    identity, offsets, *series = (torch.from_numpy(np.asarray(x)).float() for x in truth[:6])
    frames = len(truth.expression)
    track = Track(
        "anny", identity, offsets, Motion(*series[:3]), series[3], float(truth.focal), (64, 64),
        12.0, torch.arange(frames).double() / 12, torch.zeros(frames, 478, 2),
        torch.ones(frames, dtype=torch.bool), torch.zeros(frames), torch.zeros(frames, 2, 3),
    )  # fmt: skip
    vertices = head_vertices(HEAD, identity, track.motion, offsets)
    points = camera(track, torch.arange(frames)).project(landmark_points(HEAD, vertices))
    track.landmarks[:] = points[..., :2]
    return track


def test_the_truth_has_no_error(perfect: Track, truth: Truth) -> None:
    values = against_truth(perfect, truth)
    assert values["face_error"] < 0.01 and values["gaze_deg"] < 0.01 and values["yaw_sd"] < 0.01
    assert values["jaw_open_r"] > 0.9999
    own = agreement(perfect)
    assert own["detected"] < 0.01 and own["mouth_r"] > 0.9999 and own["lost"] == 0
    assert own["jitter"] == pytest.approx(1, abs=1e-3)


def test_a_known_shift_is_measured(perfect: Track, truth: Truth) -> None:
    """One hundredth of the eye distance to the side, in metres before the camera."""
    points = landmark_points(HEAD, HEAD.template[None])[0]
    step = 0.01 * float((points[33] - points[263]).norm())
    perfect.head_to_camera[:, 0, 3] += step
    assert against_truth(perfect, truth)["face_error"] == pytest.approx(1, abs=0.2)


def test_clips_and_actors_have_tables() -> None:
    stamp = {"commit": "abc", "date": "2026-01-01", "machine": "none", "cpu_ms_per_frame": 20.0}
    clip = dict.fromkeys(CLIP_COLUMNS.values(), 0.5) | {"video": "a.mp4", "stage": "landmarks"}
    actor = dict.fromkeys(ACTOR_COLUMNS.values(), 1.25) | {"video": "actor A", "stage": "pictures"}
    text = head_tables([clip | stamp, actor | stamp])
    assert "| a.mp4 | landmarks | 0.5 |" in text and "| actor A | pictures | 1.25 |" in text
    assert text.count("**Heads") == 2 and text.endswith("none.")
