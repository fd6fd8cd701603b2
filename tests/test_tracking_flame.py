"""A head file of the user's own in the tracker: a FLAME follows a made-up person."""

from pathlib import Path

import numpy as np
import pytest
import torch
from flame_like import write_flame_like, write_flame_parts

from avatars.flame.__main__ import main
from avatars.heads.files import load_head
from avatars.heads.head import head_vertices, landmark_points
from avatars.synthetic.film import FilmOptions, film
from avatars.tracking.options import TrackOptions
from avatars.tracking.outline import overlap_of_outlines
from avatars.tracking.pictures import read_mask
from avatars.tracking.track import camera, crop_camera
from avatars.tracking.track_video import track_video
from dnr.errors import InputError


@pytest.fixture
def flame_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The head that `python -m avatars.flame` makes of files in FLAME's layout."""
    models = tmp_path / "models"
    write_flame_like(models)
    write_flame_parts(models)
    monkeypatch.setattr("avatars.model_files.user_cache", lambda: tmp_path / "cache")
    main(tmp_path / "flame-head.npz", models)
    return tmp_path / "flame-head.npz"


def test_flame_follows_a_film(flame_file: Path, tmp_path: Path) -> None:
    film(tmp_path / "film", FilmOptions(frames=5, size=128, fps=4))
    options = TrackOptions(head=str(flame_file))
    track = track_video(tmp_path / "film" / "actor.mp4", tmp_path / "track", options)
    head = load_head(track.head)
    assert track.head == str(flame_file) == head.name and len(track.identity) == 100
    vertices = head_vertices(head, track.identity, track.motion)
    ours = camera(track, torch.arange(5)).project(landmark_points(head, vertices))[..., :2]
    width = (track.landmarks[:, 33] - track.landmarks[:, 263]).norm(dim=-1)
    miss = (ours - track.landmarks).norm(dim=-1)[:, :468].mean(dim=1) / width
    assert miss.max() < 0.05 and track.found.all()
    masks = np.stack([read_mask(tmp_path / "track", frame) for frame in range(5)])
    grown = head_vertices(head, track.identity, track.motion, track.offsets)
    overlap = overlap_of_outlines(head, grown, crop_camera(track, torch.arange(5)), masks)
    assert overlap.mean() > 0.9
    assert (tmp_path / "track" / "report" / "overlay.mp4").is_file()
    with pytest.raises(InputError, match="other options"):
        track_video(tmp_path / "film" / "actor.mp4", tmp_path / "track")


def test_a_head_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz"):
        load_head(str(tmp_path / "none.npz"))
    with pytest.raises(InputError, match=r"or a head file \(\.npz\)"):
        load_head("smpl")
