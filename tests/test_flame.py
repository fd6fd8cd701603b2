"""FLAME against an independent implementation in NumPy and SciPy, on files of random numbers."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flame_files import FACES, VERTICES, flame_arrays, landmark_table, write_flame
from scipy.spatial.transform import Rotation

from avatars.flame.files import convert_flame, load_flame
from avatars.flame.landmarks import contour_row, landmarks_68, load_landmarks
from avatars.flame.model import Flame, FlamePose, flame_vertices, rest_pose
from avatars.flame.surface import load_masks, load_texture
from dnr.errors import InputError


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return flame_arrays(np.random.default_rng(0))


@pytest.fixture(scope="module")
def flame(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Flame:
    path = tmp_path_factory.mktemp("flame") / "generic_model.pkl"
    write_flame(path, arrays, chumpy=("v_template", "shapedirs", "posedirs", "weights"))
    return load_flame(path)


def posed_by_hand(arrays: dict[str, Any], shape, expression, rotations) -> np.ndarray:
    """The paper's equations for one head, vertex transforms as 4x4 matrices, in float64."""
    coefficients = np.zeros(400)
    coefficients[: len(shape)] = shape
    coefficients[300 : 300 + len(expression)] = expression
    rest = arrays["v_template"] + arrays["shapedirs"] @ coefficients
    joints = arrays["J_regressor"].toarray() @ rest
    matrices = Rotation.from_rotvec(rotations).as_matrix()
    posed = rest + arrays["posedirs"] @ (matrices[1:] - np.eye(3)).ravel()
    world: list[np.ndarray] = []
    for joint, parent in enumerate([-1, 0, 1, 1, 1]):
        local = np.eye(4)
        local[:3, :3] = matrices[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    moves = []
    for matrix, joint in zip(world, joints, strict=True):
        back = np.eye(4)
        back[:3, 3] = -joint
        moves.append(matrix @ back)
    blended = np.einsum("vj,jrc->vrc", arrays["weights"], np.stack(moves))
    return np.einsum("vrc,vc->vr", blended, np.c_[posed, np.ones(len(posed))])[:, :3]


def random_pose(generator: torch.Generator, batch: int, scale: float = 0.6) -> FlamePose:
    draw = torch.randn(batch, 5, 3, generator=generator, dtype=torch.float64) * scale
    return FlamePose(draw[:, 0], draw[:, 1], draw[:, 2], draw[:, 3:])


def test_vertices_equal_the_equations(flame: Flame, arrays: dict[str, Any], generator) -> None:
    shape = torch.randn(2, 100, generator=generator, dtype=torch.float64)
    expression = torch.randn(2, 50, generator=generator, dtype=torch.float64)
    pose = random_pose(generator, 2)
    vertices, joints = flame_vertices(flame, shape, expression, pose)
    assert joints.shape == (2, 5, 3)
    for row in range(2):
        turns = torch.cat([torch.stack(pose[:3])[:, row], pose.eyes[row]]).numpy()
        expected = posed_by_hand(arrays, shape[row].numpy(), expression[row].numpy(), turns)
        np.testing.assert_allclose(vertices[row].numpy(), expected, atol=1e-9)
        single = flame_vertices(
            flame.to(torch.zeros(1)), shape.float(), expression.float(),
            FlamePose(*(part.float() for part in pose)),
        )[0]  # fmt: skip
        np.testing.assert_allclose(single[row].numpy(), expected, atol=1e-6)


def test_only_the_root_turns_everything(flame: Flame) -> None:
    none = torch.zeros(1, 1, dtype=torch.float64)
    rest = rest_pose(none)
    turn = torch.tensor([[0.3, -0.8, 0.2]], dtype=torch.float64)
    still, joints = flame_vertices(flame, none, none, rest)
    turned = flame_vertices(flame, none, none, rest._replace(root=turn))[0]
    matrix = torch.from_numpy(Rotation.from_rotvec(turn[0].numpy()).as_matrix())
    root = joints[:, 0]
    torch.testing.assert_close(turned, (still - root) @ matrix.T + root)
    torch.testing.assert_close(still[0], flame.template)


def test_gradients_reach_every_input(flame: Flame, generator) -> None:
    inputs = [torch.zeros(1, 3, dtype=torch.float64, requires_grad=True) for _ in range(5)]
    eyes = torch.zeros(1, 2, 3, dtype=torch.float64, requires_grad=True)
    vertices = flame_vertices(
        flame, inputs[0], inputs[1], FlamePose(inputs[2], inputs[3], inputs[4], eyes)
    )[0]
    (vertices * torch.randn(vertices.shape, generator=generator)).sum().backward()
    for value in (*inputs, eyes):  # also at zero, where the length of a rotation has no slope
        assert value.grad is not None and (value.grad.abs() > 0).all()


def test_landmarks_slide_with_yaw(flame: Flame, tmp_path: Path, rng) -> None:
    table = landmark_table(rng)
    np.save(tmp_path / "landmark_embedding.npy", np.array(table, object), allow_pickle=True)
    landmarks = load_landmarks(tmp_path / "landmark_embedding.npy")
    yaw = torch.tensor([0.0, 12.3, 70.0, -7.0, -38.9, -60.0], dtype=torch.float64)
    root = torch.zeros(6, 3, dtype=torch.float64)
    root[:, 1] = yaw.deg2rad()
    pose = rest_pose(root, 6)._replace(root=root)
    assert contour_row(pose, "deca").tolist() == [0, 12, 39, 46, 78, 78]
    assert contour_row(pose, "flame").tolist() == [0, 51, 78, 7, 39, 39]
    split = pose._replace(root=root / 3, neck=root * 2 / 3)  # the neck counts as well
    assert contour_row(split, "deca").tolist() == [0, 12, 39, 46, 78, 78]

    vertices = torch.from_numpy(rng.normal(size=(6, VERTICES, 3)))
    points = landmarks_68(landmarks, vertices, flame.faces, pose, "deca")
    faces = flame.faces.numpy()
    for row, contour in enumerate([0, 12, 39, 46, 78, 78]):
        ids = np.r_[table["dynamic_lmk_faces_idx"][contour], table["static_lmk_faces_idx"]]
        weights = np.r_[table["dynamic_lmk_bary_coords"][contour], table["static_lmk_bary_coords"]]
        corners = vertices[row].numpy()[faces[ids]]
        np.testing.assert_allclose(points[row], np.einsum("lc,lcx->lx", weights, corners))


def test_landmarks_in_two_files_are_the_same(tmp_path: Path, rng) -> None:
    table = landmark_table(rng)
    names = ("faces_idx", "bary_coords"), ("face_idx", "b_coords")
    for kind, suffix in (("static", "pkl"), ("dynamic", "npy")):
        part = {
            f"lmk_{new}": np.asarray(table[f"{kind}_lmk_{old}"])
            for old, new in zip(*names, strict=True)
        }
        path = tmp_path / f"{kind}.{suffix}"
        if suffix == "pkl":
            path.write_bytes(pickle.dumps(part, 2))
        else:
            np.save(path, np.array(part, object), allow_pickle=True)
    landmarks = load_landmarks(tmp_path / "static.pkl", tmp_path / "dynamic.npy")
    np.testing.assert_array_equal(landmarks.contour.face, table["dynamic_lmk_faces_idx"])
    np.testing.assert_array_equal(landmarks.static.weights, table["static_lmk_bary_coords"])


def test_a_model_is_converted_once(tmp_path: Path, arrays: dict[str, Any], flame: Flame) -> None:
    path, cache = tmp_path / "model.pkl", tmp_path / "cache"
    write_flame(path, arrays)
    first = load_flame(path, cache)
    (kept,) = cache.iterdir()
    written = kept.stat().st_mtime_ns
    second = load_flame(path, cache)
    assert kept.stat().st_mtime_ns == written
    digest = convert_flame(path, tmp_path / "own.npz")
    assert digest[:16] in kept.name
    for other in (second, load_flame(tmp_path / "own.npz"), flame):
        for name in Flame.__dataclass_fields__:
            assert torch.equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("v_template", np.zeros((6890, 3)), "v_template is [6890, 3] instead of [5023, 3]"),
        ("shapedirs", np.zeros((VERTICES, 3, 10)), "shapedirs is"),
        ("posedirs", None, "posedirs is missing"),
        ("weights", np.full((VERTICES, 5), np.nan), "not finite"),
        ("f", np.full((FACES, 3), VERTICES, np.uint32), "outside of the mesh"),
        ("kintree_table", np.zeros((2, 5), np.uint32), "joints hang on"),
    ],
)
def test_other_models_are_refused(tmp_path: Path, arrays, name, value, words) -> None:
    content = {k: v for k, v in (arrays | {name: value}).items() if v is not None}
    content |= {} if name == "shapedirs" else {"shapedirs": np.zeros((VERTICES, 3, 400))}
    write_flame(tmp_path / "other.pkl", content)
    with pytest.raises(InputError) as refusal:
        load_flame(tmp_path / "other.pkl")
    assert words in str(refusal.value) and "not a FLAME model" in str(refusal.value)


def test_masks_and_textures(tmp_path: Path, rng) -> None:
    parts = {"face": np.array([3, 1, 5000]), "lips": np.array([7])}
    (tmp_path / "FLAME_masks.pkl").write_bytes(pickle.dumps(parts, 2))
    masks = load_masks(tmp_path / "FLAME_masks.pkl")
    assert masks["face"].nonzero()[:, 0].tolist() == [1, 3, 5000] and masks["lips"].sum() == 1
    mean, basis = rng.random((8, 8, 3)) * 255, rng.random((8, 8, 3, 6)) * 255
    np.savez(tmp_path / "FLAME_texture.npz", mean=mean, tex_dir=basis, vt=np.zeros((4, 2)))
    code = rng.normal(size=(2, 4)).astype(np.float32)
    image = load_texture(tmp_path / "FLAME_texture.npz", 4).image(torch.from_numpy(code))
    expected = (mean + np.einsum("hwcn,bn->bhwc", basis[..., :4], code)) / 255
    np.testing.assert_allclose(image, expected[..., ::-1].transpose(0, 3, 1, 2), atol=1e-5)
