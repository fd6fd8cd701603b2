"""The per-pixel renderer: starts as the texture, stays paintable, and never looks sideways."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dnr.raster.surface import Surface
from dnr.renderers.pixel import PixelConfig, PixelRenderer, multiply_harmonics
from dnr.textures.harmonics import harmonics, reflect

CHANNELS = 16
OPTIONS = [
    PixelConfig(hidden=24, lamps=5),
    PixelConfig(hidden=24, lamps=0),
    PixelConfig(hidden=24, direction="reflection"),
    PixelConfig(hidden=24, direction="reflection", combine="multiply"),
    PixelConfig(hidden=24, direction="view"),
    PixelConfig(hidden=24, direction="view", combine="multiply"),
    PixelConfig(hidden=24, direction="none"),
    PixelConfig(hidden=24, lamps=5, view=True),
]


def surface(generator: torch.Generator, count: int) -> Surface:
    def units() -> Tensor:
        return functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)

    uv = torch.rand(count, 2, generator=generator)
    return Surface(uv, torch.empty(count, 0), units(), units(), torch.full((count, 1), 0.01))


def trained(config: PixelConfig, generator: torch.Generator) -> PixelRenderer:
    """A renderer whose last layer is not zero."""
    renderer = PixelRenderer(CHANNELS, config)
    for parameter in renderer.layers.parameters():
        parameter.data.normal_(generator=generator).mul_(0.2)
    return renderer


@pytest.mark.parametrize("config", OPTIONS)
def test_the_first_picture_is_the_texture(config: PixelConfig, generator: torch.Generator) -> None:
    features = torch.randn(70, CHANNELS, generator=generator)
    shading = PixelRenderer(CHANNELS, config)(features, surface(generator, 70))
    assert torch.equal(shading.colour, features[:, :3])
    assert not shading.residual.any()


@pytest.mark.parametrize("config", OPTIONS)
def test_painting_scales_by_the_gain_alone(config: PixelConfig, generator: torch.Generator) -> None:
    """colour = texture * gain + rest with a scalar gain; neither depends on the colour painted."""
    renderer, seen = trained(config, generator), surface(generator, 60)
    features = torch.randn(60, CHANNELS, generator=generator)
    colours = []
    for paint in (torch.zeros(3), torch.ones(3), torch.tensor([0.2, 0.5, 0.9])):
        features[:, :3] = paint
        colours.append(renderer(features, seen).colour)
    gain = colours[1] - colours[0]
    assert gain.std(dim=0).min() > 1e-3, "the gain must vary"
    torch.testing.assert_close(gain, gain[:, :1].expand(60, 3), atol=1e-5, rtol=0)
    expected = colours[0] + gain * torch.tensor([0.2, 0.5, 0.9])
    torch.testing.assert_close(colours[2], expected, atol=1e-5, rtol=0)
    highlight = colours[0] - renderer(features, seen).residual
    assert highlight.std() > 1e-3, "so must what is left where the paint is black"
    torch.testing.assert_close(highlight, highlight[:, :1].expand(60, 3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", OPTIONS)
def test_any_crop_is_exact(config: PixelConfig, generator: torch.Generator) -> None:
    """A point's colour does not depend on what else is in the batch."""
    renderer, seen = trained(config, generator), surface(generator, 96)
    features = torch.randn(96, CHANNELS, generator=generator)
    together = renderer(features, seen).colour
    some = torch.randperm(96, generator=generator)[:37]
    alone = renderer(features[some], Surface(*(field[some] for field in seen))).colour
    torch.testing.assert_close(alone, together[some], atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", OPTIONS)
def test_gradients_reach_every_weight_and_feature(
    config: PixelConfig, generator: torch.Generator
) -> None:
    renderer, seen = trained(config, generator), surface(generator, 200)
    features = torch.randn(200, CHANNELS, generator=generator).requires_grad_()
    shading = renderer(features, seen)
    (shading.colour.square().mean() + shading.residual.square().mean()).backward()
    assert features.grad is not None
    assert (features.grad.abs().amax(dim=0) > 0).all()
    for name, parameter in renderer.named_parameters():
        if parameter.numel():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_what_each_option_knows_of_direction(generator: torch.Generator) -> None:
    seen = surface(generator, 40)
    turned = seen._replace(view=seen.view.roll(1, 0))
    bent_away = seen._replace(normal=seen.normal.roll(1, 0))
    features = torch.randn(40, CHANNELS, generator=generator)

    def changes(config: PixelConfig, other: Surface) -> bool:
        renderer = trained(config, torch.Generator().manual_seed(1))
        return not torch.equal(renderer(features, seen).colour, renderer(features, other).colour)

    for config in OPTIONS:
        assert changes(config, turned) == (config.direction != "none")
    assert not changes(PixelConfig(direction="view", combine="multiply"), bent_away)
    assert changes(PixelConfig(direction="reflection", combine="multiply"), bent_away)
    mirrored = seen._replace(view=reflect(seen.view, seen.normal))
    assert changes(PixelConfig(direction="bent"), mirrored)


def test_nine_channels_are_multiplied_as_published(generator: torch.Generator) -> None:
    features = torch.randn(2, 5, 7, CHANNELS, generator=generator)
    view = functional.normalize(torch.randn(2, 5, 7, 3, generator=generator), dim=-1)
    scaled = multiply_harmonics(features, view, first=3)
    assert torch.equal(scaled[..., :3], features[..., :3])
    assert torch.equal(scaled[..., 12:], features[..., 12:])
    expected = features[..., 3:12] * harmonics(view, 2)
    torch.testing.assert_close(scaled[..., 3:12], expected)


def test_no_points_give_no_colours(generator: torch.Generator) -> None:
    renderer = trained(PixelConfig(), generator)
    shading = renderer(torch.zeros(0, CHANNELS), surface(generator, 0))
    assert shading.colour.shape == shading.residual.shape == (0, 3)


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="must be reflection or view to multiply, got bent"):
        PixelConfig(direction="bent", combine="multiply")
    with pytest.raises(ValueError, match="must be reflection or view to multiply, got none"):
        PixelConfig(direction="none", combine="multiply")


def test_rendering_takes_a_shorter_way_to_the_same_numbers(generator: torch.Generator) -> None:
    """Without gradients layers may be fused; both ways multiply in the same precision."""
    renderer = PixelRenderer(8, PixelConfig(hidden=32))
    for parameter in renderer.parameters():
        parameter.data.normal_(std=0.2, generator=generator)
    x = torch.randn(501, 5 + 16 + 1 + 16, generator=generator)
    with torch.no_grad():
        fused = renderer._network(x)
    plain = renderer._network(x).detach()
    assert plain.std() > 0.05
    torch.testing.assert_close(fused, plain, atol=0.02 * float(plain.std()), rtol=0.02)


def test_what_is_shown_is_the_colour_between_black_and_white(generator: torch.Generator) -> None:
    renderer = PixelRenderer(CHANNELS, PixelConfig(hidden=24, lamps=5))
    for parameter in renderer.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    points = surface(generator, 400)
    features = torch.randn(400, CHANNELS, generator=generator)
    shown = torch.empty(400, 3)
    renderer.show(features, points, shown)
    with torch.no_grad():
        expected = renderer(features, points).colour.clamp(0, 1)
    assert 0.1 < float(((expected > 0) & (expected < 1)).float().mean()) < 0.9
    torch.testing.assert_close(shown, expected)
