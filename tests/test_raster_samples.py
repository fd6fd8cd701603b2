"""Adaptive antialiasing against areas in closed form and against full supersampling."""

import math

import pytest
import torch
import trimesh
from torch import Tensor

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.meshes import Mesh
from dnr.raster.edges import edge_pixels
from dnr.raster.rasterize import rasterize
from dnr.raster.samples import composite, coverage, shading_samples
from dnr.raster.surface import interpolate

SIZE = (37, 52)


def mesh_of(vertices: Tensor, faces: Tensor) -> Mesh:
    return Mesh(vertices, faces, vertices[:, :2].contiguous(), faces, faces)


def screen(size: tuple[int, int] = SIZE) -> Camera:
    """Sees points (column, row, 1) where they are."""
    return Camera(torch.eye(4)[None], torch.eye(3)[None], size)


def disc(centre: tuple[float, float], radius: float, depth: float = 1.0) -> Mesh:
    """A polygon of 256 corners that faces `screen()`."""
    angle = torch.arange(256) * (2 * math.pi / 256)
    rim = torch.stack([angle.cos(), angle.sin()], dim=-1) * radius + torch.tensor(centre)
    flat = torch.cat([torch.tensor([centre]), rim])
    vertices = torch.cat([flat, torch.ones(257, 1)], dim=-1) * depth
    step = torch.arange(256)
    faces = torch.stack([torch.zeros(256).long(), 1 + step, 1 + (step + 1) % 256], dim=-1)
    return mesh_of(vertices, faces)


def together(*meshes: Mesh) -> Mesh:
    offsets = [sum(len(m.vertices) for m in meshes[:i]) for i in range(len(meshes))]
    faces = [mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]
    return mesh_of(torch.cat([mesh.vertices for mesh in meshes]), torch.cat(faces))


def sphere(subdivisions: int = 3) -> tuple[Mesh, Camera]:
    solid = trimesh.creation.icosphere(subdivisions=subdivisions)
    mesh = mesh_of(torch.tensor(solid.vertices).float(), torch.tensor(solid.faces))
    position = torch.tensor([[0.4, 0.7, -2.5], [2.0, -0.9, 1.2]])
    eye = look_at(position, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    return mesh, Camera(eye, intrinsics_from_fov(50.0, SIZE, position).repeat(2, 1, 1), SIZE)


def test_coverage_of_a_disc_adds_up_to_its_area() -> None:
    mesh, area = disc((25.3, 18.8), 12.4), 128 * 12.4**2 * math.sin(2 * math.pi / 256)
    errors = {}
    for supersampling in (1, 3, 9):
        found = coverage(shading_samples(mesh, screen(), supersampling))
        assert found.shape == (1, *SIZE) and found.max() == 1 and found.min() == 0
        errors[supersampling] = abs(float(found.sum()) - area) / area
    assert errors[3] < 0.005 and errors[9] < 0.001


def test_coverage_of_a_half_plane_is_exact_per_pixel() -> None:
    """Its edge runs along a column at 20 + 1/3: a third of the samples on that column hit."""
    corners = torch.tensor([[-99.0, -99], [20 + 1 / 3, -99], [20 + 1 / 3, 999], [-99, 999]])
    vertices = torch.cat([corners, torch.ones(4, 1)], dim=-1)
    mesh = mesh_of(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    found = coverage(shading_samples(mesh, screen(), 3))[0]
    assert (found[:, :20] == 1).all() and (found[:, 21:] == 0).all()
    torch.testing.assert_close(found[:, 20], torch.full((SIZE[0],), 1 / 3))


def test_constant_colour_over_a_background(generator: torch.Generator) -> None:
    mesh, camera = sphere()
    samples = shading_samples(mesh, camera)
    background = torch.rand(2, 3, *SIZE, generator=generator)
    colour = torch.tensor([0.2, 0.5, 0.9])
    image = composite(samples, colour.expand(len(samples.pixel), 3), background)
    share = coverage(samples)[:, None]
    expected = share * colour[:, None, None] + (1 - share) * background
    torch.testing.assert_close(image, expected)
    partly = (share > 0) & (share < 1)
    assert partly.sum() > 100 and samples.edge[partly[:, 0]].all()


def test_samples_inside_equal_interpolation_and_batches_their_views() -> None:
    mesh, camera = sphere()
    samples = shading_samples(mesh, camera)
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    surface = interpolate(seen, mesh, camera)
    once = samples.weight == 1
    expected = ((seen.face_id >= 0) & ~samples.edge).reshape(-1).nonzero()[:, 0]
    assert torch.equal(samples.pixel[once], expected)
    for sampled, image in zip(samples.surface, surface, strict=True):
        assert torch.equal(sampled[once], image.reshape(-1, image.shape[-1])[expected])
    for view in range(2):
        alone = shading_samples(mesh, camera[view])
        assert torch.equal(alone.edge[0], samples.edge[view])
        here = samples.pixel // (SIZE[0] * SIZE[1]) == view
        assert torch.equal(samples.surface.position[here], alone.surface.position)


def test_edge_samples_are_those_of_a_finer_image() -> None:
    """The reference renders the whole finer image, so the two ways share only the edge mask."""
    mesh, camera = sphere(2)
    ours, theirs = (shading_samples(mesh, camera, 3, backend) for backend in ("cpu", "reference"))
    assert torch.equal(ours.edge, theirs.edge)
    assert torch.equal(ours.pixel, theirs.pixel) and torch.equal(ours.weight, theirs.weight)
    for one, other in zip(ours.surface, theirs.surface, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    centred = shading_samples(mesh, camera, 1)
    assert (centred.weight == 1).all()
    assert len(centred.pixel) == (rasterize(mesh.vertices, mesh.faces, camera).face_id >= 0).sum()


def test_threads_do_not_change_samples() -> None:
    mesh, camera = sphere()
    alone = shading_samples(mesh, camera)
    try:
        torch.set_num_threads(3)
        shared = shading_samples(mesh, camera)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(alone.edge, shared.edge) and torch.equal(alone.pixel, shared.pixel)
    assert torch.equal(alone.surface.uv, shared.surface.uv)


def test_edges_are_rims_and_depth_jumps_only() -> None:
    """A small disc in front of a large one: two rings of edges, nothing else."""
    mesh = together(disc((25.0, 18.0), 16.0, 9.0), disc((25.0, 18.0), 7.0, 1.5))
    seen = rasterize(mesh.vertices, mesh.faces, screen())
    edge = edge_pixels(seen, mesh, screen())[0]
    row, column = torch.meshgrid(*(torch.arange(n) + 0.5 for n in SIZE), indexing="ij")
    radius = ((row - 18) ** 2 + (column - 25) ** 2).sqrt()
    near_rim = ((radius - 16).abs() < 0.4) | ((radius - 7).abs() < 0.4)
    far_from_rim = ((radius - 16).abs() > 1.6) & ((radius - 7).abs() > 1.6)
    assert edge[near_rim].all() and not edge[far_from_rim].any()


def test_creases_are_no_edges() -> None:
    """A cube seen from a corner, also where its sides are nearly edge-on, has only its outline."""
    solid = trimesh.creation.box(extents=(1, 1, 1))
    mesh = mesh_of(torch.tensor(solid.vertices).float(), torch.tensor(solid.faces))
    position = torch.tensor([[1.2, 1.5, -2.0], [0.75, 0.9, -2.5]])
    eye = look_at(position, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    camera = Camera(eye, intrinsics_from_fov(35.0, (61, 80), position).repeat(2, 1, 1), (61, 80))
    seen = rasterize(mesh.vertices, mesh.faces, camera)
    hit = (seen.face_id >= 0).float()[:, None]
    padded = torch.nn.functional.pad(hit, (1, 1, 1, 1), mode="replicate")
    most = torch.nn.functional.max_pool2d(padded, 3, stride=1)
    least = -torch.nn.functional.max_pool2d(-padded, 3, stride=1)
    print(
        (edge_pixels(seen, mesh, camera) ^ (most != least)[:, 0]).nonzero(),
        seen.face_id.unique(return_counts=True),
        hit.sum(),
    )
    assert torch.equal(edge_pixels(seen, mesh, camera), (most != least)[:, 0])
    assert seen.face_id.unique().numel() > 4, "several sides must be in view"


def test_gradients_reach_vertices_and_colours() -> None:
    mesh, camera = sphere(1)
    vertices = mesh.vertices.clone().requires_grad_()
    samples = shading_samples(mesh.moved(vertices), camera)
    plain = shading_samples(mesh, camera)  # weights from the rasteriser instead of from rays
    torch.testing.assert_close(samples.surface.position, plain.surface.position, rtol=0, atol=1e-5)
    colour = samples.surface.normal.clone()
    composite(samples, colour, torch.zeros(2, 3, *SIZE)).square().sum().backward()
    assert vertices.grad is not None and vertices.grad.abs().max() > 0
    assert torch.isfinite(vertices.grad).all()


def test_nothing_to_see_and_wrong_input() -> None:
    mesh = disc((25.0, 18.0), 5.0, -1.0)
    samples = shading_samples(mesh, screen())
    assert len(samples.pixel) == 0 and not samples.edge.any()
    background = torch.rand(1, 3, *SIZE)
    assert torch.equal(composite(samples, torch.zeros(0, 3), background), background)
    with pytest.raises(ValueError, match="supersampling must be odd and positive, got 2"):
        shading_samples(mesh, screen(), 2)
    with pytest.raises(ValueError, match="background must have shape"):
        composite(samples, torch.zeros(0, 3), background[..., 1:])
