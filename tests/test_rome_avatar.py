"""ROME's steps between its networks, with networks that are small enough to follow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rome_files import HAIR, NECK, write_rome_folder
from small_rome import small_model
from torch import Tensor, nn

from avatars.deca.networks import DecaCodes
from avatars.heads.head import vertex_normals
from avatars.rome.avatar import RomeModel, Source, drive, load_rome_model, read_portrait
from avatars.rome.framing import (
    SIZE,
    driver_square,
    face_box,
    face_crop,
    source_square,
    uncropped,
)
from avatars.rome.linear import LinearHair
from avatars.rome.surface import fixed_vertices
from dnr.errors import InputError


@pytest.fixture
def model(generator: torch.Generator) -> RomeModel:
    return small_model(generator)


@pytest.fixture
def portrait(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    picture = torch.rand(1, 3, SIZE, SIZE, generator=generator)
    points = torch.rand(1, 68, 2, generator=generator) - 0.5
    return picture, torch.ones(1, 1, SIZE, SIZE), points


def turned(codes: DecaCodes, yaw: float) -> DecaCodes:
    pose = codes.pose.clone()
    pose[:, 1] = yaw
    return codes._replace(pose=pose)


@torch.no_grad()
def test_a_frame_costs_only_the_picture(model: RomeModel, portrait) -> None:
    source = read_portrait(model, *portrait)
    asked: Any = model.rome.asked
    assert asked == ["texture", "geometry"]
    codes = model.deca.coarse(torch.zeros(2, 3, 224, 224))
    drive(model, source, codes)
    assert asked[2:] == ["picture"]
    drive(model, source, codes, as_published=True)
    assert asked[3:] == ["geometry", "picture"]


@torch.no_grad()
def test_pixels_see_the_texture_of_the_posed_mesh(model: RomeModel, portrait) -> None:
    source = read_portrait(model, *portrait)
    codes = turned(model.deca.coarse(torch.zeros(1, 3, 224, 224)), 0.4)
    rendering = drive(model, source, codes)
    assert source.offsets[0, 14:].abs().max() == 0 and source.offsets[0, :14].abs().min() > 0
    rest = model.flame.template + torch.tensordot(source.shape[0], model.flame.shape[:100], 1)
    rest = rest + torch.tensordot(codes.expression[0], model.flame.expression[:50], 1)
    moved = rest + source.offsets[0] * vertex_normals(rest, model.surface.faces)
    torch.testing.assert_close(rendering.vertices[0], moved)
    root = rest.mean(dim=0)
    cos, sin = np.cos(0.4), np.sin(0.4)
    turn = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=torch.float32)
    world = (moved - root) @ turn.T + root
    screen = 7 * (world + torch.tensor([0.01, 0.02, 0])) * torch.tensor([1.0, -1, -1])
    torch.testing.assert_close(rendering.on_screen[0], screen)

    covered = rendering.covered[0, 0] > 0
    assert 0.2 < covered.float().mean() < 0.95
    features = model.rome.features[0]  # type: ignore[attr-defined]
    assert features[:, ~covered].abs().max() == 0
    corners, uvs = (
        screen[model.surface.faces].numpy(),
        model.surface.uv[model.surface.faces].numpy(),
    )
    texture = source.texture[0].numpy()
    for row, column in covered.nonzero()[::997].tolist():
        place = [(column + 0.5) / 128 - 1, (row + 0.5) / 128 - 1]
        best, uv = np.inf, None
        for corner, face_uv in zip(corners, uvs, strict=True):
            system = np.vstack([corner[:, :2].T, np.ones(3)])
            weights = np.linalg.solve(system, [*place, 1])
            if (weights >= -1e-4).all() and weights @ corner[:, 2] < best:
                best, uv = weights @ corner[:, 2], weights @ face_uv
        assert uv is not None
        x, y = uv[0] * SIZE - 0.5, (1 - uv[1]) * SIZE - 0.5
        left, top = int(np.floor(x)), int(np.floor(y))
        if not (0 <= left < SIZE - 1 and 0 <= top < SIZE - 1):
            continue
        block = texture[:, top : top + 2, left : left + 2]
        blend = np.outer([1 - (y - top), y - top], [1 - (x - left), x - left])
        np.testing.assert_allclose(
            features[:, row, column], (block * blend).sum(axis=(1, 2)), atol=5e-3
        )


@torch.no_grad()
def test_the_linear_variant_moves_by_its_basis(model: RomeModel, portrait, generator) -> None:
    linear = LinearHair(torch.rand(42, 3), torch.rand(60, 42, 3))
    linear.regressor = nn.Sequential(nn.AvgPool2d(SIZE), nn.Flatten(), nn.Linear(3, 60))  # type: ignore[assignment]
    linear_model = RomeModel(model.rome, model.deca, model.flame, model.surface, linear)
    source = read_portrait(linear_model, *portrait)
    code = linear.regressor(portrait[0])
    expected = linear.mean + torch.einsum("n,nvc->vc", code[0], linear.basis)
    torch.testing.assert_close(source.offsets[0], expected)
    codes = model.deca.coarse(torch.zeros(1, 3, 224, 224))
    plain = drive(linear_model, Source(source.shape, source.texture, 0 * source.offsets), codes)
    moved = drive(linear_model, source, codes)
    torch.testing.assert_close(moved.vertices - plain.vertices, source.offsets)
    assert model.rome.asked == ["texture", "picture", "picture"]  # type: ignore[attr-defined]


def test_the_camera_of_the_crop_shows_the_same_points_in_the_picture(generator) -> None:
    marks = torch.rand(3, 68, 2, generator=generator, dtype=torch.float64) - 0.4
    box = face_box(marks)
    camera = torch.tensor([[8.0, 0.01, -0.03]], dtype=torch.float64).expand(3, -1)
    point = torch.randn(3, 2, generator=generator, dtype=torch.float64) / 10
    flip = torch.tensor([1.0, -1.0], dtype=torch.float64)
    in_crop = (camera[:, :1] * (point + camera[:, 1:]) * flip + 1) / 2
    corner = torch.stack([box.left, box.top], dim=1)
    expected = 2 * (corner + box.side[:, None] * in_crop) - 1
    whole = uncropped(camera, box)
    torch.testing.assert_close(whole[:, :1] * (point + whole[:, 1:]) * flip, expected)

    ramp = torch.linspace(-1 + 1 / 64, 1 - 1 / 64, 64, dtype=torch.float64)
    picture = torch.stack(
        [ramp.expand(64, 64), ramp[:, None].expand(64, 64), 0 * ramp.expand(64, 64)]
    )
    crop = face_crop(picture[None].expand(3, -1, -1, -1), box)
    middle = 2 * (corner + box.side[:, None] / 2) - 1
    torch.testing.assert_close(crop[:, :2, 111:113, 111:113].mean(dim=(2, 3)), middle)


def test_squares_hold_the_face(rng) -> None:
    points = torch.from_numpy(rng.random((68, 2)) * 40 + [100, 60])
    square = driver_square(points)
    inside = square.to_square(points)
    size = float((points.amax(dim=0) - points.amin(dim=0)).max())
    assert float(square.right[0]) == pytest.approx(size)
    assert inside.abs().max() <= 0.5 + 1 / 6 + 1e-9
    # A face with eyes 60 apart, mouth 66 below them, tilted by 0.3 rad.
    tilt = torch.tensor([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    face = torch.zeros(68, 2, dtype=torch.float64)
    face[36:42, 0], face[42:48, 0], face[48:60, 1] = -30, 30, 66
    face[48, 0], face[54, 0] = -20, 20
    square = source_square(face @ tilt.T + 200)
    expected = torch.tensor([0, 6.6], dtype=torch.float64) @ tilt.T + 200
    torch.testing.assert_close(square.centre, expected)
    right = 1.25 * 120 * tilt[:, 0]
    torch.testing.assert_close(square.right, right)
    torch.testing.assert_close(square.down, torch.stack([-right[1], right[0]]))
    image = torch.zeros(1, 1, 400, 400)
    spot = (square.centre + 0.5 * square.right - 0.25 * square.down).round().long()
    image[0, 0, spot[1] - 3 : spot[1] + 4, spot[0] - 3 : spot[0] + 4] = 1
    seen = square.sample(image)[0, 0].nonzero().float().mean(dim=0)
    torch.testing.assert_close(seen, torch.tensor([0.375, 0.75]) * SIZE, atol=2, rtol=0)


def test_a_folder_with_every_file_loads_and_a_missing_one_is_named(tmp_path: Path, rng) -> None:
    folder = tmp_path / "models"
    write_rome_folder(folder, rng)
    model = load_rome_model(folder, linear=True)
    expected = (set(HAIR) | set(NECK)) - {3587, 3594, 3372}
    assert set(model.surface.movable.nonzero()[:, 0].tolist()) == expected
    assert model.linear is not None and model.linear.basis.shape == (60, 5023, 3)
    (folder / "data" / "faces_v2.pth").unlink()
    with pytest.raises(InputError, match=r"faces_v2\.pth.*github\.com/SamsungLabs/rome"):
        load_rome_model(folder)


def test_the_list_of_fixed_vertices_is_read_without_running_the_program(tmp_path: Path) -> None:
    path, mark = tmp_path / "parametric_avatar.py", tmp_path / "it ran"
    call = f"open({str(mark)!r}, 'w')"
    path.write_text(f"{call}\nhard_not_deform_list = [3, 1]\nexclude_list = [1]\n")
    assert fixed_vertices(path).tolist() == [3] and not mark.exists()
    path.write_text(f"hard_not_deform_list = [{call}]\nexclude_list = []\n")
    with pytest.raises(InputError, match="not ROME's"):
        fixed_vertices(path)
    assert not mark.exists()
