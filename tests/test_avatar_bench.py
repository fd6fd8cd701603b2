"""The benchmark of avatars: movements are compared with the truth, tables show all rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_avatars import toy_performance

from avatars.heads.files import load_head
from avatars.synthetic.film import Truth
from benchmarks import avatars
from benchmarks.avatars import followed, tables


def test_movements_are_compared_with_the_drivers_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is seen to do what the driver does follows in everything that moves."""
    head = load_head()
    driver, other = toy_performance(head, 40), toy_performance(head, 40, seed=3)
    seen = SimpleNamespace(identity=other.identity, motion=driver.motion)
    monkeypatch.setattr(avatars, "track_video", lambda *_, **__: seen)
    arrays = (field.double().numpy() for field in driver.motion)
    truth = Truth(driver.identity.double().numpy(), np.zeros(1), *arrays, *[np.zeros(1)] * 5)
    figures = followed(truth, tmp_path / "made.mp4", tmp_path / "track")
    assert {"jaw_open", "blink_left", "blink_right", "gaze_yaw"} <= set(figures)
    assert min(figures.values()) > 0.98
    still = driver.motion._replace(gaze=torch.zeros_like(driver.motion.gaze))
    seen.motion = still._replace(gaze=still.gaze + 0.01 * torch.rand(40, 2, 2))
    assert followed(truth, tmp_path / "made.mp4", tmp_path / "track")["gaze_yaw"] < 0.6


def test_tables_hold_every_row() -> None:
    stamp = {"commit": "c", "date": "2026-11-20", "machine": "m"}
    sections = {
        "self": [{"avatar": "me", "preset": "best", "steps": 9, "psnr": 25.123} | stamp],
        "driven": [{"avatar": "me", "driver": "you", "detected": 1.0} | stamp],
        "speed": [{"avatar": "me", "driver": "you", "frames": 50, "rate": 17.25} | stamp],
    }
    text = tables(sections)
    assert "| me | best | 9 | 25.12 |" in text and "| me | you | 1 |" in text
    assert "17.25" in text and "Made-up actors" not in text
