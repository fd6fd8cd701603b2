"""What a user can ask of `reenact.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from avatars.film.kinds import kind_of
from avatars.reenact.backdrop import CAPTURED, TRANSPARENT
from avatars.transfer.driver import is_motion_file
from avatars.transfer.transfer import TransferOptions
from dnr.errors import InputError


@dataclass(frozen=True)
class ReenactOptions:
    """The command line of reenact.py."""

    source: Positional[Path]
    """Whom to animate: a run folder of `train.py --kind avatar`, or a portrait photo."""
    out: Path
    """Video to write: .mp4, or .mov with a transparent background."""
    driving: Path | None = None
    """What moves them: a video of a face, motion (.npz), or a LivePortrait template (.pkl)."""
    camera: int | None = None
    """Drive them live with this webcam instead, 0 being the first; Ctrl-C ends and keeps it."""
    audio: Literal["driver", "source", "none"] = "driver"
    """Whose sound the video keeps. The source's is that of the video the avatar was made from."""
    audio_file: Path | None = None
    """File to take the sound from instead."""
    background: str = CAPTURED
    """What is behind the person: captured, transparent, a colour such as green or #00ff00, or an
    image file."""
    side_by_side: bool = False
    """Show the driving video beside the result."""
    face: int | None = None
    """Which person in the driving video, 1 being the largest for longest; by default that one."""
    portrait_face: int | None = None
    """Which face in a portrait photo, counted from the left from 1; by default the largest."""
    refine: bool = False
    """Refine the driver's track on its pictures: slower, steadier turns."""
    save_motion: Path | None = None
    """Also write the driver's motion to this file (.npz), to replay it without the video."""
    engine: Literal["auto", "built-in", "rome", "rome-linear"] = "auto"
    """What animates a photo; auto takes ROME where its files and a GPU are, see `dnr doctor`."""
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
    transfer: Annotated[TransferOptions, arg(name="")] = field(default_factory=TransferOptions)

    def __post_init__(self) -> None:
        if (self.driving is None) == (self.camera is None):
            raise InputError("give either --driving with a video or motion file, or --camera")
        if (self.background == TRANSPARENT) != kind_of(self.out).has_alpha:
            raise InputError(
                f"--background {TRANSPARENT} and an --out that ends in .mov belong together: no "
                "other film can be transparent, and that kind is for editing"
            )
        if self.camera is not None and self.background == TRANSPARENT:
            raise InputError(f"--camera has no {TRANSPARENT} background; choose another one")
        if self.side_by_side and self.driving is not None and is_motion_file(self.driving):
            raise InputError("--side-by-side needs a driving video; a motion file has no pictures")
