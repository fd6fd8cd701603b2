"""Triangle meshes with separate indices for position, uv and normal, as OBJ files have them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Mesh:
    """A surface in its object's own frame. All three face buffers list the same F triangles."""

    vertices: Tensor  # [V, 3]
    faces: Tensor  # [F, 3] int64, rows of `vertices`
    uvs: Tensor  # [T, 2]
    uv_faces: Tensor  # [F, 3] int64, rows of `uvs`
    normal_faces: Tensor  # [F, 3] int64: corners with one index share one smooth normal

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.faces)

    def normals(self) -> Tensor:  # [N, 3], indexed by normal_faces
        """Unit normals: the area-weighted mean over the faces that share a normal index."""
        corners = self.vertices[self.faces]
        weighted = torch.linalg.cross(
            corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=-1
        )
        count = int(self.normal_faces.max()) + 1 if len(self.faces) else 0
        total = self.vertices.new_zeros(count, 3)
        for corner in range(3):
            total = total.index_add(0, self.normal_faces[:, corner], weighted)
        return functional.normalize(total, dim=-1)

    def diameter(self) -> float:
        """Diagonal of the bounding box."""
        extent = self.vertices.amax(dim=0) - self.vertices.amin(dim=0)
        return float(extent.norm())

    def to(self, device: torch.device) -> Mesh:
        """The same mesh on `device`."""
        return Mesh(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def moved(self, vertices: Tensor) -> Mesh:  # [V, 3]
        """The same triangles with their vertices elsewhere."""
        return Mesh(vertices, self.faces, self.uvs, self.uv_faces, self.normal_faces)
