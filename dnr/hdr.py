"""Frames of high dynamic range brought into the ordinary one, as phones need by default."""

from __future__ import annotations

from functools import cache

import av
import numpy as np

PQ, HLG = 16, 18  # transfer characteristics, as ITU-T H.273 numbers them
_BT2020 = 9  # primaries and matrix
_WHITE_NITS = 203.0  # of diffuse white in both systems (ITU-R BT.2408)
_KNEE = 0.75  # brighter light is compressed; diffuse white ends at 0.91, nothing is clipped
_WIDE_TO_ORDINARY = np.array(  # linear light, BT.2020 to BT.709 primaries (ITU-R BT.2087)
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def dynamic_range(frame: av.VideoFrame) -> str | None:
    """What kind of HDR the frame is; None for ordinary ones."""
    return {PQ: "HDR (PQ)", HLG: "HDR (HLG)"}.get(int(frame.color_trc))


def ordinary_rgb(frame: av.VideoFrame) -> np.ndarray:  # uint8 [H, W, 3]
    """The frame's colours for ordinary screens, highlights compressed instead of clipped."""
    if dynamic_range(frame) is None:
        return frame.to_ndarray(format="rgb24")
    levels: np.ndarray = frame.to_ndarray(format="rgb48le")
    light = np.take(_linear(int(frame.color_trc)), levels)  # of diffuse white
    if int(frame.color_primaries) == _BT2020:
        light = light @ _WIDE_TO_ORDINARY.T
    light = np.clip(light, 0, None)
    over = np.maximum(light - _KNEE, 0)
    light = np.minimum(light, _KNEE) + (1 - _KNEE) * -np.expm1(-over / (1 - _KNEE))
    curve = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)  # ITU-R BT.709
    return np.rint(255 * curve).astype(np.uint8)


@cache
def _linear(transfer: int) -> np.ndarray:  # float32 [65536]
    """Light of every 16-bit level, in units of diffuse white (ITU-R BT.2100)."""
    signal = np.arange(65536) / 65535
    if transfer == PQ:
        power = signal ** (1 / 78.84375)
        base = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
        return (10_000 / _WHITE_NITS * base ** (1 / 0.1593017578125)).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return (light / light[round(0.75 * 65535)]).astype(np.float32)  # white is 75 % of the signal
