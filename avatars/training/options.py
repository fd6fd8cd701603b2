"""What a user can ask of training an avatar."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from avatars.avatar.avatar import NARROW, WIDE
from dnr.errors import InputError
from dnr.training.options import ImageLosses

STEPS = 3500


@dataclass(frozen=True)
class AvatarOptions:
    """The command line of `train.py --kind avatar`."""

    source: Positional[Path]
    """Video of one person talking, best by a standing camera."""
    out: Path
    """Run folder to write: avatar, metrics and report."""
    kind: Literal["avatar"] = "avatar"
    """What is in front of the camera."""
    preset: Literal["best", "realtime"] = "best"
    """Size of the network: the better one, or the one for live pictures."""
    steps: int | None = None
    """Stop after so many gradient steps."""
    minutes: float | None = None
    """Stop after so many minutes of training."""
    size: int = 256
    """Side in pixels of the square picture that the avatar makes."""
    held_out: float = 0.2
    """Share of the clip, its end, that is kept for scoring; 0 trains on everything."""
    face: int | None = None
    """Which person to follow, 1 being the largest for longest; by default that one."""
    refine: bool = True
    """Refine the track on the pictures themselves before training."""
    ablate: tuple[Literal["moving_texture", "layers", "mouth", "normals"], ...] = ()
    """Leave parts out, to see what they are good for: the texture that changes with the face, hair
    and torso, the inside of the mouth, which way the surface faces."""
    losses: ImageLosses = field(default_factory=ImageLosses)
    """Further loss terms; adversarial gives sharper pictures that are less like the person."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    seed: int = 0
    """The same seed gives the same result."""
    resume: bool = False
    """Continue from the last checkpoint in the run folder."""
    yes: bool = False
    """Do not ask: the person agreed to this avatar, and an earlier run may be replaced."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 0), ("minutes", 0), ("size", 64), ("face", 1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"--{name} must be at least {least}, got {value}")
        if self.size % 8 or self.size > 1024:
            raise InputError(f"--size must be a multiple of 8 and at most 1024, got {self.size}")
        if not 0 <= self.held_out <= 0.9:
            raise InputError(f"--held-out must be from 0 to 0.9, got {self.held_out}")

    @property
    def widths(self) -> tuple[int, ...]:
        return WIDE if self.preset == "best" else NARROW
