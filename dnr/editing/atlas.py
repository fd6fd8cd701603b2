"""What lies under every texel: the mesh rasterised into its own uv space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import Fragments

GUTTER = 4
"""Texels beyond a chart's rim that belong to it: bilinear lookups and coarser levels reach them."""


class Atlas(NamedTuple):
    """The texels of the finest level that show surface, as a list of N, row by row.

    Texels of a gutter have the geometry of the chart's nearest texel.
    """

    size: int  # S, texels along each side of the texture
    index: np.ndarray  # int64 [N], row * S + column, ascending
    slot: np.ndarray  # int32 [S * S]: the texel's place in this list, or -1
    face: np.ndarray  # int32 [N]
    weights: np.ndarray  # float32 [N, 3] of the face's corners
    position: np.ndarray  # float32 [N, 3], in the frame of the mesh
    normal: np.ndarray  # float32 [N, 3], unit
    chart: np.ndarray  # int32 [N]: faces that touch in uv space share one
    inside: np.ndarray  # bool [N]: False in gutters
    owner: np.ndarray  # int64 [N]: the inside texel that it copies; itself outside of gutters
    spacing: float  # between neighbouring texels on the surface, typically

    @property
    def uv(self) -> np.ndarray:  # float32 [N, 2]
        """Centres of the texels."""
        row, column = np.divmod(self.index, self.size)
        return (
            np.stack([column + 0.5, self.size - row - 0.5], axis=1).astype(np.float32) / self.size
        )

    def image(self, values: np.ndarray) -> np.ndarray:  # [N, *] -> [S, S, *]
        """Values of texels as a picture of the texture; zero where there is no surface."""
        out = np.zeros((self.size * self.size, *values.shape[1:]), values.dtype)
        out[self.index] = values
        return out.reshape(self.size, self.size, *values.shape[1:])


def build_atlas(mesh: Mesh, size: int, faces: Tensor | None = None) -> Atlas:
    """The atlas of `mesh`, or of some of its `faces` [F] (bool), at `size` texels a side.

    Where faces overlap in uv space the first of them counts.
    """
    fragments = _in_uv_space(mesh, size, faces)
    seen = (fragments.face_id[0] >= 0).cpu().numpy()
    nearest = np.asarray(distance_transform_edt(~seen, return_distances=False, return_indices=True))
    away = np.hypot(*(nearest - np.indices(seen.shape)))
    index = np.flatnonzero(away.reshape(-1) <= GUTTER if seen.any() else seen.reshape(-1))
    source = (nearest[0] * size + nearest[1]).reshape(-1)[index]
    face = fragments.face_id.reshape(-1).cpu().numpy()[source]
    weights = fragments.barycentric.reshape(-1, 3).cpu().numpy()[source]
    position, normal = surface_at(mesh, face, weights)
    slot = np.full(size * size, -1, np.int32)
    slot[index] = np.arange(len(index))
    return Atlas(
        size=size,
        index=index,
        slot=slot,
        face=face,
        weights=weights,
        position=position,
        normal=normal,
        chart=uv_charts(mesh)[face],
        inside=seen.reshape(-1)[index],
        owner=slot[source].astype(np.int64),
        spacing=_spacing(mesh, size),
    )


def surface_at(
    mesh: Mesh,
    face: np.ndarray,  # int [N]
    weights: np.ndarray,  # [N, 3]
) -> tuple[np.ndarray, np.ndarray]:  # float32 [N, 3] each
    """Position and unit normal of points on faces."""
    triangles = mesh.faces.cpu().numpy()[face]
    normals = mesh.normals().cpu().numpy()[mesh.normal_faces.cpu().numpy()[face]]
    normal = _blend(weights, normals)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return _blend(weights, mesh.vertices.cpu().numpy()[triangles]), normal


def uv_charts(mesh: Mesh) -> np.ndarray:  # int32 [F]
    """A number per face: faces joined by a shared corner in uv space have the same."""
    return _joined(mesh.uv_faces.cpu().numpy(), len(mesh.uvs))


def parts(mesh: Mesh) -> np.ndarray:  # int32 [F]
    """A number per face: faces joined by a shared vertex have the same, the largest part 0."""
    number = _joined(mesh.faces.cpu().numpy(), len(mesh.vertices))
    order = np.argsort(-np.bincount(number), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[number].astype(np.int32)


def _joined(faces: np.ndarray, count: int) -> np.ndarray:  # [F, 3] -> int32 [F]
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    number = connected_components(graph, directed=False)[1][faces[:, 0]]
    return np.unique(number, return_inverse=True)[1].astype(np.int32)


def _in_uv_space(mesh: Mesh, size: int, faces: Tensor | None) -> Fragments:
    """Which face lies under the centre of every texel."""
    flat = torch.stack([mesh.uvs[:, 0], 1 - mesh.uvs[:, 1]], dim=-1)
    flat = torch.nn.functional.pad(flat, (0, 1), value=1.0)  # a plane at distance one
    like = mesh.vertices
    lens = torch.diag(like.new_tensor([size, size, 1.0]))[None]
    camera = Camera(torch.eye(4).to(like)[None], lens, (size, size))
    if faces is None:
        return rasterize(flat.to(like), mesh.uv_faces, camera)
    chosen = faces.nonzero()[:, 0]
    fragments = rasterize(flat.to(like), mesh.uv_faces[chosen], camera)
    hit = fragments.face_id >= 0
    original = chosen[fragments.face_id.clamp(min=0).long()].to(fragments.face_id)
    return fragments._replace(face_id=torch.where(hit, original, -1))


def _blend(weights: np.ndarray, values: np.ndarray) -> np.ndarray:  # [N, 3], [N, 3, C] -> [N, C]
    return np.einsum("nk,nkc->nc", weights, values).astype(np.float32)


def _spacing(mesh: Mesh, size: int) -> float:
    """Square root of the surface per texel, over the whole mesh."""
    corners = mesh.vertices[mesh.faces].double()
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    a, b, c = mesh.uvs[mesh.uv_faces].double().unbind(dim=1)
    (x, y), (p, q) = (b - a).unbind(dim=1), (c - a).unbind(dim=1)
    texels = float((x * q - y * p).abs().sum()) * size * size
    return float(area.norm(dim=1).sum() / max(texels, 1e-12)) ** 0.5
