"""ROME's losses (Khakhulin et al. 2022, section 3.3) that need no other network."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

SILHOUETTE_SIZE = 64
SIGMA = 2e-4  # squared softness of a rim, of the picture's half side squared
CHAMFER_POINTS = 1024


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:  # [B, 1, H, W]
    """One minus the overlap of a predicted matte with the true one."""
    matte = torch.sigmoid(logits)
    both = (matte * target).mean(dim=(1, 2, 3))
    either = (matte**2 + target**2).mean(dim=(1, 2, 3))
    return 1 - (2 * both / (either + 1e-7)).mean()


def laplacian_loss(offsets: Tensor, faces: Tensor) -> Tensor:  # [B, V, 3]
    """How far each vertex's offset is from the mean of its neighbours': mean distance."""
    edges = _edges(faces)
    rows, columns = torch.cat([edges[:, 0], edges[:, 1]]), torch.cat([edges[:, 1], edges[:, 0]])
    count = torch.bincount(rows, minlength=offsets.shape[1]).to(offsets)
    total = torch.zeros_like(offsets).index_add(1, rows, offsets[:, columns])
    off = total / count.clamp(min=1)[:, None] - offsets
    return (off.square().sum(dim=2) + 1e-16).sqrt().mean()


def chamfer_loss(on_screen: Tensor, faces: Tensor, target: Tensor) -> Tensor:
    """Both ways mean squared distance between visible vertices and the person's pixels.

    `on_screen` [B, V, 3] is in [-1, 1], `target` [B, 1, H, W] a matte. Faces that are turned away
    do not count; pixels are thinned evenly to CHAMFER_POINTS.
    """
    losses = []
    for points, matte in zip(on_screen, target, strict=True):
        front = faces[_facing(points, faces)].unique()
        rows, columns = (matte[0] > 0.5).nonzero().unbind(dim=1)
        if not len(front) or not len(rows):
            continue
        chosen = torch.linspace(0, len(rows) - 1, min(CHAMFER_POINTS, len(rows))).long()
        size = points.new_tensor([matte.shape[2], matte.shape[1]])
        pixels = torch.stack([columns, rows], dim=1)[chosen.to(rows.device)]
        apart = torch.cdist(points[front, :2], (pixels + 0.5) * 2 / size - 1).square()
        losses.append(apart.amin(dim=1).mean() + apart.amin(dim=0).mean())
    return torch.stack(losses).mean() if losses else on_screen.sum() * 0


def soft_silhouette(on_screen: Tensor, faces: Tensor, covered: Tensor) -> Tensor:
    """The mesh's matte with rims that have gradients, [B, 1, S, S] from `covered` [B, 1, H, W].

    Each pixel is as much covered as the sigmoid of its squared distance to the outline says, over
    SIGMA (Liu et al. 2019, for the union of all faces instead of each).
    """
    side = SILHOUETTE_SIZE
    hard = functional.interpolate(covered, (side, side), mode="area") > 0.5
    steps = (torch.arange(side, device=on_screen.device) + 0.5) * (2 / side) - 1
    row, column = torch.meshgrid(steps, steps, indexing="ij")
    pixels = torch.stack([column, row], dim=-1).reshape(-1, 2).to(on_screen)
    mattes = []
    for points, inside in zip(on_screen, hard, strict=True):
        ends = points[_outline(points, faces, inside[0]), :2]  # [E, 2, 2]
        if not len(ends):
            mattes.append(inside.to(points))
            continue
        start, along = ends[:, 0], ends[:, 1] - ends[:, 0]
        arms = pixels[:, None] - start
        share = (arms * along).sum(dim=2) / along.square().sum(dim=1).clamp(min=1e-12)
        nearest = arms - share.clamp(0, 1)[..., None] * along
        squared = nearest.square().sum(dim=2).amin(dim=1).reshape(1, side, side)
        mattes.append(torch.sigmoid(torch.where(inside, squared, -squared) / SIGMA))
    return torch.stack(mattes)


def silhouette_loss(matte: Tensor, target: Tensor) -> Tensor:  # [B, 1, S, S], [B, 1, H, W]
    """Mean squared difference of mattes, halved as published."""
    smaller = functional.interpolate(target, matte.shape[2:], mode="area")
    return 0.5 * (matte - smaller).square().mean()


def _facing(points: Tensor, faces: Tensor) -> Tensor:  # [F] bool
    """Faces that show their outside: counter-clockwise in the model, rows pointing down."""
    a, b, c = (points[faces[:, corner], :2].detach() for corner in range(3))
    first, second = b - a, c - a
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0


def _outline(points: Tensor, faces: Tensor, inside: Tensor) -> Tensor:  # [E, 2]
    """Edges between a face that is seen and one that is not, beside pixels that are not covered."""
    edges, of_face = _edge_table(faces)
    seen = _facing(points, faces)[of_face]  # [E, 2]; an open edge names its face twice
    is_open = of_face[:, 0] == of_face[:, 1]
    rim = edges[(seen[:, 0] != seen[:, 1]) | is_open]
    middle = points[rim, :2].detach().mean(dim=1)
    side = len(inside)
    cell = ((middle + 1) * (side / 2)).long().clamp(0, side - 1)
    outside = functional.max_pool2d((~inside).to(points)[None, None], 5, 1, 2)[0, 0]
    return rim[outside[cell[:, 1], cell[:, 0]] > 0]


def _edges(faces: Tensor) -> Tensor:
    return _edge_table(faces)[0]


def _edge_table(faces: Tensor) -> tuple[Tensor, Tensor]:  # [E, 2] vertices, [E, 2] faces
    table = _edge_table_of(tuple(map(tuple, faces.tolist())))
    return table[0].to(faces.device), table[1].to(faces.device)


@lru_cache(maxsize=4)
def _edge_table_of(faces: tuple[tuple[int, ...], ...]) -> tuple[Tensor, Tensor]:
    beside: dict[tuple[int, int], list[int]] = {}
    for index, (a, b, c) in enumerate(faces):
        for start, end in ((a, b), (b, c), (c, a)):
            if start != end:
                beside.setdefault((min(start, end), max(start, end)), []).append(index)
    pairs = [(both[0], both[-1]) for both in beside.values()]
    return torch.tensor(list(beside)), torch.tensor(pairs)
