"""A head file of the user's own in the tracker: a FLAME follows a made-up person."""

from pathlib import Path

import pytest
import torch
from test_flame_head import Fitted, fitted  # noqa: F401

from avatars.flame.as_head import flame_head
from avatars.heads.files import load_head, write_head
from avatars.heads.head import Head, head_vertices, landmark_points
from avatars.synthetic.film import FilmOptions, film
from avatars.tracking.options import TrackOptions
from avatars.tracking.track import camera, load_track
from avatars.tracking.track_video import track_video
from dnr.errors import InputError
from dnr.geometry.meshes import Mesh


@pytest.fixture
def flame_file(fitted: Fitted, tmp_path: Path) -> Path:  # noqa: F811
    flame, other = fitted.flame, fitted.head
    template = Mesh(flame.template, flame.faces, other.uv, other.uv_faces, flame.faces)
    head = flame_head(flame, dict(other.regions), template, other, fitted.pairing, fitted.table)
    write_head(tmp_path / "flame-head.npz", head)
    return tmp_path / "flame-head.npz"


def test_flame_follows_a_film(flame_file: Path, tmp_path: Path) -> None:
    film(tmp_path / "film", FilmOptions(frames=6, size=160, fps=5))
    options = TrackOptions(head=str(flame_file), refine=False)
    track = track_video(tmp_path / "film" / "actor.mp4", tmp_path / "track", options)
    head: Head = load_head(track.head)
    assert track.head == str(flame_file) == head.name and len(track.identity) == 100
    vertices = head_vertices(head, track.identity, track.motion)
    ours = camera(track, torch.arange(6)).project(landmark_points(head, vertices))[..., :2]
    width = (track.landmarks[:, 33] - track.landmarks[:, 263]).norm(dim=-1)
    miss = (ours - track.landmarks).norm(dim=-1)[:, :468].mean(dim=1) / width
    assert miss.max() < 0.05 and track.found.all()
    assert (tmp_path / "track" / "report" / "overlay.mp4").is_file()
    assert load_track(tmp_path / "track").head == track.head
    with pytest.raises(InputError, match="other options"):
        track_video(tmp_path / "film" / "actor.mp4", tmp_path / "track")


def test_a_head_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz"):
        load_head(str(tmp_path / "none.npz"))
    with pytest.raises(InputError, match=r"or a head file \(\.npz\)"):
        load_head("smpl")
