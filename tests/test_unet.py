"""The published U-Net is what was published; the improved one is free of its faults."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from dnr.renderers.unet import PaperUNet, ResidualUNet, pad_to_multiple

PUBLISHED = [  # weights of each convolution: [out, in, 4, 4] down, [in, out, 4, 4] up
    *[(64, 16), (128, 64), (256, 128), (512, 256), (512, 512)],
    *[(512, 512), (1024, 256), (512, 128), (256, 64), (128, 3)],
]


def test_the_published_network_has_the_published_layers() -> None:
    network = PaperUNet(16)
    layers = [*network.down, *network.up]
    for layer, shape in zip(layers, PUBLISHED, strict=True):
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        assert layer.weight.shape == (*shape, 4, 4)
        assert layer.stride == (2, 2)
        assert layer.bias is not None
    assert sum(parameter.numel() for parameter in network.parameters()) == 16_671_107


def test_the_published_network_costs_what_was_published() -> None:
    with torch.device("meta"):
        network, features = PaperUNet(16), torch.empty(1, 16, 512, 512)
        with FlopCounterMode(display=False) as counter:
            assert network(features).shape == (1, 3, 512, 512)
    assert counter.get_total_flops() / 1e9 == pytest.approx(45.9, abs=0.05)


def test_the_published_forward_pass_step_by_step(
    small_paper: None, generator: torch.Generator
) -> None:
    """Written out: LeakyReLU down, ReLU up, instance norm after all up-convolutions but the last,
    skips at four levels, tanh."""
    network, x = PaperUNet(5), torch.randn(2, 5, 64, 96, generator=generator)
    weights = dict(network.named_parameters())

    def layer(name: str) -> tuple[Tensor, Tensor, int, int]:  # with stride and padding
        return weights[f"{name}.weight"], weights[f"{name}.bias"], 2, 1

    seen = [functional.conv2d(x, *layer("down.0"))]
    for number in range(1, 5):
        inside = functional.leaky_relu(seen[-1], 0.2)
        seen.append(functional.conv2d(inside, *layer(f"down.{number}")))
    y = seen[4]
    for number in range(5):
        y = y if number == 0 else torch.cat([y, seen[4 - number]], dim=1)
        y = functional.conv_transpose2d(y.relu(), *layer(f"up.{number}"))
        if number < 4:
            centred = y - y.mean(dim=(2, 3), keepdim=True)
            y = centred / (centred.square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(network(x), y.tanh() / 2 + 0.5, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(33, 70), (1, 1), (64, 32)])
def test_images_of_any_size(
    size: tuple[int, int], small_paper: None, generator: torch.Generator
) -> None:
    features = torch.randn(2, 4, *size, generator=generator)
    painted = PaperUNet(4)(features)
    assert painted.shape == (2, 3, *size)
    assert painted.min() >= 0
    assert painted.max() <= 1
    base = torch.rand(2, 3, *size, generator=generator)
    assert torch.equal(ResidualUNet(4)(features, base), base), "it starts as the base"


def residual(generator: torch.Generator, channels: int = 4) -> ResidualUNet:
    """With a last layer that is not zero."""
    network = ResidualUNet(channels)
    for parameter in network.parameters():
        parameter.data.normal_(generator=generator).mul_(0.1)
    return network


def test_constant_inputs_give_constant_pictures_without_a_grid(generator: torch.Generator) -> None:
    """Away from borders; the published network's transposed convolutions leave a checkerboard."""
    features = torch.randn(1, 4, 1, 1, generator=generator).expand(1, 4, 96, 112)
    inside = (..., slice(32, -32), slice(32, -32))
    image = residual(generator)(features, torch.zeros(1, 3, 96, 112))[inside]
    assert image.abs().max() > 1e-3
    torch.testing.assert_close(image, image[..., :1, :1].expand_as(image), atol=1e-6, rtol=1e-5)
    paper = PaperUNet(4)(features)[inside]
    assert (paper - paper.mean(dim=(2, 3), keepdim=True)).abs().max() > 1e-4


def test_absolute_colour_survives(generator: torch.Generator) -> None:
    """Nothing is normalised: adding to the base adds to the picture."""
    network = residual(generator)
    features = torch.randn(2, 4, 40, 36, generator=generator)
    base = torch.rand(2, 3, 40, 36, generator=generator)
    difference = network(features, base + 0.25) - network(features, base)
    torch.testing.assert_close(difference, torch.full_like(base, 0.25))


def test_what_happens_far_away_does_not_matter(generator: torch.Generator) -> None:
    """Its reach is bounded, so large crops are exact in their middle."""
    network = residual(generator)
    features = torch.randn(1, 4, 120, 104, generator=generator)
    other = features.clone()
    other[..., 80:, :] = 3.0
    base = torch.zeros(1, 3, 120, 104)
    one, two = network(features, base), network(other, base)
    torch.testing.assert_close(one[..., :56, :], two[..., :56, :], atol=1e-5, rtol=0)
    assert not torch.allclose(one[..., 78, :], two[..., 78, :])


def test_padding_grows_right_and_below_only(generator: torch.Generator) -> None:
    image = torch.rand(2, 3, 33, 64, generator=generator)
    padded = pad_to_multiple(image, 32)
    assert padded.shape == (2, 3, 64, 64)
    assert torch.equal(padded[..., :33, :], image)
    assert not padded[..., 33:, :].any()
    assert pad_to_multiple(padded, 32).shape == padded.shape
