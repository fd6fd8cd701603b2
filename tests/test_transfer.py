"""Transfer: relative to each person's own rest, within what the avatar knows, and switchable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from avatars.heads.arkit import ARKIT
from avatars.heads.head import Head, Motion
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from avatars.transfer.limits import limits, relative_turns, soft_clamp
from avatars.transfer.neutral import FACING, neck_places, neutral, region_of
from avatars.transfer.openings import CLOSES, openings
from avatars.transfer.performance import Performance, load_performance, save_performance
from avatars.transfer.smooth import smoothed
from avatars.transfer.transfer import Person, TransferOptions, transferred
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError

NAMES: list[str] = [*ARKIT]
POINTS, IDENTITIES = 478, 3


def small_head() -> Head:
    """One vertex per landmark: a face of roughly the right proportions with random bases."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    template = 0.04 * noise(POINTS + 1, 3)
    lids = {159: 6, 145: -6, 160: 5, 144: -5, 158: 5, 153: -5}
    lids |= {386: 6, 374: -6, 385: 5, 380: -5, 387: 5, 373: -5}
    for point, millimetres in lids.items():
        template[point, 1] = millimetres / 1000
    for point in (13, 82, 312, 14, 87, 317):
        template[point, 1] = -0.06 + (0.0005 if point in (13, 82, 312) else -0.0005)
    template[33], template[263] = torch.tensor([[-0.045, 0, 0], [0.045, 0, 0]])
    template[POINTS] = torch.tensor([0.0, -0.12, -0.08])  # the neck
    expression = 0.0005 * noise(len(ARKIT), POINTS + 1, 3)
    for name, points, change in (
        ("eyeBlinkRight", (159, 160, 158), -0.011),
        ("eyeBlinkLeft", (386, 385, 387), -0.011),
        ("jawOpen", (14, 87, 317), -0.035),
    ):
        expression[NAMES.index(name), list(points), 1] = change
    expression[:, [33, 263, POINTS]] = 0
    corners = torch.arange(POINTS)
    faces = torch.stack([corners, (corners + 1) % POINTS, (corners + 2) % POINTS], dim=1)
    bary = torch.tensor([1.0, 0, 0]).expand(POINTS, 3)
    neck = torch.zeros(POINTS + 1)
    neck[POINTS] = 1
    empty = torch.zeros(POINTS + 1, dtype=torch.bool)
    return Head(
        name="small", template=template, identity=0.002 * noise(IDENTITIES, POINTS + 1, 3),
        expression=expression, expression_names=tuple(ARKIT), faces=faces,
        uv=torch.zeros(POINTS + 1, 2), uv_faces=faces, mirror=torch.arange(POINTS + 1),
        landmark_faces=corners, landmark_bary=bary, landmark_spread=torch.ones(POINTS),
        eye_centre=neck.expand(2, -1), neck_joint=neck, torso=torch.zeros(POINTS + 1),
        regions={"right_eyeball": empty, "left_eyeball": empty},
    )  # fmt: skip


def column(name: str) -> int:
    return NAMES.index(name)


def clip(seed: int, frames: int = 120, turned: float = 0.0) -> Performance:
    """Somebody who talks, blinks, looks around and nods; every coefficient has an offset."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frames) / 25
    offset = 0.15 * torch.rand(len(ARKIT), generator=generator)
    expression = offset.repeat(frames, 1)
    expression[:, column("jawOpen")] += 0.4 * (torch.sin(3 * time + seed) ** 2)
    for eye in ("eyeBlinkRight", "eyeBlinkLeft"):
        expression[:, column(eye)] += 0.8 * ((torch.arange(frames) + 7 * seed) % 40 < 4)
    expression[:, column("browInnerUp")] += 0.2 * torch.sin(time)
    gaze = 0.1 * torch.sin(2 * time)[:, None, None].expand(-1, 2, 2) + 0.05 * seed
    turns = torch.stack([0.08 * torch.sin(1.3 * time), turned + 0.2 * torch.sin(time), 0 * time], 1)
    rotations = rotation_matrices(turns) @ FACING
    places = torch.stack([0.02 * torch.sin(time), 0 * time, 0.6 + 0.1 * seed + 0 * time], dim=1)
    pose = torch.cat([rotations, places[:, :, None]], dim=2)
    identity = torch.randn(IDENTITIES, generator=generator)
    motion = Motion(expression, gaze, torch.zeros(frames, 3))
    found = torch.ones(frames, dtype=torch.bool)
    return Performance("small", identity, motion, pose, time.double(), 25.0, found)


def person_of(head: Head, performance: Performance, limited: bool = True) -> Person:
    rest = neutral(head, performance)
    ends = limits(performance, rest, neck_places(head, performance)) if limited else None
    return Person(head, performance.identity, rest, ends)


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def test_openings_are_those_of_the_points() -> None:
    head, person = small_head(), clip(0)
    expression = person.motion.expression[:5]
    shape = head.template + torch.tensordot(person.identity, head.identity, dims=1)
    points = shape + torch.tensordot(expression, head.expression, dims=1)
    unit = (shape[33] - shape[263]).norm()
    expected = (points[:, [13, 82, 312], 1] - points[:, [14, 87, 317], 1]).mean(dim=1) / unit
    found = openings(head, person.identity)["mouth"].of(expression)
    assert torch.allclose(found, expected, atol=1e-5)


def test_onto_oneself_nothing_changes() -> None:
    head, person = small_head(), clip(1)
    options = TransferOptions(smooth=False)
    rest = neutral(head, person)
    result = transferred(person, rest, person_of(head, person, limited=False), options)
    assert torch.allclose(result.motion.expression, person.motion.expression, atol=1e-5)
    assert torch.allclose(result.motion.gaze, person.motion.gaze, atol=1e-6)
    assert torch.allclose(result.head_to_camera, person.head_to_camera, atol=1e-5)


def test_somebody_elses_motion_arrives_and_identity_stays() -> None:
    head, driver, source = small_head(), clip(2, turned=0.15), clip(5)
    person = person_of(head, source)
    result = transferred(driver, neutral(head, driver), person, TransferOptions())
    assert torch.equal(result.identity, source.identity)
    theirs, own = openings(head, driver.identity), openings(head, source.identity)
    for name in CLOSES:
        before = theirs[name].of(driver.motion.expression)
        after = own[name].of(result.motion.expression)
        assert correlation(before, after) > 0.97, name
    shut = own["right_eye"].of(result.motion.expression).min()
    assert abs(float(shut - person.rest.lids[0, 0])) < 0.02  # a blink is still a blink
    turns = relative_turns(result.head_to_camera[:, :, :3], person.rest.rotation)
    wanted = relative_turns(driver.head_to_camera[:, :, :3], neutral(head, driver).rotation)
    assert correlation(turns[:, 1], wanted[:, 1]) > 0.97


def test_rest_is_read_channel_by_channel() -> None:
    head, person = small_head(), clip(3)
    rest = neutral(head, person)
    offset = person.motion.expression.min(dim=0).values
    assert (
        abs(float(rest.expression[column("eyeBlinkLeft")] - offset[column("eyeBlinkLeft")])) < 0.01
    )
    assert abs(float(rest.expression[column("jawOpen")] - offset[column("jawOpen")])) < 0.03
    assert float(rest.lids[0, 0]) < float(rest.lids[0, 1])
    chosen = neutral(head, person, frame=33)
    assert torch.allclose(
        chosen.expression[column("jawOpen")], person.motion.expression[33, column("jawOpen")]
    )


@pytest.mark.parametrize("region", ["mouth", "eyes", "brows"])
def test_regions_that_are_off_stay_at_rest(region: str) -> None:
    head, driver, source = small_head(), clip(2), clip(5)
    person = person_of(head, source, limited=False)
    options = TransferOptions(without=(region,))  # type: ignore[arg-type]
    result = transferred(driver, neutral(head, driver), person, options)
    for index, name in enumerate(ARKIT):
        moved = (result.motion.expression[:, index] - person.rest.expression[index]).abs().max()
        if region_of(name) == region:
            assert float(moved) < 1e-6, name


def test_without_pose_and_gaze_the_head_keeps_still() -> None:
    head, driver, source = small_head(), clip(2), clip(5)
    person = person_of(head, source)
    options = TransferOptions(only=("mouth",))
    result = transferred(driver, neutral(head, driver), person, options)
    assert torch.allclose(
        result.head_to_camera, result.head_to_camera[:1].expand_as(result.head_to_camera), atol=1e-5
    )
    assert torch.allclose(result.motion.gaze, person.rest.gaze.expand_as(result.motion.gaze))


def test_strength_scales_what_is_beyond_rest() -> None:
    head, driver, source = small_head(), clip(2), clip(5)
    person = person_of(head, source, limited=False)
    rest, brow = neutral(head, driver), column("browInnerUp")
    one, half = (
        transferred(driver, rest, person, TransferOptions(strength=s, smooth=False))
        for s in (1, 0.5)
    )
    own = person.rest.expression[brow]
    assert torch.allclose(
        half.motion.expression[:, brow] - own,
        0.5 * (one.motion.expression[:, brow] - own),
        atol=1e-6,
    )


def test_absolute_pose_is_the_drivers() -> None:
    head, driver, source = small_head(), clip(2, turned=0.2), clip(5)
    person = person_of(head, source, limited=False)
    options = TransferOptions(pose="absolute", smooth=False)
    result = transferred(driver, neutral(head, driver), person, options)
    difference = result.head_to_camera[:, :, :3] @ driver.head_to_camera[:, :, :3].transpose(1, 2)
    assert float(rotation_vectors(difference).norm(dim=1).max()) < 1e-3


def test_soft_clamp_keeps_the_inside_and_bounds_the_outside() -> None:
    values = torch.linspace(-3, 3, 61)[:, None]
    ends = torch.tensor([[-1.0], [1.0]])
    result = soft_clamp(values, ends, 0.2)
    inside = values.abs() <= 1
    assert torch.equal(result[inside], values[inside])
    assert float(result.max()) <= 1.2 + 1e-6 and float(result.min()) >= -1.2 - 1e-6
    assert bool((result.diff(dim=0) >= 0).all())


def test_smoothing_calms_noise_and_keeps_blinks() -> None:
    generator = torch.Generator().manual_seed(1)
    still = 0.02 * torch.randn(200, 1, generator=generator)
    assert float(smoothed(still, 0.06).std()) < 0.6 * float(still.std())
    blink = torch.zeros(50, 1)
    blink[20:23] = 0.9
    assert float((smoothed(blink, 0.06) - blink).abs().max()) < 0.01


def test_motion_files_come_back(tmp_path: Path) -> None:
    driver = clip(4)
    path = tmp_path / "motion.npz"
    save_performance(path, driver)
    loaded = load_performance(path)
    assert loaded.head == "small" and loaded.fps == 25
    assert torch.equal(loaded.motion.expression, driver.motion.expression)
    assert torch.equal(loaded.head_to_camera, driver.head_to_camera)
    assert torch.equal(loaded.times, driver.times)


def test_wrong_motion_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    driver = clip(4)
    path = tmp_path / "motion.npz"
    save_performance(path, replace(driver, identity=driver.identity * torch.nan))
    with pytest.raises(InputError, match="not finite"):
        load_performance(path)
    save_performance(path, replace(driver, times=-driver.times))
    with pytest.raises(InputError, match="do not rise"):
        load_performance(path)
    save_arrays(path, {"format_version": np.array(1), "times": np.zeros(3)})
    with pytest.raises(InputError, match="not a motion file"):
        load_performance(path)
    save_arrays(path, {"format_version": np.array(9)})
    with pytest.raises(InputError, match="newer version"):
        load_performance(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="usable archive"):
        load_performance(path)
    np.savez(path, allow_pickle=True, a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="usable archive"):
        load_arrays(path)
