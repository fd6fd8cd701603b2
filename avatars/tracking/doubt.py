"""How far each frame of a track can be trusted, and why not further."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BRIDGE_S = 0.5
"""Frames without a face up to so far from one with are bridged well enough."""


class Signs(NamedTuple):
    """What is measured in T frames; each [T]."""

    lost: np.ndarray  # seconds to the nearest frame in which the face was seen, 0 where it was
    miss: np.ndarray  # mean distance of landmarks and model, hundredths of the eye distance
    outside: np.ndarray  # share of the landmarks outside the frame
    turned: np.ndarray  # degrees away from facing the camera
    width_px: np.ndarray  # distance of the eyes' outer corners as it would be from the front
    covered: np.ndarray  # share of the face that looks unlike the rest of the clip; 0 if unknown


WORDS = {
    "lost": "no face found",
    "miss": "landmarks and head disagree",
    "outside": "partly outside the picture",
    "turned": "turned far away",
    "width_px": "small face",
    "covered": "something covers the face, or the light changed",
}
RANGES = {  # where doubt begins, and where it is complete
    "lost": (0.0, 2 * BRIDGE_S),
    "miss": (3.0, 7.0),
    "outside": (0.02, 0.4),
    "turned": (40.0, 70.0),
    "width_px": (36.0, 12.0),
    "covered": (0.25, 0.6),
}


def doubts(signs: Signs) -> np.ndarray:  # [6, T]
    """Doubt from 0 to 1 for each sign by itself."""
    parts = []
    for name, values in zip(Signs._fields, signs, strict=True):
        begin, full = RANGES[name]
        parts.append(np.clip((values - begin) / (full - begin), 0, 1))
    parts[0] = np.where(signs.lost > 0, np.maximum(parts[0], 0.5), 0.0)
    return np.stack(parts)


def total_doubt(signs: Signs) -> np.ndarray:  # [T]
    """All together, as if they were independent chances of being wrong."""
    return 1 - np.prod(1 - doubts(signs), axis=0)


def reasons(signs: Signs, frame: int) -> str:
    """Why a frame is in doubt, the strongest first; empty if it is not."""
    parts = doubts(signs)[:, frame]
    order = [k for k in np.argsort(-parts) if parts[k] >= 0.2]
    return ", ".join(WORDS[Signs._fields[k]] for k in order)


def seconds_lost(found: np.ndarray, times: np.ndarray) -> np.ndarray:  # bool [T], [T] -> [T]
    """Time to the nearest frame with a face."""
    seen = times[found]
    after = np.clip(np.searchsorted(seen, times), 0, len(seen) - 1)
    before = np.maximum(after - 1, 0)
    return np.minimum(np.abs(times - seen[after]), np.abs(times - seen[before]))
