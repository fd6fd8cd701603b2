"""A ROME portrait that is driven by a tracked head."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from posed_face import PHOTO, frontal_likeness
from small_rome import SmallDeca, SmallNetworks

from avatars.deca.camera import project
from avatars.deca.networks import DecaCodes
from avatars.flame.arkit_map import ArkitMap
from avatars.flame.kit import FlameKit
from avatars.flame.model import Flame
from avatars.heads.files import load_head
from avatars.heads.rotations import rotation_matrices
from avatars.oneshot.likeness import Likeness
from avatars.reenact.actors import find_actor
from avatars.reenact.options import ReenactOptions
from avatars.rome.actor import puppet
from avatars.rome.avatar import RomeModel
from avatars.rome.framing import SIZE, Square
from avatars.rome.moved import Standing, moved_codes
from avatars.rome.surface import rome_surface
from avatars.transfer.performance import Frame
from dnr.errors import InputError
from dnr.images import write_png


@pytest.fixture
def standing(generator: torch.Generator) -> Standing:
    """A face that is tilted and turned, in a tilted square of a photo."""
    pose = torch.cat([0.2 * torch.randn(1, 3, generator=generator), torch.zeros(1, 3)], dim=1)
    camera = torch.tensor([[7.5, 0.01, -0.02]])
    none = torch.zeros(1, 50)
    codes = DecaCodes(torch.zeros(1, 100), none, none, pose, camera, torch.zeros(1, 9, 3))
    square = Square(
        torch.tensor([180.0, 140.0]), torch.tensor([110.0, 30.0]), torch.tensor([-30.0, 110.0])
    )
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    tracked = torch.cat([turn, torch.tensor([[0.01], [0.02], [0.9]])], dim=1)
    eyes, root = torch.tensor([0.0, 0.03, 0.05]), torch.tensor([0.0, -0.1, 0.0])
    return Standing(codes, square, tracked, 600.0, torch.tensor([180.0, 150.0]), eyes, root)


def eyes_on_screen(standing: Standing, codes: DecaCodes) -> torch.Tensor:  # [2] photo pixels
    turn = rotation_matrices(codes.pose[0, :3])
    place = turn @ (standing.eyes - standing.root) + standing.root
    inside = project(place[None, None], codes.camera)[0, 0]
    square = standing.square
    return square.centre + inside[0] * square.right + inside[1] * square.down


def test_nothing_changes_when_nothing_moves(standing: Standing) -> None:
    none = torch.zeros(1, 50), torch.zeros(1, 3)
    for before, after in zip(
        standing.codes, moved_codes(standing, *none, standing.pose), strict=True
    ):
        torch.testing.assert_close(before, after, atol=1e-5, rtol=1e-5)


def test_the_eyes_go_where_the_tracked_head_has_them(standing: Standing, generator) -> None:
    expression, jaw = torch.rand(1, 50, generator=generator), torch.tensor([[0.2, 0.0, 0.0]])
    pose = standing.pose.clone()
    roll = rotation_matrices(torch.tensor([0.0, 0.0, 0.4]))  # in the picture, clockwise
    pose[:, :3] = roll @ pose[:, :3]
    pose[:, 3] += torch.tensor([0.05, -0.03, 0.1])
    codes = moved_codes(standing, expression, jaw, pose)
    torch.testing.assert_close(codes.expression, expression)
    torch.testing.assert_close(codes.pose[:, 3:], jaw)
    shift = 600 * (pose[:2, 3] / pose[2, 3] - standing.pose[:2, 3] / standing.pose[2, 3])
    moved = eyes_on_screen(standing, codes) - eyes_on_screen(standing, standing.codes)
    torch.testing.assert_close(moved, shift, atol=0.02, rtol=1e-4)
    assert float(codes.camera[0, 0]) == pytest.approx(7.5 * 0.9 / 1.0)
    # A point beside the eyes: the line to it turns in the picture by the roll.
    arm = torch.tensor([0.03, 0.0, 0.0])
    lines = []
    for each in (standing.codes, codes):
        turn = rotation_matrices(each.pose[0, :3])
        lines.append((turn @ arm * torch.tensor([1.0, -1.0, -1.0]))[:2])
    expected = roll[:2, :2] @ lines[0]
    torch.testing.assert_close(lines[1], expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def likeness() -> Likeness:
    return frontal_likeness()


def test_pictures_follow_the_performance(likeness: Likeness, generator) -> None:
    head = load_head()
    names = tuple(head.expression_names)
    jaw = torch.zeros(len(names), 3)
    jaw[names.index("jawOpen"), 0] = 0.3
    table = ArkitMap(names, torch.zeros(len(names), 100), jaw, torch.zeros(1), torch.zeros(1))
    grid = torch.linspace(-0.09, 0.09, 12)
    up, across = torch.meshgrid(-grid, grid, indexing="ij")
    template = torch.stack([across, up, 0 * up], dim=-1).reshape(-1, 3)
    index = torch.arange(144).reshape(12, 12)
    a, b = index[:-1, :-1].reshape(-1), index[:-1, 1:].reshape(-1)
    c, d = index[1:, :-1].reshape(-1), index[1:, 1:].reshape(-1)
    faces = torch.cat([torch.stack([a, c, b], dim=1), torch.stack([b, c, d], dim=1)])
    weights = torch.zeros(144, 5)
    weights[:72, 1], weights[72:, 2] = 1, 1  # the lower half is the jaw
    flame = Flame(
        template,
        faces,
        torch.zeros(300, 144, 3),
        torch.zeros(100, 144, 3),
        torch.zeros(36, 144, 3),
        torch.full((5, 144), 1 / 144),
        weights,
    )
    uv = template[:, :2] / 0.18 + 0.5
    lookup = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=1)
    surface = rome_surface(faces, uv, faces, lookup, torch.zeros(144, dtype=torch.bool))
    networks: Any = SmallNetworks()
    model = RomeModel(networks, SmallDeca(), flame, surface)  # type: ignore[arg-type]
    photo = (torch.rand(*PHOTO, 3, generator=generator) * 255).byte().numpy()
    kit = FlameKit(flame, head, None, table)  # type: ignore[arg-type]
    draw = puppet(model, kit, photo, likeness, lambda image: np.ones(PHOTO, np.float32))
    rest = Frame(likeness.motion, likeness.head_to_camera[None])
    first = draw(rest)
    assert first.shape == (SIZE, SIZE, 3) and first.dtype == np.uint8
    assert networks.asked == ["texture", "geometry", "picture"]
    moved = likeness.head_to_camera.clone()
    moved[0, 3] += 0.05
    right = draw(Frame(likeness.motion, moved[None]))
    column = np.arange(SIZE)
    covered = [(image != image[0, 0]).any(axis=2).sum(axis=0) for image in (first, right)]
    centres = [(column * cover).sum() / cover.sum() for cover in covered]
    assert centres[1] - centres[0] > 10
    motion = likeness.motion._replace(expression=likeness.motion.expression.clone())
    motion.expression[0, names.index("jawOpen")] += 1
    opened = draw(Frame(motion, likeness.head_to_camera[None])).astype(int)
    change = np.abs(opened - first).sum(axis=2)
    assert change[SIZE // 2 + 20 :].mean() > 5 * change[: SIZE // 2 - 20].mean()
    assert networks.asked[3:] == ["picture", "picture"]


def test_reenact_names_the_missing_file(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_png(tmp_path / "me.png", np.zeros((80, 80, 3), np.uint8))
    options = ReenactOptions(
        tmp_path / "me.png",
        tmp_path / "out.mp4",
        tmp_path / "driver.mp4",
        engine="rome",
        models=tmp_path / "models",
    )
    with pytest.raises(InputError, match=r"no rome\.pth in .*models"):
        find_actor(options, torch.device("cpu"))
