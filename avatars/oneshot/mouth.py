"""What an opened mouth shows: the head's own teeth, tongue and cavity, lit like the photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from avatars.detectors.faces import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from avatars.heads.head import Head
from avatars.oneshot.mouth_colours import MouthColours, mouth_colours, smooth
from avatars.oneshot.own_mouth import OwnMouth, cut_out, lay_in
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""mediapipe's points on the inner rims, from the subject's right corner to the left."""
CHIN = 152
TEETH = ("upper_teeth", "lower_teeth")
LOWER_SHADE = (0.5, 0.9)  # lower teeth lean back, out of the light: in hard and in soft light
SIDE_SHADE = 0.55  # of light that is left for teeth at the corners
BEGIN, FULL = 0.02, 0.06  # opening over width, beyond the photo's, at which the mouth is drawn
ROUND, ARCH = 0.6, 0.8
FINER = 2  # rows of teeth are drawn so many times as large, for smooth rims
TOOTH_RAD, JAW_M = 0.22, 0.012
BARED_BY_SMILE, BARED_BY_CHIN = 0.3, 0.5
"""How far teeth come out, of what the mouth widens (upper), and the lower lip nears the chin."""


@dataclass(frozen=True)
class Mouth:
    """What is prepared once."""

    faces: Tensor  # [F, 3] of the teeth
    rows: tuple[Tensor, Tensor]  # their vertices: upper, lower
    shade: np.ndarray  # float32 [F]
    template: np.ndarray  # float32 [V, 3]
    colours: MouthColours
    opening: float  # of the photo's mouth, over its width
    shape: np.ndarray  # [2] see `_shape`
    own: OwnMouth | None  # what the photo shows of it


def prepare_mouth(head: Head, picture: np.ndarray, landmarks: np.ndarray) -> Mouth:
    """The mouth for a picture, uint8 [H, W, 3], with landmarks [478, 2] in its pixels."""
    faces = head.faces.numpy()
    upper, lower = (head.regions[name].numpy()[faces].all(axis=1) for name in TEETH)
    rim = _rim(landmarks)
    opening = opening_of(rim)
    colours = mouth_colours(picture, landmarks)
    shade = LOWER_SHADE[0] + colours.soft * (LOWER_SHADE[1] - LOWER_SHADE[0])
    return Mouth(
        torch.from_numpy(faces[upper | lower]),
        (head.regions[TEETH[0]].nonzero()[:, 0], head.regions[TEETH[1]].nonzero()[:, 0]),
        np.where(lower, shade, 1.0)[upper | lower].astype(np.float32),
        head.template.numpy(), colours, opening,
        _shape(landmarks),
        cut_out(picture, landmarks, rim, opening),
    )  # fmt: skip


def opening_of(rim: np.ndarray) -> float:  # [2, 11, 2]
    """Mean gap between the lips over the mouth's width; at least 0."""
    width = np.linalg.norm(rim[0, -1] - rim[0, 0])
    return float(max(_signed_area(rim), 0.0) / max(width, 1e-3) ** 2)


def draw_mouth(
    frame: np.ndarray,  # uint8 [H, W, 3], changed in place
    mouth: Mouth,
    points: Tensor,  # [V, 2] of the driven head, pixels of the frame
    depth: Tensor,  # [V]
    landmarks: np.ndarray,  # [478, 2] of the driven head
) -> None:
    """Lay the inside of the mouth between the driven lips."""
    rim = _rounded(_rim(landmarks))
    begin = 0.0 if mouth.own is not None else BEGIN
    share = np.clip((opening_of(rim) - mouth.opening - begin) / (FULL - BEGIN), 0, 1)
    if share == 0:
        return
    outline = np.concatenate([rim[0], rim[1, -2:0:-1]])
    low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 3, frame.shape[1::-1])
    if (high - low).min() < 2:
        return
    box = frame[low[1] : high[1], low[0] : high[0]]
    cover = np.zeros(box.shape[:2], np.uint8)
    cv2.fillPoly(cover, [np.round((outline - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cover = cv2.GaussianBlur(cover.astype(np.float32) / 255, (0, 0), 0.7)[..., None] * share
    moved = _bared(mouth, points, landmarks) - torch.from_numpy(low).to(points)
    inside = _inside(mouth, moved, depth, rim - low, box.shape[:2])
    if mouth.own is not None:
        lay_in(inside, mouth.own, landmarks, low)
    box[:] = np.clip(box + cover * (inside - box) + 0.5, 0, 255).astype(np.uint8)


def _bared(mouth: Mouth, points: Tensor, landmarks: np.ndarray) -> Tensor:  # [V, 2]
    """Teeth show more than skull and jaw alone explain: in a smile, and when the lip is pulled
    down."""
    wider, nearer = _shape(landmarks) - mouth.shape
    axis = landmarks[LEFT_EYE_OUTER] - landmarks[RIGHT_EYE_OUTER]
    down = torch.tensor([-axis[1], axis[0]], dtype=points.dtype)
    moved = points.clone()
    moved[mouth.rows[0]] += BARED_BY_SMILE * max(float(wider), 0.0) * down
    moved[mouth.rows[1]] += BARED_BY_CHIN * min(float(nearer), 0.0) * down
    return moved


def _shape(landmarks: np.ndarray) -> np.ndarray:  # [478, 2] -> [2]
    """Width of the mouth, and from the lower lip to the chin, in distances between the eyes."""
    pairs = landmarks[[308, 14]] - landmarks[[78, CHIN]]
    unit = np.linalg.norm(landmarks[LEFT_EYE_OUTER] - landmarks[RIGHT_EYE_OUTER])
    return np.linalg.norm(pairs, axis=1) / max(float(unit), 1e-3)


def _inside(
    mouth: Mouth, points: Tensor, depth: Tensor, rim: np.ndarray, size: tuple[int, int]
) -> np.ndarray:  # float32 [h, w, 3]
    """Cavity, tongue and teeth, darker where lips keep the light away."""
    colours, width = mouth.colours, float(np.linalg.norm(rim[0, -1] - rim[0, 0]))
    rows, columns = np.indices(size, dtype=np.float32)
    order = np.argsort(rim[0, :, 0])
    upper = np.interp(columns, rim[0, order, 0], rim[0, order, 1])
    lower = np.interp(columns, rim[1, order, 0], rim[1, order, 1])
    left, right = rim[0, order[0], 0], rim[0, order[-1], 0]
    across = (columns - (left + right) / 2) / max(0.5 * (right - left), 1)
    height = (rows - upper) / np.maximum(lower - upper, 1)
    image = colours.cavity + _tongue(across, height) * (colours.tongue - colours.cavity)
    cover, shade = _teeth(mouth, points, depth, size)
    image += cover[..., None] * (shade[..., None] * colours.teeth - image)
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), max(0.012 * width, 0.5))
    from_side = np.clip((1 - np.abs(across)) / 0.6, 0, 1)
    hard = 1 - colours.soft
    below_lip = np.clip((rows - upper) / (0.12 * width), 0, 1)
    above_lip = np.clip((lower - rows) / (0.05 * width), 0, 1)
    shadow = (1 - (0.15 + 0.35 * hard) * (1 - below_lip)) * (1 - 0.15 * (1 - above_lip))
    shadow = shadow * (1 - (0.2 + 0.3 * hard) * (1 - from_side) ** 2)
    return image * shadow[..., None].astype(np.float32)


def _tongue(across: np.ndarray, height: np.ndarray) -> np.ndarray:  # [h, w] each -> [h, w, 1]
    """A dome low in the mouth: 1 on the tongue, 0 beside and above it."""
    away = np.hypot(across / 0.8, (height - 0.7) / 0.75)
    return (1 - smooth((away - 0.6) / 0.45))[..., None]


def _teeth(
    mouth: Mouth, points: Tensor, depth: Tensor, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:  # float32 [h, w] each
    """How much of each pixel is teeth, and how light they are."""
    fine = points * FINER
    placed = torch.cat([fine * depth[:, None], depth[:, None]], dim=1).float()
    larger = size[0] * FINER, size[1] * FINER
    camera = Camera(torch.eye(4)[None], torch.eye(3)[None], larger)
    found = rasterize(placed, mouth.faces, camera)
    face, share = found.face_id[0].numpy(), found.barycentric[0].numpy()
    hit = face >= 0
    corners = mouth.template[mouth.faces.numpy()[face[hit]]]
    place = (corners * share[hit][..., None]).sum(axis=1)
    angle = np.arctan2(place[:, 0], place[:, 2] + JAW_M)
    layers = np.zeros((*larger, 2), np.float32)
    layers[hit, 0] = 1 - smooth((np.abs(angle) - 0.6) / 0.4)  # back teeth are lost in the dark
    layers[hit, 1] = layers[hit, 0] * mouth.shade[face[hit]] * _relief(angle)
    cover, shade = cv2.split(cv2.resize(layers, size[::-1], interpolation=cv2.INTER_AREA))
    return cover, shade / np.maximum(cover, 1e-3)


def _relief(angle: np.ndarray) -> np.ndarray:  # [N] -> [N]
    """A little darker between the teeth, much darker towards the corners of the mouth."""
    gap = np.abs(angle / TOOTH_RAD - np.round(angle / TOOTH_RAD)) * 2
    side = 1 - (1 - SIDE_SHADE) * smooth((np.abs(angle) - 0.35) / 0.9)
    return side * (1 - 0.08 * smooth((gap - 0.7) / 0.3))


def _rim(landmarks: np.ndarray) -> np.ndarray:  # [478, 2] -> [2, 11, 2]
    return np.stack([landmarks[list(UPPER_LIP)], landmarks[list(LOWER_LIP)]])


def _rounded(rim: np.ndarray) -> np.ndarray:  # [2, 11, 2]
    """The head model's lower lips come to a point when jaws drop; real ones hang in an arch."""
    start, end = rim[1, 0], rim[1, -1]
    share = np.linspace(0, 1, len(rim[1]))[:, None]
    line = start + share * (end - start)
    arch = (1 - (2 * share - 1) ** 2) ** ARCH * (rim[1, 5] - line[5])
    missing = arch - (rim[1] - line)
    falls_short = missing @ (rim[1, 5] - line[5]) > 0
    return np.stack([rim[0], rim[1] + ROUND * missing * falls_short[:, None]])


def _signed_area(rim: np.ndarray) -> float:
    outline = np.concatenate([rim[0], rim[1, -2:0:-1]])
    x, y = outline.T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
