"""The driver's motion becomes that of the avatar's person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from avatars.heads.head import Head, Motion
from avatars.heads.rotations import rotation_matrices
from avatars.transfer.limits import (
    EXPRESSION_MARGIN,
    GAZE_MARGIN,
    PLACE_MARGIN,
    TURN_MARGIN,
    Limits,
    relative_turns,
    soft_clamp,
)
from avatars.transfer.neutral import Neutral, neck_joint, region_of
from avatars.transfer.openings import CLOSES, eye_distance, face_middle, face_size, openings
from avatars.transfer.performance import Performance
from avatars.transfer.smooth import (
    EXPRESSION_STEP,
    GAZE_STEP,
    PLACE_STEP,
    TURN_STEP,
    smoothed,
)
from dnr.errors import InputError

Region = Literal["mouth", "eyes", "brows", "pose", "gaze"]


@dataclass(frozen=True)
class TransferOptions:
    """How motion is carried over."""

    strength: float = 1.0
    """How much of the driver's expression; more than 1 exaggerates."""
    only: tuple[Region, ...] = ()
    """Drive only these; the rest stays at rest."""
    without: tuple[Region, ...] = ()
    """Drive everything but these."""
    pose: Literal["relative", "absolute"] = "relative"
    """Add the driver's turns to the avatar's usual pose, or take the driver's pose itself."""
    pose_strength: float = 1.0
    """How much of the driver's turns and shifts."""
    retarget_lids: bool = True
    """Open the lids as far as the driver's, between shut and wide, whatever the eyes' shape."""
    retarget_lips: bool = True
    """Open the mouth as far as the driver's, beyond each one's own closed mouth."""
    smooth: bool = True
    """Take out jitter; blinks stay."""
    neutral_frame: int | None = None
    """Frame of the driver that shows it at rest; by default rest is read off the whole clip."""

    def __post_init__(self) -> None:
        if self.only and self.without:
            raise InputError("give --only or --without, not both")
        for name in ("strength", "pose_strength"):
            if not 0 <= getattr(self, name) <= 3:
                raise InputError(
                    f"--{name.replace('_', '-')} must be from 0 to 3, got {getattr(self, name)}"
                )
        if self.neutral_frame is not None and self.neutral_frame < 0:
            raise InputError(f"--neutral-frame must be 0 or more, got {self.neutral_frame}")

    def drives(self, region: str) -> bool:
        """Whether the driver moves this; what is not driven stays at rest."""
        return region in self.only if self.only else region not in self.without


@dataclass(frozen=True)
class Person:
    """Whom the motion is put onto."""

    head: Head
    identity: Tensor  # [I]
    rest: Neutral
    limits: Limits | None  # None: drive as far as the driver goes


def transferred(
    driver: Performance, driver_rest: Neutral, person: Person, options: TransferOptions
) -> Performance:
    """The same clip, acted by `person`: identity untouched, expression relative to rest."""
    head, motion = person.head, driver.motion
    expression = _expression(driver, driver_rest, person, options)
    gaze = motion.gaze - driver_rest.gaze
    gaze = smoothed(gaze, GAZE_STEP) if options.smooth else gaze
    gaze = person.rest.gaze + (gaze if options.drives("gaze") else torch.zeros_like(gaze))
    if person.limits is not None:
        gaze = soft_clamp(gaze, person.limits.gaze, GAZE_MARGIN)
    pose, turns = _pose(driver, driver_rest, person, options)
    # The torso follows by less than the head: the neck takes the rest.
    neck = _in_head_axes(turns, pose[:, :, :3])
    moved = Motion(expression, gaze, neck)
    return Performance(
        head.name, person.identity, moved, pose, driver.times, driver.fps, driver.found
    )


def _expression(
    driver: Performance, driver_rest: Neutral, person: Person, options: TransferOptions
) -> Tensor:  # [T, E]
    driven = driver.motion.expression
    driven = smoothed(driven, EXPRESSION_STEP) if options.smooth else driven
    parts = [options.drives(region_of(name)) for name in person.head.expression_names]
    switch = options.strength * torch.tensor(parts).to(driven)
    # Expressions move skin by metres: on a head that was fitted smaller they say more.
    sizes = [face_size(person.head, identity) for identity in (person.identity, driver.identity)]
    grown = sizes[0] / sizes[1]
    result = person.rest.expression + switch * grown * (driven - driver_rest.expression)
    result = _limited(result, person.limits)
    wanted = _wanted_openings(driver, driver_rest, person, options)
    own = openings(person.head, person.identity)
    for name, goal in wanted.items():
        (index,) = person.head.names(CLOSES[name])
        slope = own[name].per_expression[index]
        missing = goal - own[name].of(result)
        result[:, index] = (result[:, index] + missing / slope).clamp(-0.3, 1.3)
    return _limited(result, person.limits)


def _wanted_openings(
    driver: Performance, driver_rest: Neutral, person: Person, options: TransferOptions
) -> dict[str, Tensor]:  # [T] each
    """How far lids and lips are to be open. They are not smoothed: fast talk would be mumbled, and
    they are what a track is surest of."""
    theirs, driven = openings(person.head, driver.identity), driver.motion.expression
    wanted = {}
    if options.retarget_lids and options.drives("eyes"):
        for eye, (name, own) in enumerate(zip(list(CLOSES)[:2], person.rest.lids, strict=True)):
            shut, wide = driver_rest.lids[eye]
            level = (theirs[name].of(driven) - shut) / (wide - shut).clamp(min=1e-3)
            level = 1 + options.strength * (level.clamp(-0.1, 1.5) - 1)
            wanted[name] = own[0] + level * (own[1] - own[0])
    if options.retarget_lips and options.drives("mouth"):
        beyond = theirs["mouth"].of(driven) - driver_rest.lips
        wanted["mouth"] = person.rest.lips + options.strength * beyond
    return wanted


def _limited(expression: Tensor, ends: Limits | None) -> Tensor:
    if ends is None:
        return expression
    share, constant = EXPRESSION_MARGIN
    margin = share * (ends.expression[1] - ends.expression[0]) + constant
    return soft_clamp(expression, ends.expression, margin)


def _pose(
    driver: Performance, driver_rest: Neutral, person: Person, options: TransferOptions
) -> tuple[Tensor, Tensor]:  # [T, 3, 4], and [T, 3] turns against the person's rest
    rotations = driver.head_to_camera[:, :, :3]
    turns = relative_turns(rotations, driver_rest.rotation)
    moves = _moves(driver, driver_rest, person)
    if options.smooth:
        turns, moves = smoothed(turns, TURN_STEP), smoothed(moves, PLACE_STEP)
    if options.pose == "absolute":
        rotations = rotation_matrices(turns) @ driver_rest.rotation
        turns = relative_turns(rotations, person.rest.rotation)
    strength = options.pose_strength if options.drives("pose") else 0.0
    turns, moves = strength * turns, strength * moves
    # Sideways people move by shares of their own size; depth changes a picture by its ratio.
    larger = face_size(person.head, person.identity) / face_size(person.head, driver.identity)
    sideways = moves[:, :2] * larger
    moves = torch.cat([sideways, moves[:, 2:] * person.rest.neck[2] / driver_rest.neck[2]], dim=1)
    if person.limits is not None:
        turns = soft_clamp(turns, person.limits.turn, TURN_MARGIN)
        moves = soft_clamp(
            moves, person.limits.place, PLACE_MARGIN * eye_distance(person.head, person.identity)
        )
    rotations = rotation_matrices(turns) @ person.rest.rotation
    joint = neck_joint(person.head, person.identity)
    places = person.rest.neck + moves - rotations @ joint
    return torch.cat([rotations, places[:, :, None]], dim=2), turns


def _moves(driver: Performance, driver_rest: Neutral, person: Person) -> Tensor:  # [T, 3]
    """How far the driver's neck is from where it rests.

    Nobody sees the joint: it is taken to be as far from the face as the person's, in units of the
    driver's size. So the face, which is seen, comes out where the driver has it when heads turn.
    """
    head, pose = person.head, driver.head_to_camera
    theirs, own = (face_middle(head, identity) for identity in (driver.identity, person.identity))
    size = face_size(head, driver.identity) / face_size(head, person.identity)
    joint = theirs + size * (neck_joint(head, person.identity) - own)
    apart = joint - neck_joint(head, driver.identity)
    rest = driver_rest.neck + driver_rest.rotation @ apart
    return pose[:, :, :3] @ joint + pose[:, :, 3] - rest


def _in_head_axes(turns: Tensor, rotations: Tensor) -> Tensor:  # [T, 3], [T, 3, 3] -> [T, 3]
    """Rotation vectors in the axes of the camera, in those of the head."""
    return (rotations.transpose(1, 2) @ turns[..., None])[..., 0]
