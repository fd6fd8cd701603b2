"""FLAME behind the interface that the tracker and the avatars use (avatars/heads/head.py).

That head is linear and speaks ARKit's words; FLAME is neither. So each of the 52 names becomes the
shape that FLAME takes for it at full extent (`arkit_map`), jaw and all. Between zero and one it is
a straight line instead of an arc, which misses the exact model by less than a millimetre.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from avatars.flame.arkit_map import ArkitMap
from avatars.flame.model import LEFT_EYE, NECK, RIGHT_EYE, ROOT, Flame, FlamePose, flame_vertices
from avatars.flame.nearest import closest_points
from avatars.flame.pairing import SKIN_POINTS, Pairing
from avatars.heads.head import Head, landmark_points
from dnr.geometry.meshes import Mesh

SHAPES = 100  # FLAME's first; the others are finer than a video shows
NAME = "flame"
_SAME = ("lips", "scalp", "neck", "face", "left_eyeball", "right_eyeball")


def flame_head(
    flame: Flame,
    masks: dict[str, Tensor],  # of FLAME_masks.pkl
    template: Mesh,  # for its uvs
    other: Head,  # whose landmarks were paired
    pairing: Pairing,
    table: ArkitMap,
) -> Head:
    """FLAME as a head with FLAME's own 100 shape coefficients and ARKit's 52 names."""
    flame = flame.to(torch.zeros(()))
    joints = flame.joint_regressor @ flame.template
    origin = (joints[LEFT_EYE] + joints[RIGHT_EYE]) / 2
    rest = flame.template - origin
    still = torch.zeros(len(table.names), 3)
    pose = FlamePose(still, still, table.jaw, still[:, None].expand(-1, 2, -1))
    shown = flame_vertices(flame, still[:, :1], table.expression, pose)[0] - flame.template
    face, weights = _landmarks(flame, masks, other, pairing, joints)
    return Head(
        name=NAME,
        template=rest,
        identity=flame.shape[:SHAPES],
        expression=shown,
        expression_names=table.names,
        faces=flame.faces,
        uv=template.uvs,
        uv_faces=template.uv_faces,
        mirror=_mirrored(rest),
        landmark_faces=face,
        landmark_bary=weights,
        landmark_spread=other.landmark_spread,
        eye_centre=flame.joint_regressor[[RIGHT_EYE, LEFT_EYE]],
        neck_joint=flame.joint_regressor[NECK],
        torso=flame.skin_weights[:, ROOT],
        regions=_regions(masks, other),
    )


def _landmarks(
    flame: Flame, masks: dict[str, Tensor], other: Head, pairing: Pairing, joints: Tensor
) -> tuple[Tensor, Tensor]:  # [478], [478, 3]
    """The paired skin points, and the irises' ten where they are on the other head's eyeballs."""
    marks = landmark_points(other, other.template[None])[0, SKIN_POINTS:]
    centres = other.eye_centre @ other.template
    faces, weights = [pairing.points.face], [pairing.points.weights.float()]
    sides = (("right_eyeball", RIGHT_EYE), ("left_eyeball", LEFT_EYE))
    for side, (name, joint) in enumerate(sides):
        rows = masks[name][flame.faces].all(dim=1).nonzero()[:, 0]
        arms = marks[5 * side : 5 * side + 5] - centres[side]
        radius = (flame.template[masks[name]] - joints[joint]).norm(dim=1).median()
        places = joints[joint] + radius * torch.nn.functional.normalize(arms, dim=1)
        found, bary = closest_points(
            places.double().numpy(), flame.template.double().numpy(), flame.faces[rows].numpy()
        )
        faces.append(rows[torch.from_numpy(found)])
        weights.append(torch.from_numpy(bary).float())
    return torch.cat(faces), torch.cat(weights)


def _mirrored(rest: Tensor) -> Tensor:  # [V] int64
    points = rest.numpy()
    nearest = KDTree(points).query(points * [-1, 1, 1])[1]
    return torch.from_numpy(np.asarray(nearest, np.int64))


def _regions(masks: dict[str, Tensor], other: Head) -> dict[str, Tensor]:
    """FLAME's parts under this program's names; empty where FLAME has none, as for teeth."""
    regions = {name: torch.zeros_like(masks["face"]) for name in other.regions}
    regions |= {name: masks[name] for name in _SAME}
    regions["ears"] = masks["left_ear"] | masks["right_ear"]
    regions["shoulders"] = masks.get("boundary", regions["neck"])
    regions["eyelids"] = masks.get("eye_region", regions["face"])
    return regions
