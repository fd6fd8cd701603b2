"""The built-in engine: bends one photo as a fitted head moves. No weights, no training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numba import njit

from avatars.detectors.mediapipe import PersonMasker
from avatars.heads.head import Head, landmark_points
from avatars.oneshot.backdrop import take_apart
from avatars.oneshot.borders import (
    Cut,
    Shoulders,
    dome,
    find_crown,
    find_shoulders,
    torso_below,
    widen,
)
from avatars.oneshot.eye_motion import eye_motion
from avatars.oneshot.eyes import LEFT, RIGHT, Eye, moved_eye, prepare_eye
from avatars.oneshot.hair import hair_cover
from avatars.oneshot.likeness import Likeness, fit_likeness
from avatars.oneshot.lips import Lips, part, prepare_lips
from avatars.oneshot.mouth import Mouth, draw_mouth, prepare_mouth
from avatars.oneshot.pose_points import shown_points, source_points
from avatars.oneshot.teeth import seat_teeth
from avatars.oneshot.warp import Skin, photo_skin, source_map
from avatars.oneshot.window import Window, window_around
from avatars.transfer.performance import Frame

_REPEAT = cv2.BORDER_REPLICATE


@dataclass(frozen=True)
class Puppet:
    """A photo that is ready to move."""

    photo: np.ndarray  # uint8 [H, W, 3]
    likeness: Likeness
    window: Window
    skin: Skin
    person: np.ndarray  # uint8 [h, w]
    plate: np.ndarray  # uint8 [h, w, 3]
    below: np.ndarray  # uint8 [rows, w, 4]: colours and person, put below the photo
    shoulders: Shoulders | None
    crown: Cut | None
    eyes: tuple[Eye, Eye]
    lips: Lips | None
    mouth: Mouth
    landmarks: np.ndarray  # [478, 2] of the head as it is drawn in the photo
    found: np.ndarray  # [478, 2] as detected


def prepare(head: Head, photo: np.ndarray, landmarks: np.ndarray, masker: PersonMasker) -> Puppet:
    """Make `photo`, uint8 [H, W, 3], ready for the face at `landmarks` [478, 2]."""
    size = photo.shape[:2]
    likeness = fit_likeness(head, landmarks, size)
    window = window_around(landmarks, size)
    piece = np.ascontiguousarray(photo[window.slices])
    inside = landmarks - np.array([window.left, window.top], np.float32)
    layers = take_apart(piece, inside, masker)
    source = source_points(likeness)
    likeness = seat_teeth(likeness, source.points)
    cover = hair_cover(head, photo, source.points.numpy(), landmarks)
    likeness = replace(likeness, follows=1 - cover)
    mask = cv2.resize(layers.person, window.field[::-1], interpolation=cv2.INTER_AREA)
    face = float(np.ptp(landmarks[:, 1]) * window.scale[1])
    person = (layers.person * 255 + 0.5).astype(np.uint8)
    below = torso_below(piece, person, float(np.ptp(landmarks[:, 1])))
    return Puppet(
        photo, likeness, window, photo_skin(likeness, source, window),
        person, layers.plate, below[: 0 if window.ends_inside[3] else None],
        find_shoulders(mask, window.ends_inside[3], face),
        find_crown(mask, window.ends_inside[1]),
        (prepare_eye(piece, inside, RIGHT), prepare_eye(piece, inside, LEFT)),
        prepare_lips(piece, inside), prepare_mouth(likeness.head, piece, inside),
        _landmarks(likeness, source.points), landmarks,
    )  # fmt: skip


def picture(puppet: Puppet, frame: Frame) -> np.ndarray:  # uint8 [H, W, 3]
    """The photo doing what `frame` says; `transferred` made it for `person_of` this likeness."""
    shown = shown_points(puppet.likeness, frame)
    drawn, calm = (_landmarks(puppet.likeness, points) for points in (shown.points, shown.calm))
    window = puppet.window
    piece = np.dstack([puppet.photo[window.slices], puppet.person])
    for eye, names in zip(puppet.eyes, (RIGHT, LEFT), strict=True):
        layer = moved_eye(eye, piece[..., :3], eye_motion(calm, drawn, names))
        piece[eye.rows, eye.columns, :3] = np.clip(layer + 0.5, 0, 255)
    if puppet.lips is not None:
        part(piece, puppet.lips, drawn)
    shift = source_map(puppet.skin, shown.calm, shown.depth, window)
    if puppet.shoulders is not None:
        widen(shift, puppet.shoulders)
    place = window.finer(shift) / window.scale + _grid(window.size)
    larger = np.concatenate([piece, puppet.below])
    moved = cv2.remap(larger, place, np.empty(0), cv2.INTER_LINEAR, borderMode=_REPEAT)
    if puppet.crown is not None:
        hair = window.finer(dome(shift, puppet.crown))
        moved[..., 3] = (moved[..., 3] * hair).astype(np.uint8)
    picture = np.empty_like(puppet.plate)
    _lay_over(moved, puppet.plate, picture)
    corner = np.array([window.left, window.top], np.float32)
    points = shown.points - torch.from_numpy(corner)
    draw_mouth(picture, puppet.mouth, points, shown.depth, _found(puppet, drawn) - corner)
    result = puppet.photo.copy()
    result[window.slices] = picture
    return result


def drawn_landmarks(puppet: Puppet, frame: Frame) -> np.ndarray:  # [478, 2]
    """Where a detector should find the face in `picture`."""
    points = shown_points(puppet.likeness, frame).points
    return _found(puppet, _landmarks(puppet.likeness, points))


def _found(puppet: Puppet, drawn: np.ndarray) -> np.ndarray:  # [478, 2] each
    """Points of the driven head, off by as much as they are in the photo."""
    return drawn + (puppet.found - puppet.landmarks)


def _landmarks(likeness: Likeness, points: torch.Tensor) -> np.ndarray:  # [V, 2] -> [478, 2]
    """Detectors' points among projected vertices."""
    return landmark_points(likeness.head, points[None])[0].numpy()


def _grid(size: tuple[int, int]) -> np.ndarray:  # float32 [H, W, 2]
    columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in size[::-1]))
    return np.stack([columns, rows], axis=-1)


@njit(cache=True, nogil=True)
def _lay_over(over: np.ndarray, under: np.ndarray, out: np.ndarray) -> None:  # pragma: no cover
    """The first three channels of `over`, by its fourth, on `under`."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            share = np.int32(over[y, x, 3])
            for c in range(3):
                mixed = share * over[y, x, c] + (255 - share) * under[y, x, c]
                out[y, x, c] = (mixed + 127) // 255
