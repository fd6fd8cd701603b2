"""A made-up person's film becomes an avatar, and another one's film drives it."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from avatars.reenact.command import reenact
from avatars.reenact.options import ReenactOptions
from avatars.synthetic.film import VIDEO, FilmOptions, film
from avatars.training.evaluation import evaluate_avatar
from avatars.training.options import AvatarOptions
from avatars.training.run import train_avatar
from dnr.errors import InputError


@pytest.mark.slow
def test_film_to_avatar_to_film(tmp_path: Path) -> None:
    for actor, seed in (("A", 0), ("B", 1)):
        film(tmp_path / actor, FilmOptions(actor=actor, frames=40, seed=seed, size=160))  # type: ignore[arg-type]
    me, you = tmp_path / "A" / VIDEO, tmp_path / "B" / VIDEO
    run, out = tmp_path / "run", tmp_path / "out.mp4"
    options = {"source": me, "out": run, "steps": 8, "size": 96, "refine": False}
    with pytest.raises(InputError, match="agreement"):
        train_avatar(AvatarOptions(**options))  # type: ignore[arg-type]
    assert not run.exists()
    train_avatar(AvatarOptions(**options, yes=True))  # type: ignore[arg-type]
    for name in ("asset.json", "weights.safetensors", "mesh.npz", "metrics.json", "held_out.mp4"):
        assert (run / name).is_file(), name
    assert "data:image" in (run / "report" / "index.html").read_text()
    scores = json.loads((run / "metrics.json").read_text())
    assert scores["test"]["psnr_person_masked"] > 20 and scores["test"]["detected"] > 0.9
    assert set(scores["test"]) <= set(scores["definition"])
    again = evaluate_avatar(run, None, "test", "cpu")  # type: ignore[arg-type]
    assert again["test"]["psnr"] == pytest.approx(scores["test"]["psnr"], abs=0.05)
    reenact(ReenactOptions(source=run, driving=you, out=out, side_by_side=True))
    with av.open(str(out)) as made, av.open(str(you)) as driver:
        assert made.streams.audio and driver.streams.audio
        times = [float(frame.time or 0) for frame in made.decode(video=0)]
        assert times == pytest.approx(
            [float(f.time or 0) for f in driver.decode(video=0)], abs=1e-3
        )
