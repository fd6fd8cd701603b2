"""`dnr eval` on an avatar: its own video's held-out end, or somebody else's video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from avatars.avatar.files import SavedAvatar, load_avatar
from avatars.detectors.mediapipe import mediapipe_masker
from avatars.film.provenance import file_hash
from avatars.reenact.avatar_actor import avatar_actor
from avatars.reenact.backdrop import CAPTURED
from avatars.reenact.perform import acted, perform
from avatars.tracking.options import TrackOptions
from avatars.tracking.track import Track, load_track
from avatars.tracking.track_video import track_video
from avatars.training.clip import Clip, lay_out
from avatars.training.judging import DEFINITION, judge
from avatars.training.measures import DEFINITION as FOLLOWING
from avatars.training.measures import agreement, measured
from avatars.training.prepare import TRACK
from avatars.transfer.driver import performance_of
from avatars.transfer.transfer import TransferOptions
from dnr.errors import InputError
from dnr.footage import footage_frames, open_footage
from dnr.progress import progress

SHAPE_POINTS = 468
DRIFT = {
    "identity_drift": "mean over landmarks of how far the face's mean shape on the rendered frames "
    "(aligned by similarity, mouth and lids averaged over time) lies from that of the person's own "
    "video, in shares of the distance between driver and person: 0 is the person, 1 the driver"
}


def evaluate_avatar(
    run: Path, data: Path | None, split: str, device: torch.device
) -> dict[str, Any]:
    """Scores of the avatar in `run` on a video; by default its own, which gives most."""
    saved = load_avatar(run, device)
    source = saved.about.get("source", {})
    path = data or Path(str(saved.about.get("training", {}).get("source")))
    if not path.is_file():
        raise InputError(f"the video {path} is not there; give it, or another one, with --data")
    if file_hash(path) == source.get("sha256"):
        return _own(run, saved, path, split)
    return _others(run, path, device)


def _own(run: Path, saved: SavedAvatar, video: Path, split: str) -> dict[str, Any]:
    """Self-reenactment: rendered from the track of the very frames it is compared with."""
    with TemporaryDirectory() as folder:
        track = _track(run / TRACK, video, Path(folder))
        clip = _part(_laid_out(saved, track, video, Path(folder)), saved, split)
        judged = judge(saved.avatar, clip)
    return {split: judged.numbers, "definition": DEFINITION, "note": judged.note}


def _others(run: Path, video: Path, device: torch.device) -> dict[str, Any]:
    """Cross-reenactment: there is no truth, so motion is compared with the driver's."""
    actor = avatar_actor(run, device, CAPTURED)
    with TemporaryDirectory() as folder:
        wanted = TrackOptions(report=False, refine=False)  # as reenact.py does
        driver = performance_of(track_video(video, Path(folder) / TRACK, wanted, has_masks=False))
    performance = acted(driver, actor, TransferOptions())
    total = len(performance)

    def shown() -> Iterator[np.ndarray]:
        with progress(total, "rendering and measuring") as bar:
            for count, picture in enumerate(perform(actor, performance), 1):
                yield picture.image
                bar.update(count)

    frames = (frame.image for frame in footage_frames(open_footage(video)))
    theirs, their_points = measured(frames)
    made, made_points = measured(shown())
    numbers = agreement(theirs, made) | {"num_frames": total}
    own = load_track(run / TRACK)
    own_points = own.landmarks.numpy()[own.found.numpy()]
    if len(their_points) and len(made_points) and len(own_points):
        their, mine, ours = (mean_shape(p) for p in (their_points, made_points, own_points))
        drift = np.linalg.norm(mine - ours, axis=1).mean()
        apart = np.linalg.norm(their - ours, axis=1).mean()
        numbers["identity_drift"] = round(float(drift / max(apart, 1e-9)), 4)
    return {"driven": numbers, "definition": FOLLOWING | DRIFT}


def _track(kept: Path, video: Path, folder: Path) -> Track:
    return load_track(kept) if kept.is_dir() else track_video(video, folder / TRACK)


def _laid_out(saved: SavedAvatar, track: Track, video: Path, folder: Path) -> Clip:
    performance, points = performance_of(track), track.landmarks.numpy()
    square, masker = saved.around.square, mediapipe_masker()
    with progress(len(performance), "laying out frames") as shown:
        clip, _ = lay_out(
            open_footage(video), performance, points, track.focal, square, masker, folder,
            shown.update,
        )  # fmt: skip
    return clip


def _part(clip: Clip, saved: SavedAvatar, split: str) -> Clip:
    """The frames that training kept back, or those it saw."""
    share = saved.about.get("training", {}).get("held_out")
    if not isinstance(share, int | float) or not 0 <= share <= 0.9:
        raise InputError("asset.json does not say which frames were held out; train again")
    count = len(clip) - round(share * len(clip))
    if split == "test" and count == len(clip):
        raise InputError("this avatar was trained on all frames; evaluate it with another --data")
    return clip.part(count, len(clip)) if split == "test" else clip.part(0, count)


def mean_shape(points: np.ndarray) -> np.ndarray:  # [T, 478, 2] -> [468, 2]
    """The mean over frames once place, size and roll are taken out by the eyes."""
    points = points[:, :SHAPE_POINTS].astype(np.float64)
    across = points[:, 263] - points[:, 33]
    middle = (points[:, 263] + points[:, 33]) / 2
    axis = across / (across**2).sum(axis=1, keepdims=True)
    local = points - middle[:, None]
    x = (local * axis[:, None]).sum(axis=2)
    y = local[..., 1] * axis[:, None, 0] - local[..., 0] * axis[:, None, 1]
    return np.median(np.stack([x, y], axis=-1), axis=0)
