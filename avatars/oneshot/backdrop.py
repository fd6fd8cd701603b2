"""The photo taken apart: how much of each pixel is the person, and what is behind."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from avatars.detectors.mediapipe import PersonMasker
from avatars.stage.plate import filled

REACH, SOFT = 0.030, 0.014
"""The mask grows by so much of the face's height, and fades over so much: wisps of hair stay."""
CLEAR = 0.075
"""Of the face's height: nearer to the person than this a pixel does not count as background."""
MIRRORED = 0.6  # of the face's height: so deep behind the person the background is mirrored


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
    return Layers(person, _plate(image, near == 0, face))


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


def _plate(image: np.ndarray, free: np.ndarray, face: float) -> np.ndarray:
    """What is free stays; behind the person it is mirrored at the border, deeper down smooth."""
    if free.all() or not free.any():
        return image
    colours = image.astype(np.float32)
    smooth = filled(colours, free)
    distance, labels = cv2.distanceTransformWithLabels(
        (~free).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels, np.int64)
    nearest = np.zeros((labels.max() + 1, 2), np.float32)  # column, row of the free pixels
    rows, columns = np.nonzero(free)
    nearest[labels[rows, columns]] = np.stack([columns, rows], axis=1)
    border = cv2.GaussianBlur(nearest[labels], (0, 0), 2.0)  # its steps would show as streaks
    here = np.stack(np.meshgrid(*(np.arange(s, dtype=np.float32) for s in free.shape[::-1])), -1)
    place = 2 * border - here
    known = free.astype(np.float32)[..., None]
    reflected = cv2.remap(
        np.concatenate([colours, known], axis=2), place, np.empty(0), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    mirrored, seen = reflected[..., :3], reflected[..., 3]
    share = seen * np.clip(1.5 - 1.5 * distance / (MIRRORED * face), 0, 1)
    share = cv2.GaussianBlur(share, (0, 0), 1.5)[..., None]
    made = np.where(free[..., None], colours, smooth + share * (mirrored - smooth))
    return np.clip(made + 0.5, 0, 255).astype(np.uint8)
