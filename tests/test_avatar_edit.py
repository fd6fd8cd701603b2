"""Paint on avatars: kept under any motion, taken off to the last bit."""

import json
from pathlib import Path

import pytest
import torch
from toy_avatars import toy_performance, toy_run

from avatars.avatar.edit import edit_avatar
from avatars.avatar.files import load_avatar
from avatars.avatar.paint import light_on, look_up_paint
from avatars.heads.files import load_head
from avatars.transfer.performance import Frame
from dnr.errors import InputError


def test_paint_is_as_bright_as_the_frame() -> None:
    """A picture twice as bright as its texture has paint twice as bright."""
    texture = torch.full((1, 3, 24, 32), 0.3)
    hit = torch.ones(1, 1, 24, 32, dtype=torch.bool)
    hit[..., 20:] = False
    light = light_on(2 * texture, texture, hit)
    torch.testing.assert_close(light, 2.0 * hit)


def test_paint_lies_where_the_texture_does() -> None:
    paint = torch.zeros(3, 8, 8)
    paint[:, 1, 6] = 1  # second row from the top: high v
    uv = torch.tensor([[6.5 / 8, 6.5 / 8], [6.5 / 8, 1.5 / 8]])
    torch.testing.assert_close(look_up_paint(paint, uv)[:, 0], torch.tensor([1.0, 0.0]))


MARK = {"op": "paint", "view": "front", "shape": "circle", "centre": [256, 300], "radius": 40}
MARK |= {"colour": "#00ff00", "lighting": "flat"}


def recipe(folder: Path, *operations: dict[str, object]) -> Path:
    path = folder / "recipe.json"
    path.write_text(json.dumps({"version": 1, "operations": operations}))
    return path


def test_an_avatar_wears_paint_under_any_motion_and_takes_it_off(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    toy_run(run)
    edit_avatar(run, recipe(tmp_path, MARK), tmp_path / "painted")
    edit_avatar(tmp_path / "painted", None, tmp_path / "back", undo=1)
    performance = toy_performance(load_head())
    plain, painted, back = (
        load_avatar(path).avatar for path in (run, tmp_path / "painted", tmp_path / "back")
    )
    for number in (0, 9, 17):
        moment = performance.frames(slice(number, number + 1))
        frame = Frame(moment.motion, moment.head_to_camera)
        before, after, undone = (each.render(frame) for each in (plain, painted, back))
        change = (after.image - before.image)[0]
        green = change[1] - change[[0, 2]].amax(dim=0) > 0.1
        assert 20 < green.sum() < 0.2 * green.numel()
        assert torch.equal(after.alpha, before.alpha)
        assert (change.abs().amax(dim=0) < 1e-6).float().mean() > 0.6
        torch.testing.assert_close(undone.image, before.image, rtol=0, atol=0)
    texture = tmp_path / "painted" / "edits" / "texture.png"
    assert texture.is_file() and (texture.parent / "captured" / "texture.png").is_file()


def test_parts_of_a_head_cannot_be_moved(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    toy_run(run)
    part = {"by": "part", "number": 0}
    bad = recipe(tmp_path, MARK, {"op": "duplicate", "by": [0, 0, 1], "select": part})
    with pytest.raises(InputError, match=r"operation 2 \(duplicate\): parts of a head"):
        edit_avatar(run, bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()
