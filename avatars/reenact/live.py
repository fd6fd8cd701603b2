"""Driving live: every frame is answered at once, from that frame and the few before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from avatars.detectors.faces import NUM_POINTS, FaceDetector
from avatars.heads.head import Head, Motion
from avatars.reenact.actor import Actor
from avatars.tracking.identity import fit_identity, key_frames
from avatars.tracking.motion import fit_motion
from avatars.tracking.normal import Marks, Motions
from avatars.tracking.points import Lens, PointModel, point_model, rest_points
from avatars.tracking.priors import motion_priors, point_weights
from avatars.tracking.rough import at_rest, lens_for, marks_from
from avatars.transfer.neutral import Neutral, neck_joint, neutral
from avatars.transfer.performance import Frame, Performance
from avatars.transfer.transfer import TransferOptions, transferred

FIRST_FRAMES, FIRST_KEYS = 45, 20
"""Frames at the start that show who drives and how they look at rest, and how many of them the
shape of the head is fitted to."""
MEMORY = 6
"""Frames that are solved together for the newest one: more is steadier, and later."""


def live_pictures(
    actor: Actor,
    frames: Iterable[np.ndarray],  # uint8 [H, W, 3], all of one size
    detect: FaceDetector,
    options: TransferOptions,
    fps: float = 30.0,
) -> Iterator[np.ndarray]:  # uint8 [H, W, 3]
    """One picture of the actor for each frame; at rest until the driver is known.

    The driver should begin relaxed and facing the camera. Where no face is seen the actor stays as
    it was.
    """
    follower: Follower | None = None
    shown = Frame(*_resting(actor))
    for image in frames:
        if follower is None:
            follower = Follower(actor.person.head, lens_for(image.shape[:2]), fps)
        faces = detect(image)
        if faces:
            driver = follower.follow(faces[0].points)
            if driver is not None and follower.rest is not None:
                shown = transferred(driver, follower.rest, actor.person, options).frame(
                    len(driver) - 1
                )
        yield actor.picture(shown)


@dataclass
class Follower:
    """What is known of a driver so far."""

    head: Head
    lens: Lens
    fps: float
    rest: Neutral | None = None
    _identity: Tensor | None = None
    _first: list[np.ndarray] = field(default_factory=list)
    _last: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=MEMORY))

    def __post_init__(self) -> None:
        self._model: PointModel = point_model(self.head)
        self._priors, self._trust = motion_priors(self.head), point_weights(self.head)

    def follow(self, points: np.ndarray) -> Performance | None:  # [478, 2] in pixels
        """What the driver did in the last few frames; None while they are still unknown."""
        if points.shape != (NUM_POINTS, 2):
            raise ValueError(f"points must be {NUM_POINTS} pairs, got {points.shape}")
        self._last.append(points)
        if self._identity is None:
            self._first.append(points)
            if len(self._first) < FIRST_FRAMES:
                return None
            self._meet()
        return self._performance(np.stack(self._last))

    def _meet(self) -> None:
        """Fit the head, and read off how it looks at rest."""
        marks, start = self._read(np.stack(self._first), self._model.mean)
        chosen = key_frames(marks, torch.ones(len(self._first), dtype=torch.bool), FIRST_KEYS)
        some = Marks(*(values[chosen] for values in marks))
        self._identity, _ = fit_identity(
            self._model, start.part(chosen), some, self.lens, self._priors
        )
        self.rest = neutral(self.head, self._performance(np.stack(self._first)))

    def _performance(self, points: np.ndarray) -> Performance:  # [T, 478, 2]
        assert self._identity is not None
        shape, _ = rest_points(self._model, self._identity)

        def read(frames: slice) -> tuple[Marks, Motions]:
            return self._read(points[frames], shape)

        count = len(points)
        solved = fit_motion(self._model, self._identity, read, count, self.lens, self._priors)
        pose = torch.cat([solved.pose.rotation, solved.pose.translation[..., None]], dim=2)
        neck = pose.new_zeros(count, 3)
        times = torch.arange(count, dtype=torch.float64) / self.fps
        found = torch.ones(count, dtype=torch.bool)
        motion = Motion(solved.expression, solved.gaze, neck)
        return Performance(self.head.name, self._identity, motion, pose, times, self.fps, found)

    def _read(self, points: np.ndarray, shape: Tensor) -> tuple[Marks, Motions]:
        tensor = torch.from_numpy(points.astype(np.float32))
        marks, pose = marks_from(shape, tensor, self._trust, self.lens)
        return marks, at_rest(self._model, pose)


def _resting(actor: Actor) -> tuple[Motion, Tensor]:
    """The actor doing nothing."""
    rest, identity = actor.person.rest, actor.person.identity
    motion = Motion(rest.expression[None], rest.gaze[None], identity.new_zeros(1, 3))
    place = rest.neck - rest.rotation @ neck_joint(actor.person.head, identity)
    return motion, torch.cat([rest.rotation, place[:, None]], dim=1)[None]
