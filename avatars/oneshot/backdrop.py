"""The photo taken apart: how much of each pixel is the person, and what is behind."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from avatars.detectors.mediapipe import PersonMasker
from avatars.oneshot.completion import completed

REACH, SOFT = 0.030, 0.014
"""The mask grows by so much of the face's height, and fades over so much: wisps of hair stay."""
CLEAR = 0.075
"""Of the face's height: nearer to the person than this a pixel does not count as background."""


class Layers(NamedTuple):
    """One window of the photo."""

    person: np.ndarray  # float32 [H, W] in [0, 1]
    plate: np.ndarray  # uint8 [H, W, 3]


def take_apart(
    image: np.ndarray, landmarks: np.ndarray, masker: PersonMasker
) -> Layers:  # uint8 [H, W, 3], [478, 2] in its pixels
    """Layers of `image` for the person with that face; other people stay in the background."""
    face = float(np.ptp(landmarks[:, 1]))
    mask = _connected(np.clip(masker(image), 0, 1), landmarks)
    grown = cv2.dilate(mask, _disc(REACH * face))
    person = cv2.GaussianBlur(grown, (0, 0), max(SOFT * face, 0.5))
    near = cv2.dilate((mask > 0.1).astype(np.uint8), _disc(CLEAR * face))
    return Layers(person, completed(image, near == 0))


def _connected(mask: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The part of the mask that hangs together with the face; the face is in it."""
    hull = cv2.convexHull(landmarks.astype(np.float32)).astype(np.int32)
    marked = (mask > 0.3).astype(np.uint8)
    cv2.fillConvexPoly(marked, hull, 1)
    _, labels = cv2.connectedComponents(marked)
    middle = hull.mean(axis=(0, 1))[::-1].astype(int)
    row, column = np.clip(middle, 0, np.array(mask.shape) - 1)
    own = (labels == labels[row, column]).astype(np.uint8)
    solid = np.zeros_like(mask)
    cv2.fillConvexPoly(solid, hull, 1.0)
    return np.maximum(mask * cv2.dilate(own, _disc(2)), solid)


def _disc(radius: float) -> np.ndarray:
    size = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
