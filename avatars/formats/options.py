"""What can be asked of `dnr convert`; read without torch, so that --help answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from dnr.errors import InputError

Target = Literal["track", "vhap", "insta", "metrical", "imavatar", "nha", "cap4d"]


@dataclass(frozen=True)
class ConvertOptions:
    """Turn a head track into the layout of another trainer, or another tracker's into ours.

    Needs your FLAME file: these layouts speak in its codes. VHAP's layout is GaussianAvatars' too,
    metrical-tracker's is read by INSTA's own script, and IMavatar's is PointAvatar's.
    """

    source: Positional[Path]
    """Head track of `dnr track`; or VHAP's, metrical-tracker's, IMavatar's, NHA's or CAP4D's."""
    out: Path
    """Folder or file to write."""
    to: Target = "track"
    """Layout to write; "track" is this program's own."""
    video: Path | None = None
    """The clip that was tracked, to write its frames (and masks) as pictures too."""
    models: Path | None = None
    """Folder with your FLAME files; by default DNR_MODELS, or dnr/models in the cache."""
    fps: float = 25.0
    """Frames per second of a source that does not say."""

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= 1000:
            raise InputError(f"--fps must be 1 to 1000, got {self.fps:g}")
        if self.video is not None and self.to not in ("vhap", "insta", "metrical"):
            raise InputError(f"--video has no place in {self.to}; leave it out")
