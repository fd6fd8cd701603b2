"""What is measured of a head's track: against its own landmarks, pictures, masks, and the truth.

Distances are in hundredths of the distance between the outer corners of the eyes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avatars.detectors.bias import mediapipe_bias, unbiased
from avatars.heads.files import load_head
from avatars.heads.head import Motion, head_vertices, landmark_points, vertex_normals
from avatars.heads.movements import MOVEMENTS, movements
from avatars.heads.rotations import rotation_vectors
from avatars.synthetic.film import Truth
from avatars.tracking.appearance import colours_at, learn_appearance, predict, see, skin_faces
from avatars.tracking.outline import bare_head, overlap_of_outlines
from avatars.tracking.pictures import pictures, read_mask
from avatars.tracking.track import Track, camera, crop_camera
from dnr.footage import Footage

LIPS = ((13, 14), (33, 263))  # opening, over the distance of the eyes
LIDS = {"right": ((159, 145), (33, 133)), "left": ((386, 374), (362, 263))}
STILLEST = 0.1  # of the frames: where jitter is measured
SAMPLES = 24  # frames of a clip that pictures and outlines are compared in


def agreement(track: Track) -> dict[str, float]:
    """How the model's points agree with the detector's, and move with them."""
    head = load_head(track.head)
    frames = torch.arange(len(track))
    vertices = head_vertices(head, track.identity, track.motion, track.offsets)
    ours = camera(track, frames).project(landmark_points(head, vertices))[..., :2]
    theirs, found = track.landmarks, track.found
    unit = (theirs[found, 33] - theirs[found, 263]).norm(dim=-1).median() / 100
    miss = (ours - theirs).norm(dim=-1)[found] / unit
    corners = head.faces[head.landmark_faces]
    told = unbiased(theirs, mediapipe_bias())
    rest = (ours - told).norm(dim=-1)[found] / unit
    values = {
        "lost": float((~found).sum()),
        "detected": float(miss[:, :468].mean()),
        "corrected": float(rest[:, :468].mean()),
    }
    for region in ("lips", "eyelids"):
        there = head.regions[region][corners].all(dim=1)
        values[region] = float(miss[:, there].mean())
    values["mouth_r"] = _alike(_opening(ours, *LIPS), _opening(theirs, *LIPS))
    for side, (lids, width) in LIDS.items():
        values[f"blink_{side}_r"] = _alike(
            _opening(ours, lids, width), _opening(theirs, lids, width)
        )
    values["jitter"], speed = _jitter(ours, theirs)
    values["speed"] = speed / float(unit)
    return values


def outlines(track: Track, folder: Path) -> dict[str, float]:
    """Overlap of the head, without neck, with the person's mask."""
    head = load_head(track.head)
    frames = torch.linspace(0, len(track) - 1, min(SAMPLES, len(track))).long()
    motion = Motion(*(field[frames] for field in track.motion))
    vertices = head_vertices(head, track.identity, motion, track.offsets)
    masks = np.stack([read_mask(folder, int(frame)) for frame in frames])
    overlap = overlap_of_outlines(head, vertices, crop_camera(track, frames), masks)
    return {"outline_iou": float(overlap.mean())}


def picture_error(track: Track, footage: Footage, folder: Path) -> dict[str, float]:
    """Mean difference of colours between faces and one texture averaged over all pictures."""
    head = load_head(track.head)
    skin = skin_faces(head) & head.regions["face"][head.faces].all(
        dim=1
    )  # no hair: it is no surface
    sights, colours = [], []
    every = max(len(track) // SAMPLES, 1)
    crop = track.crop.numpy()
    for picture in pictures(footage, crop, track.crop_size, folder, every=every):
        frame = torch.tensor([picture.number])
        motion = Motion(*(field[frame] for field in track.motion))
        vertices = head_vertices(head, track.identity, motion, track.offsets)[0]
        mask = torch.from_numpy(picture.mask).float() / 255
        image = torch.from_numpy(picture.image).float().permute(2, 0, 1) / 255
        sights.append(see(head, skin, vertices, crop_camera(track, frame), mask))
        colours.append(colours_at(image, sights[-1]))
    looks = learn_appearance(sights, colours)
    off = [(predict(looks, s) - c).abs().mean(dim=1) for s, c in zip(sights, colours, strict=True)]
    return {"picture_error": float(torch.cat(off).mean())}


def against_truth(track: Track, truth: Truth) -> dict[str, float]:
    """What is really wrong: on the picture at the vertices that face the camera, and in degrees."""
    head = load_head(track.head)
    identity, offsets, *series = (torch.from_numpy(np.asarray(x)).float() for x in truth[:6])
    motion, pose = Motion(*series[:3]), series[3]
    true = _placed(head_vertices(head, identity, motion, offsets), pose)
    ours = head_vertices(head, track.identity, track.motion, track.offsets)
    ours = _placed(ours, track.head_to_camera)
    points = landmark_points(head, true)
    unit = (points[:, 33] - points[:, 263]).norm(dim=-1) / 100 / points[..., 2].mean(dim=1)
    off = (ours[..., :2] / ours[..., 2:] * track.focal / float(truth.focal)) - (
        true[..., :2] / true[..., 2:]
    )
    error = off.norm(dim=-1) / unit[:, None]
    facing = (vertex_normals(true, head.faces) * true).sum(dim=-1) < 0
    turned = rotation_vectors(track.head_to_camera[:, :, :3] @ pose[:, :, :3].transpose(1, 2))
    spread = turned.rad2deg().std(dim=0)
    there, here = movements(head, identity, motion), movements(head, track.identity, track.motion)
    values = {
        "face_error": _mean(error, facing & head.regions["face"]),
        "head_error": _mean(error, facing & bare_head(head)),
        "pitch_sd": float(spread[0]), "yaw_sd": float(spread[1]), "roll_sd": float(spread[2]),
        "gaze_deg": float((motion.gaze - track.motion.gaze).rad2deg().abs().mean()),
    }  # fmt: skip
    for name in ("jaw_open", "blink_left", "blink_right"):
        column = MOVEMENTS.index(name)
        values[f"{name}_r"] = _alike(there[:, column], here[:, column])
    return values


def _placed(vertices: Tensor, pose: Tensor) -> Tensor:  # [T, V, 3], [T, 3, 4]
    return vertices @ pose[:, :, :3].transpose(1, 2) + pose[:, None, :, 3]


def _mean(error: Tensor, chosen: Tensor) -> float:
    return float(error[chosen].mean())


def _opening(points: Tensor, ends: tuple[int, int], width: tuple[int, int]) -> Tensor:  # [T]
    one, other = ((points[:, a] - points[:, b]).norm(dim=-1) for a, b in (ends, width))
    return one / other


def _alike(one: Tensor, other: Tensor) -> float:
    """Correlation."""
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def _jitter(ours: Tensor, theirs: Tensor) -> tuple[float, float]:  # [T, 478, 2]
    """Second differences of our points over the detector's, where the video is most still.

    And how far points move there from frame to frame, in pixels: films that shake are never still.
    """
    speed = theirs.diff(dim=0).norm(dim=-1).mean(dim=1)
    calm = torch.nn.functional.avg_pool1d(speed[None], 9, stride=1, padding=4)[0][1:]
    chosen = calm.argsort()[: max(round(STILLEST * len(calm)), 1)]
    bends = [x.diff(n=2, dim=0).norm(dim=-1).mean(dim=1)[chosen].mean() for x in (ours, theirs)]
    return float(bends[0] / bends[1]), float(calm[chosen].mean())
