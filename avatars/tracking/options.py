"""What can be asked of the tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dnr.errors import InputError


@dataclass(frozen=True)
class TrackOptions:
    """How a head is followed."""

    face: int | None = None
    """Which person to follow, 1 being the largest for longest; by default that one."""
    detector: Literal["mediapipe", "face-alignment"] = "mediapipe"
    """What finds the faces; face-alignment needs its package and weights."""
    landmarks: Path | None = None
    """Recorded landmarks (.npz) to use instead of a detector."""
    focal: float | None = None
    """Focal length in pixels, if known; by default 1.8 times the frame's shorter side."""
    head: str = "anny"
    """Which head to fit: anny, or a file (.npz) that python -m avatars.flame made of your FLAME."""
    refine: bool = True
    """Correct shape and pose by the pictures themselves, where landmarks cannot see."""
    report: bool = True
    """Write the page with the overlay video, which takes some time."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""

    def __post_init__(self) -> None:
        if self.focal is not None and not 10 <= self.focal <= 1e6:
            raise InputError(f"--focal must be 10 to 1000000 pixels, got {self.focal}")
