"""Adaptive antialiasing for per-pixel shaders: one sample inside surfaces, several at edges."""

from typing import NamedTuple

import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.cpu import sample_pixels_cpu
from dnr.raster.edges import edge_pixels
from dnr.raster.rasterize import Backend, choose_backend, rasterize
from dnr.raster.surface import Hits, Surface, centre_hits, surface_at
from dnr.shapes import check_shape


class Samples(NamedTuple):
    """Points to shade, and how much each counts in which pixel."""

    surface: Surface  # leading [N]
    pixel: Tensor  # [N] int64, flat index into B * H * W
    weight: Tensor  # [N] in (0, 1]; a pixel's sum is the share of it that is covered
    edge: Tensor  # [B, H, W] bool: pixels at rims and depth jumps, sampled several times
    face_id: Tensor  # [N] int32


def shading_samples(
    mesh: Mesh,
    camera: Camera,
    supersampling: int = 3,
    backend: Backend = "auto",
    normals: Tensor | None = None,  # [N, 3]: mesh.normals(), to save their time per frame
) -> Samples:
    """One sample at the centre of every hit pixel; edge pixels get supersampling^2 on a grid.

    `supersampling` is odd, so that the middle sample of an edge pixel is its centre.
    """
    if supersampling < 1 or supersampling % 2 == 0:
        raise ValueError(f"supersampling must be odd and positive, got {supersampling}")
    fragments = rasterize(mesh.vertices, mesh.faces, camera, backend)
    edge = edge_pixels(fragments, mesh, camera)
    face_id = torch.where(edge, -1, fragments.face_id)
    inside = centre_hits(face_id.reshape(-1), fragments.barycentric.reshape(-1, 3))
    rim = _hits_at(edge, mesh, camera, supersampling, backend)
    hits = Hits(*(torch.cat(parts) for parts in zip(inside, rim, strict=True)))
    weight = mesh.vertices.new_ones(len(hits.pixel))
    weight[len(inside.pixel) :] = 1 / supersampling**2
    surface = surface_at(hits, mesh, camera, normals)
    return Samples(surface, hits.pixel, weight, edge, hits.face_id)


def coverage(samples: Samples) -> Tensor:  # [B, H, W] in [0, 1]
    """The share of every pixel that is covered."""
    total = samples.weight.new_zeros(samples.edge.numel())
    total = total.index_add(0, samples.pixel, samples.weight)
    return total.clamp(max=1).reshape(samples.edge.shape)  # nine ninths round above one


def composite(
    samples: Samples,
    colour: Tensor,  # [N, C], one per sample
    background: Tensor,  # [B, C, H, W]
) -> Tensor:  # [B, C, H, W]
    """Shaded samples over a background. Differentiable with respect to both."""
    batch, height, width = samples.edge.shape
    check_shape("background", background, f"{batch} {colour.shape[-1]} {height} {width}")
    shaded = colour.new_zeros(samples.edge.numel(), colour.shape[-1])
    shaded = shaded.index_add(0, samples.pixel, samples.weight[:, None].to(colour) * colour)
    shaded = shaded.reshape(batch, height, width, -1).permute(0, 3, 1, 2)
    return background * (1 - coverage(samples)[:, None]) + shaded


@torch.no_grad()
def _hits_at(
    marked: Tensor,  # [B, H, W] bool
    mesh: Mesh,
    camera: Camera,
    supersampling: int,
    backend: Backend,
) -> Hits:
    """The finer grid inside marked pixels. Other backends render all of it and throw most away."""
    if choose_backend(backend, mesh.vertices) == "cpu":
        vertices = mesh.vertices.expand(len(camera), -1, -1)
        return sample_pixels_cpu(vertices, mesh.faces, camera, marked, supersampling)
    height, width = camera.size
    finer = camera.resized((height * supersampling, width * supersampling))
    fragments = rasterize(mesh.vertices, mesh.faces, finer, backend)
    view, row, column = marked.nonzero().unbind(dim=-1)
    grid = torch.arange(supersampling, device=row.device)
    rows = (row[:, None, None] * supersampling + grid[:, None]).expand(-1, -1, supersampling)
    columns = (column[:, None, None] * supersampling + grid).expand(-1, supersampling, -1)
    views = view[:, None, None].expand_as(rows)
    face_id = fragments.face_id[views, rows, columns]
    hit = face_id >= 0
    view, row, column = views[hit], rows[hit], columns[hit]
    pixel = (view * height + row // supersampling) * width + column // supersampling
    place = torch.stack([column % supersampling, row % supersampling], dim=-1)
    offset = (place.to(mesh.vertices) + 0.5) / supersampling
    return Hits(face_id[hit], fragments.barycentric[view, row, column], pixel, offset)
