"""Steps: what they move, that the loss falls, and that one small view can be learned by heart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnr.asset import Asset
from dnr.capture.photos import Photos
from dnr.geometry.meshes import Mesh
from dnr.images import tensor_from_images
from dnr.renderers.image import ImageRenderer
from dnr.textures.pyramid import TextureConfig
from dnr.training.metrics import psnr
from dnr.training.presets import PresetName, Recipe, recipe
from dnr.training.state import TrainingState, new_state
from dnr.training.steps import LEAK, leaky, step
from dnr.training.views import Views, lay_out_views


def small(preset: PresetName) -> Recipe:
    chosen = recipe(preset)
    texture = TextureConfig(size=64, channels=16, levels=3, colour_size=64)
    return replace(chosen, asset=replace(chosen.asset, texture=texture), batch=1024, crop=64)


def started(chosen: Recipe, mesh: Mesh, views: Views, total: int) -> TrainingState:
    torch.manual_seed(0)
    asset = Asset(chosen.asset, mesh, torch.zeros(3, 1, 1))
    torch.nn.init.normal_(asset.texture.features.texels, std=0.05)
    return new_state(asset, chosen, len(views), exposure=False, total=total)


def test_leaky_is_what_a_photo_shows_with_a_way_back() -> None:
    colour = torch.tensor([-2.0, -0.5, 0.0, 0.3, 1.0, 1.5, 3.0], requires_grad=True)
    shown = leaky(colour)
    expected = [LEAK * -2, LEAK * -0.5, 0, 0.3, 1, 1 + LEAK * 0.5, 1 + LEAK * 2]
    assert shown.tolist() == pytest.approx(expected)
    shown.sum().backward()
    assert colour.grad is not None
    assert colour.grad[[0, 1, 5, 6]].tolist() == pytest.approx([LEAK] * 4)
    assert float(colour.grad[3]) == 1


@pytest.mark.parametrize(
    ("preset", "steps", "share"), [("pixel", 60, 0.6), ("unet", 40, 0.85), ("paper", 40, 0.75)]
)
def test_the_loss_falls(
    preset: PresetName,
    steps: int,
    share: float,
    small_mesh: Mesh,
    small_views: Views,
    small_paper: None,
) -> None:
    state = started(small(preset), small_mesh, small_views, steps)
    losses = [step(state, small_views, seed=0) for _ in range(steps)]
    assert state.step == steps
    assert all(np.isfinite(losses))
    assert np.mean(losses[-8:]) < share * np.mean(losses[:4])


def test_a_step_touches_only_what_its_batch_has_seen(small_mesh: Mesh, small_views: Views) -> None:
    chosen = replace(small("pixel"), batch=64)
    state = started(chosen, small_mesh, small_views, 10)
    texels = state.asset.texture.features.texels
    before = texels.detach().clone()
    step(state, small_views, seed=0)
    moved = (texels != before).any(dim=1)
    assert torch.equal(moved, state.texture_adams[0].ages > 0)
    assert 0 < int(moved.sum()) <= 64 * 4 * 3


def test_the_seed_decides(small_mesh: Mesh, small_views: Views) -> None:
    losses = []
    for seed in (0, 0, 1):
        state = started(small("pixel"), small_mesh, small_views, 3)
        losses.append([step(state, small_views, seed) for _ in range(3)])
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(("preset", "steps"), [("pixel", 400), ("unet", 120)])
def test_one_view_is_learned_by_heart(
    preset: PresetName, steps: int, small_mesh: Mesh, small_photos: Photos, tmp_path: Path
) -> None:
    photos = small_photos.chosen([0])
    views = lay_out_views(photos, small_mesh, tmp_path)
    chosen = replace(small(preset), texture_rate=1e-2, decay=0.0)
    state = started(chosen, small_mesh, views, steps)
    state.asset.backdrop.image.copy_(
        tensor_from_images(np.array(photos[0].rgb)[None])[0, :, :1, :1]
    )
    for _ in range(steps):
        step(state, views, seed=0)
    render = state.asset.render(photos.cameras[0])
    photo = tensor_from_images(np.array(photos[0].rgb)[None])
    assert float(psnr(render, photo)) > 30


def test_what_lies_behind_a_mask_is_the_renderers_own_background(
    small_mesh: Mesh, small_views: Views
) -> None:
    """Whatever the photos show there: it must make no difference to the weights."""
    ends = []
    for hidden in (0, 255):
        colours = np.array(small_views.colours)
        behind = colours[:, 3] & 1 == 0  # all that is not the mesh
        colours[behind, :3], colours[behind, 4] = hidden, 0
        views = replace(small_views, colours=colours)
        state = started(small("unet"), small_mesh, views, 4)
        state.asset.backdrop.image.fill_(0.25)
        losses = [step(state, views, seed=0) for _ in range(4)]
        ends.append((losses, torch.cat([p.flatten() for p in state.asset.parameters()])))
    assert ends[0][0] == ends[1][0]
    assert torch.equal(ends[0][1], ends[1][1])


def test_random_backgrounds_change_from_step_to_step(
    small_mesh: Mesh, small_views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours = np.array(small_views.colours)
    colours[colours[:, 3] & 1 == 0, 4] = 0
    views = replace(small_views, colours=colours)
    told: list[torch.Tensor] = []
    forward = ImageRenderer.forward

    def listening(own: Any, features: Any, surface: Any, seen: Any, background: Any) -> Any:
        told.append(background)
        return forward(own, features, surface, seen, background)

    monkeypatch.setattr(ImageRenderer, "forward", listening)
    state = started(replace(small("unet"), random_background=True), small_mesh, views, 4)
    losses = [step(state, views, seed=0) for _ in range(3)]
    for background in told:
        assert float(background.flatten(2).std(dim=-1).max()) < 1e-6
    assert len({tuple(background[0, :, 0, 0].tolist()) for background in told}) == 3
    # A renderer that begins as a copy of its background is right behind masks from the start.
    fixed = started(small("unet"), small_mesh, views, 4)
    assert losses[0] == pytest.approx(step(fixed, views, seed=0), rel=0.05)
