"""A video becomes a clip to train on: tracked, cut out, masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from avatars.avatar.avatar import AvatarConfig
from avatars.avatar.files import Surroundings
from avatars.detectors.mediapipe import PersonMasker, mediapipe_masker
from avatars.heads.files import load_head
from avatars.heads.head import Head
from avatars.stage.square import square_around
from avatars.tracking.options import TrackOptions
from avatars.tracking.track import Track
from avatars.tracking.track_video import track_video
from avatars.training.clip import Clip, lay_out
from avatars.training.options import AvatarOptions
from avatars.training.start import half_width_m
from avatars.transfer.driver import performance_of
from avatars.transfer.limits import Limits, limits
from avatars.transfer.neutral import Neutral, neck_places, neutral
from avatars.transfer.openings import eye_distance
from dnr.errors import InputError
from dnr.footage import footage_frames, open_footage
from dnr.progress import progress
from dnr.textures.pyramid import TextureConfig

LEAST_FRAMES = 30
TRACK = "track"
"""Where the track of the video is kept in the run folder."""
GAP = 8
"""Frames between training and held-out ones: neighbours are nearly equal."""
REST_SPREAD = (0.1, 0.15, 0.3)
"""Turn in radians, expression, and eye distances that count as equally far from rest."""


class LaidOut(NamedTuple):
    """The whole clip, and the background behind it."""

    clip: Clip
    plate: np.ndarray  # uint8 [H, W, 3]


@dataclass(frozen=True)
class Prepared:
    """What training starts from."""

    head: Head
    train: Clip
    held_out: Clip | None
    rest: Neutral
    limits: Limits
    around: Surroundings
    offsets: torch.Tensor  # [V]


def prepare(
    options: AvatarOptions, cache: Path, first: Callable[[Prepared], object] | None = None
) -> Prepared:
    """Track the video, and lay out its frames in `cache`.

    `first` is given what landmarks alone say, before the track is refined.
    """
    footage = open_footage(options.source)
    if footage.length is not None and footage.length < LEAST_FRAMES:
        raise _too_short(options.source, footage.length)  # before minutes of tracking
    laid: list[LaidOut] = []

    def at_once(track: Track) -> None:
        laid.append(_laid_out(options, track, cache))
        assert first is not None
        first(_prepared(options, track, laid[0]))

    wanted = TrackOptions(face=options.face, refine=options.refine, report=False)
    kept = options.out / TRACK
    place = kept if kept.is_dir() else cache / TRACK
    track = track_video(options.source, place, wanted, at_once if first is not None else None)
    return _prepared(options, track, laid[0] if laid else _laid_out(options, track, cache))


def _laid_out(options: AvatarOptions, track: Track, cache: Path) -> LaidOut:
    """The clip's pictures: they depend on the landmarks, which refining leaves as they are."""
    performance, points = performance_of(track), track.landmarks.numpy()
    if len(performance) < LEAST_FRAMES:
        raise _too_short(options.source, len(performance))
    square = square_around(points[track.found.numpy()], track.size, options.size)
    with progress(len(performance), "laying out frames") as shown:
        clip, plate = lay_out(
            open_footage(options.source), performance, points, track.focal, square,
            mediapipe_masker(), cache, shown.update,
        )  # fmt: skip
    return LaidOut(clip, plate)


def _prepared(options: AvatarOptions, track: Track, laid: LaidOut) -> Prepared:
    head, clip = load_head(track.head), replace(laid.clip, performance=performance_of(track))
    count = len(clip) - round(options.held_out * len(clip))
    train = clip.part(0, max(count - (GAP if options.held_out else 0), 1))
    held_out = clip.part(count, len(clip)) if options.held_out else None
    rest = neutral(head, train.performance)
    still = _still(options.source, head, clip, rest, mediapipe_masker())
    around = Surroundings(clip.square, still, laid.plate)
    ends = limits(train.performance, rest, neck_places(head, train.performance))
    return Prepared(head, train, held_out, rest, ends, around, track.offsets)


def _too_short(source: Path, frames: int) -> InputError:
    plural = "" if frames == 1 else "s"
    return InputError(
        f"{source} has {frames} frame{plural}; an avatar needs at least {LEAST_FRAMES}, better a "
        "minute of talking"
    )


def avatar_config(options: AvatarOptions, prepared: Prepared) -> AvatarConfig:
    """The avatar that `options` ask for, of the size of the clip's pictures."""
    clip, left_out = prepared.train, set(options.ablate)
    side = 256 if options.size <= 384 else 512
    return AvatarConfig(
        clip.lens,
        TextureConfig(size=side, channels=16, levels=4, colour_size=2 * side),
        half_width_m(clip),
        canvas=max(round(options.size * 0.75) // 8 * 8, 64),
        moving_channels=0 if "moving_texture" in left_out else 8,
        widths=options.widths,
        has_layers="layers" not in left_out,
        sees_normals="normals" not in left_out,
        hidden=("mouth", "tongue", "upper_teeth", "lower_teeth") if "mouth" in left_out else (),
    )


def _still(
    source: Path, head: Head, clip: Clip, rest: Neutral, masker: PersonMasker
) -> np.ndarray:  # uint8 [H, W, 4]
    """The frame in which the person is nearest to rest, and the person's mask."""
    number = nearest_to_rest(head, clip, rest)
    for frame in footage_frames(open_footage(source), start=number):
        mask = np.round(255 * masker(frame.image)).astype(np.uint8)
        return np.dstack([frame.image, mask])
    raise InputError(f"{source} ends before frame {number}; copy it again")


def nearest_to_rest(head: Head, clip: Clip, rest: Neutral) -> int:
    """Number of the frame in which pose and expression are most like `rest`."""
    performance = clip.performance
    turned = performance.head_to_camera[:, :, :3] - rest.rotation
    acted = performance.motion.expression - rest.expression
    shift = performance.head_to_camera[:, :, 3]
    shift = (shift - shift.median(dim=0).values) / eye_distance(head, performance.identity)
    parts = (turned.flatten(1), acted, shift)
    far = sum(part.norm(dim=1) / unit for part, unit in zip(parts, REST_SPREAD, strict=True))
    assert isinstance(far, torch.Tensor)
    return int(far.masked_fill(~performance.found, torch.inf).argmin())
