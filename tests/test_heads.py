"""The head: what moves it, checked against formulas written out again, and the shipped data."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from avatars.heads.arkit import ARKIT, mirrored
from avatars.heads.files import load_head, read_head, write_head
from avatars.heads.head import (
    Head,
    Motion,
    at_rest,
    gaze_matrices,
    head_mesh,
    head_vertices,
    landmark_points,
    still,
    vertex_normals,
)
from avatars.heads.movements import MOVEMENTS, movements, set_movement
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from dnr.errors import InputError
from dnr.geometry.unwrap import uv_problem

MIRROR = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head()


def random_motion(head: Head, frames: int, generator: torch.Generator) -> Motion:
    return Motion(
        torch.rand(frames, len(head.expression), generator=generator) * 0.5,
        torch.randn(frames, 2, 2, generator=generator) * 0.2,
        torch.randn(frames, 3, generator=generator) * 0.2,
    )


def test_vertices_are_the_formula_written_out(head: Head, generator: torch.Generator) -> None:
    motion = random_motion(head, 3, generator)
    identity = torch.randn(len(head.identity), generator=generator)
    got = head_vertices(head, identity, motion).double().numpy()
    rest = head.template.double().numpy() + np.einsum(
        "i,ivk->vk", identity.double().numpy(), head.identity.double().numpy()
    )
    for frame in range(3):
        expected = rest + np.einsum(
            "e,evk->vk", motion.expression[frame].double(), head.expression.double()
        )
        for side, name in enumerate(("right_eyeball", "left_eyeball")):
            centre = head.eye_centre[side].double().numpy() @ rest
            yaw, pitch = motion.gaze[frame, side].tolist()
            turn = Rotation.from_euler("YX", [yaw, -pitch]).as_matrix()
            ball = head.regions[name].numpy()
            expected[ball] = (expected[ball] - centre) @ turn.T + centre
        joint = head.neck_joint.double().numpy() @ rest
        back = Rotation.from_rotvec(motion.neck[frame].double().numpy()).inv().as_matrix()
        turned = (expected - joint) @ back.T + joint
        share = head.torso.double().numpy()[:, None]
        expected = (1 - share) * expected + share * turned
        np.testing.assert_allclose(got[frame], expected, atol=2e-6)


def test_gaze_points_the_iris_along_a_closed_form(head: Head) -> None:
    motion = still(head)._replace(gaze=torch.tensor([[[0.3, 0.2], [-0.1, -0.25]]]))
    identity = torch.zeros(len(head.identity))
    irises = landmark_points(head, head_vertices(head, identity, motion))[0, [468, 473]]
    centres = head.eye_centre @ head.template
    for side, (yaw, pitch) in enumerate(((0.3, 0.2), (-0.1, -0.25))):
        looks = torch.nn.functional.normalize(irises[side] - centres[side], dim=0)
        ray = [math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)]
        torch.testing.assert_close(looks, torch.tensor(ray), atol=1e-4, rtol=0)
    assert irises[0, 0] > centres[0, 0]  # positive yaw looks to the subject's left


def test_each_frame_may_have_its_own_identity(head: Head, generator: torch.Generator) -> None:
    motion = random_motion(head, 2, generator)
    people = torch.randn(2, len(head.identity), generator=generator)
    both = head_vertices(head, people, motion)
    for frame in range(2):
        one = Motion(*(field[frame : frame + 1] for field in motion))
        alone = head_vertices(head, people[frame], one)[0]
        torch.testing.assert_close(both[frame], alone, atol=1e-6, rtol=0)


def test_gradients_agree_with_finite_differences(head: Head, generator: torch.Generator) -> None:
    exact = head.to(torch.zeros(1, dtype=torch.float64))
    motion = Motion(*(field.double() for field in random_motion(head, 2, generator)))
    identity = torch.randn(len(head.identity), generator=generator).double()
    offsets = 0.01 * torch.rand(len(head.template), generator=generator).double()
    inputs = [identity, *motion, offsets]
    weight = torch.randn(2, len(head.template), 3, generator=generator).double()

    def total(*values: Tensor) -> Tensor:
        vertices = head_vertices(exact, values[0], Motion(*values[1:4]), values[4])
        return (weight * vertices).sum()

    leaves = [value.clone().requires_grad_() for value in inputs]
    gradients = torch.autograd.grad(total(*leaves), leaves)
    for index, gradient in enumerate(gradients):
        step = torch.randn(inputs[index].shape, generator=generator).double()
        moved = [[*inputs[:index], inputs[index] + s * step, *inputs[index + 1 :]] for s in STEPS]
        slope = (total(*moved[0]) - total(*moved[1])) / (STEPS[0] - STEPS[1])
        torch.testing.assert_close((gradient * step).sum(), slope, rtol=1e-5, atol=1e-7)


STEPS = (1e-6, -1e-6)


def test_rotations_agree_with_scipy_and_are_smooth_at_zero(generator: torch.Generator) -> None:
    vectors = torch.randn(20, 3, generator=generator).double()
    vectors[0], vectors[1] = 0, torch.tensor([1e-5, 0, -2e-5])
    expected = Rotation.from_rotvec(vectors.numpy()).as_matrix()
    np.testing.assert_allclose(rotation_matrices(vectors), expected, atol=1e-12)
    back = rotation_vectors(rotation_matrices(vectors))
    np.testing.assert_allclose(back, Rotation.from_matrix(expected).as_rotvec(), atol=1e-9)
    zero = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rotation_matrices, zero)
    expected = Rotation.from_euler("YX", [0.4, -0.3]).as_matrix()
    gaze = gaze_matrices(torch.tensor([0.4, 0.3], dtype=torch.float64))
    np.testing.assert_allclose(gaze, expected, atol=1e-12)


def test_offsets_move_along_the_normals_at_rest(head: Head) -> None:
    offsets = 0.01 * head.regions["scalp"].float()
    nobody = torch.zeros(len(head.identity))
    moved = at_rest(head, nobody, offsets) - head.template
    normals = vertex_normals(head.template, head.faces)
    torch.testing.assert_close(moved, offsets[:, None] * normals, atol=1e-7, rtol=0)
    scalp = head.regions["scalp"]
    outwards = head.template[scalp] - torch.tensor([0.0, 0.0, -0.08])
    assert ((normals[scalp] * outwards).sum(dim=1) > 0).float().mean() > 0.99


def test_left_and_right_are_mirror_images(head: Head) -> None:
    other = head.mirror
    assert torch.equal(other[other], torch.arange(len(other)))
    torch.testing.assert_close(head.template[other] * MIRROR, head.template, atol=1e-6, rtol=0)
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight", "browInnerUp"):
        here, there = (head.expression[head.names(n)[0]] for n in (name, mirrored(name)))
        torch.testing.assert_close(here[other] * MIRROR, there, atol=1e-5, rtol=0)
    keys = {tuple(sorted(row)) for row in head.faces.tolist()}
    assert all(tuple(sorted(row)) in keys for row in other[head.faces].tolist())
    flipped = head.identity[:, other] * MIRROR  # symmetric, or its own opposite
    same = (flipped - head.identity).abs().amax(dim=(1, 2))
    opposite = (flipped + head.identity).abs().amax(dim=(1, 2))
    assert torch.minimum(same, opposite).max() < 2e-4


def test_landmarks_lie_where_their_names_say(head: Head) -> None:
    points = landmark_points(head, head.template[None])[0]
    skin = points[:468]
    gap = torch.cdist(skin * MIRROR, skin).amin(dim=1)
    assert gap.max() < 1e-3  # every point has its partner
    centres = head.eye_centre @ head.template
    for corner, inner, side in ((33, 133, 0), (263, 362, 1)):
        assert (points[corner] - centres[side]).norm() < 0.025
        assert points[corner, 0].abs() > points[inner, 0].abs()
    assert points[33, 0] < 0 < points[263, 0]  # the subject's right, then left
    lips = head.regions["lips"]
    for mark in (0, 17, 61, 291):
        assert torch.cdist(points[mark : mark + 1], head.template[lips]).min() < 0.006
    assert points[1, 2] == points[:, 2].max() or points[4, 2] == points[:, 2].max()  # the nose
    assert points[152, 1] < points[17, 1] < points[1, 1] < points[10, 1]
    weights = head.landmark_bary
    assert weights.min() >= -1e-6 and (weights.sum(dim=1) - 1).abs().max() < 1e-5
    assert head.landmark_spread.median() < 0.0025
    for start in (468, 473):  # the picture's right, up, left, down around the centre
        ring = points[start + 1 : start + 5] - points[start]
        assert ring[0, 0] > 0 > ring[2, 0] and ring[1, 1] > 0 > ring[3, 1]


def test_regions_and_joints_are_whole(head: Head) -> None:
    assert head.expression_names == ARKIT
    for name in ("right_eyeball", "left_eyeball"):
        assert head.expression[:, head.regions[name]].abs().max() == 0
    closed = head.expression[head.names("jawOpen")[0]]
    assert closed[head.regions["upper_teeth"]].abs().max() < 1e-6
    assert closed[head.regions["lower_teeth"], 1].max() < -0.005
    assert (head.eye_centre.sum(dim=1) - 1).abs().max() < 1e-5
    assert abs(head.neck_joint.sum() - 1) < 1e-4
    assert head.torso[head.regions["face"]].max() < 0.1
    assert head.torso[head.regions["shoulders"]].min() > 0.8
    assert (head.eye_centre @ head.template).sum(dim=0).abs().max() < 1e-3  # the origin
    assert uv_problem(head_mesh(head, head.template)) is None


@pytest.mark.parametrize("name", MOVEMENTS)
def test_a_movement_grows_with_its_own_setter(head: Head, name: str) -> None:
    column = MOVEMENTS.index(name)
    identity = torch.zeros(len(head.identity))
    amounts = [0.0, 0.25, 0.5, 0.75, 1.0]
    measured = [
        movements(head, identity, set_movement(still(head), head, name, amount))[0]
        for amount in amounts
    ]
    values = torch.stack(measured)[:, column]
    assert values[0].abs() < 1e-6
    assert (values.diff() > 0.004).all()


def test_movements_do_not_see_the_neck_and_need_a_name(head: Head) -> None:
    motion = set_movement(still(head), head, "smile", 0.7)
    turned = motion._replace(neck=torch.tensor([[0.1, 0.4, 0.0]]))
    nobody = torch.zeros(len(head.identity))
    assert torch.equal(movements(head, nobody, motion), movements(head, nobody, turned))
    with pytest.raises(ValueError, match="must be one of"):
        set_movement(motion, head, "wiggle", 1.0)


def test_a_head_survives_its_file(head: Head, tmp_path: Path) -> None:
    write_head(tmp_path / "head.npz", head)
    again = read_head(tmp_path / "head.npz")
    assert torch.equal(again.faces, head.faces) and again.expression_names == head.expression_names
    assert torch.equal(again.template, head.template)
    assert torch.equal(again.identity, head.identity)  # half precision already
    assert all(torch.equal(again.regions[name], mask) for name, mask in head.regions.items())


def test_what_is_no_head_is_refused(tmp_path: Path) -> None:
    for name, content in (("a.npz", b"nothing"), ("b.npz", b"PK\x03\x04 cut short")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not a head file"):
            read_head(tmp_path / name)
    np.savez(tmp_path / "c.npz", template=np.zeros((3, 3)))
    with pytest.raises(InputError, match="not a head file"):
        read_head(tmp_path / "c.npz")
    with pytest.raises(InputError, match="no head 'flume'"):
        load_head("flume")


def test_wrong_sizes_are_named(head: Head) -> None:
    with pytest.raises(ValueError, match="60 coefficients, got 3"):
        head_vertices(head, torch.zeros(3), still(head))
    short = still(head)._replace(expression=torch.zeros(1, 51))
    with pytest.raises(ValueError, match="expression must have shape"):
        head_vertices(head, torch.zeros(len(head.identity)), short)
