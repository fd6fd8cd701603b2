"""FLAME in place of the shipped head: pairing, ARKit's names, and the head itself."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from avatars.detectors.faces import IBUG
from avatars.flame.arkit_map import ArkitMap, fit_arkit_map, flame_moves, to_arkit
from avatars.flame.as_head import flame_head
from avatars.flame.landmarks import SurfacePoints
from avatars.flame.model import LEFT_EYE, RIGHT_EYE, Flame, FlamePose, flame_vertices, rest_pose
from avatars.flame.nearest import closest_points
from avatars.flame.pairing import Pairing, pair_points
from avatars.heads.files import load_head
from avatars.heads.head import Head, Motion, head_vertices, landmark_points, still
from avatars.heads.rotations import rotation_matrices
from dnr.geometry.meshes import Mesh

TILT, SHIFT = torch.tensor([0.05, -0.1, 0.02]), torch.tensor([0.01, 0.03, -0.02])


class Fitted(NamedTuple):
    head: Head
    flame: Flame
    pairing: Pairing
    table: ArkitMap
    person: Tensor


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """A FLAME made of the shipped head: another person, elsewhere, expressions mixed at random.

    Its jaw is a joint: jawOpen is taken out of the expressions and left to the skinning.
    """
    head = load_head()
    generator = torch.Generator().manual_seed(0)
    person = torch.zeros(len(head.identity))
    person[:6] = torch.randn(6, generator=generator) * 0.7
    turn = rotation_matrices(TILT)
    rest = head.template + torch.tensordot(person, head.identity, dims=1)
    opened = head.expression[head.expression_names.index("jawOpen")] @ turn.T
    mix = torch.linalg.qr(torch.randn(100, 52, generator=generator))[0]
    moves = head.expression.clone()
    moves[head.expression_names.index("jawOpen")] = 0
    expression = torch.tensordot(mix, moves, dims=1) @ turn.T
    joints = torch.zeros(5, len(rest))
    joints[LEFT_EYE], joints[RIGHT_EYE] = head.eye_centre[1], head.eye_centre[0]
    joints[0] = joints[1] = head.neck_joint
    joints[2] = head.neck_joint
    # A jaw that swings about x by 0.25 rad and gives jawOpen's movement through a corrective.
    correctives = torch.zeros(36, len(rest), 3)
    excess = rotation_matrices(torch.tensor([0.25, 0, 0])) - torch.eye(3)
    correctives[9 + 5] = opened / excess[1, 2]
    weights = torch.zeros(len(rest), 5)
    weights[:, 1] = 1
    flame = Flame(
        rest @ turn.T + SHIFT,
        head.faces,
        torch.cat([head.identity @ turn.T, torch.zeros(240, len(rest), 3)]),
        expression,
        correctives,
        joints,
        weights,
    )
    numbers = torch.tensor(IBUG[17:])
    known = SurfacePoints(head.landmark_faces[numbers], head.landmark_bary[numbers].double())
    pairing = pair_points(head, flame, known, numbers)
    return Fitted(head, flame, pairing, fit_arkit_map(head, flame, pairing), person)


def test_points_are_found_on_another_persons_face(fitted: Fitted) -> None:
    truth = landmark_points(fitted.head, fitted.flame.template[None])[0, :468]
    found = fitted.pairing.points.on(fitted.flame.template[None], fitted.flame.faces)[0]
    error = (found - truth).norm(dim=1)
    assert error.median() < 1e-3 and error.quantile(0.95) < 5e-3  # metres
    torch.testing.assert_close(fitted.pairing.turn, rotation_matrices(TILT), atol=0.06, rtol=0)


def test_the_closest_points_are_those_of_a_fine_search(rng) -> None:
    vertices, faces = rng.normal(size=(12, 3)), rng.integers(0, 12, (9, 3))
    points = rng.normal(size=(25, 3))
    face, weights = closest_points(points, vertices, faces)
    assert (weights >= -1e-12).all() and np.allclose(weights.sum(axis=1), 1)
    found = np.linalg.norm((vertices[faces[face]] * weights[..., None]).sum(1) - points, axis=1)
    steps = np.linspace(0, 1, 60)
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps))
    grid = np.stack([1 - u - v, u, v], axis=1)[u + v <= 1]
    dense = np.einsum("gc,fcx->fgx", grid, vertices[faces]).reshape(-1, 3)
    best = np.linalg.norm(dense[None] - points[:, None], axis=2).min(axis=1)
    assert (found <= best + 1e-9).all() and (best - found < 0.05).all()


def test_every_name_moves_flame_as_it_moves_the_other_head(fitted: Fitted) -> None:
    table = fitted.table
    moved = {name: float(r) for name, r in zip(table.names, table.residual, strict=True)}
    assert np.median(list(moved.values())) < 0.1 and moved["jawOpen"] < 0.2
    assert table.jaw[table.names.index("jawOpen"), 0] == pytest.approx(0.25, abs=0.05)
    assert table.expression[table.names.index("tongueOut")].abs().max() == 0


def test_names_come_back_from_flames_codes(fitted: Fitted, generator) -> None:
    names = fitted.table.names
    amount = torch.zeros(5, len(names))
    for frame, name in enumerate(("jawOpen", "eyeBlinkLeft", "browInnerUp", "mouthPucker")):
        amount[frame, names.index(name)] = 0.8
    code, jaw = fitted.table.to_flame(amount)
    back = to_arkit(fitted.table, fitted.flame, fitted.pairing, code, jaw)
    assert back.min() >= 0 and back.max() <= 1 and back[4].abs().max() < 1e-3
    assert ((back - amount).abs().amax(dim=1) < 0.25).all()
    again = flame_moves(fitted.flame, fitted.pairing, *fitted.table.to_flame(back))
    first = flame_moves(fitted.flame, fitted.pairing, code, jaw)
    assert (again - first).norm(dim=2).max() < 1.5e-3  # metres


def test_the_head_is_flame(fitted: Fitted, generator) -> None:
    flame, table = fitted.flame, fitted.table
    masks = {name: mask for name, mask in fitted.head.regions.items() if name != "ears"}
    masks |= {f"{side}_ear": fitted.head.regions["ears"] for side in ("left", "right")}
    template = Mesh(flame.template, flame.faces, fitted.head.uv, fitted.head.uv_faces, flame.faces)
    head = flame_head(flame, masks, template, fitted.head, fitted.pairing, table)
    origin = flame.template - head.template
    torch.testing.assert_close(origin, origin[:1].expand_as(origin))
    shape = torch.randn(100, generator=generator)
    rest = flame_vertices(flame, shape[None], torch.zeros(1, 1), rest_pose(shape))[0]
    torch.testing.assert_close(head_vertices(head, shape, still(head)), rest - origin)
    code, jaw = table.expression[25:26], table.jaw[25:26]
    zero = torch.zeros(1, 3)
    pose = FlamePose(zero, zero, jaw, zero[:, None].expand(-1, 2, -1))
    exact = flame_vertices(flame, torch.zeros(1, 1), code, pose)[0] - origin
    motion = still(head)
    motion.expression[0, 25] = 1
    torch.testing.assert_close(head_vertices(head, 0 * shape, motion), exact)

    marks = landmark_points(head, head.template[None])[0]
    truth = landmark_points(fitted.head, head.template[None])[0]
    assert (marks - truth).norm(dim=1).median() < 1e-3
    assert (marks[468:] - truth[468:]).norm(dim=1).max() < 4e-3
    gaze = Motion(motion.expression * 0, torch.full((1, 2, 2), 0.3), motion.neck)
    turned = head_vertices(head, 0 * shape, gaze)[0] - head.template
    assert turned[masks["left_eyeball"]].norm(dim=1).max() > 1e-3
    assert turned[~(masks["left_eyeball"] | masks["right_eyeball"])].abs().max() == 0
