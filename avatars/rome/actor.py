"""ROME as an actor: the same interface as the built-in engine and as trained avatars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avatars.deca.networks import DecaCodes
from avatars.detectors.faces import IBUG
from avatars.detectors.mediapipe import PersonMasker, mediapipe_detector, mediapipe_masker
from avatars.film.provenance import file_hash
from avatars.flame.kit import FlameKit, load_kit
from avatars.flame.model import LEFT_EYE, RIGHT_EYE
from avatars.model_files import FLAME_2020
from avatars.oneshot.choose_face import choose_face
from avatars.oneshot.likeness import Likeness, fit_likeness, person_of
from avatars.oneshot.portrait import read_portrait as read_picture
from avatars.reenact.actor import Actor
from avatars.rome.avatar import RomeModel, drive, load_rome_model, posed, read_face, read_portrait
from avatars.rome.framing import SIZE, source_square
from avatars.rome.moved import Standing, moved_codes
from avatars.transfer.performance import Frame
from dnr.images import images_from_tensor, tensor_from_images

PAPER = 1.0  # white, as published: a portrait's own background has its head in it


def rome_actor(
    path: Path,
    folder: Path,  # with the user's files
    device: torch.device,
    face: int | None = None,
    linear: bool = False,
) -> tuple[Actor, list[str]]:
    """The face in a photo, rebuilt as a mesh with hair, and sentences about what to know."""
    model = load_rome_model(folder, linear).to(device)
    kit = load_kit(folder, FLAME_2020)
    portrait = read_picture(path)
    landmarks = choose_face(path, portrait.image, mediapipe_detector(), face, portrait.notes)
    likeness = fit_likeness(kit.head, landmarks, portrait.image.shape[:2])
    picture = puppet(model, kit, portrait.image, likeness, mediapipe_masker())
    origin = {
        "name": path.name,
        "sha256": file_hash(path),
        "consent": "not recorded",
        "engine": "ROME, linear" if linear else "ROME",
    }
    person = person_of(kit.head, likeness)
    notes = [*portrait.notes, f"ROME draws {SIZE} x {SIZE} pixels on white; shoulders stay"]
    return Actor(person, (SIZE, SIZE), picture, origin), notes


@torch.no_grad()
def puppet(
    model: RomeModel, kit: FlameKit, photo: np.ndarray, likeness: Likeness, masker: PersonMasker
) -> Callable[[Frame], np.ndarray]:
    """What draws frames for a photo, uint8 [H, W, 3]; the networks read it once, here."""
    marks = torch.from_numpy(likeness.landmarks[list(IBUG)]).float()
    square = source_square(marks)
    like = model.flame.template
    image = square.sample(tensor_from_images(photo)).to(like)
    matte = square.sample(torch.from_numpy(masker(photo)).float()[None, None]).to(like)
    points = square.to_square(marks)[None].to(like)
    source = read_portrait(model, image, matte, points)
    standing = stand(model, read_face(model, image, points), likeness)

    @torch.no_grad()
    def draw(frame: Frame) -> np.ndarray:
        change = frame.motion.expression - likeness.motion.expression
        expression, jaw = kit.table.to_flame(change)
        codes = moved_codes(standing, expression[:, :50], jaw, frame.pose[0])
        rendering = drive(model, source, DecaCodes(*(code.to(like) for code in codes)))
        cover = torch.sigmoid(rendering.matte)
        return images_from_tensor(rendering.image * cover + PAPER * (1 - cover))[0]

    return draw


def stand(model: RomeModel, codes: DecaCodes, likeness: Likeness) -> Standing:
    """How the portrait stands, by DECA and by the tracked head."""
    vertices, root = posed(model, codes.shape, codes)
    regressor = model.flame.joint_regressor
    eyes: Tensor = (regressor[LEFT_EYE] + regressor[RIGHT_EYE]) @ vertices[0] / 2
    codes = DecaCodes(*(code.cpu() for code in codes))
    square = source_square(torch.from_numpy(likeness.landmarks[list(IBUG)]).float())
    height, width = likeness.size
    middle = torch.tensor([width / 2, height / 2])
    pose = likeness.head_to_camera
    return Standing(codes, square, pose, likeness.lens.focal, middle, eyes.cpu(), root[0].cpu())
