"""Lookups in the texture: closed forms, what fades with distance, and the fast kernel."""

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from dnr.geometry.smoothing_groups import make_mesh
from dnr.geometry.unwrap import unwrap
from dnr.textures.pyramid import COLOURS, NeuralTexture, Pyramid, TextureConfig

SIZES = (32, 16, 8)
CLOSE = 1e-6  # a footprint smaller than any texel


def pyramid(generator: torch.Generator, channels: int = 5, always: int = 9) -> Pyramid:
    made = Pyramid(SIZES, channels, always)
    made.texels.data.normal_(generator=generator)
    return made


def points(generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Places all over the texture and beyond it; footprints from nothing to more than all of it."""
    uv = torch.rand(count, 2, generator=generator) * 1.2 - 0.1
    footprint = 2.0 ** (torch.rand(count, 1, generator=generator) * 10 - 9)
    return uv, footprint


def ramp(size: int) -> Tensor:  # [S, S, 2]
    """Each texel holds the uv of its centre; row 0 is on top, where v is 1."""
    centre = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(1 - centre, centre, indexing="ij")
    return torch.stack([u, v], dim=-1)


def test_a_lookup_reproduces_a_ramp(generator: torch.Generator) -> None:
    """Bilinear interpolation is exact for linear functions between the outermost centres."""
    for index, size in enumerate(SIZES):
        made = Pyramid(SIZES, 2, always=0)
        made.level(index).data.copy_(ramp(size))
        uv = 0.5 / size + torch.rand(300, 2, generator=generator) * (1 - 1 / size)
        footprint = torch.full((300, 1), CLOSE)
        torch.testing.assert_close(made.look_up(uv, footprint), uv, atol=1e-6, rtol=0)
        torch.testing.assert_close(made.sample(uv, footprint).detach(), uv, atol=1e-6, rtol=0)


def test_v_points_up_and_u_to_the_right() -> None:
    made = Pyramid((4,), 3, always=0)
    with torch.no_grad():
        made.level(0)[0, 3] = torch.tensor([1.0, 2.0, 3.0])  # first row, last column
    corner = torch.tensor([[0.99, 0.99], [0.99, 0.01], [0.01, 0.99]])
    seen = made.look_up(corner, torch.full((3, 1), CLOSE))
    assert seen.tolist() == [[1, 2, 3], [0, 0, 0], [0, 0, 0]]


def test_beyond_the_outermost_centres_the_edge_repeats(generator: torch.Generator) -> None:
    made = pyramid(generator)
    outside = torch.tensor([[-3.0, 0.4], [0.0, 0.4], [1.0, 0.4], [7.0, 0.4], [0.3, 1.2], [0.3, -1]])
    inside = outside.clamp(0.5 / 32, 1 - 0.5 / 32)
    one_level = Pyramid((32,), 5, always=33)
    one_level.texels.data.copy_(made.texels[: 32 * 32])
    footprint = torch.full((6, 1), CLOSE)
    expected = one_level.look_up(inside, footprint)
    torch.testing.assert_close(one_level.look_up(outside, footprint), expected)


@pytest.mark.parametrize("always", [0, 9, 16, 33])
@pytest.mark.parametrize("channels", [3, 5, 16])
def test_the_fast_kernel_equals_the_differentiable_one(
    always: int, channels: int, generator: torch.Generator
) -> None:
    made = pyramid(generator, channels, always)
    uv, footprint = points(generator, 700)
    expected = made.sample(uv, footprint).detach()
    torch.testing.assert_close(made.look_up(uv, footprint), expected, atol=3e-5, rtol=1e-4)


def test_views_that_are_not_contiguous_are_read_right(generator: torch.Generator) -> None:
    made = pyramid(generator)
    uv, footprint = points(generator, 40)
    wide = torch.cat([uv, footprint], dim=1)
    torch.testing.assert_close(made.look_up(wide[:, :2], wide[:, 2:]), made.look_up(uv, footprint))
    assert made.look_up(uv[:0], footprint[:0]).shape == (0, 5)


def test_levels_fade_where_the_patch_outgrows_their_texels() -> None:
    """A level of side S counts fully up to a patch of 1 / S and not at all from 2 / S on."""
    made = Pyramid(SIZES, 3, always=9)
    with torch.no_grad():
        for index in range(3):
            made.level(index).fill_(10.0**index)
    patch = torch.tensor([[CLOSE], [1 / 32], [1.5 / 32], [1 / 16], [1.25 / 16], [1 / 8], [1.0]])
    seen = made.look_up(torch.full((7, 2), 0.4), patch)[:, 0]
    expected = torch.tensor([111, 111, 110.5, 110, 107.5, 100, 100])
    torch.testing.assert_close(seen, expected, atol=1e-4, rtol=0)


def test_gradients_of_texels_and_uv(generator: torch.Generator) -> None:
    made = pyramid(generator).double()
    uv = torch.rand(9, 2, generator=generator, dtype=torch.float64).requires_grad_()
    footprint = torch.full((9, 1), 0.045, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: made.sample(x, footprint), uv)
    (to_texels,) = torch.autograd.grad(made.sample(uv, footprint).sum(), made.texels)
    shares = (2 - 0.045 * torch.tensor([32.0, 16, 8])).clamp(0, 1)
    shares[2] = 1
    total = to_texels[:, 0].sum()  # each lookup spreads weights of one a level
    torch.testing.assert_close(total, 9 * shares.sum().double())


def test_detail_adds_to_colour_only(generator: torch.Generator) -> None:
    config = TextureConfig(size=16, channels=6, levels=2, colour_size=64)
    texture = NeuralTexture(config)
    texture.features.texels.data.normal_(generator=generator)
    uv, footprint = points(generator, 200)
    before = texture.look_up(uv, footprint)
    texture.detail.texels.data.normal_(generator=generator)
    after = texture.look_up(uv, footprint)
    assert torch.equal(after[:, COLOURS:], before[:, COLOURS:])
    near = footprint[:, 0] < 2 / 64
    assert ((after - before)[near, :COLOURS].abs() > 1e-6).any(dim=1).all()
    assert torch.equal(after[footprint[:, 0] > 2 / 32], before[footprint[:, 0] > 2 / 32])
    sampled = texture.sample(uv, footprint).detach()
    torch.testing.assert_close(after, sampled, atol=3e-5, rtol=1e-4)


def test_colour_levels_are_views_finest_first() -> None:
    texture = NeuralTexture(TextureConfig(size=16, channels=6, levels=2, colour_size=64))
    levels = texture.colour_levels()
    assert [level.shape[0] for level in levels] == [64, 32, 16, 8]
    for number, level in enumerate(levels):
        level.data.fill_(number + 1.0)
    assert torch.equal(texture.detail.texels.unique(), torch.tensor([1.0, 2.0]))
    assert torch.equal(texture.features.texels[:, :COLOURS].unique(), torch.tensor([3.0, 4.0]))
    assert not texture.features.texels[:, COLOURS:].any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 100}, "texture size must be a multiple of 8 and at least 16, got 100"),
        ({"size": 8}, "at least 16, got 8"),
        ({"size": 0}, "texture size must be"),
        ({"levels": 0}, "levels must be at least 1, got 0"),
        ({"channels": 2}, "channels must be at least 3, got 2"),
        ({"colour_size": 256}, "colour_size must be size times a power of two, got 256"),
        ({"colour_size": 1536}, "colour_size must be size times a power of two, got 1536"),
    ],
)
def test_textures_that_cannot_be_are_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextureConfig(**wrong)


def shared_texels(uv: np.ndarray, chart: np.ndarray, size: int) -> np.ndarray:  # [N] bool
    """Which lookups read a texel that a lookup in another chart reads too, by brute force."""
    corner = np.clip(np.floor(uv * size - 0.5), 0, size - 2).astype(int)
    cells = [(corner[:, 1] + b) * size + corner[:, 0] + a for a in (0, 1) for b in (0, 1)]
    lowest, highest = np.full(size * size, len(uv)), np.full(size * size, -1)
    for cell in cells:
        np.minimum.at(lowest, cell, chart)
        np.maximum.at(highest, cell, chart)
    return np.any([highest[cell] > lowest[cell] for cell in cells], axis=0)


def test_gutters_keep_charts_apart_down_to_256_texels(rng: np.random.Generator) -> None:
    """Gutters are four texels of 1024, so one of 256. Coarser levels do share texels between
    charts, at few places; what that does to one chart's colour its own finer levels make up for.
    """
    shape = trimesh.creation.box().subdivide().subdivide()
    vertices, faces = torch.tensor(shape.vertices).float(), torch.tensor(shape.faces)
    mesh = unwrap(make_mesh(vertices, faces))
    side = torch.from_numpy(np.array(shape.face_normals)) @ torch.tensor([1.0, 2, 3]).double()
    face = rng.integers(0, len(faces), 300_000)
    weights = rng.dirichlet([0.4, 0.4, 0.4], len(face))  # many points near the edges
    uv = (weights[..., None] * mesh.uvs[mesh.uv_faces].numpy()[face]).sum(axis=1)
    chart = np.unique(side.numpy().round(), return_inverse=True)[1][face]
    assert chart.max() == 5
    shares = {size: shared_texels(uv, chart, size).mean() for size in (1024, 512, 256, 128, 64)}
    assert shares[1024] == shares[512] == shares[256] == 0
    assert 0 < shares[128] < 0.1
    assert 0 < shares[64] < 0.3
