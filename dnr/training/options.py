"""What a user can ask of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from dnr.errors import InputError


@dataclass(frozen=True)
class ImageLosses:
    """Weights of terms beside the L1, for presets whose renderer looks at images: paper, unet."""

    ssim: float = 0.0
    """One minus structural similarity."""
    gradient: float = 0.0
    """L1 between differences of neighbouring pixels: sharper edges."""
    lpips: float = 0.0
    """Learned perceptual distance; needs the lpips package and its weights on this machine."""
    adversarial: float = 0.0
    """A critic that learns to tell renders from photos (least squares, patches): sharper texture,
    less faithful to the photos."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise InputError(f"--losses.{name} must be 0 or more, got {value}")

    @property
    def any(self) -> bool:
        return any(vars(self).values())


@dataclass(frozen=True)
class TrainOptions:
    """The command line of train.py."""

    source: Positional[Path]
    """Video, folder of photos, or capture folder: transforms.json, images and a mesh."""
    out: Path
    """Run folder to write: asset, metrics and report."""
    kind: Literal["scene"] = "scene"
    """What is in front of the camera. A person: --kind avatar, which has options of its own
    (--kind avatar --help)."""
    mesh: Path | None = None
    """Mesh to use instead of the capture's own: OBJ, PLY or GLB."""
    preset: Literal["preview", "paper", "unet", "pixel", "best", "realtime"] = "best"
    """Texture, renderer, losses and budget that belong together."""
    steps: int | None = None
    """Stop after so many gradient steps; by default the preset's number."""
    minutes: float | None = None
    """Stop after so many minutes."""
    size: int | None = None
    """Height in pixels to train at; by default that of the images."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    seed: int = 0
    """The same seed gives the same result."""
    exposure: bool = False
    """Learn a gain per photo and channel, for cameras whose exposure or white balance drifts."""
    refine_cameras: bool = False
    """Before training, move, turn and zoom each camera a little until its photo fits the others."""
    background: Literal["auto", "solid", "captured", "random"] = "auto"
    """What lies behind the mesh: one colour, a panorama of what the photos show there, or, while
    training on masked photos, a new random colour in every step (then one colour). auto captures
    unless the photos have masks or a plain background."""
    object: bool = False
    """While making a capture of a video or photos, keep only the thing in the middle: with the
    photos' masks or, without any, with new ones."""
    turntable: bool = False
    """At the end, also render a turntable, as a video in the run folder and its report."""
    losses: ImageLosses = field(default_factory=ImageLosses)
    """Further loss terms for the presets paper and unet."""
    resume: bool = False
    """Continue from the last checkpoint in the run folder."""
    yes: bool = False
    """Do not ask before replacing a run that is there already."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 0), ("minutes", 0), ("size", 16)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"--{name} must be at least {least}, got {value}")
