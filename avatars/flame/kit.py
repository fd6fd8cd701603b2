"""A user's FLAME, ready to stand in for the shipped head and to talk its language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from avatars import model_files as files
from avatars.detectors.faces import IBUG
from avatars.flame.arkit_map import ArkitMap, fit_arkit_map
from avatars.flame.files import load_flame
from avatars.flame.landmarks import load_landmarks, load_mediapipe_points
from avatars.flame.model import Flame
from avatars.flame.pairing import Pairing, pair_points
from avatars.heads.files import load_head
from avatars.heads.head import Head


@dataclass(frozen=True)
class FlameKit:
    """FLAME and the shipped head, point by point and name by name."""

    flame: Flame
    head: Head
    pairing: Pairing
    table: ArkitMap


def load_kit(folder: Path, wanted: files.ModelFile = files.FLAME) -> FlameKit:
    """From the folder with the user's files. mediapipe's points on FLAME make it more exact."""
    flame = load_flame(files.need_file(wanted, folder), files.user_cache() / "converted")
    flame, head = flame.to(torch.zeros(())), load_head()
    marks = files.find_file(files.MEDIAPIPE_POINTS, folder)
    if marks is not None:
        known, numbers = load_mediapipe_points(marks)
    else:
        known = load_landmarks(files.need_file(files.LANDMARKS, folder)).static
        known = type(known)(known.face[:51], known.weights[:51])
        numbers = torch.tensor(IBUG[17:])
    pairing = pair_points(head, flame, known, numbers)
    return FlameKit(flame, head, pairing, fit_arkit_map(head, flame, pairing))
