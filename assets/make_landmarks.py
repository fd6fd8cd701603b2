"""Find mediapipe's points on the head, into assets/head.npz: `python assets/make_landmarks.py`.

The head is rendered in many poses, people and expressions; mediapipe marks each picture; and each
of its points becomes the point of the surface that lies nearest to its marks over all of them.
Needs mediapipe; about three minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import mediapipe
import numpy as np
import torch
from make_head import HEAD_FILE
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from avatars.heads.files import read_head, write_head
from avatars.heads.head import Head, Motion, head_mesh, head_vertices, still
from avatars.synthetic.skin import IRIS, Look, paint
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate

SIZE = 384
FIELD_DEG, DISTANCE_M = 22.0, 1.0
SKIN = 468  # points on the skin; then right iris and left iris, a centre and a ring of four each
STEPS = 5  # candidates lie on a grid of so many steps along each edge of a face
STRAY_M = 0.008  # errors beyond this count no more
REACH_M = 0.016  # candidates around the best vertex
ON_MIDDLE_M = 1e-5
EYES = ("right_eyeball", "left_eyeball")
FACES = [
    {},
    {"jawOpen": 0.3},
    {"jawOpen": 0.6},
    {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8},
    {"mouthPucker": 0.8},
    {"mouthFunnel": 0.6, "jawOpen": 0.2},
    {"browDownLeft": 0.8, "browDownRight": 0.8},
    {"browInnerUp": 0.7, "browOuterUpLeft": 0.7, "browOuterUpRight": 0.7},
    {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5},
    {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
]


class Light(NamedTuple):
    """What a painted head is lit by."""

    lamp: tuple[float, float, float]  # where it is, in the head's frame
    room: float  # light from everywhere
    wall: float  # brightness of the backdrop


PLAIN = Light((0.3, 0.6, 1.0), 0.45, 0.6)


class Sample(NamedTuple):
    """One picture: the head that was rendered, and what mediapipe found."""

    vertices: np.ndarray  # [V, 3]
    world_to_camera: np.ndarray  # [4, 4]
    marks: np.ndarray  # [478, 2] pixels
    is_symmetric: bool  # the mean head at rest, from straight ahead


def views(head: Head) -> Iterator[tuple[Motion, torch.Tensor, float, float]]:
    """Motion, identity, yaw and pitch in degrees of every picture."""
    generator = np.random.default_rng(0)
    nobody = torch.zeros(len(head.identity))
    for yaw in range(-45, 46, 15):
        for pitch in (-18, 0, 18):
            yield still(head), nobody, yaw, pitch
    for face in FACES:
        for yaw, pitch in ((0, 0), (-20, 8), (20, -8), (-38, 0), (38, 0)):
            yield with_face(head, face), nobody, yaw, pitch
    for _ in range(24):
        somebody = torch.from_numpy(generator.normal(0, 0.8, len(head.identity))).float()
        for yaw in (-35, -18, 0, 18, 35):
            face = FACES[generator.integers(len(FACES))]
            yield with_face(head, face), somebody, yaw, generator.uniform(-15, 15)


def with_face(head: Head, face: dict[str, float]) -> Motion:
    motion = still(head)
    motion.expression[0, head.names(*face)] = torch.tensor(list(face.values()))
    return motion


def take_samples(head: Head) -> tuple[list[Sample], int]:
    """Every picture in which a face was found, and how many there were."""
    texture = torch.from_numpy(paint(head, Look(freckles=0.0))).float().permute(2, 0, 1)[None]
    detector = mediapipe.solutions.face_mesh.FaceMesh(  # pyright: ignore
        static_image_mode=True, refine_landmarks=True, min_detection_confidence=0.3
    )
    samples, count = [], 0
    for motion, identity, yaw, pitch in views(head):
        count += 1
        vertices = head_vertices(head, identity, motion)[0]
        camera = camera_at(yaw, pitch)
        found = detector.process(painted(head, vertices, camera, texture)).multi_face_landmarks
        if found:
            marks = np.array([[mark.x, mark.y] for mark in found[0].landmark]) * SIZE
            plain = yaw == 0 and not identity.any() and not motion.expression.any()
            matrix = camera.world_to_camera[0].numpy()
            samples.append(Sample(vertices.numpy(), matrix, marks, plain))
    return samples, count


def camera_at(yaw_deg: float, pitch_deg: float) -> Camera:
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    towards = [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
    target = torch.tensor([0.0, -0.03, -0.02])
    position = target + DISTANCE_M * torch.tensor([towards]).float()
    matrix = look_at(position, target, torch.tensor([0.0, 1.0, 0.0]))
    return Camera(matrix, intrinsics_from_fov(FIELD_DEG, (SIZE, SIZE), matrix), (SIZE, SIZE))


def painted(
    head: Head,
    vertices: torch.Tensor,  # [V, 3]
    camera: Camera,
    texture: torch.Tensor,  # [1, 3, S, S]
    light: Light = PLAIN,
) -> np.ndarray:
    """A picture of the painted head, uint8 [H, W, 3]."""
    mesh = head_mesh(head, vertices)
    surface = interpolate(rasterize(vertices, head.faces, camera), mesh, camera)
    grid = torch.stack([2 * surface.uv[..., 0] - 1, 1 - 2 * surface.uv[..., 1]], dim=-1)
    colour = functional.grid_sample(texture, grid, align_corners=False)[0].permute(1, 2, 0)
    lamp = functional.normalize(torch.tensor(light.lamp), dim=0)
    shade = light.room + 0.75 * (surface.normal[0] @ lamp).clamp(min=0)
    seen = surface.normal[0].norm(dim=-1) > 0
    image = torch.where(seen[..., None], colour * shade[..., None], torch.tensor(light.wall))
    return (255 * image.clamp(0, 1)).byte().numpy()


def distances(samples: list[Sample], points: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Metres across the line of sight: [S, C, 3] points against [S, M, 2] marks as [S, M, C]."""
    focal = SIZE / 2 / np.tan(np.radians(FIELD_DEG / 2))
    found = np.empty((len(samples), marks.shape[1], points.shape[1]), np.float32)
    for row, sample in enumerate(samples):
        local = points[row] @ sample.world_to_camera[:3, :3].T + sample.world_to_camera[:3, 3]
        pixel = local[:, :2] / local[:, 2:] * focal + SIZE / 2
        gap = marks[row][:, None] - pixel[None]
        found[row] = np.linalg.norm(gap, axis=2) * (local[:, 2] / focal)
    return found


def place(head: Head, samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Face and weights of the best surface point for each skin mark, symmetric across the face.

    A point and its mirror image are tried together for a mark and its partner.
    """
    vertices = np.stack([sample.vertices for sample in samples])
    marks = np.stack([sample.marks for sample in samples])[:, :SKIN].astype(np.float32)
    template, faces, mirror = head.template.numpy(), head.faces.numpy(), head.mirror.numpy()
    rows, bary = candidates(head)
    corners = faces[rows]
    points = (template[corners] * bary[..., None]).sum(axis=1)
    skin = np.unique(corners)
    coarse = np.minimum(distances(samples, vertices[:, skin], marks), STRAY_M).mean(axis=0)
    best = template[skin[coarse.argmin(axis=1)]]  # [468, 3]
    partner = partners(marks[[sample.is_symmetric for sample in samples]])
    row_of = {tuple(sorted(face)): row for row, face in enumerate(faces.tolist())}
    chosen, weights = np.empty(SKIN, np.int64), np.empty((SKIN, 3))
    for mark, other in enumerate(partner):
        if other < mark:
            continue  # placed with its partner
        near = np.linalg.norm(points - best[mark], axis=1) < REACH_M
        if other == mark:
            near &= np.abs(points[:, 0]) < ON_MIDDLE_M
        error = 0.0
        for one, ends in ((mark, corners[near]), (other, mirror[corners[near]])):
            moved = np.einsum("sncx,nc->snx", vertices[:, ends], bary[near])
            strays = distances(samples, moved, marks[:, one : one + 1])[:, 0]
            error = error + np.minimum(strays, STRAY_M).mean(axis=0)
        winner = np.flatnonzero(near)[np.argmin(error)]
        for one, ends in ((other, mirror[corners[winner]]), (mark, corners[winner])):
            chosen[one] = row_of[tuple(sorted(ends.tolist()))]
            order = [ends.tolist().index(corner) for corner in faces[chosen[one]].tolist()]
            weights[one] = bary[winner][order]
    return chosen, weights


def partners(marks: np.ndarray) -> np.ndarray:  # [S, 468, 2], symmetric pictures -> [468]
    """For each mark the one that is its mirror image."""
    flipped = np.array([SIZE, 0]) + marks * [-1, 1]
    gap = np.linalg.norm(marks[:, :, None] - flipped[:, None], axis=3).mean(axis=0)
    partner = linear_sum_assignment(gap + gap.T)[1]
    if not np.array_equal(partner[partner], np.arange(SKIN)):
        raise ValueError("landmarks must pair up across the face")
    return partner


def candidates(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Faces [C] and weights [C, 3] of a grid of points all over the visible skin of the face."""
    regions = {name: mask.numpy() for name, mask in head.regions.items()}
    hidden = regions["shoulders"] | regions["mouth"] | regions["tongue"] | regions["scalp"]
    for name in ("upper_teeth", "lower_teeth", *EYES, "right_socket", "left_socket"):
        hidden |= regions[name]
    rows = np.flatnonzero(~hidden[head.faces.numpy()].any(axis=1))
    grid = [(a, b) for a in range(STEPS + 1) for b in range(STEPS + 1 - a)]
    weights = np.array([(a, b, STEPS - a - b) for a, b in grid], np.float32) / STEPS
    return np.repeat(rows, len(grid)), np.tile(weights, (len(rows), 1))


def iris_points(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Face and weights of a centre and four points around each iris, in mediapipe's order.

    The ring goes to the picture's right, up, left and down when the face is upright.
    """
    template, faces = head.template.double(), head.faces
    chosen, weights = [], []
    for side, name in enumerate(EYES):
        rows = head.regions[name][faces].all(dim=1).nonzero()[:, 0]
        centre = head.eye_centre[side].double() @ template
        a, b, c = (template[faces[rows, corner]] - centre for corner in range(3))
        reach = float(a.norm(dim=1).median())
        slant = float(np.sqrt(reach**2 - IRIS**2))
        for across, up in ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)):
            ring = (IRIS * across, IRIS * up, slant) if across or up else (0.0, 0.0, reach)
            ray = torch.tensor(ring, dtype=torch.float64)
            share = torch.linalg.solve(torch.stack([a, b, c], dim=2), ray)  # [rows, 3]
            inside = (share > -1e-9).all(dim=1).nonzero()[0, 0]
            chosen.append(int(rows[inside]))
            weights.append((share[inside] / share[inside].sum()).numpy())
    return np.array(chosen), np.array(weights)


def main() -> None:
    head = read_head(HEAD_FILE)
    samples, count = take_samples(head)
    print(f"mediapipe found the face in {len(samples)} of {count} pictures")
    face, bary = place(head, samples)
    iris_face, iris_bary = iris_points(head)
    all_faces, all_bary = np.append(face, iris_face), np.concatenate([bary, iris_bary])
    vertices = np.stack([sample.vertices for sample in samples])
    points = vertices[:, head.faces.numpy()[all_faces]]
    points = (points * all_bary[None, :, :, None]).sum(axis=2)
    marks = np.stack([sample.marks for sample in samples])
    spread = np.empty(len(all_faces))
    for mark in range(len(all_faces)):
        one = slice(mark, mark + 1)
        spread[mark] = np.median(distances(samples, points[:, one], marks[:, one]))
    quarters = np.percentile(1000 * spread[:SKIN], [50, 75, 90, 100])
    print("distance in mm, median 75 90 100 %:", np.round(quarters, 2))
    print("irises in mm:", np.round(1000 * spread[SKIN:], 2))
    write_head(
        HEAD_FILE,
        replace(
            head,
            landmark_faces=torch.from_numpy(all_faces),
            landmark_bary=torch.from_numpy(all_bary).float(),
            landmark_spread=torch.from_numpy(spread).float(),
        ),
    )


if __name__ == "__main__":
    main()
