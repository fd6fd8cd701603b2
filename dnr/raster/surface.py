"""What every pixel sees of a mesh: the bundle that textures and renderers work on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.bands import run_in_bands
from dnr.raster.surface_cpu import fill_surface


class Fragments(NamedTuple):
    """The nearest face behind every pixel centre."""

    face_id: Tensor  # [B, H, W] int32, -1 where nothing is hit
    barycentric: Tensor  # [B, H, W, 3], perspective-correct weights of the face's corners
    depth: Tensor  # [B, H, W], camera z; 0 where nothing is hit


class Surface(NamedTuple):
    """Surface points: leading dimensions * are [B, H, W] for images or [N] for lists of points.

    Where nothing is hit all fields are zero.
    """

    uv: Tensor  # [*, 2]
    position: Tensor  # [*, 3]
    normal: Tensor  # [*, 3], unit, smooth, turned towards the viewer's side of the face
    view: Tensor  # [*, 3], unit, from the surface to the camera
    footprint: Tensor  # [*, 1], side of the pixel's patch of surface in uv units


class Hits(NamedTuple):
    """Points of a mesh seen somewhere inside pixels."""

    face_id: Tensor  # [N] int32
    barycentric: Tensor  # [N, 3]
    pixel: Tensor  # [N] int64, flat index into B * H * W
    offset: Tensor  # [N, 2], column and row inside the pixel; (0.5, 0.5) is its centre


def interpolate(
    fragments: Fragments,
    mesh: Mesh,
    camera: Camera,
    normals: Tensor | None = None,  # [N, 3]: mesh.normals(), to save their time per frame
) -> Surface:  # [B, H, W]
    """What is seen at every pixel centre, in the frame of the mesh.

    Differentiable with respect to vertices, uvs and the camera while the seen faces stay the same:
    pixels keep their rays and the points slide over the surface. Silhouettes and footprints have
    no gradient.
    """
    shape = fragments.face_id.shape
    face_id = fragments.face_id.reshape(-1)
    barycentric = fragments.barycentric.reshape(-1, 3)
    normals = mesh.normals() if normals is None else normals
    if not _needs_torch(mesh, camera, normals):
        pixel = torch.arange(len(face_id))
        surface = _surface_cpu(face_id, barycentric, pixel, mesh, camera, normals)
        return Surface(*(field.reshape(*shape, -1) for field in surface))
    surface = surface_at(centre_hits(face_id, barycentric), mesh, camera, normals)
    hit = face_id >= 0
    empty = [field.new_zeros(len(face_id), field.shape[-1]) for field in surface]
    filled = [
        image.masked_scatter(hit[:, None], f) for image, f in zip(empty, surface, strict=True)
    ]
    return Surface(*(image.reshape(*shape, -1) for image in filled))


def surface_at(
    hits: Hits, mesh: Mesh, camera: Camera, normals: Tensor | None = None
) -> Surface:  # [N]
    """The same for a list of points; `offset` matters only where gradients are wanted."""
    normals = mesh.normals() if normals is None else normals
    if not _needs_torch(mesh, camera, normals):
        return _surface_cpu(*hits[:3], mesh, camera, normals)
    return _surface_torch(hits, mesh, camera.to(mesh.vertices), normals)


def centre_hits(face_id: Tensor, barycentric: Tensor) -> Hits:  # [P], [P, 3]
    """The pixels of flattened fragments that see something."""
    pixel = (face_id >= 0).nonzero()[:, 0]
    offset = barycentric.new_tensor([0.5, 0.5]).expand(len(pixel), 2)
    return Hits(face_id[pixel], barycentric[pixel], pixel, offset)


def _moves(mesh: Mesh, camera: Camera) -> bool:
    geometry = mesh.vertices, camera.world_to_camera, camera.intrinsics
    return torch.is_grad_enabled() and any(x.requires_grad for x in geometry)


def _needs_torch(mesh: Mesh, camera: Camera, normals: Tensor) -> bool:
    attributes = torch.is_grad_enabled() and (mesh.uvs.requires_grad or normals.requires_grad)
    return mesh.vertices.device.type != "cpu" or attributes or _moves(mesh, camera)


def _surface_cpu(
    face_id: Tensor, barycentric: Tensor, pixel: Tensor, mesh: Mesh, camera: Camera, normals: Tensor
) -> Surface:
    like = mesh.vertices
    fields = Surface(*(like.new_zeros(len(face_id), width) for width in (2, 3, 3, 3, 1)))
    pixels_per_view, lens = camera.size[0] * camera.size[1], lens_of(camera.to(like))
    inputs = (face_id, barycentric, pixel, pixels_per_view, camera.to(like).position, lens)
    attributes = (like, mesh.faces, mesh.uvs, mesh.uv_faces, normals, mesh.normal_faces)
    arrays = [
        x.detach().numpy() if isinstance(x, Tensor) else x for x in (*inputs, *attributes, *fields)
    ]
    run_in_bands(fill_surface, len(face_id), *arrays)
    return fields


def _surface_torch(hits: Hits, mesh: Mesh, camera: Camera, normals: Tensor) -> Surface:
    face = hits.face_id.long()
    corners = mesh.vertices[mesh.faces[face]]  # [N, 3, 3]
    origin = camera.position[hits.pixel // (camera.size[0] * camera.size[1])]
    weights = hits.barycentric.to(corners)
    if _moves(mesh, camera):
        weights = _weights_on_rays(hits, corners, camera)
    position = _blend(weights, corners)
    view = functional.normalize(origin - position, dim=-1)
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The face itself decides which side is seen; smooth normals may lean past the rim.
    side = torch.where((across * view).sum(dim=-1, keepdim=True) >= 0, 1, -1)
    normal = _blend(weights, normals[mesh.normal_faces[face]])
    cancelled = normal.detach().norm(dim=-1, keepdim=True) < 1e-6  # opposite normals
    normal = side * functional.normalize(torch.where(cancelled, across, normal), dim=-1, eps=1e-30)
    corner_uvs = mesh.uvs[mesh.uv_faces[face]].to(corners)
    uv = _blend(weights, corner_uvs)
    lens = lens_of(camera)[hits.pixel // (camera.size[0] * camera.size[1])]
    with torch.no_grad():  # it chooses a filter; where its uv area is 0 a gradient would be NaN
        footprint = _footprint(origin - position, across, corner_uvs, lens)
    return Surface(uv, position, normal, view, footprint)


def lens_of(camera: Camera) -> Tensor:  # [B, 4]
    """Viewing direction, and the area of one pixel on the plane at distance one."""
    focal = camera.intrinsics[:, 0, 0] * camera.intrinsics[:, 1, 1]
    return torch.cat([camera.world_to_camera[:, 2, :3], 1 / focal[:, None]], dim=-1)


def _footprint(back: Tensor, across: Tensor, uvs: Tensor, lens: Tensor) -> Tensor:  # [N, 1]
    """Square root of the uv area behind a pixel, of at most one.

    A pixel at angle a off the axis covers the solid angle area * cos(a) ** 3, therefore
    distance ** 2 times that of a plane that faces it; `across` brings in the tilt and the scale
    from surface to uv at once, being twice the area of the face times its normal.
    """
    distance = back.norm(dim=-1)
    cosine = -(back * lens[:, :3]).sum(dim=-1) / distance
    first, second = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    uv_area = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).abs()
    facing = (across * back).sum(dim=-1).abs().clamp(min=1e-30) / distance
    area = distance**2 * cosine.clamp(min=0) ** 3 * lens[:, 3] * uv_area / facing
    return area.clamp(max=1).sqrt()[:, None]


def _weights_on_rays(hits: Hits, corners: Tensor, camera: Camera) -> Tensor:  # [N, 3]
    """Where the pixels' rays meet the planes of their faces (Moeller and Trumbore, 1997).

    In float64: a small face far away is a small difference of large numbers.
    """
    height, width = camera.size
    view, cell = hits.pixel // (height * width), hits.pixel % (height * width)
    corner = torch.stack([cell % width, cell // width, torch.ones_like(cell)], dim=-1).double()
    pixel = corner + functional.pad(hits.offset.double(), (0, 1))
    camera_to_world = camera.world_to_camera.double().inverse()  # float32 rotations are not exact
    to_world = camera_to_world[:, :3, :3] @ camera.intrinsics.double().inverse()
    ray = (to_world[view] @ pixel[..., None])[..., 0]
    a, b, c = corners.double().unbind(dim=1)
    first, second, start = b - a, c - a, camera_to_world[view, :3, 3] - a
    normal_to_second = torch.linalg.cross(ray, second)
    over = 1 / (first * normal_to_second).sum(dim=-1)
    weight_b = (start * normal_to_second).sum(dim=-1) * over
    weight_c = (ray * torch.linalg.cross(start, first)).sum(dim=-1) * over
    weights = torch.stack([1 - weight_b - weight_c, weight_b, weight_c], dim=-1)
    return weights.to(corners)


def _blend(weights: Tensor, values: Tensor) -> Tensor:  # [N, 3], [N, 3, C] -> [N, C]
    return (weights[..., None] * values).sum(dim=1)
