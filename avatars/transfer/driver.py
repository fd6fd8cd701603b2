"""Where driving motion comes from: a track, or a motion file."""

from __future__ import annotations

from avatars.tracking.track import Track
from avatars.transfer.performance import Performance


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
