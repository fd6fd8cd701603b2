"""The result of tracking: everything known about one head in every frame of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Motion
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError
from dnr.geometry.cameras import Camera

FORMAT_VERSION = 1
TRACK, LANDMARKS = "track.npz", "landmarks.npy"
CROP_SIZE = 256


@dataclass(frozen=True)
class Track:
    """T frames of one person. Head frame and units: avatars/heads/head.py."""

    head: str  # name of the head model
    identity: Tensor  # [I]
    offsets: Tensor  # [V], metres along the normals at rest: hair, and what identity cannot say
    motion: Motion
    head_to_camera: Tensor  # [T, 3, 4], metres, OpenCV axes
    focal: float  # pixels; the principal point is the middle of the frame
    size: tuple[int, int]  # (height, width) of the frames
    fps: float
    times: Tensor  # [T] float64, seconds
    landmarks: Tensor  # [T, 478, 2], pixels; stays on the disk until it is looked at
    found: Tensor  # [T] bool: a face was seen; the other frames are bridged
    doubt: Tensor  # [T], 0 good to 1 bad
    crop: Tensor  # [T, 2, 3], pixels of the frame to those of a square around the head
    crop_size: int = CROP_SIZE

    def __len__(self) -> int:
        return len(self.times)


def camera(track: Track, frames: Tensor) -> Camera:  # [B] int64
    """Views of the head's own frame, one per frame number."""
    pose = track.head_to_camera[frames]
    matrix = torch.eye(4).to(pose).repeat(len(pose), 1, 1)
    matrix[:, :3] = pose
    return Camera(matrix, _intrinsics(track).expand(len(pose), 3, 3), track.size)


def crop_camera(track: Track, frames: Tensor) -> Camera:  # [B] int64
    """The same views in the pixels of the crops."""
    affine = track.crop[frames].to(track.head_to_camera)
    row = affine.new_tensor([[[0.0, 0, 1]]]).expand(len(affine), 1, 3)
    inside = torch.cat([affine, row], dim=1) @ _intrinsics(track)
    whole = camera(track, frames)
    return Camera(whole.world_to_camera, inside, (track.crop_size, track.crop_size))


def save_track(folder: Path, track: Track) -> None:
    """Write track.npz, and landmarks.npy unless the track's landmarks lie there already."""
    landmarks = track.landmarks.numpy()
    if not (folder / LANDMARKS).exists():
        np.save(folder / LANDMARKS, landmarks)
    save_arrays(
        folder / TRACK,
        {
            "format_version": np.array(FORMAT_VERSION),
            "head": np.array(track.head),
            "identity": track.identity.numpy(),
            "offsets": track.offsets.numpy(),
            "expression": track.motion.expression.numpy(),
            "gaze": track.motion.gaze.numpy(),
            "neck": track.motion.neck.numpy(),
            "head_to_camera": track.head_to_camera.numpy(),
            "focal": np.array(track.focal),
            "size": np.array(track.size),
            "fps": np.array(track.fps),
            "times": track.times.numpy(),
            "found": track.found.numpy(),
            "doubt": track.doubt.numpy(),
            "crop": track.crop.numpy(),
            "crop_size": np.array(track.crop_size),
        },
    )


def load_track(folder: Path) -> Track:
    """The track in `folder`; its landmarks stay on the disk."""
    if not (folder / TRACK).is_file():
        raise InputError(f"{folder} is no head track: it has no {TRACK}. Make one with dnr track.")
    arrays = load_arrays(folder / TRACK)
    missing = [name for name in _SHAPES if name not in arrays]
    if missing:
        raise InputError(f"{folder / TRACK} lacks {missing[0]}. Track the video again.")
    if int(arrays["format_version"]) > FORMAT_VERSION:
        raise InputError(
            f"{folder} was written by a newer version of this program. Update the program."
        )
    frames = len(arrays["times"])
    for name, spec in _SHAPES.items():
        shape = tuple(frames if size == "T" else size for size in spec)
        given = arrays[name].shape
        fits = len(shape) == len(given) and all(
            size in (None, found) for size, found in zip(shape, given, strict=True)
        )
        if not fits or (arrays[name].dtype.kind not in "fiub") != (name == "head"):
            raise InputError(
                f"{folder / TRACK} is damaged: {name} is {list(given)}. Track the video again."
            )
    tensors = {name: torch.from_numpy(arrays[name]) for name in _SHAPES if name != "head"}
    return Track(
        head=str(arrays["head"]),
        motion=Motion(tensors["expression"], tensors["gaze"], tensors["neck"]),
        focal=float(arrays["focal"]),
        size=(int(arrays["size"][0]), int(arrays["size"][1])),
        fps=float(arrays["fps"]),
        landmarks=_landmarks(folder / LANDMARKS, frames),
        crop_size=int(arrays["crop_size"]),
        **{name: tensors[name] for name in _PLAIN},
    )


_PLAIN = ("identity", "offsets", "head_to_camera", "times", "found", "doubt", "crop")
_SHAPES: dict[str, tuple[str | int | None, ...]] = {
    "format_version": (), "head": (), "focal": (), "fps": (), "crop_size": (), "size": (2,),
    "identity": (None,), "offsets": (None,), "expression": ("T", None), "gaze": ("T", 2, 2),
    "neck": ("T", 3), "head_to_camera": ("T", 3, 4), "times": ("T",), "found": ("T",),
    "doubt": ("T",), "crop": ("T", 2, 3),
}  # fmt: skip


def _landmarks(path: Path, frames: int) -> Tensor:  # [T, 478, 2]
    """Copy on write: tensors must be writable, and the file must not change."""
    expected = (frames, 478, 2)
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}). Track the video again.") from error
    if array.shape != expected or array.dtype != np.float32:
        raise InputError(f"{path} holds {array.shape}, not {expected}. Track the video again.")
    return torch.from_numpy(array)


def _intrinsics(track: Track) -> Tensor:  # [3, 3]
    height, width = track.size
    rows = [[track.focal, 0, width / 2], [0, track.focal, height / 2], [0, 0, 1]]
    return torch.tensor(rows).to(track.head_to_camera)
