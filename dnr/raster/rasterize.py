"""Which surface point does every pixel see: one function in front of several rasterisers."""

from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.raster.cpu import rasterize_cpu
from dnr.raster.reference import rasterize_reference
from dnr.raster.surface import Fragments
from dnr.shapes import check_shape

Backend = Literal["auto", "reference", "cpu", "pytorch3d", "nvdiffrast"]


@torch.no_grad()
def rasterize(
    vertices: Tensor,  # [V, 3] or [B, V, 3] in the world
    faces: Tensor,  # [F, 3] integers
    camera: Camera,
    backend: Backend = "auto",
) -> Fragments:
    """The nearest face behind every pixel centre of every view; both sides of faces are seen.

    Faces may leave the image or pass behind the camera. Degenerate faces and faces with a vertex
    that is not finite are skipped; where faces are equally far, the lower index is seen. Not
    differentiable: `interpolate` is.

    "reference" is plain torch, slow and readable; "cpu" gives the same bits fast. "pytorch3d" and
    "nvdiffrast" need those packages. "auto" takes one of them for tensors on CUDA when installed,
    and "cpu" otherwise, with the result on the device of `vertices`.
    """
    if vertices.ndim == 2:
        vertices = vertices.expand(len(camera), -1, -1)
    check_shape("vertices", vertices, f"{len(camera)} V 3")
    check_shape("faces", faces, "F 3")
    if not len(faces):
        return _nothing_seen(vertices, camera.size)
    _check_indices(faces, vertices.shape[1])
    backend = choose_backend(backend, vertices)
    if backend == "reference":
        return rasterize_reference(vertices, faces, camera)
    if backend == "cpu":
        return rasterize_cpu(vertices, faces, camera)
    if backend == "pytorch3d":
        from dnr.raster.pytorch3d import rasterize_pytorch3d  # optional: imported only if chosen

        return rasterize_pytorch3d(vertices, faces, camera)
    if backend == "nvdiffrast":
        from dnr.raster.nvdiffrast import rasterize_nvdiffrast  # optional: imported only if chosen

        return rasterize_nvdiffrast(vertices, faces, camera)
    raise ValueError(f"backend must be one of {Backend.__args__}, got {backend!r}")


def choose_backend(backend: Backend, vertices: Tensor) -> Backend:
    """What "auto" stands for; an explicit choice is kept."""
    if backend != "auto":
        return backend
    if vertices.is_cuda:
        for name in ("nvdiffrast", "pytorch3d"):
            if find_spec(name):
                return name
    return "cpu"


def _check_indices(faces: Tensor, num_vertices: int) -> None:
    lowest, highest = (int(bound) for bound in torch.aminmax(faces))
    if lowest < 0 or highest >= num_vertices:
        raise ValueError(
            f"faces must index {num_vertices} vertices, got indices {lowest} to {highest}"
        )


def _nothing_seen(vertices: Tensor, size: tuple[int, int]) -> Fragments:  # [B, V, 3]
    shape = (len(vertices), *size)
    face_id = torch.full(shape, -1, dtype=torch.int32, device=vertices.device)
    return Fragments(face_id, vertices.new_zeros(*shape, 3), vertices.new_zeros(shape))
