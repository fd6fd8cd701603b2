"""Adapter for PyTorch3D's rasteriser; all of its conventions are converted here.

PyTorch3D looks along +z with x to the left and y up; the shorter side of the image spans [-1, 1].
It takes x and y after the division by depth, and depth itself as z. Faces of less than about 1e-8
in those units are dropped, and points exactly on an edge belong to no face.
"""

import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.raster.projection import homogeneous, near_depth, projection
from dnr.raster.surface import Fragments


def rasterize_pytorch3d(
    vertices: Tensor,  # [B, V, 3]
    faces: Tensor,  # [F, 3]
    camera: Camera,
) -> Fragments:
    """Fragments of the nearest faces. One near plane, the nearest of all, serves every view."""
    from pytorch3d.renderer.mesh.rasterize_meshes import (  # pyright: ignore[reportMissingImports]
        rasterize_meshes,
    )
    from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]

    height, width = camera.size
    matrices = projection(camera).to(vertices.device)
    points = torch.stack([homogeneous(v, m) for v, m in zip(vertices, matrices, strict=True)])
    depth = points[..., 2]
    near = float(near_depth(depth).min())
    divisor = torch.where(depth.abs() < 1e-3 * near, 1e-3 * near + 1e-30, depth)
    extent = points.new_tensor([width, height])
    ndc = (extent - 2 * points[..., :2] / divisor[..., None]) / min(height, width)
    meshes = Meshes(
        verts=torch.cat([ndc, divisor[..., None]], dim=-1).float(),
        faces=faces.long().expand(len(vertices), -1, -1),
    )
    face, z, barycentric, _ = rasterize_meshes(
        meshes,
        image_size=(height, width),
        blur_radius=0.0,
        faces_per_pixel=1,
        perspective_correct=True,
        clip_barycentric_coords=False,
        cull_backfaces=False,
        z_clip_value=near,
    )
    hit = face[..., 0] >= 0
    face_id = torch.where(hit, face[..., 0] % len(faces), -1).int()  # theirs counts over the batch
    return Fragments(
        face_id,
        torch.where(hit[..., None], barycentric[..., 0, :], 0).to(vertices.dtype),
        torch.where(hit, z[..., 0], 0).to(vertices.dtype),
    )
