"""Motion without a video, LivePortrait's templates; and films that can be laid over others."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from toy_avatars import SIZE, toy_performance, toy_run

from avatars.avatar.files import load_avatar
from avatars.film.mark import marked
from avatars.formats.liveportrait import PortraitMotion, write_motion
from avatars.heads.files import load_head
from avatars.heads.head import at_rest, landmark_points
from avatars.reenact.avatar_actor import cut_outs, pictures
from avatars.reenact.command import reenact
from avatars.reenact.options import ReenactOptions
from avatars.transfer.driver import load_motion
from avatars.transfer.performance import save_performance
from dnr.errors import InputError

FRAMES = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_run(tmp_path_factory.mktemp("avatar"))


def template(has_openings: bool = True) -> PortraitMotion:
    """Somebody who turns to the picture's right and back, talks, and blinks once."""
    time = torch.arange(FRAMES) / FRAMES
    turns = 0.3 * torch.sin(math.pi * time)
    # A face that looks at the camera looks along -z; turning it about y (down) by a positive
    # angle takes that to the picture's left, so this one is negative.
    columns = Rotation.from_rotvec(np.outer(-turns.numpy(), [0, 1, 0])).as_matrix()
    lids = torch.full((FRAMES, 2), 0.3)
    lids[5] = 0.0
    lips = 0.3 * torch.sin(2 * math.pi * time) ** 2
    return PortraitMotion(
        torch.full((FRAMES,), 1.4),
        torch.from_numpy(columns).float().transpose(1, 2),  # for row vectors
        torch.zeros(FRAMES, 21, 3),
        torch.zeros(FRAMES, 3),
        lids if has_openings else None,
        lips if has_openings else None,
        25.0,
    )


def test_a_template_says_turns_lids_and_lips(tmp_path: Path) -> None:
    path, wanted, head = tmp_path / "talk.pkl", template(), load_head()
    write_motion(path, wanted)
    performance, notes = load_motion(path)
    assert "only LivePortrait" in notes[0] and len(performance) == FRAMES
    nose = performance.head_to_camera[:, :, 2]  # where the head's z, out of the face, points to
    assert torch.allclose(nose[0], torch.tensor([0.0, 0.0, -1.0]), atol=1e-5)
    most = int(nose[:, 0].abs().argmax())
    assert most == FRAMES // 2 and float(nose[most, 0]) == pytest.approx(math.sin(0.3), abs=1e-3)
    shape = at_rest(head, performance.identity)
    moved = shape + torch.tensordot(performance.motion.expression, head.expression, dims=1)
    points = landmark_points(head, moved)
    assert wanted.lip_opening is not None
    gap = (points[:, 13] - points[:, 14]).norm(dim=1)
    together = torch.stack([gap, wanted.lip_opening])
    assert float(torch.corrcoef(together)[0, 1]) > 0.98
    eyes = (points[:, 159] - points[:, 145]).norm(dim=1)
    assert int(eyes.argmin()) == 5 and float(eyes[5]) < 0.3 * float(eyes[4])


def test_a_template_drives_an_avatar(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "turn.pkl", tmp_path / "out.mp4"
    write_motion(path, template(has_openings=False))
    reenact(ReenactOptions(source=run, out=out, driving=path))
    assert "only turns of the head" in capsys.readouterr().out
    with av.open(str(out)) as film:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    assert len(frames) == FRAMES and np.abs(frames[0] - frames[6]).mean() > 1
    path.write_bytes(b"not a pickle")
    with pytest.raises(InputError, match=r"turn\.pkl"):
        reenact(ReenactOptions(source=run, out=out, driving=path, yes=True))


def test_cut_outs_over_the_background_are_the_picture(run: Path) -> None:
    saved = load_avatar(run)
    frame = toy_performance(saved.avatar.head, 3).frame(1)
    cut = cut_outs(saved)(frame).astype(float)
    alpha = cut[..., 3:] / 255
    over = cut[..., :3] * alpha + saved.around.plate * (1 - alpha)
    apart = np.abs(over - pictures(saved, None)(frame))
    assert apart[alpha[..., 0] > 0].max() <= 3 and apart.max() <= 0.05 * 255
    assert alpha[2, 2] == 0 and alpha.max() == 1 and (cut[2, 2] == 0).all()


def test_transparent_films_have_alpha(run: Path, tmp_path: Path) -> None:
    motion, out = tmp_path / "motion.npz", tmp_path / "out.mov"
    save_performance(motion, toy_performance(load_head(), FRAMES))
    options = {"source": run, "driving": motion, "background": "transparent", "mark": True}
    reenact(ReenactOptions(out=out, **options))  # type: ignore[arg-type]
    with av.open(str(out)) as film:
        assert film.streams.video[0].codec_context.name == "prores"
        frames = [frame.to_ndarray(format="rgba") for frame in film.decode(video=0)]
    assert len(frames) == FRAMES and frames[0].shape == (SIZE, SIZE, 4)
    assert frames[3][2, 2, 3] == 0 and frames[3][SIZE // 2, SIZE // 2, 3] == 255
    assert frames[3][-3, 2, 3] == 255  # the mark is seen over anything
    with pytest.raises(InputError, match="belong together"):
        ReenactOptions(out=tmp_path / "out.mp4", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="belong together"):
        ReenactOptions(source=run, driving=motion, out=out)


def test_the_mark_leaves_the_rest_transparent() -> None:
    clear = np.zeros((50, 80, 4), np.uint8)
    image = marked(clear)
    assert (image[:20] == 0).all() and image[45:, :20, 3].min() == 255
    assert (image[..., :3] == marked(clear[..., :3])).all()
