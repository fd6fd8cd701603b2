"""Checkpoints: a run that was interrupted ends with the weights of one that was not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dnr.asset import Asset
from dnr.errors import InputError
from dnr.geometry.meshes import Mesh
from dnr.tensor_files import load_tensors, save_tensors
from dnr.textures.pyramid import TextureConfig
from dnr.training.checkpoints import load_checkpoint, save_checkpoint
from dnr.training.presets import PresetName, Recipe, recipe
from dnr.training.state import TrainingState, new_state
from dnr.training.steps import step
from dnr.training.views import Views

IDENTITY = {"data": "abc", "recipe": {"betas": (0.9, 0.99), "steps": None}}


def small(preset: PresetName) -> Recipe:
    """A preset with little of everything, and detail finer than the features."""
    chosen = recipe(preset)
    texture = TextureConfig(size=64, channels=16, levels=3, colour_size=128)
    return replace(chosen, asset=replace(chosen.asset, texture=texture), batch=512, crop=32)


def started(
    chosen: Recipe, mesh: Mesh, views: Views, exposure: bool, seed: int, total: int | None = 12
) -> TrainingState:
    torch.manual_seed(seed)
    asset = Asset(chosen.asset, mesh, torch.rand(3, 4, 8))
    torch.nn.init.normal_(asset.texture.features.texels, std=0.1)
    return new_state(asset, chosen, len(views), exposure, total)


def run(state: TrainingState, views: Views, until: int) -> None:
    while state.step < until:
        state.history.append({"step": state.step, "loss": step(state, views, seed=5)})


def weights(state: TrainingState) -> dict[str, Tensor]:
    own = {name: value.clone() for name, value in state.asset.state_dict().items()}
    if state.exposure is not None:
        own["log_gain"] = state.exposure.log_gain.detach().clone()
    return own


@pytest.mark.parametrize("exposure", [False, True])
@pytest.mark.parametrize("preset", ["pixel", "unet", "paper"])
def test_resumed_equals_uninterrupted(
    preset: PresetName,
    exposure: bool,
    small_mesh: Mesh,
    small_views: Views,
    small_paper: None,
    tmp_path: Path,
) -> None:
    whole = started(small(preset), small_mesh, small_views, exposure, seed=0)
    first = weights(whole)
    run(whole, small_views, 5)
    save_checkpoint(tmp_path / "last", whole, IDENTITY)
    run(whole, small_views, 12)
    resumed = started(small(preset), small_mesh, small_views, exposure, seed=1)
    load_checkpoint(tmp_path / "last", resumed, IDENTITY)
    assert resumed.step == 5 and len(resumed.history) == 5
    run(resumed, small_views, 12)
    ends = weights(whole), weights(resumed)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert whole.history == resumed.history
    still = {name for name in first if torch.equal(first[name], ends[0][name])}
    assert still == {"backdrop.image", "diffuse"}  # everything else has learned


def test_a_budget_in_minutes_is_kept(small_mesh: Mesh, small_views: Views, tmp_path: Path) -> None:
    """The number of steps that the minutes were turned into belongs to the checkpoint."""
    whole = started(small("pixel"), small_mesh, small_views, False, seed=0, total=None)
    run(whole, small_views, 4)
    save_checkpoint(tmp_path / "before", whole, IDENTITY)
    whole.total, whole.seconds = 9, 33.5
    run(whole, small_views, 6)
    save_checkpoint(tmp_path / "after", whole, IDENTITY)
    run(whole, small_views, 9)
    early = started(small("pixel"), small_mesh, small_views, False, seed=1, total=None)
    load_checkpoint(tmp_path / "before", early, IDENTITY)
    assert early.total is None
    early.total = 9
    late = started(small("pixel"), small_mesh, small_views, False, seed=1, total=None)
    load_checkpoint(tmp_path / "after", late, IDENTITY)
    assert (late.total, late.seconds) == (9, 33.5)
    for resumed in (early, late):
        run(resumed, small_views, 9)
        ends = weights(whole), weights(resumed)
        assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_before_the_first_step(small_mesh: Mesh, small_views: Views, tmp_path: Path) -> None:
    whole = started(small("pixel"), small_mesh, small_views, True, seed=0)
    save_checkpoint(tmp_path / "last", whole, IDENTITY)
    run(whole, small_views, 3)
    resumed = started(small("pixel"), small_mesh, small_views, True, seed=1)
    load_checkpoint(tmp_path / "last", resumed, IDENTITY)
    run(resumed, small_views, 3)
    ends = weights(whole), weights(resumed)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_rates_fall_along_a_cosine(small_mesh: Mesh, small_views: Views) -> None:
    state = started(small("pixel"), small_mesh, small_views, False, seed=0, total=100)
    last = state.recipe.last_rate
    for done, expected in ((0, 1), (50, (1 + last) / 2), (100, last), (120, last)):
        state.step = done
        assert state.rate_factor() == pytest.approx(expected)
    state.total = None
    assert state.rate_factor() == 1


def without(name: str) -> Any:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


FOREIGN = {
    "other data": (lambda t: t, {"data": "xyz"}, "other photos, mesh or options"),
    "other texture": (
        lambda t: t | {"texture_adam.0.moments": t["texture_adam.0.moments"][1:]},
        {},
        "other photos",
    ),
    "ages before birth": (
        lambda t: t | {"texture_adam.0.ages": t["texture_adam.0.ages"] - (1 << 31)},
        {},
        "is damaged",
    ),
    "one missing": (without("texture_adam.1.ages"), {}, "other photos"),
    "one more": (lambda t: t | {"evil": torch.zeros(2)}, {}, "other photos"),
    "other numbers": (
        lambda t: t | {"asset.diffuse": t["asset.diffuse"].float()},
        {},
        "other photos",
    ),
    "no head": (without("head"), {}, "is not a checkpoint"),
    "head of floats": (lambda t: t | {"head": torch.rand(9)}, {}, "is not a checkpoint"),
    "head of text": (lambda t: t | {"head": torch.tensor([65, 66]).byte()}, {}, "not a checkpoint"),
    "head of a list": (lambda t: t | {"head": as_bytes("[]")}, {}, "is not a checkpoint"),
    "head of nothing": (lambda t: t | {"head": as_bytes("{}")}, {}, "is not a checkpoint"),
    "deep head": (lambda t: t | {"head": as_bytes("[" * 50_000)}, {}, "is not a checkpoint"),
}


def as_bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_checkpoints_are_refused(
    case: str, small_mesh: Mesh, small_views: Views, tmp_path: Path
) -> None:
    change, other, words = FOREIGN[case]
    state = started(small("pixel"), small_mesh, small_views, False, seed=0)
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, state, IDENTITY)
    save_tensors(path, change(load_tensors(path)))
    before = weights(state)
    with pytest.raises(InputError, match=words) as caught:
        load_checkpoint(path, state, IDENTITY | other)
    assert str(path) in str(caught.value) and "--resume" in str(caught.value)
    after = weights(state)
    assert all(torch.equal(before[name], after[name]) for name in before) and state.step == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", -1),
        ("step", "5"),
        ("step", 1 << 62),
        ("total", 1.5),
        ("seconds", float("nan")),
        ("history", [1]),
        ("history", {"psnr": 1}),
        ("history", [{"psnr": "<b>"}]),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(
    name: str, value: Any, small_mesh: Mesh, small_views: Views, tmp_path: Path
) -> None:
    state = started(small("pixel"), small_mesh, small_views, False, seed=0)
    setattr(state, name, value)
    save_checkpoint(tmp_path / "last", state, IDENTITY)
    fresh = started(small("pixel"), small_mesh, small_views, False, seed=0)
    with pytest.raises(InputError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "last", fresh, IDENTITY)
