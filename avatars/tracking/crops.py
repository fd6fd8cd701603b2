"""A square around the head in every frame, steady, with an exact way back."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

ROOM = 2.6  # side of the square, in heights of the face from brow to chin
STILL = 1.35  # a square so much larger, if it then need not move at all
CALM_S = 1.0  # a square that must move follows the head's motion averaged over so long
WHOLE = 0.8  # of the frame's shorter side: from there on the square takes all of it


def crop_matrices(
    boxes: np.ndarray,  # [T, 4] left, top, right, bottom of the face's points
    frame: tuple[int, int],  # (height, width)
    size: int,
    fps: float,
) -> np.ndarray:  # float64 [T, 2, 3]
    """Scale and shift from frame to crop pixels. One scale for all frames: no pumping.

    Where head and surroundings stay within one square it never moves, so nothing swims.
    """
    height, width = frame
    low, high = np.percentile(boxes[:, :2], 2, axis=0), np.percentile(boxes[:, 2:], 98, axis=0)
    face = float(np.median(boxes[:, 3] - boxes[:, 1]))
    needed = float((high - low).max()) + (ROOM - 1) * 0.8 * face
    side = ROOM * face
    is_still = needed <= STILL * side
    side = max(side, needed) if is_still else side
    most = min(height, width)
    side = most if side > WHOLE * most else side
    if is_still or side == most == max(height, width):
        centres = np.tile((low + high) / 2, (len(boxes), 1))
    else:
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        centres = gaussian_filter1d(middles, CALM_S * fps, axis=0, mode="nearest")
    corners = np.clip(centres - side / 2, 0, np.maximum([width - side, height - side], 0))
    scale = size / side
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = -scale * corners
    return matrices


def cut(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:  # [H, W, C] -> [S, S, C]
    """The crop; pixel areas are averaged where it is coarser than the frame."""
    scale = float(matrix[0, 0])
    if scale < 0.75:  # else every second pixel would be skipped
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    flags = cv2.INTER_LINEAR if scale < 2 else cv2.INTER_CUBIC
    centred = matrix.copy()  # OpenCV has pixel centres at whole numbers
    centred[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    edge = cv2.BORDER_REPLICATE
    return cv2.warpAffine(image, centred, (size, size), flags=flags, borderMode=edge)


def back(matrix: np.ndarray) -> np.ndarray:  # [2, 3] -> [2, 3]
    """The exact inverse, from crop to frame pixels."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)
