"""Directional inputs: the fused kernel against plain torch, and lamps where they should shine."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dnr.renderers.directional import (
    NUM_HARMONICS,
    Lamps,
    directional_inputs,
    directional_inputs_reference,
)
from dnr.textures.harmonics import harmonics, reflect


def inputs(
    generator: torch.Generator, count: int, channels: int, lamps: int, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Neural channels, normals, views, axes, sharpness."""

    def units(number: int) -> Tensor:
        return functional.normalize(
            torch.randn(number, 3, generator=generator, dtype=torch.float64), dim=-1
        ).to(dtype)

    neural = 0.3 * torch.randn(count, channels, generator=generator, dtype=torch.float64).to(dtype)
    sharpness = torch.rand(lamps, generator=generator, dtype=torch.float64).to(dtype) * 40 + 0.5
    return neural, units(count), units(count), units(lamps), sharpness


@pytest.mark.parametrize(("channels", "lamps"), [(13, 16), (5, 12), (3, 1), (4, 0)])
def test_the_fused_kernel_equals_plain_torch(
    channels: int, lamps: int, generator: torch.Generator
) -> None:
    """Value and gradients, under a random cotangent; the reference runs in float64."""
    given = inputs(generator, 400, channels, lamps, torch.float32)
    wanted = [x.clone().requires_grad_(number in (0, 3, 4)) for number, x in enumerate(given)]
    exact = [x.double().requires_grad_(number in (0, 3, 4)) for number, x in enumerate(given)]
    fused, reference = directional_inputs(*wanted), directional_inputs_reference(*exact)
    assert fused.grad_fn is not None and "FusedDirections" in type(fused.grad_fn).__name__
    assert fused.shape == (400, channels + NUM_HARMONICS + 1 + lamps)
    torch.testing.assert_close(fused, reference.float(), atol=2e-5, rtol=1e-4)
    cotangent = torch.randn(fused.shape, generator=generator)
    leaves = [wanted[number] for number in (0, 3, 4)]
    exact_leaves = [exact[number] for number in (0, 3, 4)]
    for ours, theirs in zip(
        torch.autograd.grad(fused, leaves, cotangent),
        torch.autograd.grad(reference, exact_leaves, cotangent.double()),
        strict=True,
    ):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs.float(), atol=2e-3, rtol=1e-3)


def test_the_gradient_of_the_reference(generator: torch.Generator) -> None:
    given = [x.requires_grad_() for x in inputs(generator, 3, 4, 2, torch.float64)]
    assert torch.autograd.gradcheck(directional_inputs_reference, given)


def test_geometry_that_wants_gradients_gets_them(generator: torch.Generator) -> None:
    """The fused kernel has none for normals and views, and must not swallow them."""
    neural, normal, view, axes, sharpness = inputs(generator, 20, 5, 3, torch.float32)
    normal.requires_grad_()
    view.requires_grad_()
    summed = directional_inputs(neural, normal, view, axes, sharpness).square().sum()
    for gradient in torch.autograd.grad(summed, (normal, view)):
        assert (gradient.norm(dim=-1) > 1e-6).all()


def test_columns_are_channels_harmonics_facing_lamps(generator: torch.Generator) -> None:
    """Without a bend the mirror direction is about the mesh's own normal."""
    neural, normal, view, axes, sharpness = inputs(generator, 50, 6, 4, torch.float32)
    neural[:, :3] = 0
    found = directional_inputs(neural, normal, view, axes, sharpness)
    assert torch.equal(found[:, :6], neural)
    bands = harmonics(reflect(view, normal), 3)
    torch.testing.assert_close(found[:, 6:22], bands, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[:, 22], (normal * view).sum(dim=-1), atol=1e-6, rtol=1e-5)


def test_the_first_three_channels_bend_the_normal(generator: torch.Generator) -> None:
    neural, normal, view, axes, sharpness = inputs(generator, 50, 4, 4, torch.float32)
    bent = functional.normalize(normal + neural[:, :3], dim=-1)
    straight = torch.cat([torch.zeros(50, 3), neural[:, 3:]], dim=1)
    one = directional_inputs(neural, normal, view, axes, sharpness)
    other = directional_inputs(straight, bent, view, axes, sharpness)
    torch.testing.assert_close(one[:, 3:], other[:, 3:], atol=2e-5, rtol=1e-4)


def test_a_lamp_shines_brightest_where_the_normal_halves_the_way(
    generator: torch.Generator,
) -> None:
    _, _, view, axes, _ = inputs(generator, 1, 3, 1, torch.float32)
    half = functional.normalize(view + axes, dim=-1)
    normal = functional.normalize(torch.randn(4000, 3, generator=generator), dim=-1)
    normal = torch.cat([half, normal])
    sharpness = torch.tensor([9.0])
    shine = directional_inputs(
        torch.zeros(len(normal), 3), normal, view.expand_as(normal), axes, sharpness
    )[:, -1]
    assert shine.argmax() == 0
    torch.testing.assert_close(shine[0], torch.tensor(1.0), atol=2e-3, rtol=0)
    expected = (1 + 9 * (1 - (normal @ half.T)[:, 0])) ** -2
    torch.testing.assert_close(shine, expected, atol=2e-3, rtol=1e-3)


def test_lamps_straight_behind_the_point_are_finite() -> None:
    view = torch.tensor([[0.0, 0, 1]]).repeat(2, 1)
    normal = torch.tensor([[0.0, 0, 1], [1, 0, 0]])
    neural = torch.zeros(2, 3, requires_grad=True)
    found = directional_inputs(neural, normal, view, -view[:1], torch.tensor([50.0]))
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(neural.grad).all()  # type: ignore[arg-type]


def test_lamps_start_spread_over_all_directions() -> None:
    axes, sharpness = Lamps(16)()
    torch.testing.assert_close(axes.norm(dim=-1), torch.ones(16))
    assert axes.mean(dim=0).norm() < 0.1
    nearest = (axes @ axes.T - 2 * torch.eye(16)).amax(dim=1)
    assert nearest.max() < 0.85, "no two within 30 degrees"
    assert (sharpness > 0).all()
    none = Lamps(0)()
    assert none[0].shape == (0, 3)
    assert none[1].shape == (0,)
