"""The landmarks of a clip as the fit takes them: corrected, weighted, with first poses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.detectors.bias import MarkBias, unbiased
from avatars.tracking.looking import Looked
from avatars.tracking.normal import Marks
from avatars.tracking.points import Lens, Pose
from avatars.tracking.rough import marks_from

BRIDGED = 0.1  # weight of points that were not seen but bridged


class Landmarks(NamedTuple):
    """Where a detector saw points in T frames, on the disk."""

    looked: Looked
    lens: Lens
    trust: Tensor  # [478], `point_weights`; the fit happens on its device
    bias: MarkBias | None = None  # what is known to be wrong with them

    def marks(self, shape: Tensor, frames: slice | np.ndarray) -> tuple[Marks, Pose]:
        """Some frames, for a head whose points at rest are `shape` [478, 3]; and first poses."""
        points = torch.from_numpy(self.looked.landmarks[frames].copy()).to(shape)
        if self.bias is not None:
            points = unbiased(points, self.bias)
        marks, pose = marks_from(shape, points, self.trust, self.lens)
        seen = torch.from_numpy(self.looked.found[frames]).to(shape.device)
        weights = torch.where(seen[:, None], marks.weights, BRIDGED * marks.weights)
        return marks._replace(weights=weights), pose
