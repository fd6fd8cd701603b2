"""The files a film can be: H.264 in .mp4 for everybody, ProRes 4444 in .mov where it has alpha."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace

from dnr.errors import InputError
from dnr.video import add_h264, encodable, say_bt709

_H264 = {"crf": "18", "preset": "veryfast", "bf": "0"}  # without B-frames stretches just join
_PRORES = {"profile": "4444", "alpha_bits": "16"}


@dataclass(frozen=True)
class Kind:
    """What the end of a film's name decides."""

    muxer: str
    stretch_muxer: str  # of the parts that it is joined from
    has_alpha: bool
    sound: frozenset[str]
    """Codecs that it holds and players play; sound in others is encoded as AAC."""

    def add_pictures(
        self, container: OutputContainer, size: tuple[int, int], fps: float
    ) -> av.VideoStream:
        """A new stream for pictures of `size`, (height, width)."""
        if not self.has_alpha:
            return add_h264(container, size, fps, _H264)
        stream = container.add_stream("prores_ks", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = *size, "yuva444p10le"
        stream.options = dict(_PRORES)
        say_bt709(stream)
        return stream

    def frame(self, image: np.ndarray) -> av.VideoFrame:  # uint8 [H, W, 3 or 4]
        """A picture as its stream takes it."""
        if not self.has_alpha:
            return encodable(image)
        return av.VideoFrame.from_ndarray(image, format="rgba").reformat(
            format="yuva444p10le",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )


_ANYWHERE = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
KINDS = {
    ".mp4": Kind("mp4", "nut", False, _ANYWHERE | {"opus", "flac"}),
    ".mov": Kind("mov", "matroska", True, _ANYWHERE),
}


def kind_of(film: Path) -> Kind:
    """What `film` is to be, by its name."""
    kind = KINDS.get(film.suffix.lower())
    if kind is None:
        raise InputError(
            f"cannot write a film named {film.name}; end the name in .mp4, or in .mov for one with "
            "a transparent background"
        )
    return kind
