"""Learn what mediapipe's marks get wrong, into assets/marks.npz: `python assets/make_marks.py`.

Made-up people of many shapes, paints and lamps are rendered; mediapipe marks them; and what tells
its errors best is kept (avatars/detectors/bias.py). Needs mediapipe; about seven minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import mediapipe
import numpy as np
import torch
from make_landmarks import SIZE, Light, painted
from torch import Tensor

from avatars.detectors.bias import MarkBias, features, unbiased, upright_shapes
from avatars.detectors.faces import RIGHT_IRIS
from avatars.heads.files import load_head
from avatars.heads.head import Head, Motion, head_vertices, landmark_points
from avatars.heads.rotations import rotation_matrices
from avatars.synthetic.posing import hair_offsets
from avatars.synthetic.skin import Colour, Look, paint
from dnr.array_files import save_arrays
from dnr.geometry.cameras import Camera

MARKS_FILE = Path(__file__).with_name("marks.npz")
PEOPLE, PICTURES, LOOKS = 660, 5, 8
HELD_OUT = 6  # every so-manieth person only tests
NUMBERS, SQUARED = 60, 6
CALM = 0.01  # ridge, in parts of the variance
FOCAL = 1.8  # picture widths
FACING = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
WORST = 0.25  # of the eye distance: farther off, another thing was found
MOVES = (
    ("mouthSmileLeft", "mouthSmileRight"),
    ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    ("browDownLeft", "browDownRight"),
    ("mouthPucker",),
    ("mouthFunnel",),
    ("mouthLeft",),
    ("mouthRight",),
    ("mouthStretchLeft", "mouthStretchRight"),
    ("mouthRollUpper", "mouthRollLower"),
    ("mouthUpperUpLeft", "mouthUpperUpRight"),
    ("mouthLowerDownLeft", "mouthLowerDownRight"),
    ("mouthFrownLeft", "mouthFrownRight"),
    ("noseSneerLeft", "noseSneerRight"),
    ("eyeSquintLeft", "eyeSquintRight", "cheekSquintLeft", "cheekSquintRight"),
    ("eyeWideLeft", "eyeWideRight"),
    ("eyeBlinkLeft", "eyeBlinkRight"),
)
LOPSIDED = 0.3  # of the movements that have two sides
OWN_M, FADED_M = 0.004, 0.012
"""Marks this near to lids and lips are left alone, and those so far off fully corrected: made-up
eyes and mouths are less like real ones than the rest, and detectors see real ones well."""


class Samples(NamedTuple):
    """What mediapipe marked in S pictures, and where the points were."""

    marks: Tensor  # [S, 478, 2] pixels
    points: Tensor  # [S, 478, 2] pixels
    person: Tensor  # [S]


def a_look(generator: np.random.Generator) -> Look:
    """Some colours of skin, hair and eyes."""
    tone = generator.uniform(0.25, 0.8) * generator.uniform(0.93, 1.07, 3)
    skin = np.clip(tone * [1.25, 0.90, 0.72], 0, 0.95)
    hair = generator.uniform(0.04, 0.4) * np.array([1, 0.75, 0.55])
    lips = skin * [0.95, 0.60, 0.65] * generator.uniform(0.8, 1.05)
    iris = generator.uniform(0.1, 0.5, 3)
    return Look(
        _colour(skin),
        _colour(lips),
        _colour(0.8 * hair),
        _colour(hair),
        _colour(iris),
        freckles=generator.uniform(0, 0.6),
        stubble=float(generator.choice([0, 0, 0.5])),
        seed=int(generator.integers(1000)),
    )


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = values.tolist()
    return red, green, blue


def a_face(head: Head, generator: np.random.Generator) -> Motion:
    """Some expression and gaze."""
    amounts = {}
    if generator.uniform() < 0.7:
        amounts["jawOpen"] = 0.8 * generator.uniform() ** 1.5
    for names in MOVES:
        if generator.uniform() < 0.25:
            strength, least = generator.uniform(0.1, 1.0), 0.75
            if generator.uniform() < LOPSIDED:
                least = 0.0
            amounts |= {name: strength * generator.uniform(least, 1) for name in names}
    expression = torch.zeros(1, len(head.expression))
    for name, amount in amounts.items():
        expression[0, head.names(name)] = amount
    look, inwards = generator.normal(0, [0.2, 0.1]), np.array([0.03, 0])
    gaze = torch.from_numpy(np.stack([look + inwards, look - inwards])[None]).float()
    return Motion(expression, gaze, torch.zeros(1, 3))


def a_camera(generator: np.random.Generator) -> Camera:
    """Somewhere before the face."""
    turn = torch.from_numpy(generator.normal(0, np.radians([9, 20, 6]))).float()
    place = [generator.normal(0, 0.02), generator.normal(0.02, 0.02), generator.uniform(0.5, 0.75)]
    matrix = torch.eye(4)[None].clone()
    matrix[0, :3, :3] = FACING @ rotation_matrices(turn)
    matrix[0, :3, 3] = torch.tensor(place)
    lens = torch.tensor([[[FOCAL * SIZE, 0, SIZE / 2], [0, FOCAL * SIZE, SIZE / 2], [0, 0, 1]]])
    return Camera(matrix, lens, (SIZE, SIZE))


def take_samples(head: Head) -> Samples:
    """Every picture in which a face was found."""
    generator = np.random.default_rng(7)
    textures = [
        torch.from_numpy(paint(head, a_look(generator), 768)).float().permute(2, 0, 1)[None]
        for _ in range(LOOKS)
    ]
    detector = mediapipe.solutions.face_mesh.FaceMesh(  # pyright: ignore
        static_image_mode=True, refine_landmarks=True, min_detection_confidence=0.3
    )
    rows = []
    for person in range(PEOPLE):
        size = generator.uniform(0.4, 1.0)
        identity = torch.from_numpy(generator.normal(0, size, len(head.identity))).float()
        hair = torch.from_numpy(hair_offsets(head, generator.uniform(0.003, 0.02))).float()
        texture = textures[generator.integers(LOOKS)]
        lamp = torch.from_numpy(generator.normal([0, 0.6, 1], [0.7, 0.3, 0.3])).float()
        room, wall = generator.uniform(0.3, 0.6), generator.uniform(0.1, 0.9)
        for _ in range(PICTURES):
            camera = a_camera(generator)
            vertices = head_vertices(head, identity, a_face(head, generator), hair)
            lamp_at = camera.world_to_camera[0, :3, :3].T @ FACING @ lamp  # stays with the camera
            light = Light(tuple(lamp_at.tolist()), room, wall)
            image = painted(head, vertices[0], camera, texture, light)
            found = detector.process(image).multi_face_landmarks
            if found:
                marks = SIZE * torch.tensor([[mark.x, mark.y] for mark in found[0].landmark])
                points = camera.project(landmark_points(head, vertices))[0, :, :2]
                rows.append((marks, points, torch.tensor(person)))
    marks, points, person = (torch.stack(column) for column in zip(*rows, strict=True))
    right = distance(marks, points) < 100 * WORST
    return Samples(marks[right], points[right], person[right])


def distance(marks: Tensor, points: Tensor) -> Tensor:  # [S, 478, 2] twice -> [S]
    """Mean over the points, hundredths of the eye distance."""
    width = (points[:, 33] - points[:, 263]).norm(dim=-1)
    width = width.clamp(min=float(width.median()))  # turned aside it looks shorter
    return 100 * (marks - points).norm(dim=-1).mean(dim=1) / width


def corrected_share(head: Head) -> Tensor:  # [478]
    """How much of its error each mark loses: none at lids, lips and irises."""
    points = landmark_points(head, head.template[None])[0]
    corners = head.faces[head.landmark_faces]
    own = (head.regions["lips"] | head.regions["eyelids"])[corners].all(dim=1)
    own[RIGHT_IRIS:] = True
    nearest = torch.cdist(points, points[own]).min(dim=1).values
    return ((nearest - OWN_M) / (FADED_M - OWN_M)).clamp(0, 1)


def learn(samples: Samples, share: Tensor) -> MarkBias:
    """Ridge regression of the errors on the shapes' principal components."""
    reference = samples.marks[0] - samples.marks[0].mean(dim=0)
    reference = reference / (reference[33] - reference[263]).norm()
    for _ in range(3):
        mean = upright_shapes(samples.marks, reference)[0].mean(dim=0)
        reference = mean / (mean[33] - mean[263]).norm()
    shapes, turn = upright_shapes(samples.marks, reference)
    mean = shapes.mean(dim=0)
    error = share[:, None] * ((samples.marks - samples.points) @ turn)
    flat = (shapes - mean).flatten(1).double()
    _, scale, axes = torch.linalg.svd(flat, full_matrices=False)
    axes = axes[:NUMBERS].T / (scale[:NUMBERS] / len(flat) ** 0.5)
    rows = features(flat @ axes, SQUARED)
    ridge = CALM * len(rows) * torch.eye(rows.shape[1]).double()
    ridge[0, 0] = 0
    weights = torch.linalg.solve(rows.T @ rows + ridge, rows.T @ error.flatten(1).double())
    return MarkBias(reference, mean, axes.float(), weights.float())


def main() -> None:
    head = load_head()
    samples, share = take_samples(head), corrected_share(head)
    print(f"mediapipe found the face in {len(samples.marks)} of {PEOPLE * PICTURES} pictures")
    tests = samples.person % HELD_OUT == 0
    rest, test = (Samples(*(field[chosen] for field in samples)) for chosen in (~tests, tests))
    before = distance(test.marks, test.points).mean()
    after = distance(unbiased(test.marks, learn(rest, share)), test.points).mean()
    print(f"people never seen: {before:.2f} % of the eye distance off, corrected {after:.2f} %")
    arrays = learn(samples, share)._asdict()
    save_arrays(MARKS_FILE, {name: value.half().numpy() for name, value in arrays.items()})


if __name__ == "__main__":
    main()
