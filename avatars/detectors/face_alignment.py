"""The face-alignment package as a detector of iBUG's 68 points; its weights are never fetched."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from avatars.detectors.faces import Face, FaceDetector, from_ibug
from dnr.errors import InputError

SEARCH_WEIGHTS = "s3fd-619a316812.pth"
POINT_WEIGHTS = ("2DFAN4-cd938726ad.zip", "2DFAN4_1.6-c827573f02.zip", "2DFAN4_1.5-a60332318a.zip")
"""Which one the package asks for depends on torch's version; for current ones it is the first."""


def face_alignment_detector(device: str = "cpu") -> FaceDetector:
    """A detector for any pictures, in any order."""
    trouble = face_alignment_trouble()
    if trouble:
        raise InputError(f"faces cannot be found with face-alignment: {trouble}.")
    package = import_module("face_alignment")
    network = package.FaceAlignment(
        package.LandmarksType.TWO_D, device=device, face_detector="sfd", flip_input=False
    )

    def detect(image: np.ndarray) -> list[Face]:
        boxes = network.face_detector.detect_from_image(image)
        if len(boxes) == 0:  # the package warns and returns None
            return []
        found = network.get_landmarks_from_image(image, detected_faces=boxes)
        return [from_ibug(points, float(b[4])) for points, b in zip(found, boxes, strict=True)]

    return detect


def face_alignment_trouble() -> str | None:
    """Why face-alignment cannot be used, in words; None if it can."""
    if find_spec("face_alignment") is None:
        return "the package is not installed; pip install face-alignment"
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for names in ((SEARCH_WEIGHTS,), POINT_WEIGHTS[:1]):
        if not any((folder / name).is_file() for name in names):
            return f"its weights {names[0]} are not in torch's checkpoints folder; put them there"
    return None
