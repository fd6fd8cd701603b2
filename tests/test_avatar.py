"""The avatar: views move as one, the mirror is one, files come back and bad ones are refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional
from toy_avatars import LENS, SIZE, toy_clip, toy_config, toy_saved, toy_start

from avatars.avatar.avatar import Avatar
from avatars.avatar.code import FARTHEST, LENGTH, Code
from avatars.avatar.draft import drafted
from avatars.avatar.files import load_avatar, save_avatar
from avatars.avatar.layers import Seen, head_pixels, head_places
from avatars.avatar.lens import Jitter, camera_of, pixel_centres, sampled, steady_pixels
from avatars.avatar.mirror import mirrored_uv
from avatars.avatar.network import SLOPE, HeadNetwork
from avatars.heads.files import load_head
from avatars.heads.head import Motion
from avatars.training.steps import _forward
from dnr.asset import Asset
from dnr.errors import InputError

JITTER = Jitter(1.1, math.radians(7), (3.0, -2.0))


def test_a_jittered_camera_sees_points_where_the_jitter_puts_them() -> None:
    clip, _ = toy_clip(frames=2)
    pose = clip.performance.head_to_camera[1:2]
    points = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)) * 0.1
    still = camera_of(LENS, pose).project(points)[0, :, :2]
    moved = camera_of(LENS, pose, JITTER).project(points)[0, :, :2]
    turn = torch.tensor(cv2.getRotationMatrix2D((0, 0), -7, 1.1)[:, :2], dtype=torch.float32)
    centre = torch.tensor(LENS.centre)
    expected = (still - centre) @ turn.T + centre + torch.tensor(JITTER.shift)
    assert torch.allclose(moved, expected, atol=1e-3)


def test_pictures_warped_by_opencv_and_by_us_agree() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, SIZE), torch.linspace(0, 1, SIZE), indexing="ij")
    image = torch.stack([x, y, torch.sin(5 * x + 3 * y)])
    ours = sampled(image, steady_pixels(LENS, JITTER, image))
    array = image.permute(1, 2, 0).numpy()
    theirs = cv2.warpAffine(array, _forward(LENS, JITTER), (SIZE, SIZE))
    inner = (slice(None), slice(14, -14), slice(14, -14))
    assert np.abs(ours.permute(1, 2, 0).numpy() - theirs)[inner[1:]].max() < 0.02


def test_places_on_the_heads_canvas_lead_back_to_their_pixels() -> None:
    clip, _ = toy_clip(frames=4)
    camera = camera_of(LENS, clip.performance.head_to_camera, JITTER)
    pixels = pixel_centres(SIZE, clip.performance.head_to_camera)
    pin = torch.tensor([0.0, 0.02, -0.04])
    places = head_places(camera, pixels, pin, 0.2)
    for view in range(4):
        back = head_pixels(camera, places[view], pin, 0.2)[view]
        assert torch.allclose(back, pixels, atol=1e-3)


def test_the_mirror_image_of_the_mirror_image_is_the_texel_itself() -> None:
    head = load_head()
    size = 96
    once = mirrored_uv(head, size)
    places = torch.stack([once[..., 0] * size, (1 - once[..., 1]) * size], dim=-1)
    twice = sampled(once.permute(2, 0, 1), places).permute(1, 2, 0)
    line = (torch.arange(size) + 0.5) / size
    own = torch.stack(torch.meshgrid(line, line.flip(0), indexing="xy"), dim=-1)
    off = (twice - own).norm(dim=-1) * size
    assert float((off < 1.5).float().mean()) > 0.9  # charts' rims are between two texels
    assert float(((once - own).norm(dim=-1) * size > 5).float().mean()) > 0.3  # and it moved


def test_codes_are_in_units_of_training_and_bounded() -> None:
    clip, _ = toy_clip(frames=24)
    head, motion = load_head(), clip.performance.motion
    code = Code(len(head.expression))
    code.fit(head, motion)
    values = code(motion)
    assert float(values[:, 0].std()) == pytest.approx(1, abs=0.25)
    assert float(values.mean(dim=0).abs().max()) < 0.4
    wild = Motion(motion.expression + 5, motion.gaze + 3, motion.neck)
    assert float(code(wild).abs().max()) <= FARTHEST


def test_an_untrained_avatar_shows_the_person_it_was_started_from() -> None:
    clip, plate = toy_clip()
    avatar, _ = toy_start(clip, plate)
    picture = avatar.render(clip.performance.frame(5))
    error = (picture.image[0].permute(1, 2, 0).numpy() - clip.frames[5] / 255.0) ** 2
    assert -10 * math.log10(error.mean()) > 21
    inside = clip.masks[5] > 127
    assert (picture.alpha[0, 0].numpy()[inside] > 0.5).mean() > 0.97


def test_another_plate_changes_nothing_of_the_person() -> None:
    clip, plate = toy_clip(frames=4)
    avatar, _ = toy_start(clip, plate)
    frame = clip.performance.frame(2)
    one = avatar.render(frame)
    other = avatar.render(frame, torch.zeros(3, SIZE, SIZE))
    assert torch.equal(one.colour, other.colour) and torch.equal(one.alpha, other.alpha)
    assert not torch.equal(one.image, other.image)


@pytest.mark.parametrize(
    "changes", [{}, {"moving_channels": 0, "sees_normals": False}, {"has_layers": False}]
)
def test_avatars_come_back_from_disk(tmp_path: Path, changes: dict[str, object]) -> None:
    clip, plate = toy_clip(frames=6)
    avatar, rest = toy_start(clip, plate, **changes)
    saved = toy_saved(avatar, rest, clip, plate)
    save_avatar(tmp_path, saved)
    loaded = load_avatar(tmp_path)
    frame = clip.performance.frame(3)
    assert torch.equal(loaded.avatar.render(frame).image, avatar.render(frame).image)
    assert torch.equal(loaded.rest.lids, rest.lids) and loaded.rest.lips == pytest.approx(rest.lips)
    assert torch.equal(loaded.limits.expression, saved.limits.expression)
    assert (loaded.around.still == saved.around.still).all()
    assert loaded.around.square == clip.square


def test_broken_run_folders_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished avatar"):
        load_avatar(tmp_path)
    clip, plate = toy_clip(frames=4)
    avatar, rest = toy_start(clip, plate)
    save_avatar(tmp_path, toy_saved(avatar, rest, clip, plate))
    path = tmp_path / "asset.json"
    good = json.loads(path.read_text())
    for change, words in (
        ({"kind": "scene"}, "not an avatar"),
        ({"format_version": 99}, "newer version"),
        ({"config": good["config"] | {"canvas": 10**9}}, "not a valid avatar"),
        ({"config": good["config"] | {"widths": [8, 16]}}, "does not fit"),
        ({"square": good["square"] | {"side": 4096}}, "not a valid avatar"),
        ({"head": "nobody"}, "nobody"),
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(InputError, match=words):
            load_avatar(tmp_path)
    path.write_text(json.dumps(good))
    (tmp_path / "plate.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"plate\.png is damaged"):
        load_avatar(tmp_path)


def test_the_mesh_leaves_the_torso_to_its_layer() -> None:
    head = load_head()
    avatar = Avatar(toy_config(), head, torch.zeros(3, SIZE, SIZE))
    assert float(head.torso[head.faces[avatar.faces]].min(dim=1).values.max()) <= 0.5
    bare = Avatar(toy_config(hidden=("mouth",)), head, torch.zeros(3, SIZE, SIZE))
    assert len(bare.faces) < len(avatar.faces)


def test_the_scene_commands_say_what_an_avatar_is_for(tmp_path: Path) -> None:
    clip, plate = toy_clip(frames=4)
    avatar, rest = toy_start(clip, plate)
    save_avatar(tmp_path, toy_saved(avatar, rest, clip, plate))
    with pytest.raises(InputError, match=r"drive it with reenact\.py"):
        Asset.load(tmp_path)


def test_the_network_is_convolutions_over_repeated_pixels() -> None:
    torch.manual_seed(0)
    network = HeadNetwork(5, (6, 8, 10))
    for layer in (network.heard, network.exit):
        torch.nn.init.normal_(layer.weight)
    features, code = torch.randn(2, 5, 12, 20), torch.randn(2, LENGTH)
    x = functional.leaky_relu(network.entry(features), SLOPE)
    skips = [x]
    for convolution in network.down:
        skips.append(functional.leaky_relu(convolution(skips[-1]), SLOPE))
    gain, offset = network.heard(code)[..., None, None].chunk(2, dim=1)
    x = skips.pop() * (1 + gain) + offset
    for convolution in network.up:
        repeated = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        both = torch.cat([repeated, skips.pop()], dim=1)
        x = functional.leaky_relu(convolution(both), SLOPE)
    torch.testing.assert_close(network(features, code), network.exit(x), atol=1e-4, rtol=1e-4)


def test_the_rim_of_the_mesh_is_left_to_the_network() -> None:
    hit = torch.zeros(1, 1, 256, 256, dtype=torch.bool)
    hit[..., 100:, 60:180] = True
    skin, nothing = torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    _, alpha = drafted(skin, hit, [])
    assert (alpha[~hit] == 0).all()
    inside = cv2.erode(hit[0, 0].numpy().astype(np.uint8), np.ones((7, 7)), borderValue=1) > 0
    assert (alpha[0, 0][torch.from_numpy(inside)] > 0.999).all()  # to the picture's very border
    assert 0.5 < float(alpha[0, 0, 200, 60]) < 0.7 and float(alpha[0, 0, 200, 61]) < 0.8
    behind = Seen(0 * skin, nothing + 1, nothing)
    colour, whole = drafted(skin, hit, [behind])
    assert (whole > 0.999).all()  # a layer there is person, too, and shows through
    assert torch.allclose(colour, alpha * skin, atol=1e-5)
