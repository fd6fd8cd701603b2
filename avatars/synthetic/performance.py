"""What an actor does: smooth random talking, looking about, blinking and turning of the head."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from avatars.heads.head import Head

VOWELS = (  # how far the jaw opens, what the lips do, and the second formant in Hz
    (0.42, {}, 1200.0),
    (0.26, {"mouthStretchLeft": 0.35, "mouthStretchRight": 0.35}, 1900.0),
    (0.10, {"mouthStretchLeft": 0.5, "mouthStretchRight": 0.5}, 2300.0),
    (0.22, {"mouthFunnel": 0.6}, 900.0),
    (0.10, {"mouthPucker": 0.75}, 750.0),
)
CLOSED = {"mouthRollUpper": 0.25, "mouthRollLower": 0.25}  # for m, b and p
SYLLABLE_S, PAUSE_S, BLINK_S = 0.21, 0.6, 0.26
CLOSENESS_M = 0.52  # from the camera to the eyes


class Performance(NamedTuple):
    """What is known about every frame; float64."""

    expression: np.ndarray  # [T, E]
    gaze: np.ndarray  # [T, 2, 2]
    neck: np.ndarray  # [T, 3]
    head_to_camera: np.ndarray  # [T, 3, 4]
    loudness: np.ndarray  # [T] of the voice
    second_formant_hz: np.ndarray  # [T]


def perform(
    head: Head,
    joint: np.ndarray,  # [3], where this person's head turns, in the head frame
    frames: int,
    fps: float,
    seed: int,
) -> Performance:
    """A random performance; the same seed and length give the same one."""
    streams = [np.random.default_rng([seed, part]) for part in range(4)]
    expression = np.zeros((frames, len(head.expression)))
    loudness, formant = _talk(head, expression, fps, streams[0])
    _emote(head, expression, fps, streams[1])
    gaze, lids_down = _look_about(frames, fps, streams[2])
    _blink(head, expression, lids_down, fps, streams[2])
    expression = expression.clip(0, 1)
    neck, head_to_camera = _turn(joint, frames, fps, streams[3])
    return Performance(expression, gaze, neck, head_to_camera, loudness, formant)


def drift(frames: int, fps: float, per_s: float, generator: np.random.Generator) -> np.ndarray:
    """[T], smooth and random around 0, mostly within -1 to 1, about `per_s` swings a second."""
    time = np.arange(frames) / fps
    rates = generator.uniform(0.3, 1.2, 5) * per_s
    phases = generator.uniform(0, 2 * np.pi, 5)
    return np.sin(2 * np.pi * time[:, None] * rates + phases).sum(axis=1) / np.sqrt(5)


def _talk(
    head: Head, expression: np.ndarray, fps: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Syllables with pauses between sentences; returns loudness and second formant."""
    frames = len(expression)
    loudness, formant = np.zeros(frames), np.full(frames, 1400.0)
    now, left = 0.15, int(generator.integers(5, 10))
    while now * fps < frames:
        jaw, lips, second = VOWELS[generator.integers(len(VOWELS))]
        length = SYLLABLE_S * generator.uniform(0.8, 1.3)
        start, middle = (round((now + share * length) * fps) for share in (0.0, 0.35))
        end = round((now + length) * fps)
        strength = generator.uniform(0.7, 1.15)
        if generator.uniform() < 0.35:
            _hold(head, expression, CLOSED, slice(start, middle), 1.0)
        _hold(head, expression, {"jawOpen": jaw, **lips}, slice(middle, end), strength)
        loudness[middle:end] = strength * (0.5 + jaw)
        formant[start:end] = second
        now, left = now + length, left - 1
        if left == 0:
            now, left = now + PAUSE_S * generator.uniform(0.6, 1.8), int(generator.integers(5, 10))
    width = 0.045 * fps
    expression[:] = gaussian_filter1d(expression, width, axis=0, mode="nearest")
    return gaussian_filter1d(loudness, width), gaussian_filter1d(formant, width, mode="nearest")


def _hold(
    head: Head, expression: np.ndarray, face: dict[str, float], span: slice, strength: float
) -> None:
    for name, amount in face.items():
        expression[span, head.expression_names.index(name)] = amount * strength


def _emote(head: Head, expression: np.ndarray, fps: float, generator: np.random.Generator) -> None:
    """Smiles, and brows that go up and down, over many syllables; a little lopsided."""
    frames = len(expression)
    moods = (
        (("mouthSmileLeft", "mouthSmileRight"), 0.7, 0.25),
        (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.7, 0.5),
        (("browDownLeft", "browDownRight"), 0.5, 0.4),
        (("eyeSquintLeft", "eyeSquintRight", "cheekSquintLeft", "cheekSquintRight"), 0.4, 0.3),
        (("mouthUpperUpLeft", "mouthUpperUpRight"), 0.3, 0.7),
        (("mouthLowerDownLeft", "mouthLowerDownRight"), 0.3, 0.8),
    )
    for names, most, per_s in moods:
        course = most * np.clip(drift(frames, fps, per_s, generator), 0, 1)
        for name in names:
            share = generator.uniform(0.75, 1.0)
            expression[:, head.expression_names.index(name)] += share * course


def _look_about(
    frames: int, fps: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Quick jumps between rests, both eyes nearly parallel; and how far they look down, 0 to 1."""
    target = np.zeros((frames, 2))
    now = 0.0
    while now * fps < frames:
        rest = generator.uniform(0.5, 1.8)
        at_camera = generator.uniform() < 0.4
        goal = np.zeros(2) if at_camera else generator.normal(0, [0.22, 0.10])
        target[round(now * fps) : round((now + rest) * fps)] = np.clip(goal, -0.38, 0.38)
        now += rest
    jump = gaussian_filter1d(target, 0.02 * fps, axis=0, mode="nearest")
    jump += 0.006 * np.stack([drift(frames, fps, 2.0, generator) for _ in range(2)], axis=1)
    inwards = np.array([0.045, 0.0])  # at arm's length the eyes converge a little
    gaze = np.stack([jump + inwards, jump - inwards], axis=1)
    return gaze, np.clip(-jump[:, 1] / 0.35, 0, 1)


def _blink(
    head: Head,
    expression: np.ndarray,
    lids_down: np.ndarray,
    fps: float,
    generator: np.random.Generator,
) -> None:
    """Every few seconds, quicker to close than to open; and lids that follow the gaze down."""
    time = np.arange(len(expression)) / fps
    closed = 0.25 * lids_down
    now = generator.uniform(0.5, 1.5)
    while now < time[-1]:
        since = (time - now) / BLINK_S
        pulse = np.where(since < 0.35, since / 0.35, (1 - since) / 0.65)
        closed = np.maximum(closed, np.clip(1.6 * pulse, 0, 1))
        now += generator.uniform(1.3, 4.0)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[:, head.expression_names.index(name)] = closed


def _turn(
    joint: np.ndarray, frames: int, fps: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Neck against torso, and the pose of the head, whose torso only sways."""
    swing = np.radians([20.0, 7.0, 5.0]) * np.stack(
        [drift(frames, fps, rate, generator) for rate in (0.28, 0.35, 0.3)], axis=1
    )
    turn = Rotation.from_euler("YXZ", swing)
    sway = np.radians([4.0, 2.0, 1.5]) * np.stack(
        [drift(frames, fps, 0.15, generator) for _ in range(3)], axis=1
    )
    torso = Rotation.from_euler("YXZ", sway)
    place = 0.010 * np.stack([drift(frames, fps, 0.2, generator) for _ in range(3)], axis=1)
    facing = np.diag([1.0, -1.0, -1.0])  # a face towards the camera
    rotation = facing @ (torso * turn).as_matrix()
    # The joint stays where the torso has it; the head turns about it.
    where = facing @ torso.apply(joint)[..., None] + [[0.0], [-0.022], [CLOSENESS_M]]
    translation = where[..., 0] + place - (rotation @ joint)
    poses = np.concatenate([rotation, translation[..., None]], axis=2)
    return turn.as_rotvec(), poses
