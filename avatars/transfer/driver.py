"""Where driving motion comes from: a track, or a motion file."""

from __future__ import annotations

from pathlib import Path

from avatars.heads.files import load_head
from avatars.tracking.track import Track
from avatars.transfer.performance import Performance, load_performance
from avatars.transfer.template import load_template

OWN, TEMPLATE = ".npz", ".pkl"


def is_motion_file(path: Path) -> bool:
    """Whether `path` is named like motion without pictures."""
    return path.suffix.lower() in (OWN, TEMPLATE)


def load_motion(path: Path) -> tuple[Performance, list[str]]:
    """The motion in a file that `reenact.py --save-motion` or LivePortrait wrote, and notes."""
    if path.suffix.lower() == TEMPLATE:
        return load_template(load_head(), path)
    return load_performance(path), []


def performance_of(track: Track) -> Performance:
    """The motion in a track, without the pictures' landmarks."""
    return Performance(
        track.head,
        track.identity,
        track.motion,
        track.head_to_camera,
        track.times,
        track.fps,
        track.found,
    )
