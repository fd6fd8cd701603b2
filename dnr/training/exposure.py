"""Per-photo exposure and white balance, so that drifting cameras do not blur the texture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dnr.geometry.camera_files import Split
from dnr.textures.projection import SeenPixels, mean_colours
from dnr.training.pixels import clean_pixels
from dnr.training.views import Views

ROUNDS = 10
SIDE = 128
"""Texels along each side of the texture that photos are compared on: blur does no harm here."""
DARK, BRIGHT = 0.05, 0.98
"""Colours outside say little about a gain: noise below, clipping above."""
MOST_PIXELS = 20_000


class Exposure(nn.Module):
    """A gain per photo and colour channel. At zero, where it starts, it changes nothing."""

    def __init__(self, num_views: int) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(num_views, 3))

    def forward(self, colour: Tensor, view: Tensor) -> Tensor:  # [N, 3], [N] -> [N, 3]
        """Colours as photo `view` would have recorded them; gains have a mean of one over all."""
        return colour * self.gains()[view]

    def gains(self) -> Tensor:  # [V, 3]
        """All of them, with a geometric mean of one."""
        return (self.log_gain - self.log_gain.mean(dim=0)).exp()

    @torch.no_grad()
    def start(self, gains: Tensor) -> None:  # [V, 3]
        """Begin with these gains instead of ones."""
        self.log_gain.copy_(gains.log())


def photo_gains(views: Views) -> Tensor:  # [V, 3]
    """The gain of each photo against the mean of all, as far as the mesh's texture tells.

    By turns: the mean texture of the photos, corrected; the photos' median ratio to it. Gains have
    a geometric mean of one; photos without a usable pixel keep a gain of one.
    """
    gains = torch.ones(len(views), 3)
    for _ in range(ROUNDS):
        corrected = (seen_pixels(views, view, gains[view]) for view in range(len(views)))
        means = mean_colours(corrected, SIDE)[..., :3].reshape(-1, 3)
        for view in range(len(views)):
            batch = clean_pixels(views, view)
            some = slice(None, None, len(batch.colour) // MOST_PIXELS + 1)
            column, row = (batch.surface.uv[some] * SIDE).long().clamp(0, SIDE - 1).T
            expected, colour = means[(SIDE - 1 - row) * SIDE + column], batch.colour[some]
            for channel in range(3):
                ours, theirs = expected[:, channel], colour[:, channel]
                usable = (ours > DARK) & (theirs > DARK) & (theirs < BRIGHT)
                if bool(usable.any()):
                    gains[view, channel] = (theirs[usable] / ours[usable]).median()
        gains /= gains.log().mean(dim=0).exp()
    return gains


def seen_pixels(views: Views, view: int, gain: Tensor) -> SeenPixels:  # gain [3]
    """The clean pixels of a photo as they would be at a gain of one, weighted by facing ratio."""
    batch = clean_pixels(views, view)
    facing = (batch.surface.normal * batch.surface.view).sum(dim=-1).clamp(min=0.05)
    colour = batch.colour / gain
    return SeenPixels(batch.surface.uv.numpy(), colour.numpy(), facing.numpy())


def exposures_of(names: list[str], splits: list[Split], gains: Tensor) -> Tensor:  # [N, 3]
    """A gain for every photo, given those of the training photos: their own, and for held-out ones
    the geometric mean of the training photos just before and after, by name."""
    order = sorted(range(len(names)), key=names.__getitem__)
    numbers = iter(range(len(gains)))
    own = [next(numbers) if split == "train" else None for split in splits]
    rows = []
    for index in range(len(names)):
        place = order.index(index)
        before = [own[i] for i in order[: place + 1] if own[i] is not None][-1:]
        after = [own[i] for i in order[place:] if own[i] is not None][:1]
        rows.append(gains[before + after].log().mean(dim=0).exp())
    return torch.stack(rows)


def fitted_gain(render: Tensor, photo: Tensor, weight: Tensor) -> Tensor:  # [3]
    """The gain per channel that brings `render` [3, H, W] closest to `photo` under `weight`."""
    both = (weight * render * photo).sum(dim=(1, 2))
    return both / (weight * render * render).sum(dim=(1, 2)).clamp(min=1e-12)
