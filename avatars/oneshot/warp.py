"""Where in the photo every pixel of a frame comes from: faces by their mesh, the rest smoothly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from torch import Tensor

from avatars.heads.head import vertex_normals
from avatars.oneshot.fill import continued
from avatars.oneshot.likeness import Likeness
from avatars.oneshot.pose_points import Shown
from avatars.oneshot.window import Window
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

LEAST_COSINE = 0.2  # skin seen more slantingly than this in the photo is not trusted
TORN = 0.8  # change of the shift from one cell to the next
HIDDEN_M = 0.006  # behind what is seen there in the photo
BLIND = ("ears", "neck", "mouth", "tongue", "upper_teeth", "lower_teeth",
         "right_eyeball", "left_eyeball", "right_socket", "left_socket")  # fmt: skip
"""Parts that the mesh gets wrong, or that the photo does not show: their motion is continued."""


@dataclass(frozen=True)
class Skin:
    """What of the head's surface the photo shows, and where."""

    faces: Tensor  # [F, 3]
    known: np.ndarray  # [F] bool: seen in the photo, and trusted
    source: np.ndarray  # float32 [V, 2] cells of the window's grid


def photo_skin(likeness: Likeness, source: Shown, window: Window) -> Skin:
    """The visible part of the head in the photo."""
    head = likeness.head
    cells = window.to_field(source.points.numpy()).astype(np.float32)
    face_id, _, depth = _raster(head.faces, cells, source.depth, window)
    vertices = likeness.vertices()
    local = vertices @ likeness.head_to_camera[:, :3].T + likeness.head_to_camera[:, 3]
    normals = vertex_normals(local, head.faces)
    facing = -(normals * torch.nn.functional.normalize(local, dim=-1)).sum(dim=-1)
    column, row = np.floor(cells).astype(int).T
    inside = (column >= 0) & (row >= 0) & (row < window.field[0]) & (column < window.field[1])
    front = np.full(len(cells), np.inf, np.float32)
    front[inside] = np.where(face_id >= 0, depth, np.inf)[row[inside], column[inside]]
    seen = (facing.numpy() > LEAST_COSINE) & (source.depth.numpy() < front + HIDDEN_M)
    seen |= head.regions["shoulders"].numpy()  # they move as a whole, seen or not
    blind = torch.stack([head.regions[name] for name in BLIND]).any(dim=0).numpy()
    known = np.all((seen & ~blind)[head.faces.numpy()], axis=1)
    return Skin(head.faces, np.asarray(known), cells)


def source_map(skin: Skin, points: Tensor, depth: Tensor, window: Window) -> np.ndarray:
    """For every cell of the window's grid the place in it to take from, float32 [h, w, 2].

    `points` [V, 2] are in pixels of the photo, `depth` [V] in metres. Cells count from their
    centres as pixels do.
    """
    cells = window.to_field(points.numpy()).astype(np.float32)
    face_id, barycentric, _ = _raster(skin.faces, cells, depth, window)
    height, width = window.field
    shift = np.zeros((height, width, 2), np.float32)
    known = np.zeros((height, width), np.bool_)
    _look_up(face_id, barycentric, skin.faces.numpy(), skin.known, skin.source, shift, known)
    known &= ~_torn(shift, known)
    borders = np.s_[:, 0], np.s_[0], np.s_[:, -1], np.s_[-1]
    for border, ends in zip(borders, window.ends_inside, strict=True):
        if ends:  # the rest of the photo stands still
            shift[border], known[border] = 0, True
    return continued(shift, known)


def _raster(
    faces: Tensor, cells: np.ndarray, depth: Tensor, window: Window
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest face, its weights, and depth at every cell."""
    points = torch.from_numpy(cells)
    placed = torch.cat([points * depth[:, None], depth[:, None]], dim=1)
    camera = Camera(torch.eye(4)[None], torch.eye(3)[None], window.field)  # cells are its pixels
    found = rasterize(placed, faces, camera)
    return found.face_id[0].numpy(), found.barycentric[0].numpy(), found.depth[0].numpy()


@njit(cache=True, nogil=True)
def _look_up(
    face_id: np.ndarray,
    barycentric: np.ndarray,
    faces: np.ndarray,
    trusted: np.ndarray,
    source: np.ndarray,
    shift: np.ndarray,
    known: np.ndarray,
) -> None:  # pragma: no cover
    """How far away the photo shows what each cell sees."""
    for y in range(face_id.shape[0]):
        for x in range(face_id.shape[1]):
            face = face_id[y, x]
            if face >= 0 and trusted[face]:
                known[y, x] = True
                for c in range(2):
                    place = np.float32(0)
                    for corner in range(3):
                        place += barycentric[y, x, corner] * source[faces[face, corner], c]
                    shift[y, x, c] = place - ((x if c == 0 else y) + np.float32(0.5))


@njit(cache=True, nogil=True)
def _torn(shift: np.ndarray, known: np.ndarray) -> np.ndarray:  # pragma: no cover
    """Cells beside which the photo is taken from somewhere else: where one part hides another."""
    height, width = known.shape
    torn = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            for yy, xx in ((y, x + 1), (y + 1, x)):
                if yy < height and xx < width and known[y, x] and known[yy, xx]:
                    across = abs(shift[y, x, 0] - shift[yy, xx, 0])
                    if max(across, abs(shift[y, x, 1] - shift[yy, xx, 1])) > TORN:
                        torn[y, x] = torn[yy, xx] = True
    return torn
