"""HDR videos: known signals come out as the colours that they stand for."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dnr.footage import decoded_frames, upright
from dnr.hdr import HLG, PQ, dynamic_range

SIZE = (32, 48)


def frame_of(path: Path, signal: float | tuple[float, ...], transfer: int) -> av.VideoFrame:
    """One frame of one 10-bit colour, through a file that says what it is."""
    levels = np.rint(np.broadcast_to(np.array(signal) * 65535, (*SIZE, 3))).astype(np.uint16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.options = "yuv444p10le", {"crf": "1"}
        codec = stream.codec_context
        codec.color_primaries, codec.color_trc, codec.colorspace = 9, transfer, 9
        codec.color_range = 1
        frame = av.VideoFrame.from_ndarray(levels, format="rgb48le").reformat(
            format="yuv444p10le", dst_colorspace=9, dst_color_range=1
        )
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return next(decoded_frames(path))


def hlg(light: np.ndarray) -> np.ndarray:
    """The camera's curve of ITU-R BT.2100, scene light 0 to 1 to signal."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    bright = a * np.log(np.maximum(12 * light - b, 1e-9)) + c
    return np.where(light <= 1 / 12, np.sqrt(3 * light), bright)


def shown(path: Path, frame: av.VideoFrame) -> np.ndarray:
    return upright(path, frame)[16, 24].astype(float)


@pytest.mark.parametrize(("transfer", "white"), [(HLG, 0.75), (PQ, 0.5807)])
def test_diffuse_white_is_nearly_white_and_neutral(
    transfer: int, white: float, tmp_path: Path
) -> None:
    """75 % of the signal in HLG; 203 nits in PQ, which is a signal of 58 %."""
    path = tmp_path / "clip.mp4"
    frame = frame_of(path, white, transfer)
    assert str(dynamic_range(frame)).startswith("HDR")
    colour = shown(path, frame)
    assert np.ptp(colour) <= 2 and 238 <= colour.mean() <= 248


def test_mid_grey_is_where_ordinary_video_has_it(tmp_path: Path) -> None:
    """18 % of white, untouched by the compression of highlights: BT.709 puts it at 0.409."""
    path = tmp_path / "clip.mp4"
    signal = float(hlg(np.array(0.18 * 0.26496)))
    assert shown(path, frame_of(path, signal, HLG)) == pytest.approx([104.2] * 3, abs=1.5)


def test_colours_keep_their_hue(tmp_path: Path) -> None:
    """An orange of ordinary primaries, written with wide ones."""
    ordinary = np.array([0.6, 0.2, 0.05])
    wide = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.088, 0.8956]])
    path = tmp_path / "clip.mp4"
    frame = frame_of(path, tuple(hlg(wide @ ordinary * 0.26496)), HLG)
    expected = 255 * (1.099 * ordinary**0.45 - 0.099)
    assert shown(path, frame) == pytest.approx(expected, abs=4)


def test_ordinary_video_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    frame = frame_of(path, 0.5, 1)
    assert dynamic_range(frame) is None
    assert shown(path, frame) == pytest.approx([127.5] * 3, abs=2)
