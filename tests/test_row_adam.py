"""The sparse optimiser: its fast kernels against plain torch, and both against torch's own Adam."""

import pytest
import torch
from torch import Tensor

from dnr.textures.pyramid import NeuralTexture, Pyramid, TextureConfig
from dnr.textures.row_adam import RowAdam, row_adam_reference

SIZES = (16, 8, 4)
BETAS = (0.9, 0.99)
Batch = tuple[Tensor, Tensor, Tensor]  # uv, footprint, gradient


def pyramids(channels: int, generator: torch.Generator) -> tuple[Pyramid, Pyramid]:
    """Two with the same random texels."""
    pair = Pyramid(SIZES, channels, always=5), Pyramid(SIZES, channels, always=5)
    pair[0].texels.data.normal_(generator=generator)
    pair[1].texels.data.copy_(pair[0].texels)
    return pair


def optimiser(pyramid: Pyramid, decay: float = 0.0, betas: tuple[float, float] = BETAS) -> RowAdam:
    """With rates that differ in every level and channel."""
    shape = (len(pyramid.sizes), pyramid.texels.shape[1])
    steps = torch.arange(shape[0] * shape[1]).reshape(shape) + 1.0
    return RowAdam(pyramid, 0.01 * steps / steps.max(), decay * steps / steps.max(), betas)


def batch(channels: int, generator: torch.Generator, count: int = 30) -> Batch:
    uv = torch.rand(count, 2, generator=generator) * 1.1 - 0.05
    footprint = torch.rand(count, 1, generator=generator) * 0.3
    return uv, footprint, torch.randn(count, channels, generator=generator)


def reference_step(adam: RowAdam, batch: Batch, factor: float) -> None:
    with torch.no_grad():
        row_adam_reference(adam, *batch, adam.rates * factor, adam.decay * factor)


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_kernels_equal_plain_torch(
    channels: int, decay: float, generator: torch.Generator
) -> None:
    fast, slow = (optimiser(pyramid, decay) for pyramid in pyramids(channels, generator))
    start = fast.pyramid.texels.detach().clone()
    for number in range(12):
        seen = batch(channels, generator)
        fast.step(*seen, factor=1 / (1 + number))
        reference_step(slow, seen, 1 / (1 + number))
        assert torch.equal(fast.ages, slow.ages)
        torch.testing.assert_close(fast.moments, slow.moments, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(fast.pyramid.texels, slow.pyramid.texels, rtol=1e-4, atol=1e-5)
    moved = (fast.pyramid.texels != start).any(dim=1)
    assert torch.equal(moved, fast.ages > 0)
    assert 0.3 < moved.float().mean() < 1, "some must rest"
    assert len(fast.ages.unique()) > 5, "ages must differ"


@pytest.mark.parametrize("betas", [BETAS, (0.9, 0.999)])
def test_where_every_texel_is_seen_it_is_torchs_adam(
    betas: tuple[float, float], generator: torch.Generator
) -> None:
    ours, theirs = pyramids(4, generator)
    adam = RowAdam(ours, torch.full((3, 4), 0.02), torch.zeros(3, 4), betas)
    dense = torch.optim.Adam(theirs.parameters(), lr=0.02, betas=betas, eps=1e-8)
    for _ in range(10):
        uv, footprint, gradient = batch(4, generator, count=4000)
        footprint = footprint / 10  # every level counts for every point
        adam.step(uv, footprint, gradient, factor=1.0)
        dense.zero_grad()
        theirs.sample(uv, footprint).backward(gradient)
        dense.step()
    assert (adam.ages == 10).all()
    torch.testing.assert_close(ours.texels, theirs.texels, rtol=1e-4, atol=2e-5)


def test_old_rows_still_step_like_torchs_adam() -> None:
    """Past the end of the table of bias corrections, whatever the betas."""
    ours, theirs = Pyramid((2,), 3, always=3), Pyramid((2,), 3, always=3)
    betas = (0.5, 0.9)
    adam = RowAdam(ours, torch.full((1, 3), 0.01), torch.zeros(1, 3), betas)
    dense = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=betas)
    uv, footprint = torch.full((1, 2), 0.4), torch.zeros(1, 1)
    for number in range(300):
        gradient = torch.full((1, 3), 1.0 + number % 3)
        adam.step(uv, footprint, gradient, factor=1.0)
        dense.zero_grad()
        theirs.sample(uv, footprint).backward(gradient)
        dense.step()
    torch.testing.assert_close(ours.texels, theirs.texels, rtol=1e-4, atol=1e-5)


def test_rows_that_nobody_sees_rest(generator: torch.Generator) -> None:
    """One point on one texel's centre: three levels, and only the texels with weight move."""
    adam = optimiser(pyramids(3, generator)[0], decay=0.5)
    before = adam.pyramid.texels.detach().clone()
    centre = torch.tensor([[5.5 / 16, 1 - 2.5 / 16]])  # column 5, row 2 of the finest level
    adam.step(centre, torch.zeros(1, 1), torch.ones(1, 3), factor=1.0)
    touched = (adam.pyramid.texels != before).any(dim=1).nonzero()[:, 0].tolist()
    second, third = 16 * 16, 16 * 16 + 8 * 8
    mixed = [second + row * 8 + column for row in (0, 1) for column in (2, 3)]
    mixed += [third + row * 4 + column for row in (0, 1) for column in (0, 1)]
    assert touched == [2 * 16 + 5, *mixed]
    assert not adam.moments[adam.ages == 0].any()


def test_decay_pulls_seen_rows_towards_zero() -> None:
    pyramid = Pyramid((4,), 3, always=0)
    pyramid.texels.data.fill_(2.0)
    adam = RowAdam(pyramid, torch.zeros(1, 3), torch.tensor([[0.0, 0.1, 0.2]]))
    centre = torch.tensor([[0.125, 0.875]])
    for _ in range(2):
        adam.step(centre, torch.zeros(1, 1), torch.ones(1, 3), factor=0.5)
    expected = torch.tensor([2.0, 2 * 0.95**2, 2 * 0.9**2])
    torch.testing.assert_close(pyramid.texels[0].detach(), expected)
    assert (pyramid.texels[1:] == 2).all()


def test_further_columns_of_the_gradient_are_not_read(generator: torch.Generator) -> None:
    one, other = (optimiser(pyramid) for pyramid in pyramids(3, generator))
    uv, footprint, gradient = batch(16, generator)
    one.step(uv, footprint, gradient, factor=1.0)
    other.step(uv, footprint, gradient[:, :3], factor=1.0)
    assert torch.equal(one.pyramid.texels, other.pyramid.texels)
    reference = optimiser(pyramids(3, torch.Generator().manual_seed(0))[0])
    reference_step(reference, (uv, footprint, gradient), 1.0)
    torch.testing.assert_close(reference.pyramid.texels, one.pyramid.texels, rtol=1e-4, atol=1e-5)


def test_batches_of_any_size_follow_each_other(generator: torch.Generator) -> None:
    """The scratch memory is never cleared; what earlier batches left there must not matter."""
    fast, slow = (optimiser(pyramid) for pyramid in pyramids(5, generator))
    for count in (40, 3, 0, 200, 1, 40):
        seen = batch(5, generator, count)
        fast.step(*seen, factor=1.0)
        reference_step(slow, seen, 1.0)
    assert torch.equal(fast.ages, slow.ages)
    torch.testing.assert_close(fast.pyramid.texels, slow.pyramid.texels, rtol=1e-4, atol=1e-5)


def test_both_pyramids_of_a_texture_learn_an_image(generator: torch.Generator) -> None:
    """Fit smooth targets through lookups: the sum of all levels converges to them."""
    texture = NeuralTexture(TextureConfig(size=16, channels=4, levels=2, colour_size=32))
    adams = [
        RowAdam(p, torch.full((len(p.sizes), p.texels.shape[1]), 0.02), torch.zeros(2, 4))
        for p in texture.pyramids
    ]
    footprint = torch.full((500, 1), 0.01)

    def error(move: bool) -> float:
        uv = torch.rand(500, 2, generator=generator) * 0.9 + 0.05
        target = torch.stack([uv[:, 0], uv[:, 1], uv.prod(dim=1), 1 - uv[:, 0]], dim=1)
        wrong = texture.look_up(uv, footprint) - target
        for adam in adams if move else ():
            adam.step(uv, footprint, wrong, factor=1.0)
        return float(wrong.abs().mean())

    before = error(move=False)
    for _ in range(150):
        error(move=True)
    assert error(move=False) < before / 20
