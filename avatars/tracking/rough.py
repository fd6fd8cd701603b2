"""First poses, in closed form: as if the head were far away and did nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from avatars.detectors.faces import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from avatars.tracking.normal import Marks, Motions
from avatars.tracking.points import Lens, PointModel, Pose

FOCAL_PER_SIDE = 1.8
"""Focal length over the shorter side of the frame: talking heads do not tell it apart from depth,
so it is taken for granted."""


def lens_for(size: tuple[int, int], focal: float | None = None) -> Lens:
    """The camera of a video; pixel centres are at +0.5, so the middle is at half the size."""
    height, width = size
    return Lens(focal or FOCAL_PER_SIDE * min(size), (width / 2, height / 2))


def marks_from(
    shape: Tensor,  # [478, 3], the best guess of the head at rest
    points: Tensor,  # [T, 478, 2] in pixels, NaN where there is none
    trust: Tensor,  # [478], `point_weights`
    lens: Lens,
) -> tuple[Marks, Pose]:
    """What the fit takes, with the size of each face, and a first pose for each frame.

    Frames without points get the pose of the nearest frame that has some.
    """
    there = points.isfinite().all(dim=-1)
    share = there.double().mean(dim=1, keepdim=True).clamp(min=1e-3)
    weights = trust * there / share.to(trust)  # few points count as much as many
    points = points.nan_to_num()
    usable = (there.sum(dim=1) >= 6).nonzero()[:, 0]
    nearest = _nearest(usable, len(points))
    pose = _scaled_orthographic(shape, points[nearest], weights[nearest], lens)
    width_m = (shape[LEFT_EYE_OUTER] - shape[RIGHT_EYE_OUTER]).norm()
    unit_px = 0.01 * width_m * lens.focal / pose.translation[:, 2]
    return Marks(points, weights, unit_px), pose


def at_rest(model: PointModel, pose: Pose) -> Motions:
    """Heads in these poses that do nothing."""
    like, frames = pose.rotation, len(pose.rotation)
    expression = like.new_zeros(frames, len(model.expression))
    return Motions(pose, expression, like.new_zeros(frames, 2, 2))


def _nearest(usable: Tensor, frames: int) -> Tensor:  # [U] rising -> [T]
    """For each frame the usable one that is nearest in time."""
    time = torch.arange(frames, device=usable.device)
    after = torch.searchsorted(usable, time).clamp(max=len(usable) - 1)
    before = (after - 1).clamp(min=0)
    is_closer = (time - usable[before]).abs() <= (usable[after] - time).abs()
    return torch.where(is_closer, usable[before], usable[after])


def _scaled_orthographic(
    shape: Tensor, points: Tensor, weights: Tensor, lens: Lens
) -> Pose:  # [478, 3], [T, 478, 2], [T, 478]
    weights = weights / weights.sum(dim=1, keepdim=True)
    middle, centre = weights @ shape, (weights[..., None] * points).sum(dim=1)  # [T, 3], [T, 2]
    arms = shape - middle[:, None]
    scatter = torch.einsum("tn,tni,tnj->tij", weights, arms, arms)
    across = torch.einsum("tn,tni,tnj->tij", weights, points - centre[:, None], arms)
    affine = torch.linalg.solve(scatter, across.transpose(1, 2)).transpose(1, 2)  # [T, 2, 3]
    left, scales, right = torch.linalg.svd(affine, full_matrices=False)
    rows = left @ right
    depth_row = torch.linalg.cross(rows[:, 0], rows[:, 1], dim=-1)
    rotation = torch.cat([rows, depth_row[:, None]], dim=1)
    depth = lens.focal / scales.mean(dim=1)
    on_ray = (centre - centre.new_tensor(lens.centre)) / lens.focal
    place = torch.cat([on_ray, torch.ones_like(on_ray[:, :1])], dim=1) * depth[:, None]
    return Pose(rotation, place - (rotation @ middle[..., None])[..., 0])
