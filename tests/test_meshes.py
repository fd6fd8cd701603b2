"""Smooth normals against closed forms: spheres, boxes, roofs of a known fold."""

import numpy as np
import pytest
import torch
import trimesh

from dnr.geometry.meshes import Mesh
from dnr.geometry.smoothing_groups import make_mesh


def from_trimesh(shape: trimesh.Trimesh, crease_deg: float = 45.0) -> Mesh:
    vertices = torch.from_numpy(np.array(shape.vertices))
    return make_mesh(
        vertices, torch.from_numpy(np.array(shape.faces)).long(), None, None, crease_deg
    )


def roof(fold_deg: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Two triangles that share the edge 0-1."""
    fold = np.deg2rad(fold_deg)
    vertices = [[0, 0, 0], [0, 1, 0], [1, 0.5, 0], [-np.cos(fold), 0.5, -np.sin(fold)]]
    return torch.tensor(vertices, dtype=torch.float64), torch.tensor([[0, 2, 1], [1, 3, 0]])


def test_a_sphere_is_smooth_and_its_normals_are_its_positions() -> None:
    mesh = from_trimesh(trimesh.creation.icosphere(subdivisions=4))
    normals = mesh.normals()
    assert len(normals) == len(mesh.vertices)
    expected = mesh.vertices[mesh.faces]
    assert (normals[mesh.normal_faces] * expected).sum(dim=-1).min() > 0.9995


def test_a_box_has_one_normal_per_corner_and_side() -> None:
    mesh = from_trimesh(trimesh.creation.box())
    assert len(mesh.normals()) == 24
    corners = mesh.vertices[mesh.faces]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    torch.testing.assert_close(mesh.normals()[mesh.normal_faces[:, 1]], flat)


@pytest.mark.parametrize(("fold_deg", "groups"), [(44.0, 4), (46.0, 6)])
def test_edges_are_hard_from_the_crease_angle_on(fold_deg: float, groups: int) -> None:
    mesh = make_mesh(*roof(fold_deg))
    assert len(mesh.normals()) == groups


def test_smoothness_needs_a_way_around_the_vertex() -> None:
    """Two coplanar triangles that touch in a point only do not share a normal there."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 0, 0], [-1, -1, 0]])
    mesh = make_mesh(vertices, torch.tensor([[0, 1, 2], [0, 3, 4]]))
    assert mesh.normal_faces[0, 0] != mesh.normal_faces[1, 0]


def test_both_sides_of_a_thin_wall_keep_their_normals() -> None:
    plane = trimesh.creation.icosphere(subdivisions=3)
    sides = [plane.faces, plane.faces[:, ::-1]]  # edges of four faces
    faces = np.stack(sides, axis=1).reshape(-1, 3)
    mesh = from_trimesh(trimesh.Trimesh(plane.vertices, faces, process=False))
    assert len(mesh.normals()) == 2 * len(plane.vertices)
    outward = (mesh.normals()[mesh.normal_faces] * mesh.vertices[mesh.faces]).sum(dim=-1)
    assert outward[::2].min() > 0.99
    assert outward[1::2].max() < -0.99


def test_faces_without_area_change_nothing() -> None:
    shape = trimesh.creation.icosphere(subdivisions=2)
    alone = from_trimesh(shape)
    faces = np.concatenate([shape.faces, [[0, 0, 1], [5, 5, 5]]])
    mesh = from_trimesh(trimesh.Trimesh(shape.vertices, faces, process=False))
    kept = mesh.normals()[mesh.normal_faces[:-2]]
    torch.testing.assert_close(kept, alone.normals()[alone.normal_faces])
    assert torch.isfinite(mesh.normals()).all()


def test_a_mesh_without_uvs_says_so_in_its_indices() -> None:
    mesh = make_mesh(*roof(10))
    assert mesh.uvs.shape == (0, 2)
    assert (mesh.uv_faces == -1).all()


def test_indices_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="must index 3 vertices"):
        make_mesh(torch.rand(3, 3), torch.tensor([[0, 1, 3]]))
