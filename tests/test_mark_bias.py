"""What mediapipe gets wrong: the correction turns, moves and scales with the face."""

import numpy as np
import torch

from avatars.detectors.bias import MarkBias, features, mediapipe_bias, unbiased, upright_shapes


def shapes(generator: torch.Generator, frames: int = 6) -> torch.Tensor:
    """Likely marks, upright, eye distance 1."""
    bias = mediapipe_bias()
    numbers = torch.randn(frames, bias.axes.shape[1], generator=generator)
    spread = torch.linalg.pinv(bias.axes)  # [K, N]
    return bias.mean + (numbers @ spread).reshape(frames, -1, 2)


def test_what_a_known_function_added_is_taken_away(generator: torch.Generator) -> None:
    """Errors that are a quadratic of the marks' shape, written out with NumPy."""
    marks = shapes(generator)
    axes = torch.linalg.qr(torch.randn(956, 4, generator=generator))[0]
    weights = 0.02 * torch.randn(1 + 4 + 3, 956, generator=generator)
    reference = mediapipe_bias().reference
    bias = MarkBias(reference, reference, axes, weights)
    upright, turn = upright_shapes(marks, reference)
    x = ((upright - reference).flatten(1) @ axes).numpy()
    rows = np.column_stack([np.ones(6), x, x[:, 0] ** 2, x[:, 0] * x[:, 1], x[:, 1] ** 2])
    errors = torch.from_numpy(rows @ weights.numpy()).float().reshape(6, 478, 2)
    expected = marks - errors @ torch.linalg.inv(turn)
    torch.testing.assert_close(unbiased(marks, bias), expected, atol=1e-5, rtol=0)
    assert features(torch.zeros(2, 4), 2).shape == (2, 8)


def test_the_correction_goes_with_the_face(generator: torch.Generator) -> None:
    marks, bias = shapes(generator), mediapipe_bias()
    angle = torch.tensor(0.4)
    turn = 130 * torch.tensor([[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]])
    shift = torch.tensor([200.0, 90.0])
    elsewhere = unbiased(marks @ turn + shift, bias)
    torch.testing.assert_close(elsewhere, unbiased(marks, bias) @ turn + shift, atol=0.02, rtol=0)
    moved = (unbiased(marks, bias) - marks).norm(dim=-1).mean()
    assert 0.005 < moved < 0.05, "a few hundredths of the eye distance"


def test_frames_with_gaps_stay_as_they_are(generator: torch.Generator) -> None:
    marks = shapes(generator)
    marks[2, 100:] = float("nan")
    corrected = unbiased(marks, mediapipe_bias())
    assert torch.equal(corrected[2, :100], marks[2, :100]) and corrected[2, 100:].isnan().all()
    torch.testing.assert_close(corrected[3], unbiased(marks[3:4], mediapipe_bias())[0])
