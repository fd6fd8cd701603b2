"""Optional loss terms of the image renderers."""

import importlib.util

import pytest
import torch

from dnr.errors import InputError
from dnr.training.losses import Critic, ExtraLosses, edge_difference
from dnr.training.metrics import ssim
from dnr.training.options import ImageLosses

CPU = torch.device("cpu")


def pair(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.rand(1, 3, 24, 40, generator=generator) for _ in range(2))  # type: ignore


def test_edges_are_compared_and_not_levels(generator: torch.Generator) -> None:
    photo, _ = pair(generator)
    assert float(edge_difference(photo + 0.25, photo)) < 1e-6
    ramp = torch.linspace(0, 1, 40).expand(1, 3, 24, 40)
    assert float(edge_difference(ramp, torch.zeros_like(ramp))) == pytest.approx(1 / 39, rel=1e-4)


def test_terms_add_up_with_their_weights(generator: torch.Generator) -> None:
    render, photo = pair(generator)
    extra = ExtraLosses(ImageLosses(ssim=0.5, gradient=2.0), CPU)
    expected = 0.5 * (1 - ssim(render, photo)).mean() + 2 * edge_difference(render, photo)
    assert float(extra(render, photo)) == pytest.approx(float(expected), rel=1e-5)


def test_the_critic_learns_to_tell_renders_from_photos_and_pulls_renders(
    generator: torch.Generator,
) -> None:
    torch.manual_seed(0)
    flat, photo = torch.full((1, 3, 24, 40), 0.5), pair(generator)[0]
    render = flat.clone().requires_grad_()
    extra = ExtraLosses(ImageLosses(adversarial=1.0), CPU)
    for _ in range(60):
        loss = extra(render, photo)
    assert extra.critic is not None and isinstance(loss, torch.Tensor)
    told = [float(extra.critic(image).mean().detach()) for image in (photo, flat)]
    assert told[0] > 0.5 > told[1]
    loss.backward()
    assert render.grad is not None and float(render.grad.abs().max()) > 0


def test_the_critic_judges_patches_of_34_pixels() -> None:
    critic = Critic()
    image = torch.rand(1, 3, 96, 96, requires_grad=True)
    middle = critic.last(critic.third(critic.second(critic.first(image))))[0, 0, 11, 11]
    (gradient,) = torch.autograd.grad(middle, image)
    rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 34


@pytest.mark.skipif(importlib.util.find_spec("lpips") is not None, reason="lpips is installed")
def test_missing_lpips_is_said_and_not_faked() -> None:
    with pytest.raises(InputError, match="lpips"):
        ExtraLosses(ImageLosses(lpips=1.0), CPU)


def test_impossible_weights_are_refused() -> None:
    with pytest.raises(InputError, match="ssim"):
        ImageLosses(ssim=-1.0)
