"""From a user's FLAME file to tracks in both directions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from flame_like import JAW_OPEN_RAD, write_flame_like
from torch import nn

from avatars.deca.camera import crop, crop_box, project, to_photo
from avatars.deca.networks import DecaCodes, split_codes
from avatars.flame.kit import FlameKit, load_kit
from avatars.formats.convert import convert, read_any
from avatars.formats.deca_track import deca_flame_track, read_codes, start_from_deca
from avatars.formats.flame_track import FlameTrack, pinhole, track_vertices, views
from avatars.formats.head_tracks import to_flame_track, to_head_track
from avatars.formats.options import ConvertOptions
from avatars.heads.head import Motion, head_vertices, landmark_points
from avatars.heads.rotations import rotation_matrices
from avatars.tracking.track import Track, camera, load_track, save_track
from dnr.errors import InputError
from dnr.video import write_video

SIZE, FRAMES = (240, 320), 6


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> FlameKit:
    folder = tmp_path_factory.mktemp("models")
    write_flame_like(folder / "DECA" / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avatars.model_files.user_cache", lambda: folder / "cache")
        kit = load_kit(folder)
    assert [path.suffix for path in (folder / "cache" / "converted").iterdir()] == [".npz"]
    return kit


@pytest.fixture
def track(kit: FlameKit, generator: torch.Generator) -> Track:
    """Somebody who talks, blinks, looks about and turns."""
    head = kit.head
    identity = torch.randn(len(head.identity), generator=generator) * 0.4
    expression = torch.zeros(FRAMES, len(head.expression))
    for frame, name in enumerate(("jawOpen", "mouthSmileLeft", "browInnerUp", "mouthPucker")):
        expression[frame, head.expression_names.index(name)] = 0.9
    gaze = (torch.rand(FRAMES, 1, 2, generator=generator) - 0.5).expand(-1, 2, -1) * 0.5
    turn = rotation_matrices(torch.randn(FRAMES, 3, generator=generator) * 0.3)
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ turn
    place = torch.tensor([[0.02], [-0.01], [0.6]]).expand(FRAMES, 3, 1)
    return Track(
        head=head.name,
        identity=identity,
        offsets=torch.zeros(len(head.template)),
        motion=Motion(expression, gaze, torch.zeros(FRAMES, 3)),
        head_to_camera=torch.cat([turn, place], dim=2),
        focal=500.0,
        size=SIZE,
        fps=25.0,
        times=torch.arange(FRAMES, dtype=torch.float64) / 25,
        landmarks=torch.zeros(FRAMES, 478, 2),
        found=torch.ones(FRAMES, dtype=torch.bool),
        doubt=torch.zeros(FRAMES),
        crop=torch.zeros(FRAMES, 2, 3),
    )


def seen(kit: FlameKit, track: Track) -> torch.Tensor:  # [T, 478, 2] pixels
    points = landmark_points(kit.head, head_vertices(kit.head, track.identity, track.motion))
    return camera(track, torch.arange(len(track))).project(points)[..., :2]


def test_the_kit_pairs_the_users_file_with_the_shipped_head(kit: FlameKit) -> None:
    jaw = kit.table.jaw[kit.table.names.index("jawOpen"), 0]
    assert float(jaw) == pytest.approx(JAW_OPEN_RAD, abs=0.02)
    assert float(kit.pairing.gap.median()) < 1e-3


def test_our_track_in_flames_codes_is_seen_at_the_same_pixels(kit: FlameKit, track: Track) -> None:
    flame_track = to_flame_track(kit, track)
    points = kit.pairing.points.on(track_vertices(kit.flame, flame_track), kit.flame.faces)
    pixels = flame_track.camera.project(points)[..., :2]
    off = (pixels - seen(kit, track)[:, :468]).norm(dim=2)
    eyes = (seen(kit, track)[:, 33] - seen(kit, track)[:, 263]).norm(dim=1)
    assert (off.median(dim=1).values / eyes < 0.01).all()
    assert float(flame_track.jaw[0, 0]) == pytest.approx(0.9 * JAW_OPEN_RAD, abs=0.03)


def test_a_track_comes_back_from_flames_codes(kit: FlameKit, track: Track) -> None:
    back = to_head_track(kit, to_flame_track(kit, track), 25.0)
    off = (seen(kit, back) - seen(kit, track)).norm(dim=2)
    eyes = (seen(kit, track)[:, 33] - seen(kit, track)[:, 263]).norm(dim=1)
    assert (off[:, :468].median(dim=1).values / eyes < 0.015).all()
    torch.testing.assert_close(back.motion.gaze, track.motion.gaze, atol=1e-3, rtol=0)
    opened = kit.head.expression_names.index("jawOpen")
    assert float(back.motion.expression[0, opened]) == pytest.approx(0.9, abs=0.1)
    torch.testing.assert_close(back.landmarks, seen(kit, back))
    assert back.crop[0, 0, 0] > 0


def test_a_moving_flame_head_becomes_a_moving_head(kit: FlameKit, generator) -> None:
    """Root, neck and translation all end up in the pose; the torso's turn in the neck."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.2

    pose = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0.7]])
    track = FlameTrack(
        shape=draw(50),
        expression=torch.zeros(FRAMES, 50),
        rotation=draw(FRAMES, 3),
        neck=draw(FRAMES, 3),
        jaw=torch.zeros(FRAMES, 3),
        eyes=torch.zeros(FRAMES, 2, 3),
        eyelids=torch.zeros(FRAMES, 2),
        translation=draw(FRAMES, 3) * 0.1,
        camera=views(pose.expand(FRAMES, 3, 4), pinhole(500, 500, 160, 120), SIZE),
        images=tuple(str(index) for index in range(FRAMES)),
    )
    for pivot in ("root", "origin"):
        track = replace(track, pivot=pivot)
        made = to_head_track(kit, track, 30.0)
        points = kit.pairing.points.on(track_vertices(kit.flame, track), kit.flame.faces)
        expected = track.camera.project(points)[..., :2]
        off = (made.landmarks[:, :468] - expected).norm(dim=2)
        assert float(off.median()) < 1.5
        np.testing.assert_allclose(made.motion.neck, track.neck)
    off_centre = replace(
        track, camera=views(pose.expand(FRAMES, 3, 4), pinhole(500, 500, 100, 120), SIZE)
    )
    with pytest.raises(InputError, match="principal point is 60 pixels"):
        to_head_track(kit, off_centre, 30.0)


def test_decas_answers_start_a_track(kit: FlameKit, generator) -> None:
    """Where DECA's own camera puts the face is where the track has it."""
    frames = 4
    codes = DecaCodes(
        torch.randn(1, 100, generator=generator).expand(frames, -1) * 0.5,
        torch.zeros(frames, 50),
        torch.randn(frames, 50, generator=generator) * 0.1,
        torch.randn(frames, 6, generator=generator) * torch.tensor([0.3] * 3 + [0.1, 0, 0]),
        torch.tensor([[8.0, 0.01, 0.02]]) + torch.randn(frames, 3, generator=generator) * 0.01,
        torch.zeros(frames, 9, 3),
    )
    box = torch.tensor([[500.0, 380.0, 300.0]]) + torch.randn(frames, 3, generator=generator) * 20
    size, focal = (720, 1280), 4000.0
    track = deca_flame_track(kit.flame, codes, box, size, focal)
    vertices = track_vertices(kit.flame, track)
    points = kit.pairing.points.on(vertices, kit.flame.faces)
    pixels = track.camera.project(points)[..., :2]
    expected = to_photo(project(points, codes.camera), box)
    apart = (expected[:, 33] - expected[:, 263]).norm(dim=1)
    assert ((pixels - expected).norm(dim=2).median(dim=1).values / apart < 0.03).all()
    made = start_from_deca(kit, codes, box, size, focal, 25.0)
    off = (made.landmarks[:, :468] - expected).norm(dim=2).median(dim=1).values
    assert (off / apart < 0.06).all()


def test_decas_encoder_is_shown_the_published_crop(generator) -> None:
    class Shown(nn.Module):
        def coarse(self, image: torch.Tensor) -> DecaCodes:
            self.image = image
            return split_codes(torch.zeros(len(image), 236))

    deca: Any = Shown()
    points = torch.rand(2, 68, 2, generator=generator) * 60 + 80
    photos = torch.rand(2, 3, 240, 250, generator=generator)
    codes, box = read_codes(deca, photos, points)
    assert codes.pose.shape == (2, 6) and torch.equal(box, crop_box(points))
    torch.testing.assert_close(deca.image, crop(photos, box))


@pytest.mark.parametrize("target", ["vhap", "metrical", "imavatar", "nha", "cap4d"])
def test_convert_there_and_back(
    kit: FlameKit, track: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any
) -> None:
    monkeypatch.setattr("avatars.formats.convert.load_kit", lambda folder: kit)
    (tmp_path / "own").mkdir()
    save_track(tmp_path / "own", track)
    name = {"imavatar": "a.json", "nha": "a.npz", "cap4d": "a.npz"}.get(target, "a")
    convert(ConvertOptions(tmp_path / "own", tmp_path / name, to=target))
    answer = convert(ConvertOptions(tmp_path / name, tmp_path / "back"))
    assert answer == f"wrote {tmp_path / 'back'}: {FRAMES} frames"
    if target == "imavatar":  # the file does not say how large its pictures are: 512 x 512
        return
    back = load_track(tmp_path / "back")
    off = (back.landmarks[:, :468] - seen(kit, track)[:, :468]).norm(dim=2)
    eyes = (seen(kit, track)[:, 33] - seen(kit, track)[:, 263]).norm(dim=1)
    assert (off.median(dim=1).values / eyes < 0.02).all()


def test_convert_writes_pictures_and_masks(
    kit: FlameKit, track: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng
) -> None:
    monkeypatch.setattr("avatars.formats.convert.load_kit", lambda folder: kit)
    frames = rng.integers(0, 255, (FRAMES, *SIZE, 3), np.uint8)
    write_video(tmp_path / "clip.mp4", frames)
    crop = torch.zeros(FRAMES, 2, 3, dtype=torch.float64)
    crop[:, 0, 0] = crop[:, 1, 1] = 256 / 200
    crop[:, :, 2] = -256 / 200 * torch.tensor([60.0, 20.0])
    track = replace(track, crop=crop)
    own = tmp_path / "own"
    (own / "masks").mkdir(parents=True)
    save_track(own, track)
    for number in range(FRAMES):
        cv2.imwrite(str(own / "masks" / f"{number:06d}.png"), np.full((256, 256), 255, np.uint8))
    options = ConvertOptions(own, tmp_path / "out", to="vhap", video=tmp_path / "clip.mp4")
    convert(options)
    mask = cv2.imread(str(tmp_path / "out" / "fg_masks" / "00003.png"), cv2.IMREAD_GRAYSCALE)
    assert mask is not None and mask.shape == SIZE
    rows, columns = np.nonzero(mask > 127)
    assert (columns.min(), columns.max()) == (60, 259) and (rows.min(), rows.max()) == (20, 219)
    assert len(list((tmp_path / "out" / "images").glob("*.png"))) == FRAMES
    write_video(tmp_path / "short.mp4", frames[:3])
    with pytest.raises(InputError, match="3 frames for 6"):
        convert(replace(options, out=tmp_path / "two", video=tmp_path / "short.mp4"))
    assert not (tmp_path / "two").exists()
    with pytest.raises(InputError, match="no known track"):
        read_any(tmp_path / "clip.mp4")
