"""What stands where: the captured mesh, parts taken out of it, and copies of parts elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dnr.editing.atlas import Atlas, surface_at
from dnr.geometry.meshes import Mesh
from dnr.raster.turns import Turns

BODY = "body"
"""The name of what nobody has moved."""


class Instance(NamedTuple):
    """Some faces of the captured mesh, standing somewhere."""

    faces: np.ndarray  # bool [F], of the captured mesh
    matrix: np.ndarray  # float64 [4, 4] rotation, uniform scale and translation
    shape: Tensor | None = None  # [V, 3] where the vertices are, if not as captured

    @property
    def scale(self) -> float:
        return float(np.cbrt(np.linalg.det(self.matrix[:3, :3])))

    @property
    def rotation(self) -> np.ndarray:  # [3, 3]
        return self.matrix[:3, :3] / self.scale

    def points(self, captured: np.ndarray) -> np.ndarray:  # [N, 3]
        """Where captured points are now."""
        return (captured @ self.matrix[:3, :3].T + self.matrix[:3, 3]).astype(np.float32)

    def standing(
        self, atlas: Atlas, mesh: Mesh, where: np.ndarray | slice = slice(None)
    ) -> tuple[np.ndarray, np.ndarray]:  # float32 [M, 3] each
        """Position and normal of texels of the captured `mesh` as they are now."""
        position, normal = atlas.position[where], atlas.normal[where]
        if self.shape is not None:
            shaped = mesh.moved(self.shape.to(mesh.vertices))
            position, normal = surface_at(shaped, atlas.face[where], atlas.weights[where])
        return self.points(position), (normal @ self.rotation.T).astype(np.float32)


Instances = dict[str, Instance]


def all_in_place(mesh: Mesh) -> Instances:
    """The captured mesh as it is."""
    return {BODY: Instance(np.ones(len(mesh), bool), np.eye(4))}


def standing(captured: Mesh, instances: Instances) -> tuple[Mesh, Turns]:
    """The mesh that the instances make up, and how its faces were turned."""
    meshes = [_moved(captured, instance) for instance in instances.values()]
    part = [torch.full((len(mesh),), i) for i, mesh in enumerate(meshes)]
    rotation = np.stack([instance.rotation for instance in instances.values()])
    turns = Turns(torch.from_numpy(rotation).float(), torch.cat(part))
    device = captured.vertices.device
    return _joined(meshes).to(device), turns.to(device)


def _moved(mesh: Mesh, instance: Instance) -> Mesh:
    """The faces of one instance, with all vertices; unused ones are dropped when joined."""
    chosen = torch.from_numpy(np.flatnonzero(instance.faces))
    captured = mesh.vertices if instance.shape is None else instance.shape
    vertices = torch.from_numpy(instance.points(captured.cpu().numpy()))
    own = [getattr(mesh, name).cpu()[chosen] for name in ("faces", "uv_faces", "normal_faces")]
    faces, uv_faces, normal_faces = own
    used, faces = torch.unique(faces, return_inverse=True)
    used_uv, uv_faces = torch.unique(uv_faces, return_inverse=True)
    _, normal_faces = torch.unique(normal_faces, return_inverse=True)
    return Mesh(vertices[used], faces, mesh.uvs.cpu()[used_uv], uv_faces, normal_faces)


def _joined(meshes: list[Mesh]) -> Mesh:
    """All meshes as one."""
    columns: dict[str, list[torch.Tensor]] = {}
    counts = {"faces": 0, "uv_faces": 0, "normal_faces": 0}
    for mesh in meshes:
        for name in ("vertices", "uvs"):
            columns.setdefault(name, []).append(getattr(mesh, name))
        for name, count in counts.items():
            columns.setdefault(name, []).append(getattr(mesh, name) + count)
        normals = int(mesh.normal_faces.max()) + 1 if len(mesh) else 0
        for name, more in zip(counts, (len(mesh.vertices), len(mesh.uvs), normals), strict=True):
            counts[name] += more
    return Mesh(**{name: torch.cat(values) for name, values in columns.items()})
