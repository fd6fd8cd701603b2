"""What an opened mouth shows: the head's own teeth, tongue and cavity, lit like the photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Head
from avatars.oneshot.own_mouth import OwnMouth, cut_out, lay_in
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""mediapipe's points on the inner rims, from the subject's right corner to the left."""
PARTS = ("mouth", "tongue", "upper_teeth", "lower_teeth")
SHADES = {
    "mouth": (0.42, 0.17, 0.16),
    "tongue": (0.80, 0.46, 0.45),
    "upper_teeth": (1.0, 0.97, 0.91),
    "lower_teeth": (0.92, 0.89, 0.83),
}
"""In the light that falls on the skin."""
FADE_M, DARKEST = 0.020, 0.18  # how fast, and how far, it gets dark behind the teeth
NEARER = 0.6  # share of the way from the model's row of teeth, which is far back, to the lips
BARED = 0.12  # of the mouth's width: how much of the upper teeth an open mouth shows
BEGIN, FULL = 0.02, 0.06  # opening over width, beyond the photo's, at which the mouth is drawn
TOOTH_RAD, JAW_M = 0.22, 0.012


@dataclass(frozen=True)
class Mouth:
    """What is prepared once."""

    faces: Tensor  # [F, 3] of the inside of the mouth
    colour: np.ndarray  # float32 [F, 3] in 0 to 255
    is_tooth: np.ndarray  # [F] bool
    template: np.ndarray  # float32 [V, 3]
    front: Tensor  # [N] vertices of the upper teeth
    opening: float  # of the photo's mouth, over its width
    own: OwnMouth | None  # what the photo shows of it


def prepare_mouth(head: Head, picture: np.ndarray, landmarks: np.ndarray) -> Mouth:
    """The mouth for a picture, uint8 [H, W, 3], with landmarks [478, 2] in its pixels."""
    faces = head.faces.numpy()
    inside = np.zeros(len(faces), bool)
    colour = np.zeros((len(faces), 3), np.float32)
    is_tooth = np.zeros(len(faces), bool)
    light = _light(picture, landmarks)
    for part in PARTS:
        corners = head.regions[part].numpy()[faces]
        # The cavity reaches up to the lips.
        rows = corners.any(axis=1) if part == "mouth" else corners.all(axis=1)
        inside |= rows
        colour[rows] = light * np.array(SHADES[part], np.float32)
        is_tooth |= rows & part.endswith("teeth")
    rim = _rim(landmarks)
    opening = opening_of(rim)
    return Mouth(
        torch.from_numpy(faces[inside]), np.minimum(colour[inside], 250), is_tooth[inside],
        head.template.numpy(), head.regions["upper_teeth"].nonzero()[:, 0], opening,
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
    rim = _rim(landmarks)
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
    nearer = NEARER * (rim.mean(axis=(0, 1)) - points[mouth.front].numpy().mean(axis=0))
    moved = points + torch.tensor([nearer[0] - low[0], -low[1]])
    moved[mouth.front, 1] += _bared(moved[mouth.front].numpy(), rim - low)
    inside = _inside(mouth, moved, depth, box.shape[:2])
    inside *= _lip_shadow(rim - low, box.shape[:2])[..., None]
    if mouth.own is not None:
        lay_in(inside, mouth.own, landmarks, low)
    box[:] = np.clip(box + cover * (inside - box) + 0.5, 0, 255).astype(np.uint8)


def _bared(teeth: np.ndarray, rim: np.ndarray) -> float:  # [N, 2], [2, 11, 2]
    """How far down the upper teeth have to be for some of them to be seen under the lip."""
    width = np.linalg.norm(rim[0, -1] - rim[0, 0])
    gap = float(rim[1, 5, 1] - rim[0, 5, 1])
    wanted = float(rim[0, 5, 1]) + min(BARED * float(width), 0.5 * gap)
    return max(wanted - float(teeth[:, 1].max()), 0.0)


def _inside(
    mouth: Mouth, points: Tensor, depth: Tensor, size: tuple[int, int]
) -> np.ndarray:  # float32 [h, w, 3]
    placed = torch.cat([points * depth[:, None], depth[:, None]], dim=1).float()
    camera = Camera(torch.eye(4)[None], torch.eye(3)[None], size)
    found = rasterize(placed, mouth.faces, camera)
    face, share = found.face_id[0].numpy(), found.barycentric[0].numpy()
    behind = found.depth[0].numpy() - float(depth[mouth.front].min())
    image = np.zeros((*size, 3), np.float32)
    hit = face >= 0
    image[hit] = mouth.colour[face[hit]]
    tooth = hit & mouth.is_tooth[face]
    corners = mouth.template[mouth.faces.numpy()[face[tooth]]]
    place = (corners * share[tooth][..., None]).sum(axis=1)
    image[tooth] *= _gaps(place)[:, None]
    dark = DARKEST + (1 - DARKEST) * np.exp(-np.maximum(behind, 0) / FADE_M)
    return cv2.GaussianBlur(image * dark[..., None], (0, 0), 0.6)


def _gaps(place: np.ndarray) -> np.ndarray:  # [N, 3] -> [N]
    """A little darker between the teeth."""
    along = np.arctan2(place[:, 0], place[:, 2] + JAW_M) / TOOTH_RAD
    gap = np.abs(along - np.round(along)) * 2
    return 1 - 0.22 * np.clip((gap - 0.8) / 0.2, 0, 1)


def _lip_shadow(rim: np.ndarray, size: tuple[int, int]) -> np.ndarray:  # [2, 11, 2] -> [h, w]
    """Lips, most of all the upper one, keep light away."""
    rows, columns = np.indices(size, dtype=np.float32)
    width = np.linalg.norm(rim[0, -1] - rim[0, 0])
    order = np.argsort(rim[0, :, 0])
    upper = np.interp(columns, rim[0, order, 0], rim[0, order, 1])
    lower = np.interp(columns, rim[1, order, 0], rim[1, order, 1])
    from_upper = np.clip((rows - upper) / (0.12 * width), 0, 1)
    from_lower = np.clip((lower - rows) / (0.05 * width), 0, 1)
    left, right = rim[0, order[0], 0], rim[0, order[-1], 0]
    from_side = np.clip(np.minimum(columns - left, right - columns) / (0.22 * width), 0, 1)
    return (0.7 + 0.3 * from_upper) * (0.8 + 0.2 * from_lower) * (0.6 + 0.4 * from_side)


def _rim(landmarks: np.ndarray) -> np.ndarray:  # [478, 2] -> [2, 11, 2]
    return np.stack([landmarks[list(UPPER_LIP)], landmarks[list(LOWER_LIP)]])


def _signed_area(rim: np.ndarray) -> float:
    outline = np.concatenate([rim[0], rim[1, -2:0:-1]])
    x, y = outline.T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _light(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:  # [3], 0 to 255
    """What a white surface beside the cheeks would look like, with half of the skin's own tint."""
    ring = landmarks[[205, 425, 50, 280, 164, 200]].round().astype(int)
    ring = np.clip(ring, 1, np.array(picture.shape[1::-1]) - 2)
    patches = [picture[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1)) for x, y in ring]
    skin = np.median(patches, axis=0) + 1
    return skin.max() * (skin / skin.max()) ** 0.5
