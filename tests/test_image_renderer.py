"""Renderers that see images: what goes in, what comes out, and where gradients go."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dnr.raster.surface import Surface
from dnr.renderers.image import ImageConfig, ImageRenderer
from dnr.renderers.pixel import multiply_harmonics

CHANNELS, SIZE = 12, (37, 50)


def scene(generator: torch.Generator) -> tuple[Tensor, Surface, Tensor, Tensor]:
    """Features, surface, mask and background of two views; nothing where nothing is seen."""
    seen = torch.rand(2, *SIZE, generator=generator) < 0.6
    hit = seen[..., None].float()

    def units() -> Tensor:
        return hit * functional.normalize(torch.randn(2, *SIZE, 3, generator=generator), dim=-1)

    features = hit * torch.rand(2, *SIZE, CHANNELS, generator=generator)
    surface = Surface(hit.expand(2, *SIZE, 2), units(), units(), units(), 0.01 * hit)
    return features, surface, seen, torch.rand(2, 3, *SIZE, generator=generator)


def trained(network: str, generator: torch.Generator) -> ImageRenderer:
    renderer = ImageRenderer(CHANNELS, ImageConfig(network))  # type: ignore[arg-type]
    for parameter in renderer.parameters():
        parameter.data.normal_(generator=generator).mul_(0.05)
    return renderer


def test_the_improved_one_starts_as_the_textured_mesh(generator: torch.Generator) -> None:
    features, surface, seen, background = scene(generator)
    image = ImageRenderer(CHANNELS, ImageConfig("residual"))(features, surface, seen, background)
    assert image.dtype == features.dtype
    views, rows, columns = seen.nonzero().T
    assert torch.equal(image[views, :, rows, columns], features[views, rows, columns, :3])
    views, rows, columns = (~seen).nonzero().T
    assert torch.equal(image[views, :, rows, columns], background[views, :, rows, columns])


def test_the_published_one_sees_features_scaled_by_harmonics_of_the_view(
    small_paper: None, generator: torch.Generator
) -> None:
    features, surface, seen, background = scene(generator)
    renderer = trained("paper", generator)
    image = renderer(features, surface, seen, background)
    scaled = multiply_harmonics(features, surface.view, first=3).permute(0, 3, 1, 2)
    torch.testing.assert_close(image, renderer.network(scaled), atol=0.03, rtol=0)  # bfloat16
    turned = surface._replace(view=-surface.view)
    assert not torch.equal(renderer(features, turned, seen, background), image)
    straight = surface._replace(normal=-surface.normal)
    assert torch.equal(renderer(features, straight, seen, background), image)


@pytest.mark.parametrize("network", ["paper", "residual"])
def test_views_of_a_batch_do_not_mix(
    network: str, small_paper: None, generator: torch.Generator
) -> None:
    features, surface, seen, background = scene(generator)
    renderer = trained(network, generator)
    together = renderer(features, surface, seen, background)
    assert together.shape == (2, 3, *SIZE)
    alone = renderer(features[1:], Surface(*(f[1:] for f in surface)), seen[1:], background[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-2, rtol=0)


@pytest.mark.parametrize("network", ["paper", "residual"])
def test_gradients_reach_every_weight_and_feature(
    network: str, small_paper: None, generator: torch.Generator
) -> None:
    features, surface, seen, background = scene(generator)
    features.requires_grad_()
    renderer = trained(network, generator)
    cotangent = torch.randn(2, 3, *SIZE, generator=generator)
    (renderer(features, surface, seen, background) * cotangent).sum().backward()
    assert features.grad is not None
    assert (features.grad[seen].abs().amax(dim=0) > 0).all()
    for name, parameter in renderer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_improved_one_does_not_read_geometry_where_nothing_is_seen(
    generator: torch.Generator,
) -> None:
    features, surface, seen, background = scene(generator)
    renderer = trained("residual", generator)
    filled = [torch.where(seen[..., None], field, torch.ones(())) for field in surface]
    one = renderer(features, surface, seen, background)
    assert torch.equal(renderer(features, Surface(*filled), seen, background), one)
