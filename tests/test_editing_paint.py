"""What paint shows: where it lands, that nothing else changes, and the light on it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from dnr.asset import Asset
from dnr.clips import run_cameras
from dnr.editing.atlas import build_atlas
from dnr.editing.bake import highlight_and_ratio
from dnr.editing.lighting import lit_like_surroundings
from dnr.editing.live import LiveView
from dnr.editing.neighbours import neighbour_texels
from dnr.editing.poisson import solved
from dnr.editing.session import Session
from dnr.editing.shapes import Outline, Stroke, coverage
from dnr.editing.texels import REACH, add_colour, finest_colours, restore
from dnr.geometry.meshes import Mesh

VIEW = "images/0006.png"


@pytest.fixture
def session(finished_run: Path, tmp_path: Path) -> Session:
    return Session(Asset.load(finished_run), run_cameras(finished_run), tmp_path)


def test_atlas_inverts_the_interpolation_of_uvs(small_mesh: Mesh) -> None:
    """Each texel's point, found again as a mix of its face's corners, has the texel's uv."""
    atlas = build_atlas(small_mesh, 64)
    chosen = np.flatnonzero(atlas.inside)[::7]
    face = atlas.face[chosen]
    corners = small_mesh.vertices.numpy()[small_mesh.faces.numpy()[face]].astype(np.float64)
    uvs = small_mesh.uvs.numpy()[small_mesh.uv_faces.numpy()[face]].astype(np.float64)
    for point, triangle, uv, own in zip(
        atlas.position[chosen], corners, uvs, atlas.uv[chosen], strict=True
    ):
        weights = np.linalg.lstsq(np.vstack([triangle.T, np.ones(3)]), [*point, 1], rcond=None)[0]
        np.testing.assert_allclose(weights @ uv, own, atol=2e-4)


def test_coverage_agrees_with_drawing_finely() -> None:
    points = np.array([[10, 12], [40, 20], [30, 44]], np.float32)
    rows, columns = np.mgrid[0:60, 0:60]
    places = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1).astype(np.float32)
    unit = np.ones(len(places), np.float32)
    fine = np.zeros((960, 960), np.uint8)
    scaled = [np.round(points * 16).astype(np.int32)]
    cv2.fillPoly(fine, scaled, 255)
    expected = cv2.resize(fine, (60, 60), interpolation=cv2.INTER_AREA).ravel() / 255
    found = coverage(Outline(points, 0.0), places, unit)
    assert np.abs(found - expected).mean() < 0.005 and np.abs(found - expected).max() < 0.3
    fine[:] = 0
    cv2.polylines(fine, scaled, False, 255, thickness=2 * 5 * 16)
    expected = cv2.resize(fine, (60, 60), interpolation=cv2.INTER_AREA).ravel() / 255
    found = coverage(Stroke(points, 5.0, 1.0), places, unit)
    assert np.abs(found - expected).mean() < 0.01


def test_change_of_colour_is_exact_inside_and_nothing_outside(session: Session) -> None:
    texture, atlas = session.asset.texture, session.canvas.atlas
    before, levels = finest_colours(texture), [level.clone() for level in texture.colour_levels()]
    change = np.zeros_like(before)
    change[20:30, 22:27] = (0.3, -0.2, 0.1)
    known = atlas.slot.reshape(atlas.size, atlas.size) >= 0
    change[~known] = 0
    rows = add_colour(texture, change, known)
    after = finest_colours(texture)
    np.testing.assert_allclose((after - before)[known], change[known], atol=1e-5)
    far = (
        cv2.dilate((change != 0).any(axis=-1).astype(np.uint8), np.ones((4 * REACH + 1,) * 2)) == 0
    )
    assert (after[far & known] == before[far & known]).all() and (far & known).any()
    restore(texture, rows)
    assert all(torch.equal(a, b) for a, b in zip(levels, texture.colour_levels(), strict=True))


def test_paint_shows_in_the_view_where_it_was_put(session: Session) -> None:
    camera = session.canvas.cameras[VIEW]
    before = session.asset.render(camera)
    dab = {"op": "paint", "view": VIEW, "shape": "circle", "centre": [34, 22], "radius": 7}
    session.apply(dab | {"colour": [0.9, 0.05, 0.9], "lighting": "flat"})
    difference = (session.asset.render(camera) - before)[0].numpy()
    rows, columns = np.mgrid[0 : camera.size[0], 0 : camera.size[1]]
    away = np.hypot(columns + 0.5 - 34, rows + 0.5 - 22)
    assert np.abs(difference).max(axis=0)[away < 4].min() > 0.1
    assert np.abs(difference).max(axis=0)[away > 7 + 6].max() < 0.02
    shown = session.asset.render(camera)[0].numpy()[:, away < 4]
    np.testing.assert_allclose(np.median(shown, axis=1), [0.9, 0.05, 0.9], atol=0.12)


def test_a_live_view_shows_what_a_render_shows(session: Session) -> None:
    camera = session.canvas.cameras[VIEW]
    live = LiveView(session.asset, camera)
    for x in (24, 36):
        seen = len(session.canvas.history)
        dab = {"op": "paint", "view": VIEW, "shape": "circle", "centre": [x, 22], "radius": 5}
        session.apply(dab | {"colour": "#20d040", "lighting": "flat"})
        rows = [row for before in session.canvas.history[seen:] for row in before.rows]
        assert 0 < live.refresh(rows)
        assert torch.equal(live.image, session.asset.render(camera))


def test_labels_limit_edits(session: Session) -> None:
    lasso = {"by": "shape", "view": VIEW, "shape": "circle", "centre": [30, 24], "radius": 8}
    session.apply({"op": "label", "name": "nose", "select": lasso})
    marked = session.canvas.label > 0
    session.apply(
        {"op": "fill", "select": {"by": "label", "name": "nose"}, "colour": "#ffffff",
         "lighting": "flat"}
    )  # fmt: skip
    canvas = session.canvas
    changed = (canvas.shown != canvas.first_shown).any(axis=1)
    assert marked.any() and (changed == marked).all()
    session.undo()
    session.undo()
    assert not session.canvas.label.any() and not session.canvas.labels


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"by": "normal", "direction": [0, 0, 2], "within_deg": 40}, lambda p, n: n[:, 2] > 0.766),
        ({"by": "height", "axis": "x", "from": 0.2}, lambda p, n: p[:, 0] >= 0.2),
        ({"by": "height", "to": 0, "invert": True}, lambda p, n: p[:, 2] > 0),
        (
            {
                "by": "both",
                "of": [{"by": "height", "from": 0}, {"by": "height", "axis": "y", "from": 0}],
            },
            lambda p, n: (p[:, 2] >= 0) & (p[:, 1] >= 0),
        ),
    ],
)
def test_selections_by_geometry(session: Session, selection: dict, expected) -> None:  # type: ignore
    session.apply({"op": "select", "name": "it", "select": selection})
    atlas = session.canvas.atlas
    found = session.canvas.selections["it"] > 0.5
    assert (found == expected(atlas.position, atlas.normal)).mean() > 0.999


def test_growing_goes_over_seams_as_far_as_asked(session: Session) -> None:
    """On a sphere the grown cap ends at the cap's height plus the distance, in every chart."""
    cap = {"by": "height", "from": 0.8}
    diameter = session.canvas.original.mesh.diameter()
    session.apply({"op": "select", "name": "it", "select": cap | {"grow": 0.3 / diameter}})
    atlas = session.canvas.atlas
    angle = np.arccos(np.clip(atlas.position[:, 2] / np.linalg.norm(atlas.position, axis=1), -1, 1))
    # A chord of 0.3, with the turned normal as a detour of the same length again.
    reach = np.arccos(0.8) + 2 * np.arcsin(0.3 / 2 / np.hypot(1, 0.3))
    found = session.canvas.selections["it"] > 0.5
    wrong = found != (angle < reach)
    assert np.abs(angle[wrong] - reach).max(initial=0) < 4 * atlas.spacing
    assert len(set(atlas.chart[found])) > 1


def test_neighbours_join_all_charts_of_a_sphere(small_mesh: Mesh) -> None:
    atlas = build_atlas(small_mesh, 64)
    beside = neighbour_texels(atlas)
    rows, side = np.nonzero(beside >= 0)
    others = beside[rows, side]
    length = np.linalg.norm(atlas.position[rows] - atlas.position[others], axis=1)
    graph = coo_array((length, (rows, others)), (len(beside), len(beside)))
    inside = np.flatnonzero(atlas.inside)
    away = dijkstra(graph.tocsr(), directed=False, indices=inside[0])[inside]
    assert np.isfinite(away).mean() > 0.99
    # Paths along a grid are longer than the great circle, by at most a factor of sqrt(2) or so.
    points = atlas.position / np.linalg.norm(atlas.position, axis=1, keepdims=True)
    circle = np.arccos(np.clip(points[inside] @ points[inside[0]], -1, 1))
    known = np.isfinite(away)
    assert (away[known] < 1.6 * circle[known] + 0.3).all()


def test_poisson_fills_a_hole_with_the_harmonic_function() -> None:
    """x^2 - y^2 is harmonic on a grid: from its rim alone it must come back."""
    side = 14
    row, column = np.divmod(np.arange(side * side), side)
    beside = np.stack(
        [
            np.where(ok, (row + down) * side + column + right, -1)
            for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1))
            for ok in [
                (row + down >= 0) & (row + down < side)
                & (column + right >= 0) & (column + right < side)
            ]
        ],
        axis=1,
    )  # fmt: skip
    truth = ((column**2 - row**2) / 50).astype(np.float32)[:, None]
    inside = np.flatnonzero((row > 2) & (row < 11) & (column > 3) & (column < 12))
    holed = truth.copy()
    holed[inside] = 9
    found = solved(beside, inside, holed, np.zeros_like(truth))
    np.testing.assert_allclose(found, truth[inside], atol=1e-3)
    # With the truth as a guide and another rim the whole comes back, shifted.
    found = solved(beside, inside, holed + 1, truth)
    np.testing.assert_allclose(found, truth[inside] + 1, atol=1e-3)


def test_light_on_paint_keeps_its_mean_colour() -> None:
    rng = np.random.default_rng(0)
    shading, share = rng.random((50, 3)) + 0.2, rng.random(50)
    colour = np.broadcast_to(np.array([0.5, 0.3, 0.2]), (50, 3))
    lit = lit_like_surroundings(shading, colour, share)
    mean = (lit * share[:, None]).sum(axis=0) / share.sum()
    np.testing.assert_allclose(mean, [0.5, 0.3, 0.2], rtol=1e-5)
    np.testing.assert_allclose(lit[3] / lit[4], shading[3] / shading[4], rtol=1e-5)


def test_a_photo_splits_into_light_and_highlight() -> None:
    rng = np.random.default_rng(0)
    diffuse = cv2.resize(rng.random((6, 8, 3)).astype(np.float32) * 0.5 + 0.2, (80, 60))
    light = np.linspace(0.7, 1.1, 80, dtype=np.float32)[None, :, None]
    glare = np.zeros((60, 80, 1), np.float32)
    glare[30:34, 40:44] = 0.4
    highlight, ratio = highlight_and_ratio(diffuse * light + glare, diffuse)
    assert np.abs(ratio - light)[12:-12, 12:-12].max() < 0.06
    assert np.abs(highlight - glare)[12:-12, 12:-12].mean() < 0.02
