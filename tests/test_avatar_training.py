"""Training an avatar: it learns, resumes exactly, and is scored by known rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from toy_avatars import SIZE, toy_clip, toy_start

from avatars.training import steps
from avatars.training.boxes import box_mask
from avatars.training.consent import ask_consent
from avatars.training.measures import NAMES, agreement, measures
from avatars.training.options import AvatarOptions
from avatars.training.placing import place_layers
from avatars.training.run import train_avatar
from avatars.training.scores import compare, score_frames, similarity_map, summary
from avatars.training.state import averaged, new_state
from avatars.training.steps import step
from dnr.errors import InputError
from dnr.training.checkpoints import load_checkpoint, save_checkpoint
from dnr.training.options import ImageLosses
from dnr.video import write_video


def test_steps_make_it_better(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHIFT", "ROLL", "ZOOM"):  # a smaller task for so few steps
        monkeypatch.setattr(steps, name, 0.0)
    torch.manual_seed(0)
    clip, plate = toy_clip()
    avatar, _ = toy_start(clip, plate)
    before = summary(list(score_frames(avatar, clip, 6)), clip.masks)
    state = new_state(avatar, ImageLosses(), 400)
    for _ in range(70):
        step(state, clip, seed=0)
    with averaged(state) as shown:
        after = summary(list(score_frames(shown, clip, 6)), clip.masks)
    assert after["psnr_person_masked"] > before["psnr_person_masked"] + 0.5
    assert after["psnr_eyes_masked"] > before["psnr_eyes_masked"] + 0.5


@pytest.mark.parametrize("losses", [ImageLosses(), ImageLosses(adversarial=0.1)])
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path, losses: ImageLosses) -> None:
    clip, plate = toy_clip(frames=8)

    def fresh():
        torch.manual_seed(0)
        return new_state(toy_start(clip, plate)[0], losses, 6)

    whole = fresh()
    for _ in range(6):
        step(whole, clip, seed=3)
    first = fresh()
    for _ in range(3):
        step(first, clip, seed=3)
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, first, {"run": 1})
    second = fresh()
    load_checkpoint(path, second, {"run": 1})
    for _ in range(3):
        step(second, clip, seed=3)
    for name, value in whole.avatar.state_dict().items():
        assert torch.equal(value, second.avatar.state_dict()[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, second.average[name]), name
    with pytest.raises(InputError, match="another video"):
        load_checkpoint(path, fresh(), {"run": 2})


def test_similarity_is_that_of_the_literature() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 255, (60, 50))
    b = np.clip(a + rng.normal(0, 30, a.shape), 0, 255)
    ours = similarity_map(a, b)[8:-8, 8:-8].mean()
    theirs = structural_similarity(
        a,
        b,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )[1][8:-8, 8:-8].mean()
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_scores_of_a_known_error() -> None:
    clip, _ = toy_clip(frames=2)
    truth = clip.frames[0]
    render = truth.copy()
    mouth = box_mask(clip.landmarks[0], SIZE, "mouth")
    render[mouth] = np.clip(truth[mouth].astype(int) + 51, 0, 255)  # a fifth of the range
    numbers = compare(truth, render, clip.masks[0] > 127, clip.landmarks[0])
    assert numbers["psnr_mouth_masked"] == pytest.approx(-20 * np.log10(0.2), abs=0.3)
    assert numbers["psnr_eyes_masked"] == 99
    same = compare(truth, truth, clip.masks[0] > 127, clip.landmarks[0])
    assert same["psnr"] == 99 and same["ssim"] == pytest.approx(1)


def test_measures_see_mouth_and_turns_and_not_size() -> None:
    clip, _ = toy_clip()
    points = clip.landmarks.astype(np.float64)
    table = np.array([measures(frame) for frame in points])
    jaw = clip.performance.motion.expression.max(dim=1).values
    assert table.shape == (len(clip), len(NAMES))
    larger = np.array([measures(3 * frame + 10) for frame in points])
    assert np.allclose(table, larger)
    mouth = clip.performance.motion.expression[:, 24].numpy()
    assert np.corrcoef(table[:, 0], mouth)[0, 1] > 0.95 and float(jaw.max()) > 0
    assert agreement(table, table)["follows_mouth_open"] == 1
    assert agreement(table, np.full_like(table, np.nan))["detected"] == 0


def test_nobody_becomes_an_avatar_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--yes" in ask_consent(yes=True)["consent"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(InputError, match="agreement"):
        ask_consent(yes=False)


def test_layers_are_placed_so_that_frames_line_up() -> None:
    clip, plate = toy_clip()
    frames, masks = clip.frames.copy(), clip.masks.copy()
    avatar, _ = toy_start(clip, plate, has_layers=True)
    for index in range(len(clip)):  # a shirt that goes where the neck goes
        moved = avatar.neck_moved(clip.performance.frame(index))[0].round().int().tolist()
        row, left = 54 + moved[1], 12 + moved[0]
        frames[index][row:, left : left + 40] = (200, 30, 30)
        frames[index][row:, left + 16 : left + 22] = (20, 200, 30)
        masks[index][row:, left : left + 40] = 255
    place_layers(avatar, replace(clip, frames=frames, masks=masks))
    assert float(avatar.share.detach()) == 1


def test_sources_that_cannot_be_trained_on_are_refused_at_once(tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    write_video(short, [np.zeros((64, 64, 3), np.uint8)] * 5)
    for source, words in (
        (tmp_path / "missing.mp4", "no video"),
        (tmp_path, "no video"),
        (short, "has 5 frames"),
    ):
        with pytest.raises(InputError, match=words):
            train_avatar(AvatarOptions(source=source, out=tmp_path / "run", yes=True))
        assert not (tmp_path / "run").exists()


def test_a_perceptual_metric_sees_the_rendering_and_the_truth() -> None:
    clip, plate = toy_clip(frames=3)
    avatar, _ = toy_start(clip, plate)

    def distance(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (prediction - target).abs().mean(dim=(1, 2, 3))

    scored = list(score_frames(avatar, clip, lpips=distance))
    expected = [np.abs(item.truth.astype(float) - item.render).mean() / 255 for item in scored]
    assert summary(scored, clip.masks)["lpips"] == pytest.approx(np.mean(expected), abs=2e-3)
    assert "lpips" not in summary(list(score_frames(avatar, clip)), clip.masks)
