"""Meshes seen from infinitely far, against solving for each pixel."""

import numpy as np
import torch

from avatars.orthographic import interpolate_flat, rasterize_flat, uv_fragments


def nearest_by_hand(points: np.ndarray, faces: np.ndarray, column: float, row: float):
    """Face and weights of the nearest triangle over one position, by linear equations."""
    best, found = np.inf, (-1, np.zeros(3))
    for index, face in enumerate(faces):
        corners = points[face]
        system = np.vstack([corners[:, :2].T, np.ones(3)])
        if abs(np.linalg.det(system)) < 1e-9:
            continue
        weights = np.linalg.solve(system, [column, row, 1])
        depth = weights @ corners[:, 2]
        if (weights >= 0).all() and depth < best:
            best, found = depth, (index, weights)
    return found


def test_fragments_are_linear_on_screen(rng) -> None:
    faces = rng.integers(0, 30, (14, 3))
    points = np.c_[rng.random((2, 30, 2)) * [[[20, 14]]], np.zeros((2, 30, 1))]
    points[..., 2] = 5 * rng.normal(size=points.shape[:2]) - 40  # any depths, negative ones too
    for face in faces:
        points[:, face, 2] = points[:, face[:1], 2]  # faces do not pass through each other
    vertices, triangles = torch.from_numpy(points), torch.from_numpy(faces)
    seen = rasterize_flat(vertices, triangles, (14, 20))
    values = torch.from_numpy(rng.normal(size=(2, 30, 4)))
    image = interpolate_flat(seen, values, triangles)
    assert (seen.face_id >= 0).float().mean() > 0.3
    agree = 0
    for view in range(2):
        for row in range(14):
            for column in range(20):
                face, weights = nearest_by_hand(points[view], faces, column + 0.5, row + 0.5)
                agree += int(face == seen.face_id[view, row, column])
                if face == seen.face_id[view, row, column] >= 0:
                    expected = weights @ values[view].numpy()[faces[face]]
                    np.testing.assert_allclose(image[view, row, column], expected, atol=1e-5)
    assert agree >= 0.98 * 2 * 14 * 20  # faces that share depths are ordered either way


def test_texels_look_up_the_uv_they_stand_for() -> None:
    uv = torch.tensor([[0.1, 0.2], [0.9, 0.1], [0.8, 0.9], [0.2, 0.7]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    seen = uv_fragments(uv, faces, (12, 16))
    image = interpolate_flat(seen, uv, faces)[0]
    row, column = (seen.face_id[0] >= 0).nonzero().unbind(dim=1)
    assert len(row) > 50
    torch.testing.assert_close(image[row, column, 0], (column + 0.5) / 16)
    torch.testing.assert_close(image[row, column, 1], 1 - (row + 0.5) / 12)


def test_gradients_reach_the_values(rng) -> None:
    points = torch.tensor([[[0.0, 0, 1], [9, 0, 1], [0, 9, 1]]])
    values = torch.zeros(3, 2, requires_grad=True)
    faces = torch.tensor([[0, 1, 2]])
    seen = rasterize_flat(points, faces, (8, 8))
    interpolate_flat(seen, values, faces).sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad.sum(), 2.0 * (seen.face_id >= 0).sum())
