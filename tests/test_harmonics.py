"""The basis against SciPy, its orthonormality by quadrature, and mirrors by their axioms."""

import numpy as np
import pytest
import torch
from scipy.special import roots_legendre, sph_harm_y
from torch import Tensor
from torch.nn import functional

from dnr.textures.harmonics import MAX_DEGREE, harmonics, reflect


def directions(generator: torch.Generator, count: int) -> Tensor:
    points = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return functional.normalize(points, dim=-1)


def scipy_basis(points: np.ndarray, degree: int) -> np.ndarray:
    """Real harmonics from SciPy's complex ones, without the Condon-Shortley phase."""
    polar, azimuth = np.arccos(points[:, 2]), np.arctan2(points[:, 1], points[:, 0])
    columns = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            value = sph_harm_y(band, abs(order), polar, azimuth) * (-1) ** order
            part = value.imag if order < 0 else value.real
            columns.append(part * (1 if order == 0 else np.sqrt(2)))
    return np.stack(columns, axis=-1)


def test_all_sixteen_equal_scipys(generator: torch.Generator) -> None:
    points = directions(generator, 500)
    expected = scipy_basis(points.numpy(), MAX_DEGREE)
    assert expected.shape == (500, 16)
    np.testing.assert_allclose(harmonics(points, MAX_DEGREE), expected, atol=1e-12)


def test_the_basis_is_orthonormal() -> None:
    """Gauss-Legendre in z times equal steps in longitude is exact for these polynomials."""
    z, weight = roots_legendre(8)
    turn = np.arange(16) * 2 * np.pi / 16
    height, angle = (grid.ravel() for grid in np.meshgrid(z, turn, indexing="ij"))
    ring = np.sqrt(1 - height**2)
    points = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=-1)
    basis = harmonics(torch.from_numpy(points), MAX_DEGREE).numpy()
    area = np.repeat(weight, 16) * 2 * np.pi / 16
    np.testing.assert_allclose(basis.T @ (area[:, None] * basis), np.eye(16), atol=1e-13)


@pytest.mark.parametrize("degree", range(MAX_DEGREE + 1))
def test_lower_degrees_are_a_prefix(degree: int, generator: torch.Generator) -> None:
    points = directions(generator, 12).reshape(2, 6, 3).float()
    basis = harmonics(points, degree)
    assert basis.shape == (2, 6, (degree + 1) ** 2)
    assert basis.dtype == torch.float32
    assert torch.equal(basis, harmonics(points, MAX_DEGREE)[..., : (degree + 1) ** 2])


def test_degrees_beyond_the_table_are_refused() -> None:
    for degree in (-1, MAX_DEGREE + 1):
        with pytest.raises(ValueError, match=f"degree must be 0 to 3, got {degree}"):
            harmonics(torch.zeros(1, 3), degree)


def test_mirrors(generator: torch.Generator) -> None:
    """Reflecting twice does nothing; the normal stays; lengths, angles to it and the plane too."""
    view, normal = directions(generator, 50), directions(generator, 50)
    mirrored = reflect(view, normal)
    torch.testing.assert_close(reflect(mirrored, normal), view)
    torch.testing.assert_close(reflect(normal, normal), normal)
    torch.testing.assert_close(mirrored.norm(dim=-1), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close((mirrored * normal).sum(-1), (view * normal).sum(-1))
    volume = (torch.linalg.cross(view, normal) * mirrored).sum(-1)
    torch.testing.assert_close(volume, torch.zeros_like(volume), atol=1e-12, rtol=0)
    across = torch.linalg.cross(view, normal)
    torch.testing.assert_close(reflect(across, normal), -across)
