"""What lies behind the mesh: places on the panorama, its seam, and panoramas from few rays."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.textures.backdrop import PANORAMA, Backdrop, panorama, places


def sphere(generator: torch.Generator, count: int) -> Tensor:
    return functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)


def sky(rays: Tensor) -> Tensor:  # [*, 3] -> [*, 3]
    """A smooth colour of every direction."""
    return 0.5 + 0.3 * rays + 0.1 * rays.roll(1, -1) * rays


def test_places_of_known_directions() -> None:
    rays = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [0.6, 0, 0.8]])
    across, down = places(rays)
    torch.testing.assert_close(across[:3], torch.tensor([0.5, 0.75, 0.25]))
    expected = torch.tensor([0.5, 0.5, 0.5, 0, 1, math.acos(0.8) / math.pi])
    torch.testing.assert_close(down, expected)


def test_one_texel_is_one_colour(generator: torch.Generator) -> None:
    colour = torch.tensor([0.2, 0.5, 0.9])
    rays = sphere(generator, 2 * 3 * 5).reshape(2, 3, 5, 3)
    image = Backdrop(colour[:, None, None])(rays)
    assert image.shape == (2, 3, 3, 5)
    assert torch.equal(image, colour[None, :, None, None].expand(2, 3, 3, 5))


def test_lookups_equal_a_direct_interpolation(generator: torch.Generator) -> None:
    """Longitude wraps around, latitude stops at the poles; every image of a batch has its rays."""
    rows, columns = 6, 10
    image = torch.rand(3, rows, columns, generator=generator)
    rays = sphere(generator, 2 * 40 * 7).reshape(2, 40, 7, 3)
    rays[0, 0, 0] = torch.tensor([-1.0, 1e-6, 0])
    rays[0, 0, 1] = torch.tensor([-1.0, -1e-6, 0])
    seen = Backdrop(image)(rays)
    across, down = places(rays)
    x, y = across * columns - 0.5, (down * rows - 0.5).clamp(0, rows - 1)
    left, top = x.floor(), y.floor()
    expected = torch.zeros_like(seen)
    for a in (0, 1):
        for b in (0, 1):
            weight = (1 - (x - left - a).abs()) * (1 - (y - top - b).abs())
            row = (top + b).long().clamp(max=rows - 1)
            texels = image[:, row, (left + a).long() % columns]  # [3, B, H, W]
            expected += weight[:, None] * texels.transpose(0, 1)
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0, :, 0, 0], seen[0, :, 0, 1], atol=1e-4, rtol=0)


def test_a_panorama_of_many_rays_shows_what_they_saw(generator: torch.Generator) -> None:
    rays = sphere(generator, 400_000)
    image = panorama(rays, sky(rays))
    assert image.shape == (3, *PANORAMA)
    probes = sphere(generator, 3000).reshape(1, 50, 60, 3)
    seen = Backdrop(image)(probes)
    torch.testing.assert_close(seen, sky(probes).permute(0, 3, 1, 2), atol=0.03, rtol=0)


def test_a_texel_is_the_mean_of_its_rays() -> None:
    ray = torch.tensor([0.3, -0.5, 0.2])
    ray = ray / ray.norm()
    colours = torch.tensor([[0.1, 0.2, 0.3], [0.5, 0.8, 0.3]])
    image = panorama(ray.expand(2, 3), colours)
    across, down = places(ray)
    texel = image[:, int(down * PANORAMA[0]), int(across * PANORAMA[1])]
    torch.testing.assert_close(texel, colours.mean(dim=0))


def test_directions_without_data_continue_their_surroundings(generator: torch.Generator) -> None:
    """Photos of a thing on a table never see straight up."""
    rays = sphere(generator, 100_000)
    seen = rays[:, 2].abs() < 0.7
    top = rays[~seen & (rays[:, 2] > 0)]
    image = panorama(rays[seen], sky(rays)[seen])
    assert torch.isfinite(image).all()
    guess = Backdrop(image)(top[None, None])[0, :, 0].T
    assert (guess - sky(top)).abs().mean() < 0.12
    assert image.min() >= sky(rays).min() - 1e-4
    assert image.max() <= sky(rays).max() + 1e-4


def test_what_is_behind_a_camera_is_what_its_rays_show(generator: torch.Generator) -> None:
    position = torch.tensor([[1.0, 2.0, 3.0], [0.0, -2.0, 1.0]])
    pose = look_at(position, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))
    camera = Camera(pose, intrinsics_from_fov(50, (5, 7), position).expand(2, 3, 3), (5, 7))
    for shape in ((3, 1, 1), (3, 4, 8)):
        backdrop = Backdrop(torch.rand(shape, generator=generator))
        assert torch.equal(backdrop.behind(camera), backdrop(camera.rays()))
