"""Where the teeth are: the head model's own, moved to where the photo's lips say they must be."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from avatars.heads.head import landmark_points
from avatars.oneshot.likeness import Likeness

FORWARD_M = 0.003  # the model's teeth lie a little too far behind its lips
SHOWN = 0.0  # of the mouth's width: how far upper teeth reach below a closed mouth's upper lip
HIDDEN = 0.01  # and how far lower teeth end below its lower lip
INNER_LIPS = (13, 14, 82, 87, 312, 317, 78, 308)


def seat_teeth(likeness: Likeness, points: Tensor) -> Likeness:
    """The same with teeth and tongue in their places; `points` [V, 2] are the photo's.

    Upper teeth stay with the skull and lower ones with the jaw, so what the lips bare of them
    later follows by itself.
    """
    head = likeness.head
    parts = {name: head.regions[name] for name in ("upper_teeth", "lower_teeth", "tongue")}
    template = head.template.clone()
    template[parts["upper_teeth"] | parts["lower_teeth"], 2] += FORWARD_M
    down = -likeness.head_to_camera[:2, 1]
    down = down / down.norm()
    marks = torch.from_numpy(likeness.landmarks)
    width = float((marks[308] - marks[78]).norm())
    lips = landmark_points(head, likeness.miss[None])[0][list(INNER_LIPS)].mean(dim=0)
    moved = points - likeness.miss + lips
    upper, lower = moved[parts["upper_teeth"]] @ down, moved[parts["lower_teeth"]] @ down
    to_upper = float(marks[13] @ down) + SHOWN * width - float(upper.max())
    to_lower = float(marks[14] @ down) + HIDDEN * width - float(lower.min())
    miss = likeness.miss.clone()
    for name, step in (("upper_teeth", to_upper), ("lower_teeth", to_lower), ("tongue", to_lower)):
        miss[parts[name]] = lips + step * down
    return replace(likeness, head=replace(head, template=template), miss=miss)
