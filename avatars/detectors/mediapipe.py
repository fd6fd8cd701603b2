"""mediapipe 0.10.21: face mesh with irises, and person masks. Its models are inside its wheel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from avatars.detectors.faces import NUM_POINTS, Face, FaceDetector, box, overlap
from avatars.detectors.quiet import quiet_stderr
from dnr.errors import InputError

VERSION = "0.10.21"  # later wheels leave the models out
MOST_FACES = 4
CLOSE_UP = 384  # pixels: a face too small for the mesh's own search is enlarged to this
MARGIN = 2.0  # of the box that the far-sighted search finds

PersonMasker = Callable[[np.ndarray], np.ndarray]
"""A uint8 RGB picture [H, W, 3] goes in, float32 [H, W] from 0 to 1 (person) comes out."""


def mediapipe_detector() -> FaceDetector:
    """A detector for the frames of one video, in order: faces are followed from frame to frame.

    Where its own search, made for faces at arm's length, sees none, a far-sighted one is asked and
    the mesh is tried on enlarged cut-outs.
    """
    solutions = _solutions()
    black = np.zeros((64, 64, 3), np.uint8)
    with quiet_stderr():  # they talk when they are made and when they run first
        mesh = solutions.face_mesh.FaceMesh(max_num_faces=MOST_FACES, refine_landmarks=True)
        still = solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=True
        )
        search = solutions.face_detection.FaceDetection(model_selection=1)
        for model in (mesh, still, search):
            model.process(black)

    def look(image: np.ndarray) -> list[Face]:
        whole = np.array([0, 0, image.shape[1], image.shape[0]], np.float32)
        return _faces(mesh.process(image), whole) or _close_ups(search, still, image)

    seen = False

    def detect(image: np.ndarray) -> list[Face]:
        nonlocal seen
        with nullcontext() if seen else quiet_stderr():  # and once more at the first face
            faces = look(image)
        seen = seen or bool(faces)
        return faces

    return detect


def mediapipe_masker() -> PersonMasker:
    """A masker for single pictures, best where head and shoulders fill them."""
    solutions = _solutions()
    with quiet_stderr():
        model = solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
        model.process(np.zeros((64, 64, 3), np.uint8))

    def mask(image: np.ndarray) -> np.ndarray:
        return model.process(image).segmentation_mask

    return mask


def mediapipe_trouble() -> str | None:
    """Why mediapipe cannot be used, in words; None if it can."""
    advice = "run make setup, or pip install --no-deps -r requirements-no-deps.txt"
    try:
        installed = version("mediapipe")
    except PackageNotFoundError:
        return f"mediapipe is not installed; {advice}"
    if installed != VERSION:
        return f"mediapipe {installed} is installed and {VERSION} is needed; {advice}"
    return None


def _solutions() -> ModuleType:
    trouble = mediapipe_trouble()
    if trouble:
        raise InputError(f"faces cannot be found: {trouble}.")
    with quiet_stderr():
        from mediapipe.python import solutions  # slow to import, and not needed for scenes
    return solutions


def _faces(result: Any, window: np.ndarray) -> list[Face]:  # [4], in pixels of the frame
    """mediapipe's points, shares of a window, in pixels; a face found twice counts once."""
    faces: list[Face] = []
    for found in result.multi_face_landmarks or []:
        shares = np.array([(p.x, p.y) for p in found.landmark], np.float32)
        points = window[:2] + shares * (window[2:] - window[:2])
        if len(points) == NUM_POINTS and not any(
            overlap(box(points), box(face.points)) > 0.5 for face in faces
        ):
            faces.append(Face(points, 1.0))
    return faces


def _close_ups(search: Any, still: Any, image: np.ndarray) -> list[Face]:
    height, width = image.shape[:2]
    faces = []
    for found in search.process(image).detections or []:
        area = found.location_data.relative_bounding_box
        sides = np.array([area.width * width, area.height * height])
        centre = np.array([area.xmin * width, area.ymin * height]) + sides / 2
        half = MARGIN / 2 * sides.max()
        left, top = np.maximum(np.floor(centre - half), 0).astype(int)
        right, bottom = np.minimum(np.ceil(centre + half), (width, height)).astype(int)
        if right - left < 8 or bottom - top < 8:
            continue
        scale = max(CLOSE_UP / max(right - left, bottom - top), 1.0)
        size = (round((right - left) * scale), round((bottom - top) * scale))
        cut_out = cv2.resize(image[top:bottom, left:right], size, interpolation=cv2.INTER_CUBIC)
        window = np.array([left, top, right, bottom], np.float32)
        for face in _faces(still.process(cut_out), window):
            faces.append(Face(face.points, float(found.score[0])))
    return faces
