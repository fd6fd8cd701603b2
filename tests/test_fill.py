"""Motion is continued smoothly to where nothing is known."""

import numpy as np
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from avatars.oneshot.fill import continued


def harmonic(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Laplace's equation with free borders, solved exactly."""
    height, width = known.shape
    matrix, right = lil_matrix((known.size, known.size)), np.zeros(known.size)
    for y in range(height):
        for x in range(width):
            row = y * width + x
            if known[y, x]:
                matrix[row, row], right[row] = 1, values[y, x]
                continue
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    matrix[row, row] += 1
                    matrix[row, row + dy * width + dx] -= 1
    return np.asarray(spsolve(matrix.tocsr(), right)).reshape(height, width)


def test_agrees_with_the_exact_solution() -> None:
    rows, columns = np.indices((60, 75))
    known = ((rows - 25) / 12) ** 2 + ((columns - 40) / 9) ** 2 < 1
    values = np.where(known, 5 + np.sin(rows / 4) + 0.1 * columns, 0).astype(np.float32)
    known[-1] = True  # the lower border stands still
    found = continued(np.stack([values, 2 * values], axis=-1), known)
    exact = harmonic(values, known)
    assert np.abs(found[..., 0] - exact).max() < 0.06 * np.ptp(exact)
    np.testing.assert_allclose(found[..., 1], 2 * found[..., 0], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found[known, 0], values[known])


def test_one_value_fills_everything_and_nothing_is_zero() -> None:
    values = np.zeros((37, 20, 2), np.float32)
    values[10, 5] = 3, -2
    known = np.zeros((37, 20), bool)
    assert (continued(values, known) == 0).all()
    known[10, 5] = True
    np.testing.assert_allclose(
        continued(values, known), np.broadcast_to([3, -2], values.shape), atol=1e-5
    )
