"""Which parts of the face's outer skin are covered by hair: it follows the skull, not the jaw."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Head

CHEEKS = (50, 280, 205, 425, 101, 330, 117, 346, 4, 195, 151)  # landmarks where skin is bare
INNER = 0.72  # of the way from the middle of the face to its outline: nearer there is no hair
UNLIKE = (2.2, 3.6)  # standard deviations at which a colour begins, and ceases, to be another
SPREAD_M = 0.008
LEAST_DEVIATION = (14.0, 5.0, 5.0)  # of lightness and the two colours, 8-bit Lab


def hair_cover(
    head: Head, photo: np.ndarray, points: np.ndarray, landmarks: np.ndarray
) -> Tensor:  # uint8 [H, W, 3], [V, 2], [478, 2] -> [V] in [0, 1]
    """How much each vertex of the face is covered, told by colours unlike those of the cheeks."""
    face = float(np.ptp(landmarks[:, 1]))
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), max(0.008 * face, 0.5)).astype(np.float32)
    skin = _colours(lab, landmarks[list(CHEEKS)])
    centre = np.median(skin, axis=0)
    deviation = np.maximum(1.5 * np.median(np.abs(skin - centre), axis=0), LEAST_DEVIATION)
    distance = np.linalg.norm((_colours(lab, points) - centre) / deviation, axis=1)
    unlike = np.clip((distance - UNLIKE[0]) / (UNLIKE[1] - UNLIKE[0]), 0, 1)
    template = head.template.numpy()
    outer = np.hypot(template[:, 0] / 0.068, (template[:, 1] + 0.02) / 0.095) > INNER
    beside = (np.abs(template[:, 0]) > 0.035) | (template[:, 1] > 0.02)  # beards move with the chin
    cover = torch.from_numpy((unlike * outer * beside).astype(np.float32))
    cover[~head.regions["face"]] = 0
    rows = head.regions["face"].nonzero()[:, 0]
    near = torch.exp(-0.5 * (torch.cdist(head.template[rows], head.template[rows]) / SPREAD_M) ** 2)
    smooth = torch.zeros_like(cover)
    smooth[rows] = near @ cover[rows] / near.sum(dim=1)
    smooth[head.regions["scalp"]] = 1.0
    return smooth


def _colours(image: np.ndarray, points: np.ndarray) -> np.ndarray:  # [N, 2] -> [N, 3]
    column, row = np.clip(points.astype(int), 0, np.array(image.shape[1::-1]) - 1).T
    return image[row, column]
