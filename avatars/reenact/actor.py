"""Whoever can be driven, behind one interface: trained avatars here, portraits in oneshot/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avatars.transfer.performance import Frame
from avatars.transfer.transfer import Person


@dataclass(frozen=True)
class Actor:
    """Somebody who can perform."""

    person: Person
    size: tuple[int, int]  # (height, width) of the pictures
    picture: Callable[[Frame], np.ndarray]
    """One frame of a performance by `person` -> uint8 [H, W, 3], or [H, W, 4] with alpha. Frames
    stand alone: they may come in any order and from several threads."""
    origin: dict[str, str]
    """For the provenance: name, sha256, and what is known of consent."""
