"""What the colours, the outline and the landmarks of one picture say about a head.

Each as rows of a least-squares problem: how far off something is, and how that changes with the
motion (columns of points.py's `motion_jacobian`) and with the identity, if that is asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avatars.detectors.faces import RIGHT_IRIS
from avatars.heads.head import Head, Motion, head_vertices, vertex_normals
from avatars.heads.rotations import cross_matrices
from avatars.tracking.appearance import Appearance, Sight
from avatars.tracking.normal import Marks, Motions, misses, robust_weights, weighted_rows
from avatars.tracking.outline import find_edges
from avatars.tracking.points import (
    GAZE,
    SHIFT_M,
    Lens,
    PointModel,
    identity_jacobian,
    local_jacobian,
    motion_jacobian,
)
from dnr.geometry.cameras import Camera

NOISE = 0.04  # colours that differ by more count linearly (Huber)
TRUST_PX = 1.5  # how exactly masks end, in crop pixels
HAIR_PX = 2.5  # outlines that are off by more are loose hair's, and count less and less
EDGES, PIXELS = 150.0, 1200.0  # how many independent ones there are, whatever their number
POINTS, OPENINGS = 0.2, 0.5
"""How much a landmark counts beside them, of what it does where there is nothing else; and those of
lids, lips and irises, since what appears when they open is nowhere in the texture."""


class Person(NamedTuple):
    """What is the same in all frames."""

    head: Head
    model: PointModel  # of the head
    skin: Tensor  # [F] bool
    identity: Tensor  # [I]
    offsets: Tensor  # [V]
    appearance: Appearance
    shares: Tensor  # [478], how much each landmark counts beside pictures


class View(NamedTuple):
    """One crop, in whose pixels everything is."""

    image: Tensor  # [3, S, S] in [0, 1]
    mask: Tensor  # [S, S] in [0, 1]
    lens: Lens
    marks: Marks  # of this one frame


class Rows(NamedTuple):
    """R equations."""

    motion: Tensor  # [R, P]
    identity: Tensor | None  # [R, I]
    right: Tensor  # [R]


def view_camera(motions: Motions, lens: Lens, size: int) -> Camera:
    """The camera of one frame in the head's frame."""
    like = motions.expression
    matrix = torch.eye(4).to(like)[None].clone()
    matrix[0, :3, :3], matrix[0, :3, 3] = motions.pose.rotation[0], motions.pose.translation[0]
    rows = [[lens.focal, 0, lens.centre[0]], [0, lens.focal, lens.centre[1]], [0, 0, 1]]
    return Camera(matrix, torch.tensor([rows]).to(like), (size, size))


def head_shape(head: Head, identity: Tensor, offsets: Tensor, motions: Motions) -> Tensor:
    """The vertices [V, 3] of one frame in the head's frame."""
    still_neck = motions.expression.new_zeros(1, 3)
    motion = Motion(motions.expression, motions.gaze, still_neck)
    return head_vertices(head, identity, motion, offsets)[0]


def landmark_shares(head: Head) -> Tensor:  # [478]
    """How much each landmark counts beside pictures."""
    corners = head.faces[head.landmark_faces]
    openings = (head.regions["lips"] | head.regions["eyelids"])[corners].all(dim=1)
    openings[RIGHT_IRIS:] = True
    return torch.where(openings, OPENINGS, POINTS).to(head.template)


def stacked(parts: list[Rows]) -> Rows:
    """All of them."""
    motion, identity, right = zip(*parts, strict=True)
    shared = [rows for rows in identity if rows is not None]
    return Rows(torch.cat(motion), torch.cat(shared) if shared else None, torch.cat(right))


def landmark_rows(person: Person, motions: Motions, view: View, with_identity: bool) -> Rows:
    """Where the detector's points are."""
    model, who, lens = person.model, person.identity, view.lens
    points, off = misses(model, who, motions, view.marks, lens)
    weights = person.shares * robust_weights(off, view.marks.weights)
    by_motion = motion_jacobian(model, who, points, motions.gaze, motions.pose, lens)
    rows, right = weighted_rows(by_motion, off, weights, view.marks.unit_px)
    if not with_identity:
        return Rows(rows[0], None, right[0])
    by_identity = identity_jacobian(model, points, motions.gaze, motions.pose, lens)
    shared, _ = weighted_rows(by_identity, off, weights, view.marks.unit_px)
    return Rows(rows[0], shared[0], right[0])


def colour_rows(
    person: Person,
    vertices: Tensor,  # [V, 3]
    motions: Motions,
    sight: Sight,
    image: Tensor,  # [3, S, S]
    difference: Tensor,  # [P, 3], predicted minus seen
    lens: Lens,
    with_identity: bool,
) -> Rows:
    """How the prediction at fixed pixels changes when the surface moves under them."""
    head = person.head
    corners = head.faces[sight.face]  # [P, 3]
    points = (vertices[corners] * sight.barycentric[..., None]).sum(dim=1)
    by_pose, by_point = _on_image(points, motions, lens)
    slope = _slopes(image)[:, :, sight.pixel[:, 0], sight.pixel[:, 1]].permute(2, 0, 1)
    robust = sight.weight * NOISE / difference.norm(dim=1).clamp(min=NOISE)
    root = (robust * PIXELS / max(3 * len(points), 1)).sqrt()[:, None] / NOISE
    slope = -slope * root[..., None]  # what moves right shows what was on its left
    by_surface = slope @ by_point

    def moved(basis: Tensor) -> Tensor:  # [C, V, 3] -> [3 P, C]
        moves = torch.einsum("epkc,pk->pce", basis[:, corners], sight.barycentric)
        return (by_surface @ moves).flatten(0, 1)

    still = slope.new_zeros(3 * len(points), GAZE)
    by_motion = torch.cat([(slope @ by_pose).flatten(0, 1), moved(head.expression), still], dim=1)
    shared = moved(head.identity) if with_identity else None
    return Rows(by_motion, shared, -(difference * root).flatten())


def edge_rows(
    person: Person,
    vertices: Tensor,  # [V, 3]
    motions: Motions,
    camera: Camera,
    view: View,
    with_identity: bool,
) -> Rows:
    """Where the outline must go for the mesh to end where the mask does; no expression does it."""
    head = person.head
    masks = (255 * view.mask)[None].cpu().numpy()
    edges = find_edges(head, vertices[None], camera, masks)
    normal = vertex_normals(vertices, head.faces)[edges.vertex]
    by_pose, by_point = _on_image(vertices[edges.vertex], motions, view.lens)
    across = (by_point @ normal[..., None])[..., 0]  # [R, 2], pixels per metre
    length = across.norm(dim=1).clamp(min=1e-6)
    gap_px = edges.gap_m * length
    weight = EDGES / max(len(gap_px), 1) / (1 + (gap_px / HAIR_PX) ** 2) ** 2
    root = weight.sqrt() / TRUST_PX
    outwards = (across / length[:, None] * root[:, None])[:, None]  # [R, 1, 2]
    still = root.new_zeros(len(root), len(head.expression) + GAZE)
    by_motion = torch.cat([(outwards @ by_pose)[:, 0], still], dim=1)
    shared = None
    if with_identity:
        moves = head.identity[:, edges.vertex].permute(1, 2, 0)  # [R, 3, I]
        shared = (outwards @ (by_point @ moves))[:, 0]
    return Rows(by_motion, shared, gap_px * root)


def _on_image(points: Tensor, motions: Motions, lens: Lens) -> tuple[Tensor, Tensor]:
    """Change of projections with the pose [N, 2, 6], and with points of the head [N, 2, 3]."""
    by_local, turned = local_jacobian(points[None], motions.pose, lens)
    by_turn = by_local @ -cross_matrices(turned)
    by_pose = torch.cat([by_turn, SHIFT_M * by_local], dim=-1)
    return by_pose[0], (by_local @ motions.pose.rotation[:, None])[0]


def _slopes(image: Tensor) -> Tensor:  # [3, S, S] -> [3, 2, S, S], across and down
    padded = functional.pad(image[None], (1, 1, 1, 1), mode="replicate")[0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return torch.stack([across, down], dim=1)
