"""Poisson's surface through points with normals, in a process of its own."""

import numpy as np
import pytest

from dnr.capture import poisson
from dnr.errors import InputError

pytest.importorskip("pycolmap")


def test_points_of_a_sphere_make_a_closed_sphere_that_looks_out(rng) -> None:
    normals = rng.normal(size=(4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    centre = np.array([5.0, -2.0, 1.0])
    vertices, faces = poisson.solve(centre + 0.7 * normals, normals)
    away = vertices - centre
    assert np.abs(np.linalg.norm(away, axis=1) - 0.7).max() < 0.02
    corners = away[faces].astype(np.float64)
    volume = (corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=0.02), "positive: faces look out"


def test_a_failure_of_the_other_process_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poisson, "ply_bytes", lambda points: b"no mesh")
    with pytest.raises(InputError, match="could not be solved"):
        poisson.solve(np.zeros((1, 3)), np.zeros((1, 3)))
