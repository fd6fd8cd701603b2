"""What the benchmark of capturing measures, on figures whose distances are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import capture
from benchmarks.capture_truth import (
    EVERY,
    camera_errors,
    chamfer,
    laid_over,
    similarity,
    visible_points,
)
from dnr.capture.folder import View
from dnr.geometry.cameras import Camera
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.viewpoints import aim, band

TURN = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
SHIFT = np.array([5.0, -2, 1])


def views(cameras: Camera, folder: str) -> list[View]:
    nothing = (0.0, 0.0, 0.0, 0.0, 0.0)
    return [
        View(f"{folder}/{k:02d}.png", Path(), None, cameras[k], nothing, "train")
        for k in range(len(cameras))
    ]


def test_cameras_in_another_frame_have_the_errors_that_were_put_in() -> None:
    true = aim(band(8, -0.8, 0.8) * 2.0, np.zeros(3), 40.0, (60, 80))
    assert camera_errors(views(true, "a"), views(true, "b")).centre < 1e-12
    matrix = true.world_to_camera.clone()
    matrix[:, :3, :3] = true.world_to_camera[:, :3, :3] @ torch.tensor(TURN.T)
    centre = 3 * true.position @ torch.tensor(TURN.T) + torch.tensor(SHIFT)
    matrix[:, :3, 3] = -(matrix[:, :3, :3] @ centre[..., None])[..., 0]
    nod = torch.eye(3, dtype=torch.float64)  # each looks a degree too low
    angle = torch.deg2rad(torch.tensor(1.0))
    nod[1, 1] = nod[2, 2] = torch.cos(angle)
    nod[1, 2], nod[2, 1] = -torch.sin(angle), torch.sin(angle)
    matrix[:, :3] = nod @ matrix[:, :3]
    lens = true.intrinsics * torch.tensor([1.02, 1.02, 1.0])[:, None]
    found = camera_errors(views(Camera(matrix, lens, true.size), "a"), views(true, "b"))
    assert found.centre < 1e-7 and found.fitted.scale == pytest.approx(1 / 3)
    assert found.rotation_deg == pytest.approx(1.0, abs=1e-3)
    assert found.focal == pytest.approx(0.02)


def test_points_that_cameras_see_and_their_distance(rng: np.random.Generator) -> None:
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    above = aim(np.array([[0.3, 0.1, 3.0]]), np.array([0.3, 0.0, 0.0]), 50.0, (60, 60))
    seen = visible_points(corners, faces, [above])
    assert np.abs(seen[:, 2]).max() < 1e-5 and np.abs(seen[:, :2]).max() <= 1.001
    assert len(seen) > 180 * 180 / 4 / EVERY
    low = seen - [0, 0, 0.1]
    assert chamfer(low, seen) == pytest.approx(0.1, rel=1e-3)
    ball = rng.normal(size=(4000, 3)) * [1, 2, 3]
    askew = 1.05 * ball + [0.1, 0, 0]
    assert chamfer(laid_over(askew, ball), ball) < 0.1 * chamfer(askew, ball)
    fitted = similarity(ball, 2 * ball @ TURN.T + SHIFT)
    assert np.allclose(fitted.of(ball), 2 * ball @ TURN.T + SHIFT)


def test_rows_become_columns_and_are_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def figures(config: SceneConfig, seconds: float, out: Path) -> dict[str, object]:
        measured.append(config.scene)
        return {"scene": config.scene, "dB": len(measured)}

    monkeypatch.setattr(capture, "measure_scene", figures)
    capture.bench(capture.CaptureBench(("room",), out=tmp_path))
    text = capture.bench(capture.CaptureBench(("room", "sphere"), out=tmp_path))
    assert measured == ["room", "sphere"]
    assert text.startswith("| scene | room | sphere |") and "| dB | 1 | 2 |" in text
