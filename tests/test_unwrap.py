"""Uvs that cannot be painted on are found, and xatlas makes better ones."""

import numpy as np
import pytest
import torch
import trimesh

from dnr.errors import InputError
from dnr.geometry import unwrap as unwrapping
from dnr.geometry.meshes import Mesh
from dnr.geometry.smoothing_groups import make_mesh
from dnr.geometry.unwrap import covered_texels, ensure_uvs, unwrap, uv_problem


def grid(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 2] in [0, 1] and the triangles between them."""
    y, x = np.mgrid[: cells + 1, : cells + 1]
    a = (y * (cells + 1) + x)[:-1, :-1].reshape(-1, 1)
    faces = np.concatenate(
        [a + np.array(way) for way in ([0, 1, cells + 2], [0, cells + 2, cells + 1])]
    )
    return np.stack([x.ravel(), y.ravel()], axis=1) / cells, faces


def sheet(uvs: np.ndarray, uv_faces: np.ndarray | None = None) -> Mesh:
    """A bumpy sheet of 12 x 12 cells with the given uvs."""
    plane, faces = grid(12)
    vertices = np.column_stack([plane, 0.1 * np.sin(9 * plane[:, 0])])
    used = torch.from_numpy(faces if uv_faces is None else uv_faces)
    uv = torch.from_numpy(uvs).float()
    return make_mesh(torch.from_numpy(vertices).float(), torch.from_numpy(faces), uv, used)


def layers(triangles: np.ndarray, size: int) -> np.ndarray:
    """How many triangles each texel centre lies in, by signed areas: an independent count."""
    centre = (np.mgrid[:size, :size][::-1].reshape(2, -1).T + 0.5) / size
    count = np.zeros(size * size, int)
    for corners in triangles:
        sides = [
            np.cross(np.append(b - a, 0), np.column_stack([centre - a, 0 * centre[:, 0]]))[:, 2]
            for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
        ]
        count += (np.array(sides) > 0).all(axis=0) | (np.array(sides) < 0).all(axis=0)
    return count


def test_coverage_matches_signed_areas(rng: np.random.Generator) -> None:
    triangles = rng.uniform(0, 1, (40, 3, 2))
    expected = layers(triangles, 37)
    assert covered_texels(triangles, 37) == ((expected > 0).sum(), (expected > 1).sum())
    assert (expected > 1).sum() > 100, "the triangles must be worth testing"


def test_neighbours_do_not_count_as_overlap(rng: np.random.Generator) -> None:
    """Shared edges at all angles, many of them through texel centres."""
    plane, faces = grid(16)  # 64 texels: its edges pass through centres of the diagonal
    assert covered_texels(plane[faces], 64) == (64 * 64, 0)
    moved = plane.copy()
    inner = ((plane > 0) & (plane < 1)).all(axis=1)
    moved[inner] += rng.uniform(-0.02, 0.02, (inner.sum(), 2))
    assert covered_texels(moved[faces], 64) == (64 * 64, 0)


def test_a_tower_of_layers_ends_the_count_early() -> None:
    tower = np.tile(np.array([[[0.0, 0], [1, 0], [0, 1]]]), (100_000, 1, 1))
    once, twice = covered_texels(tower, 256)
    assert twice == once > 30_000


def test_good_uvs_stay() -> None:
    mesh = sheet(0.05 + 0.9 * grid(12)[0])
    assert ensure_uvs(mesh) == (mesh, None)


def bad_uvs() -> dict[str, Mesh]:
    plane, faces = grid(12)
    mirrored = np.column_stack([np.abs(plane[:, 0] - 0.5), plane[:, 1]])
    some = faces.copy()
    some[7, 1] = -1
    return {
        "has no uvs": sheet(np.zeros((0, 2)), np.full_like(faces, -1)),
        "has faces without uvs": sheet(plane, some),
        "not finite": sheet(np.where(plane == 1, np.nan, plane)),
        "outside": sheet(2 * plane),
        "overlap on 100 %": sheet(mirrored),
        "without area on 100 %": sheet(0 * plane),
        "cover only": sheet(0.05 * plane),
    }


@pytest.mark.parametrize("problem", bad_uvs())
def test_bad_uvs_are_replaced_and_the_reason_is_told(problem: str) -> None:
    mesh, note = ensure_uvs(bad_uvs()[problem])
    assert note is not None
    assert problem in note
    assert uv_problem(mesh) is None


def test_unwrapping_keeps_the_surface_and_leaves_gutters() -> None:
    shape = trimesh.creation.box().subdivide().subdivide()
    faces = np.concatenate([shape.faces, [[3, 3, 4]]])  # a face without area must not matter
    mesh = make_mesh(torch.from_numpy(np.array(shape.vertices)), torch.from_numpy(faces))
    new = unwrap(mesh)
    assert torch.equal(new.vertices, mesh.vertices)
    assert torch.equal(new.faces, mesh.faces)
    assert torch.equal(new.normal_faces, mesh.normal_faces)
    assert new.uv_faces.shape == mesh.faces.shape
    assert new.uvs.dtype == mesh.vertices.dtype
    assert torch.equal(unwrap(mesh).uvs, new.uvs), "the same mesh must unwrap to the same uvs"
    used = new.uvs[new.uv_faces[:-1]].numpy()
    side = np.abs(shape.face_normals).argmax(axis=1) * 2 + (shape.face_normals.sum(axis=1) > 0)
    grown = 2.0 / 1024  # each chart by half of the gutter between them
    charts = [used[side == number].reshape(-1, 2) for number in range(6)]
    boxes = [(chart.min(axis=0) - grown, chart.max(axis=0) + grown) for chart in charts]
    for number, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:number]:
            assert (low > other_high).any() or (high < other_low).any(), "gutters must stay free"


def test_too_large_a_mesh_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwrapping, "MOST_FACES", 100)
    with pytest.raises(InputError, match="has no uvs, and 288 faces are too many"):
        ensure_uvs(bad_uvs()["has no uvs"])
