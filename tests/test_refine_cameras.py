"""Cameras that are a little wrong are brought back by their photos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.meshes import Mesh
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.training import refine_cameras as refinement
from dnr.training.parallax import face_frames
from dnr.training.refine_cameras import refine_cameras

SCENE = SceneConfig(
    "still-life", size=(96, 128), num_train=12, num_test=3, texture_size=256, supersampling=2
)


def moved(camera: Camera, rng: np.random.Generator, far: float, pixels: float) -> Camera:
    """Turned and shifted by about so many pixels each."""
    size = pixels / float(camera.intrinsics[0, 0, 0])
    step = np.concatenate([rng.normal(0, size, 6), [0.0]])
    return refinement._after(camera, step, far)


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinement, "PIXELS", 6000)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mesh, Photos]:
    folder = tmp_path_factory.mktemp("captures") / "still-life"
    write_capture(folder, SCENE)
    capture = load_capture(folder)
    return load_capture_mesh(capture)[0], prepare_photos(capture, folder / "prepared")


def test_perturbed_cameras_find_back(scene: tuple[Mesh, Photos]) -> None:
    mesh, true = scene
    rng = np.random.default_rng(1)
    far = float((true.cameras[0].position[0] - mesh.vertices.mean(dim=0)).norm())
    wrong = [
        moved(camera, rng, far, 0.7) if split == "train" else camera
        for camera, split in zip(true.cameras, true.splits, strict=True)
    ]
    found, note = refine_cameras(mesh, replace(true, cameras=wrong), seed=0)
    assert "refined" in note

    def errors(cameras: list[Camera], split: str) -> np.ndarray:
        """Pixels between the pictures of true and other cameras."""
        rows = []
        for index, own in enumerate(true.splits):
            if own == split:
                sight = refinement._sight(mesh, true.cameras[index], true, index, 0)
                rows.append(refinement._moved_px(sight, true.cameras[index], cameras[index]))
        return np.array(rows)

    before, after = errors(wrong, "train"), errors(found.cameras, "train")
    print(f"cameras off by {before.mean():.2f} px, then {after.mean():.2f}; held out "
          f"{errors(found.cameras, 'test').mean():.2f}")  # fmt: skip
    assert before.mean() > 0.9 and after.mean() < 0.4 * before.mean()
    assert errors(found.cameras, "test").max() == 0, "they were right, and nothing was shared"


def test_a_motion_of_all_cameras_is_told_to_held_out_ones(scene: tuple[Mesh, Photos]) -> None:
    """As when mesh and cameras come from different programs."""
    mesh, true = scene
    shift = torch.tensor([0.012, -0.008, 0.01])
    found, _ = refine_cameras(mesh.moved(mesh.vertices + shift), true, seed=0)
    ways = torch.cat([c.position for c in found.cameras]) - torch.cat(
        [c.position for c in true.cameras]
    )
    held_out = torch.tensor([split == "test" for split in true.splits])
    # Texture slides along with the cameras, so that they follow the mesh slowly.
    assert float((ways[held_out] - shift).norm(dim=1).max()) < 0.75 * float(shift.norm())


def test_colours_change_with_the_camera_as_finite_differences_say(tmp_path: Path) -> None:
    """A tilted plane that fills the picture, so that every pixel keeps seeing the same face."""
    corners = torch.tensor([[-9.0, -9, 0], [9, -9, 2], [9, 9, 3], [-9, 9, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    uvs = torch.tensor([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])
    corners[3] = corners[0] + corners[2] - corners[1]  # flat
    mesh = Mesh(corners, faces, uvs, faces, faces)
    places = torch.tensor([[1.0, -2, 6], [0.5, 0.3, 1], [0, 1, 0]])  # from, to, up
    pose = look_at(places[:1], places[1], places[2])
    size = (40, 56)
    camera = Camera(pose, intrinsics_from_fov(40, size, pose), size)
    pixels = np.full((*size, 5), 255, np.uint8)
    np.save(tmp_path / "0.npy", pixels)
    photos = Photos([tmp_path / "0.npy"], [camera], ["a"], ["train"])
    texture = refinement.Pyramid((8,), 3, always=9).requires_grad_(False)
    texture.texels.copy_(torch.rand(64, 3, generator=torch.Generator().manual_seed(3)))
    texture.level(0).copy_(texture.level(0).cumsum(0) / 8)

    def colours(seen_by: Camera) -> np.ndarray:
        sight = refinement._sight(mesh, seen_by, photos, 0, 0)
        assert len(sight.face) == size[0] * size[1]
        return refinement._error(texture, sight, np.ones(3, np.float32))[0].astype(np.float64)

    sight = refinement._sight(mesh, camera, photos, 0, 0)
    motion = refinement._motion_of_colour(camera, sight, face_frames(mesh), texture)
    far, tiny = float(refinement._depth(camera, sight).mean()), 2e-3
    for parameter, step in enumerate(tiny * np.eye(7)):
        ends = [colours(refinement._after(camera, sign * step, far)) for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * tiny)
        # Lookups are bilinear: pixels whose texel changes on the way have no single slope.
        error = np.abs(motion[:, :, parameter] - expected)
        assert np.quantile(error, 0.9) < 0.03 * np.abs(expected).mean(), parameter


def test_right_cameras_stay(scene: tuple[Mesh, Photos]) -> None:
    mesh, true = scene
    found, note = refine_cameras(mesh, true, seed=0)
    sights = [refinement._sight(mesh, true.cameras[i], true, i, 0) for i in range(len(true))]
    ways = [
        refinement._moved_px(*three)
        for three in zip(sights, true.cameras, found.cameras, strict=True)
    ]
    print(note)
    assert np.mean(ways) < 0.1
