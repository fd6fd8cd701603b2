"""A mouth that is open in the photo: its own teeth and tongue go with the jaws."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

LEAST_OPENING = 0.05  # over the mouth's width: less than that shows nothing worth keeping
SKULL = (1, 2, 98, 327, 4, 94)  # landmarks on the nose: the upper teeth go with these
JAW = (152, 148, 377, 175, 199, 200)  # on the chin: the lower teeth and the tongue
EDGE = 0.04  # of the mouth's width: so much of the lips is cut out too, and as much fades out


class OwnMouth(NamedTuple):
    """Cut out of the photo; colours are multiplied with the opacity."""

    halves: tuple[np.ndarray, np.ndarray]  # float32 [h, w, 4]: upper, lower
    corner: np.ndarray  # [2] of the cut-out, column and row
    landmarks: np.ndarray  # [478, 2] of the photo


def cut_out(
    picture: np.ndarray, landmarks: np.ndarray, rim: np.ndarray, opening: float
) -> OwnMouth | None:  # uint8 [H, W, 3], [478, 2], [2, 11, 2]
    """What the photo shows between the lips; None if they are closed."""
    outline = np.concatenate([rim[0], rim[1, -2:0:-1]])
    width = float(np.linalg.norm(rim[0, -1] - rim[0, 0]))
    room = int(2 * EDGE * width) + 2
    low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - room, 0)
    high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + room, picture.shape[1::-1])
    if opening < LEAST_OPENING or (high - low).min() < 4:
        return None
    piece = picture[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    inside = np.zeros(piece.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(outline - low).astype(np.int32)], 1)
    away = np.asarray(cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3))
    cover = np.clip(2 - away / max(EDGE * width, 1.0), 0, 1)
    columns, rows = np.meshgrid(*(np.arange(side) + 0.5 for side in piece.shape[1::-1]))
    middle = (rim[0] + rim[1]) / 2 - low
    order = np.argsort(middle[:, 0])
    line = np.interp(columns, middle[order, 0], middle[order, 1])
    below = np.clip((rows - line) / (0.1 * width) + 0.5, 0, 1)
    layers = [
        np.dstack([piece * share[..., None], share]).astype(np.float32)
        for share in (cover * (1 - below), cover * below)
    ]
    return OwnMouth((layers[0], layers[1]), low.astype(np.float64), landmarks)


def lay_in(inside: np.ndarray, own: OwnMouth, landmarks: np.ndarray, corner: np.ndarray) -> None:
    """Lay both halves over `inside` [h, w, 3], which begins at `corner` of the frame, in place.

    `landmarks` [478, 2] are those of the driven head in the frame.
    """
    size = inside.shape[1::-1]
    both = np.zeros((*inside.shape[:2], 4), np.float32)
    for half, names in zip(own.halves, (SKULL, JAW), strict=True):
        matrix = _carried(own.landmarks[list(names)], landmarks[list(names)])
        matrix[:, 2] += matrix[:, :2] @ (own.corner + 0.5) - corner - 0.5
        both += cv2.warpAffine(half, matrix, size, flags=cv2.INTER_LINEAR)
    both /= np.maximum(both[..., 3:], 1)  # where they overlap they share
    inside *= 1 - both[..., 3:]
    inside += both[..., :3]


def _carried(source: np.ndarray, target: np.ndarray) -> np.ndarray:  # [N, 2] each -> [2, 3]
    """The shift, with the scale between them, that takes one group of points to the other."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    scale = np.sqrt((b * b).sum() / max(float((a * a).sum()), 1e-6))
    matrix = np.eye(2) * scale
    return np.concatenate([matrix, (target.mean(0) - matrix @ source.mean(0))[:, None]], axis=1)
