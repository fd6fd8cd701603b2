"""Vertices of a posed head in NumPy and float64, written out apart from avatars/heads/head.py.

The tracker is tested against these pictures: they must not share its code, only its data.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation
from torch import Tensor

from avatars.heads.head import Head
from avatars.synthetic.performance import Performance


def rest_shape(head: Head, identity: np.ndarray, offsets: np.ndarray) -> np.ndarray:  # [V, 3]
    """Somebody at rest, moved by `offsets` [V] metres along the normals."""
    shape = _array(head.template) + np.einsum("i,ivk->vk", identity, _array(head.identity))
    return shape + offsets[:, None] * normals(shape, head.faces.numpy())


def posed(head: Head, rest: np.ndarray, performance: Performance, frame: int) -> np.ndarray:
    """[V, 3] in camera axes."""
    moves = performance.expression[frame].nonzero()[0]
    moved = rest + np.einsum(
        "e,evk->vk", performance.expression[frame, moves], _array(head.expression[moves])
    )
    for side, name in enumerate(("right_eyeball", "left_eyeball")):
        yaw, pitch = performance.gaze[frame, side]
        centre = _array(head.eye_centre[side]) @ rest
        ball = head.regions[name].numpy()
        moved[ball] = Rotation.from_euler("YX", [yaw, -pitch]).apply(moved[ball] - centre) + centre
    joint = _array(head.neck_joint) @ rest
    back = Rotation.from_rotvec(performance.neck[frame]).inv()
    stays = _array(head.torso)[:, None]
    moved = moved + stays * (back.apply(moved - joint) + joint - moved)
    pose = performance.head_to_camera[frame]
    return moved @ pose[:, :3].T + pose[:, 3]


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:  # [V, 3]
    """Area-weighted unit normals."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)


def hair_offsets(head: Head, hair_m: float) -> np.ndarray:  # [V] metres
    """How far hair stands off: `hair_m` on the skull, less and less towards the hairline."""
    cover = head.regions["scalp"].numpy().astype(float)
    faces = head.faces.numpy()
    for _ in range(3):
        mean = np.zeros_like(cover)
        count = np.zeros_like(cover)
        for start in range(3):
            for end in ((start + 1) % 3, (start + 2) % 3):
                np.add.at(mean, faces[:, start], cover[faces[:, end]])
                np.add.at(count, faces[:, start], 1)
        cover = np.minimum(cover, mean / np.maximum(count, 1))  # never onto the bare skin
    return hair_m * cover


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.double().numpy()
