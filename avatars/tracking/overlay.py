"""What tracking saw, drawn over the video: the shaded head, its outline, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from avatars.heads.files import load_head
from avatars.heads.head import Head, Motion, head_mesh, head_vertices
from avatars.tracking.pictures import Picture, pictures
from avatars.tracking.summary import DOUBTFUL
from avatars.tracking.track import Track, crop_camera
from dnr.footage import Footage
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate

OURS, THEIRS = (230, 60, 50), (60, 200, 90)  # outline of the mesh, and of the person's mask
FRAME = (235, 150, 40)  # around doubtful frames
COVER = 0.6  # of the picture that the head hides


def overlays(
    track: Track, footage: Footage, folder: Path, every: int = 1
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Frame numbers, each with its crop, the head over it, and the outlines; [S, S, 3] uint8."""
    head = load_head(track.head)
    crop = track.crop.numpy()
    for picture in pictures(footage, crop, track.crop_size, folder, every=every):
        shaded, hit = _shaded(head, track, picture.number)
        over = picture.image.copy()
        over[hit] = ((1 - COVER) * over[hit] + COVER * shaded[hit]).round().astype(np.uint8)
        parts = [picture.image.copy(), over, _outlined(picture, hit)]
        if float(track.doubt[picture.number]) >= DOUBTFUL:
            for part in parts:
                cv2.rectangle(part, (0, 0), (part.shape[1] - 1, part.shape[0] - 1), FRAME, 4)
        yield picture.number, parts


def _shaded(head: Head, track: Track, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The head as grey clay [S, S, 3], and where it is [S, S]."""
    frame = torch.tensor([number])
    motion = Motion(*(field[frame] for field in track.motion))
    vertices = head_vertices(head, track.identity, motion, track.offsets)
    camera = crop_camera(track, frame)
    fragments = rasterize(vertices, head.faces, camera)
    surface = interpolate(fragments, head_mesh(head, vertices[0]), camera)
    normal = (surface.normal[0] @ camera.world_to_camera[0, :3, :3].T).numpy()
    light = np.clip(-0.8 * normal[..., 2] - 0.3 * normal[..., 0] - 0.2 * normal[..., 1], 0, 1)
    clay = np.repeat((60 + 175 * light)[..., None], 3, axis=2)
    return clay, (fragments.face_id[0] >= 0).numpy()


def _outlined(picture: Picture, hit: np.ndarray) -> np.ndarray:  # [S, S] -> uint8 [S, S, 3]
    drawn = picture.image.copy()
    for mask, colour in ((picture.mask > 127, THEIRS), (hit, OURS)):
        kind, method = cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        contours, _ = cv2.findContours(mask.astype(np.uint8), kind, method)
        cv2.drawContours(drawn, contours, -1, colour, 1)
    return drawn
