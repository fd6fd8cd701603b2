"""Pose and expression of one frame corrected until its picture is explained."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avatars.heads.head import Head, Motion, head_vertices, vertex_normals
from avatars.heads.rotations import cross_matrices, rotation_vectors
from avatars.tracking.appearance import Appearance, Sight, colours_at, predict, see
from avatars.tracking.normal import Motions, step_within_bounds
from avatars.tracking.outline import find_edges
from avatars.tracking.points import GAZE, SHIFT_M, Lens, local_jacobian
from avatars.tracking.priors import Priors
from dnr.geometry.cameras import Camera

STEPS = 2
NOISE = 0.04  # colours that differ by more count linearly (Huber)
EVERY = 2  # rows and columns of the crop
TRUST_PX = 1.5  # how exactly masks end, in crop pixels
EDGES, PIXELS = 150.0, 1200.0  # how many independent ones there are, whatever their number
SURE = (0.03, 0.03, 0.03, 0.03, 0.03, 0.12)
"""How far landmarks may be wrong about the pose: radians, and `SHIFT_M`."""
SURE_OPENINGS, SURE_SKIN = 0.01, 0.12
"""The same for expressions: of lids and mouths, which landmarks see better than colours do, since
what appears when they open is nowhere in the texture; and of brows, cheeks and nose."""


class Person(NamedTuple):
    """What is the same in all frames."""

    head: Head
    skin: Tensor  # [F] bool
    identity: Tensor  # [I]
    offsets: Tensor  # [V]
    appearance: Appearance


class View(NamedTuple):
    """One crop, with its camera."""

    image: Tensor  # [3, S, S] in [0, 1]
    mask: Tensor  # [S, S] in [0, 1]
    lens: Lens  # of the crop


class Corrected(NamedTuple):
    """The result for one frame, and what was known about it."""

    motions: Motions  # of one frame
    holds: Tensor  # [6 + E], how strongly each coefficient is held
    error: float  # mean difference of colours
    covered: float  # share of the face that looks like something else


def view_camera(motions: Motions, lens: Lens, size: int) -> Camera:
    """The camera of one frame in the head's frame."""
    like = motions.expression
    matrix = torch.eye(4).to(like)[None].clone()
    matrix[0, :3, :3], matrix[0, :3, 3] = motions.pose.rotation[0], motions.pose.translation[0]
    rows = [[lens.focal, 0, lens.centre[0]], [0, lens.focal, lens.centre[1]], [0, 0, 1]]
    return Camera(matrix, torch.tensor([rows]).to(like), (size, size))


def correct(person: Person, start: Motions, view: View, priors: Priors) -> Corrected:
    """The motion of one frame that explains its colours and its outline, near where it started."""
    motions, size = start, view.image.shape[-1]
    smooth = functional.avg_pool2d(view.image[None], 3, stride=1, padding=1)[0]
    holds = motions.values()[0, :-GAZE]
    error = covered = 0.0
    for _ in range(STEPS):
        camera = view_camera(motions, view.lens, size)
        vertices = head_shape(person.head, person.identity, person.offsets, motions)
        sight = see(person.head, person.skin, vertices, camera, view.mask, EVERY)
        difference = predict(person.appearance, sight) - colours_at(smooth, sight)
        distance = difference.abs().mean(dim=1)
        error = float(distance.mean()) if len(distance) else 0.0
        covered = float((distance > 4 * NOISE).float().mean()) if len(distance) else 0.0
        seen = _colour_rows(person.head, vertices, motions, sight, smooth, difference, view.lens)
        edge = _edge_rows(person.head, vertices, motions, camera, view)
        rows, right = (torch.cat(pair) for pair in zip(seen, edge, strict=True))
        step, holds = _step(rows, right, motions, start, priors, _hold(person.head))
        motions = motions.stepped(step, priors)
    return Corrected(motions, holds, error, covered)


def is_opening(head: Head) -> Tensor:  # [E] bool
    """The expressions of lids and mouths."""
    words = ("eye", "jaw", "mouth", "tongue")
    marks = [name.startswith(words) for name in head.expression_names]
    return torch.tensor(marks, device=head.template.device)


def _hold(head: Head) -> Tensor:  # [6 + E]
    """How stiffly each coefficient stays where landmarks put it."""
    sure = torch.where(is_opening(head), SURE_OPENINGS, SURE_SKIN).to(head.template)
    return 1 / torch.cat([sure.new_tensor(SURE), sure]) ** 2


def head_shape(head: Head, identity: Tensor, offsets: Tensor, motions: Motions) -> Tensor:
    """The vertices [V, 3] of one frame in the head's frame."""
    still_neck = motions.expression.new_zeros(1, 3)
    motion = Motion(motions.expression, motions.gaze, still_neck)
    return head_vertices(head, identity, motion, offsets)[0]


def _step(
    rows: Tensor, right: Tensor, motions: Motions, start: Motions, priors: Priors, hold: Tensor
) -> tuple[Tensor, Tensor]:  # [R, 6 + E], [R] -> [1, P], [6 + E]
    """Gauss-Newton's step, held back towards where landmarks put the frame."""
    columns = len(hold)
    block = rows.T @ rows
    moved = torch.cat([_pose_change(start, motions), motions.expression - start.expression], dim=1)
    force = (rows.T @ right)[None] - hold * moved
    some = Priors(*(field[:columns] for field in priors))
    system = (block + torch.diag(hold))[None]

    def solve(held: Tensor, given: Tensor) -> Tensor:
        alone = system.masked_fill(held[:, :, None] | held[:, None, :], 0.0)
        pushed = (force - (system @ given[..., None])[..., 0]).masked_fill(held, 0.0)
        step = torch.linalg.solve(alone + torch.diag_embed(held.to(alone)), pushed[..., None])
        return step[..., 0] + given

    step = step_within_bounds(solve, motions.values()[:, :columns], force, some)
    gaze = step.new_zeros(1, len(priors.ridge) - columns)
    return torch.cat([step, gaze], dim=1), system[0].diagonal()


def _pose_change(start: Motions, motions: Motions) -> Tensor:  # [1, 6]
    turn = rotation_vectors(motions.pose.rotation @ start.pose.rotation.transpose(1, 2))
    return torch.cat([turn, (motions.pose.translation - start.pose.translation) / SHIFT_M], dim=1)


def _colour_rows(
    head: Head,
    vertices: Tensor,  # [V, 3]
    motions: Motions,
    sight: Sight,
    image: Tensor,
    difference: Tensor,  # [P, 3], predicted minus seen
    lens: Lens,
) -> tuple[Tensor, Tensor]:  # [3 P, 6 + E], [3 P]
    """How the prediction at fixed pixels changes when the surface moves under them."""
    corners = head.faces[sight.face]  # [P, 3]
    points = (vertices[corners] * sight.barycentric[..., None]).sum(dim=1)
    by_pose, by_point = _on_image(points, motions, lens)
    moves = torch.einsum("epkc,pk->pce", head.expression[:, corners], sight.barycentric)
    on_image = torch.cat([by_pose, by_point @ moves], dim=2)  # [P, 2, 6 + E]
    slope = _slopes(image)[:, :, sight.pixel[:, 0], sight.pixel[:, 1]].permute(2, 0, 1)
    change = -slope @ on_image  # what moves right shows what was on its left
    robust = sight.weight * NOISE / difference.norm(dim=1).clamp(min=NOISE)
    root = (robust * PIXELS / max(3 * len(points), 1)).sqrt()[:, None] / NOISE
    return (change * root[..., None]).flatten(0, 1), -(difference * root).flatten()


def _edge_rows(
    head: Head, vertices: Tensor, motions: Motions, camera: Camera, view: View
) -> tuple[Tensor, Tensor]:  # [R, 6 + E], [R]
    """Where the outline must go for the mesh to end where the mask does."""
    masks = (255 * view.mask)[None].cpu().numpy()
    edges = find_edges(head, vertices[None], camera, masks)
    normal = vertex_normals(vertices, head.faces)[edges.vertex]
    by_pose, by_point = _on_image(vertices[edges.vertex], motions, view.lens)
    across = (by_point @ normal[..., None])[..., 0]  # [R, 2], pixels per metre
    length = across.norm(dim=1).clamp(min=1e-6)
    gap_px = edges.gap_m * length
    weight = TRUST_PX / gap_px.abs().clamp(min=TRUST_PX) * EDGES / max(len(gap_px), 1)
    root = weight.sqrt() / TRUST_PX
    rows = ((across / length[:, None])[:, None] @ by_pose)[:, 0] * root[:, None]
    still = rows.new_zeros(len(rows), len(head.expression))
    return torch.cat([rows, still], dim=1), gap_px * root


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
