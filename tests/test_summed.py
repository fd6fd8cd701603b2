"""Levels added up beforehand give what the levels themselves give."""

import pytest
import torch

from dnr.textures.pyramid import Pyramid
from dnr.textures.summed import SummedPyramid


@pytest.mark.parametrize("always", [0, 9, 100])
@pytest.mark.parametrize("sizes", [(32, 16, 8), (8,), (64, 32)])
def test_it_is_the_sum_everywhere_and_at_every_distance(
    always: int, sizes: tuple[int, ...], generator: torch.Generator
) -> None:
    pyramid = Pyramid(sizes, 5, always)
    pyramid.texels.data.normal_(generator=generator)
    uv = torch.rand(5000, 2, generator=generator) * 1.2 - 0.1
    footprint = 2.0 ** (torch.rand(5000, 1, generator=generator) * 10 - 9)
    expected = pyramid.sample(uv, footprint).detach()
    # In float32, uv * 2 S and uv * S - 0.5 round differently by about 1e-6 of a texel.
    torch.testing.assert_close(
        SummedPyramid(pyramid).look_up(uv, footprint), expected, atol=2e-5, rtol=0
    )


def test_it_stays_as_it_was_made(generator: torch.Generator) -> None:
    pyramid = Pyramid((8, 4), 3, always=0)
    pyramid.texels.data.normal_(generator=generator)
    uv, footprint = torch.rand(7, 2, generator=generator), torch.full((7, 1), 0.01)
    summed = SummedPyramid(pyramid)
    before = summed.look_up(uv, footprint)
    pyramid.texels.data.zero_()
    torch.testing.assert_close(summed.look_up(uv, footprint), before)
    assert before.abs().max() > 0.1
