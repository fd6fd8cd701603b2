"""A photo as an actor: from a file to pictures that move."""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor

from avatars.detectors.mediapipe import mediapipe_detector, mediapipe_masker
from avatars.film.provenance import file_hash
from avatars.heads.files import load_head
from avatars.heads.rotations import rotation_vectors
from avatars.oneshot.choose_face import choose_face
from avatars.oneshot.engine import Puppet, picture, prepare
from avatars.oneshot.likeness import person_of
from avatars.oneshot.portrait import read_portrait
from avatars.reenact.actor import Actor
from avatars.transfer.neutral import FACING
from dnr.errors import InputError

MOST_TURNED_DEG, FRONTAL_DEG = 50.0, 30.0


def portrait_actor(path: Path, face: int | None = None) -> tuple[Actor, list[str]]:
    """The face in a photo, ready to be driven, and sentences about what is worth knowing."""
    puppet, notes = portrait_puppet(path, face)
    return puppet_actor(path, puppet), notes


def puppet_actor(path: Path, puppet: Puppet) -> Actor:
    """The photo in `path`, taken apart before."""
    origin = {
        "name": path.name,
        "sha256": file_hash(path),
        "consent": "not recorded",
        "engine": "built-in",
    }
    size = puppet.photo.shape[0], puppet.photo.shape[1]
    person = person_of(load_head(), puppet.likeness)
    return Actor(person, size, lambda frame: picture(puppet, frame), origin)


def portrait_puppet(path: Path, face: int | None = None) -> tuple[Puppet, list[str]]:
    """The photo taken apart, and what was noticed about it."""
    portrait = read_portrait(path)
    notes = portrait.notes
    landmarks = choose_face(path, portrait.image, mediapipe_detector(), face, notes)
    puppet = prepare(load_head(), portrait.image, landmarks, mediapipe_masker())
    turned = _turned_deg(puppet.likeness.head_to_camera)
    if turned > MOST_TURNED_DEG:
        raise InputError(
            f"the face in {path} is turned away by {turned:.0f} degrees, and {MOST_TURNED_DEG:.0f} "
            "is the most. Choose a picture that shows both eyes."
        )
    if turned > FRONTAL_DEG:
        notes.append(f"the face is turned by {turned:.0f} degrees; a frontal one moves better")
    return puppet, notes


def _turned_deg(head_to_camera: Tensor) -> float:  # [3, 4]
    """How far somebody looks past the camera, sideways or up and down."""
    turn = rotation_vectors(FACING.to(head_to_camera).T @ head_to_camera[:, :3])
    return math.degrees(float(turn[:2].norm()))
