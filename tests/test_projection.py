"""Photos on the surface: means and diffuse colours of known samples, and the pyramid they fill."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dnr.textures.projection import SeenPixels, diffuse_colours, mean_colours, paint_pyramid
from dnr.textures.pyramid import NeuralTexture, TextureConfig

SIZE = 8


def centres(rows: list[int], columns: list[int], size: int = SIZE) -> np.ndarray:
    """uvs of texel centres; row 0 is on top."""
    u = (np.array(columns) + 0.5) / size
    return np.stack([u, 1 - (np.array(rows) + 0.5) / size], axis=1).astype(np.float32)


def seen(uv: np.ndarray, colours: list[float], weights: list[float]) -> SeenPixels:
    """Greys of the given brightness, tinted."""
    grey = np.array(colours, np.float32)[:, None] * np.array([0.9, 1.0, 1.1], np.float32)
    return SeenPixels(uv, grey, np.array(weights, np.float32))


def test_means_are_weighted_over_photos() -> None:
    first = seen(centres([1, 1, 6], [2, 2, 5]), [0.2, 0.4, 0.7], [1.0, 3.0, 0.5])
    second = seen(centres([1], [2]), [0.8], [2.0])
    means = mean_colours([first, second], SIZE)
    assert means.shape == (SIZE, SIZE, 4)
    grey = (0.2 * 1 + 0.4 * 3 + 0.8 * 2) / 6
    expected = torch.tensor([0.9 * grey, grey, 1.1 * grey, 6.0])
    torch.testing.assert_close(means[1, 2], expected)
    torch.testing.assert_close(means[6, 5], torch.tensor([0.63, 0.7, 0.77, 0.5]))
    means[1, 2] = means[6, 5] = 0
    assert not means.any(), "at a texel's centre no neighbour is meant"


def test_between_texels_the_squares_of_the_bilinear_weights_count() -> None:
    uv = centres([3], [4]) + np.array([[0.25 / SIZE, -0.5 / SIZE]], np.float32)
    means = mean_colours([seen(uv, [0.5], [1.0])], SIZE)
    weight = torch.tensor([0.75 * 0.5, 0.25 * 0.5]) ** 2
    torch.testing.assert_close(means[3:5, 4:6, 3], weight.expand(2, 2), rtol=1e-4, atol=1e-6)
    assert int((means[..., 3] > 1e-9).sum()) == 4


def test_diffuse_colours_leave_out_what_shines() -> None:
    photos = [
        seen(centres([2, 5], [2, 5]), [grey, 0.37], [1.0, 0.3])
        for grey in (0.3, 0.32, 0.34, 0.9, 1.0)
    ]
    means = mean_colours(photos, SIZE)
    diffuse = diffuse_colours(photos, SIZE, means)
    torch.testing.assert_close(means[2, 2, 1], torch.tensor(0.572))
    torch.testing.assert_close(diffuse[2, 2, 1], torch.tensor(0.32))
    torch.testing.assert_close(diffuse[2, 2, 3], torch.tensor(3.0))
    torch.testing.assert_close(diffuse[5, 5], means[5, 5])  # a dull texel keeps all its samples


def test_no_seen_texel_loses_its_diffuse_colour_to_rounding(rng: np.random.Generator) -> None:
    """Where all samples agree, none is brighter than their mean, whatever float32 makes of it."""
    uv = rng.uniform(0, 1, (3000, 2)).astype(np.float32)
    colour = np.tile(rng.uniform(0, 1, 3).astype(np.float32), (3000, 1))
    photos = [SeenPixels(uv, colour, rng.uniform(0.05, 1, 3000).astype(np.float32))]
    means = mean_colours(photos, 32)
    diffuse = diffuse_colours(photos, 32, means)
    torch.testing.assert_close(diffuse, means)


def texture(size: int = 16, colour_size: int = 64) -> NeuralTexture:
    return NeuralTexture(TextureConfig(size, channels=5, levels=3, colour_size=colour_size))


def at_centres(painted: NeuralTexture) -> Tensor:  # [S, S, C]
    """Lookups at the finest texels' centres, from so close that every level counts."""
    size = painted.config.colour_size
    rows, columns = np.divmod(np.arange(size * size), size)
    uv = torch.from_numpy(centres(rows.tolist(), columns.tolist(), size))
    return painted.look_up(uv, torch.full((len(uv), 1), 1e-6)).reshape(size, size, -1)


@pytest.mark.parametrize("colour_size", [16, 64])
def test_painting_shows_the_colours_at_texel_centres(
    colour_size: int, generator: torch.Generator
) -> None:
    painted = texture(colour_size=colour_size)
    colours = torch.rand(colour_size, colour_size, 4, generator=generator) + 0.01
    paint_pyramid(painted.colour_levels(), colours)
    shown = at_centres(painted)
    torch.testing.assert_close(shown[..., :3], colours[..., :3], atol=1e-5, rtol=0)
    assert not shown[..., 3:].any(), "features are not paint"


def test_from_afar_painting_shows_the_means(generator: torch.Generator) -> None:
    """Equal weights: the coarsest level is the plain average of the texels under it."""
    painted = texture()
    colours = torch.rand(64, 64, 4, generator=generator)
    colours[..., 3] = 0.7
    paint_pyramid(painted.colour_levels(), colours)
    blocks = colours[..., :3].reshape(4, 16, 4, 16, 3).mean(dim=(1, 3))
    torch.testing.assert_close(painted.colour_levels()[-1].detach(), blocks)


def test_holes_take_the_colour_of_their_surroundings(generator: torch.Generator) -> None:
    """Left half of one colour, right half of another, with holes, and noise where nobody looked."""
    painted = texture()
    colours = torch.zeros(64, 64, 4)
    colours[:, :32, :3] = torch.tensor([0.8, 0.3, 0.1])
    colours[:, 32:, :3] = torch.tensor([0.1, 0.6, 0.9])
    colours[..., 3] = torch.rand(64, 64, generator=generator) + 0.5
    expected = colours.clone()
    hole = torch.zeros(64, 64, dtype=torch.bool)
    hole[10:20, 4:12] = hole[30:34, 50:60] = True
    colours[hole] = torch.tensor([9.0, -9.0, 9.0, 0.0])
    paint_pyramid(painted.colour_levels(), colours)
    shown = at_centres(painted)[..., :3]
    torch.testing.assert_close(shown[~hole], expected[~hole][:, :3], atol=1e-5, rtol=0)
    torch.testing.assert_close(shown[hole], expected[hole][:, :3], atol=0.03, rtol=0)


def test_one_seen_texel_colours_everything() -> None:
    painted = texture()
    colours = torch.zeros(64, 64, 4)
    colours[40, 9] = torch.tensor([0.2, 0.5, 0.7, 300.0])
    paint_pyramid(painted.colour_levels(), colours)
    shown = at_centres(painted)[..., :3]
    torch.testing.assert_close(shown, colours[40, 9, :3].expand_as(shown), atol=1e-4, rtol=0)


def test_nothing_seen_is_black() -> None:
    painted = texture()
    paint_pyramid(painted.colour_levels(), torch.zeros(64, 64, 4))
    assert not at_centres(painted).any()
