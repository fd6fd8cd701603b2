"""Edit recipes and the stack: order, undo to the last bit, replay, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dnr.asset import Asset
from dnr.clips import run_cameras
from dnr.editing.recipe import load_recipe, mesh_hash
from dnr.editing.runs import edit_run
from dnr.editing.session import Session
from dnr.errors import InputError
from dnr.tensor_files import load_tensors

DAB = {
    "op": "paint",
    "view": "images/0006.png",
    "shape": "circle",
    "centre": [30, 24],
    "radius": 6,
    "colour": "#d02010",
    "lighting": "flat",  # what "keep" needs takes a second
}
TURN = {"op": "recolour", "hue_deg": 90, "select": {"by": "chart", "number": 2}}
SHEET = {
    "op": "gradient",
    "space": "uv",
    "from": [0, 0],
    "to": [1, 1],
    "colours": ["#ff0000", "#0000ff"],
}


@pytest.fixture
def session(finished_run: Path, tmp_path: Path) -> Session:
    asset = Asset.load(finished_run)
    return Session(asset, run_cameras(finished_run), tmp_path)


def weights(asset: Asset) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in asset.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_undo_is_bit_identical_and_redo_too(session: Session) -> None:
    states = [weights(session.asset)]
    for operation in (DAB, TURN, SHEET):
        session.apply(operation)
        states.append(weights(session.asset))
    assert not same(states[0], states[1]) and not same(states[1], states[2])
    for expected in (2, 1, 0):
        session.undo()
        assert same(weights(session.asset), states[expected])
    for expected in (1, 2, 3):
        session.redo()
        assert same(weights(session.asset), states[expected])


def test_any_way_to_the_same_stack_gives_the_same_bits(
    session: Session, finished_run: Path, tmp_path: Path
) -> None:
    for operation in (SHEET, DAB, TURN):
        session.apply(operation)
    session.move(0, 2)
    session.toggle(1)
    session.set_opacity(0, 0.5)
    straight = Session(Asset.load(finished_run), run_cameras(finished_run), tmp_path)
    for operation in (DAB | {"opacity": 0.5}, TURN | {"enabled": False}, SHEET):
        straight.apply(operation)
    assert same(weights(session.asset), weights(straight.asset))
    session.toggle(1)
    session.remove(1)
    assert same(weights(session.asset), weights(straight.asset))


def test_opacity_zero_and_disabled_change_nothing(session: Session) -> None:
    before = weights(session.asset)
    session.apply(SHEET | {"enabled": False})
    assert same(before, weights(session.asset))


def test_a_refused_change_leaves_the_stack_as_it_was(session: Session) -> None:
    session.apply({"op": "select", "name": "lid", "select": {"by": "chart", "number": 1}})
    session.apply(TURN | {"select": "lid"})
    before, operations = weights(session.asset), list(session.operations)
    with pytest.raises(InputError, match=r"operation 1 \(recolour\).*lid"):
        session.move(1, 0)  # the selection is used before it is made
    assert same(before, weights(session.asset)) and session.operations == operations
    with pytest.raises(InputError, match="operation 3"):
        session.apply(DAB | {"radius": -1})
    assert same(before, weights(session.asset)) and session.operations == operations


def recipe_file(folder: Path, *operations: dict[str, Any], **more: Any) -> Path:
    path = folder / "recipe.json"
    path.write_text(json.dumps({"version": 1, "operations": operations} | more))
    return path


def test_edited_runs_hold_what_was_captured_and_undo_it(finished_run: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (8, 4), (0, 200, 0, 255)).save(tmp_path / "leaf.png")
    decal = {"op": "decal", "space": "uv", "image": "leaf.png", "centre": [0.3, 0.3], "width": 0.2}
    mine = recipe_file(tmp_path, DAB, decal)
    edit_run(finished_run, mine, tmp_path / "one")
    (tmp_path / "leaf.png").unlink()  # the run has its own copy
    edit_run(tmp_path / "one", recipe_file(tmp_path, TURN), tmp_path / "two")
    edit_run(tmp_path / "two", None, tmp_path / "back", undo=1)
    edit_run(tmp_path / "two", None, tmp_path / "start", undo=3)
    stored = [load_tensors(tmp_path / name / "weights.safetensors") for name in ("one", "back")]
    assert same(*stored)
    start = load_tensors(tmp_path / "start" / "weights.safetensors")
    assert same(start, load_tensors(finished_run / "weights.safetensors"))
    kept = tmp_path / "two" / "edits" / "captured" / "weights.safetensors"
    assert kept.read_bytes() == (finished_run / "weights.safetensors").read_bytes()
    assert not same(start, stored[0])
    operations = json.loads((tmp_path / "two" / "edits" / "recipe.json").read_text())["operations"]
    assert [operation["op"] for operation in operations] == ["paint", "decal", "recolour"]
    mesh = Asset.load(tmp_path / "two").mesh
    assert load_recipe(tmp_path / "two" / "edits" / "recipe.json", mesh) == operations


BAD: list[tuple[str, dict[str, Any]]] = [
    (r"operation 2 \(paintt\): op must be one of", DAB | {"op": "paintt"}),
    (r"operation 2 \(paint\): radius must be a number", DAB | {"radius": "wide"}),
    (r"operation 2 \(paint\): radius must be a number from", DAB | {"radius": float("1e9")}),
    (r"operation 2 \(paint\): 'colur' means nothing", DAB | {"colur": 1}),
    (r"operation 2 \(paint\): colour is missing", {k: DAB[k] for k in DAB if k != "colour"}),
    (r"operation 2 \(paint\): view 'nowhere.png' is not a photo", DAB | {"view": "nowhere.png"}),
    (
        r"operation 2 \(gradient\): to must be a number from 0 to 1, got '1.5'",
        SHEET | {"to": [1, 1.5]},
    ),
    (r"operation 2 \(decal\): the image .* is missing", {"op": "decal", "image": "no.png"}),
    (r"operation 2 \(decal\): image .* outside", {"op": "decal", "image": "../no.png"}),
    (
        r"operation 2 \(decal\): .*is not a picture",
        {"op": "decal", "image": "recipe.json", "space": "uv", "centre": [0.5, 0.5], "width": 0.1},
    ),
    (
        r"operation 2 \(recolour\): select.*part.*|operation 2 \(recolour\): select is empty",
        TURN | {"select": {"by": "part", "number": 99}},
    ),
    (r"operation 2 \(recolour\): no selection is saved as 'lid'", TURN | {"select": "lid"}),
    (r"operation 2 \(paint\): it paints nothing", DAB | {"centre": [-500, 0]}),
    (r"operation 2 must be an object", ["paint"]),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("words", "operation"), BAD)
def test_bad_operations_are_one_sentence_with_their_number(
    finished_run: Path, tmp_path: Path, words: str, operation: dict[str, Any]
) -> None:
    path = recipe_file(tmp_path, SHEET, operation)
    with pytest.raises(InputError, match=words) as refusal:
        edit_run(finished_run, path, tmp_path / "out")
    assert len(str(refusal.value)) < 400
    assert sorted(item.name for item in tmp_path.iterdir()) == ["recipe.json"]


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("version", lambda value: value.update(version=2)),
        ("another mesh", lambda value: value.update(mesh="0" * 32)),
        ("means nothing", lambda value: value.update(layers=[])),
        ("list of 1", lambda value: value.update(operations=[])),
    ],
)
def test_bad_recipes_are_one_sentence(
    finished_run: Path, tmp_path: Path, words: str, change: Callable[[dict[str, Any]], object]
) -> None:
    value = {"version": 1, "operations": [DAB]}
    change(value)
    (tmp_path / "recipe.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=words):
        edit_run(finished_run, tmp_path / "recipe.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_mesh_of_a_recipe_is_checked_by_its_content(finished_run: Path, tmp_path: Path) -> None:
    mesh = Asset.load(finished_run).mesh
    path = recipe_file(tmp_path, DAB, mesh=mesh_hash(mesh))
    assert load_recipe(path, mesh) == [DAB]
    with pytest.raises(InputError, match="another mesh"):
        load_recipe(path, mesh.moved(mesh.vertices * 1.01))


def test_lists_of_texels_and_pictures_of_the_texture_agree(session: Session) -> None:
    atlas = session.canvas.atlas
    picture = atlas.image(np.arange(1, len(atlas.index) + 1))
    assert (picture.reshape(-1)[atlas.index] == np.arange(1, len(atlas.index) + 1)).all()
    row, column = np.nonzero(picture)
    uv = np.stack([(column + 0.5) / atlas.size, 1 - (row + 0.5) / atlas.size], axis=1)
    np.testing.assert_allclose(atlas.uv, uv, atol=1e-6)
