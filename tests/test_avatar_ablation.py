"""The ablation of avatars: rows are kept, and tables show what each part is worth."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatars.training.options import AvatarOptions
from benchmarks import avatar_ablation
from benchmarks.avatar_ablation import FIGURES, TRIALS, WHOLE, AvatarAblation, ablate
from benchmarks.readme import measured
from benchmarks.results import Results
from dnr.files import write_json


def test_rows_are_measured_once_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def tracked(video: Path, out: Path, options: object) -> None:
        out.mkdir(parents=True, exist_ok=True)

    def train(options: AvatarOptions) -> None:
        trained.append(options)
        assert (options.out / "cache" / "track").is_dir()
        worse = bool(options.ablate) + 2 * (not options.refine)
        test = {key: 0.9 - 0.1 * worse if "ssim" in key else 25 - worse for key in FIGURES}
        write_json(options.out / "metrics.json", {"test": test})

    monkeypatch.setattr(avatar_ablation, "track_video", tracked)
    monkeypatch.setattr(avatar_ablation, "train_avatar", train)
    options = AvatarAblation(tmp_path / "me.mp4", tmp_path / "results", steps=3, size=64)
    text = ablate(options)
    assert len(trained) == len(TRIALS) and trained[0].steps == 3 and not trained[-1].refine
    assert f"| {WHOLE} | 25.00 |" in text
    assert "| no mouth inside | 24.00 (-1.00) | 24.00 (-1.00) | 0.800 (-0.100) |" in text
    assert "| track from landmarks only | 23.00 (-2.00) |" in text
    assert ablate(options) == text and len(trained) == len(TRIALS)
    rows = Results.open(tmp_path / "results" / "avatar_ablation.json").sections["avatars"]
    assert {row["video"] for row in rows} == {"me.mp4"}
    assert "worth: me.mp4, 64 px, 3 steps" in measured(tmp_path / "results")
