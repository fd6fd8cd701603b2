"""What a user can ask of `reenact.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from avatars.transfer.transfer import ALL_REGIONS, Region, TransferOptions
from dnr.errors import InputError


@dataclass(frozen=True)
class ReenactOptions:
    """The command line of reenact.py."""

    source: Positional[Path]
    """Whom to animate: a run folder of `train.py --kind avatar`, or a portrait photo."""
    out: Path
    """Video to write (.mp4)."""
    driving: Path | None = None
    """What moves them: a video of a face, or a motion file (.npz)."""
    camera: int | None = None
    """Drive them live with this webcam instead, 0 being the first; Ctrl-C ends and keeps it."""
    audio: Literal["driver", "source", "none"] = "driver"
    """Whose sound the video keeps. The source's is that of the video the avatar was made from."""
    audio_file: Path | None = None
    """File to take the sound from instead."""
    background: str = "captured"
    """What is behind the person: captured, a colour such as green or #00ff00, or an image file."""
    side_by_side: bool = False
    """Show the driving video beside the result."""
    strength: float = 1.0
    """How much of the driver's expression; more than 1 exaggerates."""
    only: tuple[Region, ...] = ()
    """Drive only these; the rest stays at rest."""
    without: tuple[Region, ...] = ()
    """Drive everything but these."""
    pose: Literal["relative", "absolute"] = "relative"
    """Add the driver's turns to the avatar's usual pose, or take the driver's pose itself."""
    pose_strength: float = 1.0
    """How much of the driver's turns and shifts."""
    retarget_lids: bool = True
    """Open the lids as far as the driver's, between shut and wide, whatever the eyes' shape."""
    retarget_lips: bool = True
    """Open the mouth as far as the driver's, beyond each one's own closed mouth."""
    smooth: bool = True
    """Take out jitter; blinks stay."""
    neutral_frame: int | None = None
    """Frame of the driver that shows it at rest; by default rest is read off the whole clip."""
    face: int | None = None
    """Which person in the driving video, 1 being the largest for longest; by default that one."""
    portrait_face: int | None = None
    """Which face in a portrait photo, counted from the left from 1; by default the largest."""
    refine: bool = False
    """Refine the driver's track on its pictures: slower, steadier turns."""
    save_motion: Path | None = None
    """Also write the driver's motion to this file (.npz), to replay it without the video."""
    engine: Literal["auto", "built-in", "rome", "rome-linear"] = "auto"
    """What animates a photo; auto takes ROME where all of its files are, see `dnr doctor`."""
    models: Path | None = None
    """Folder with licensed files of yours; by default DNR_MODELS, or dnr/models in the cache."""
    mark: bool = False
    """Write the word "synthetic" into a corner. Metadata says it always."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    resume: bool = False
    """Continue a video that was interrupted."""
    yes: bool = False
    """Replace an older video of that name."""

    def __post_init__(self) -> None:
        if (self.driving is None) == (self.camera is None):
            raise InputError("give either --driving with a video or motion file, or --camera")
        if self.only and self.without:
            raise InputError("give --only or --without, not both")
        for name in ("strength", "pose_strength"):
            if not 0 <= getattr(self, name) <= 3:
                raise InputError(
                    f"--{name.replace('_', '-')} must be from 0 to 3, got {getattr(self, name)}"
                )
        if self.neutral_frame is not None and self.neutral_frame < 0:
            raise InputError(f"--neutral-frame must be 0 or more, got {self.neutral_frame}")
        if self.side_by_side and self.driving is not None and self.driving.suffix == ".npz":
            raise InputError("--side-by-side needs a driving video; a motion file has no pictures")

    @property
    def transfer(self) -> TransferOptions:
        """The part that says how motion is carried over."""
        regions = self.only or tuple(r for r in ALL_REGIONS if r not in self.without)
        return TransferOptions(
            strength=self.strength,
            regions=regions,
            pose=self.pose,
            pose_strength=self.pose_strength,
            retarget_lids=self.retarget_lids,
            retarget_lips=self.retarget_lips,
            smooth=self.smooth,
            neutral_frame=self.neutral_frame,
        )
