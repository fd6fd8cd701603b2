"""The avatar before the track is refined: it survives Ctrl-C, and training goes on from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_avatars import LENS, SIZE, toy_clip

from avatars.avatar.files import load_avatar
from avatars.tracking.track import Track, load_track, save_track
from avatars.training import prepare
from avatars.training.clip import Clip
from avatars.training.options import AvatarOptions
from avatars.training.run import train_avatar
from dnr.errors import InputError
from dnr.files import read_json
from dnr.video import write_video

FRAMES = 32


def toy_track(clip: Clip) -> Track:
    performance = clip.performance
    count = len(clip)
    return Track(
        performance.head,
        performance.identity,
        torch.zeros(5579),
        performance.motion,
        performance.head_to_camera,
        LENS.focal,
        (SIZE, SIZE),
        performance.fps,
        performance.times,
        torch.from_numpy(clip.landmarks),
        performance.found,
        torch.zeros(count),
        torch.eye(3)[:2].repeat(count, 1, 1),
    )


def test_ctrl_c_while_refining_leaves_the_first_avatar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, _ = toy_clip(frames=FRAMES)
    track = toy_track(clip)
    refined = replace(track, offsets=track.offsets + 1e-4)
    video, run = tmp_path / "me.mp4", tmp_path / "run"
    write_video(video, clip.frames, 25)
    patience = [False]

    def tracked(video: Path, out: Path, options: object, first) -> Track:
        if first is not None:
            first(track)
        if not patience[0]:
            raise KeyboardInterrupt
        out.mkdir(parents=True)
        save_track(out, refined)
        return load_track(out)

    monkeypatch.setattr(prepare, "track_video", tracked)
    options = AvatarOptions(source=video, out=run, steps=2, size=64, held_out=0.25, yes=True)
    with pytest.raises(KeyboardInterrupt):
        train_avatar(options)
    assert "can be driven" in capsys.readouterr().out
    first = load_avatar(run)
    picture = first.avatar.render(clip.performance.frame(3))
    assert float((picture.alpha[0, 0] - torch.from_numpy(clip.masks[3] / 255)).abs().mean()) < 0.2
    assert not (run / "cache").exists()

    patience[0] = True
    with pytest.raises(InputError, match="not empty"):  # not without a word
        train_avatar(replace(options, yes=False))
    train_avatar(replace(options, yes=False, resume=True))  # nobody is asked a second time
    saved = load_avatar(run)
    assert read_json(run / "metrics.json")["train"]["steps"] == 2
    assert saved.about["consent"] == first.about["consent"]
    assert np.allclose(saved.avatar.offsets, refined.offsets)
    assert read_json(run / "metrics.json")["test"]["num_frames"] == FRAMES // 4
