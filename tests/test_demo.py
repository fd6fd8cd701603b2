"""The demo, in small: it makes everything, says so, and picks up after any interruption."""

from pathlib import Path

import pytest

from dnr import demo as module
from dnr.demo import demo
from dnr.errors import InputError
from dnr.synthetic.config import SceneConfig
from dnr.video import read_frames

SMALL = SceneConfig("still-life", (32, 40), 5, 2, texture_size=128, proxy_faces=400)


def test_the_demo_can_be_repeated_and_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "SCENE", SMALL)
    monkeypatch.setattr(module, "MINUTES", 0.005)
    out = tmp_path / "demo"
    demo(out)
    first = capsys.readouterr().out
    for name in ("report/index.html", "turntable.mp4"):
        assert str(out / name) in first
        assert (out / name).is_file()
    assert len(list(read_frames(out / "turntable.mp4"))) == 120
    assert '<video src="../turntable.mp4"' in (out / "report" / "index.html").read_text()
    before = (out / "weights.safetensors").stat().st_mtime_ns
    demo(out)
    again = capsys.readouterr().out
    assert "was there already" in again
    assert first in again.replace(f"This was there already; remove {out} to train again.\n", "")
    assert (out / "weights.safetensors").stat().st_mtime_ns == before
    (out / "asset.json").unlink()  # as if it had been stopped just before the end
    demo(out)
    assert (out / "asset.json").is_file()


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in (".", "file"):
        with pytest.raises(InputError, match="remove it or name another folder by --out"):
            demo(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
