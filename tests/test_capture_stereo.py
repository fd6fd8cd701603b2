"""Depth from several photos: costs, planes, confirmation and completion."""

import numpy as np
import pytest
import torch

from dnr.capture.agreement import votes
from dnr.capture.blank_areas import spanned_depth
from dnr.capture.depth_maps import completed, confirmed_depth
from dnr.capture.neighbours import find_neighbourhoods
from dnr.capture.patch_cost import SAMPLES, SIDE, STEP, read_window, source_cost
from dnr.capture.patch_match import Planes, match_planes
from dnr.capture.sparse_points import SparsePoints, triangulate_features
from dnr.capture.stereo_views import StereoView, halved
from dnr.errors import InputError
from dnr.geometry.cameras import look_at

HEIGHT, WIDTH, FOCAL = 60, 76, 90.0
NORMAL, OFFSET = np.array([0.3, -0.2, -1.0]), -4.0  # the plane n x = d: tilted, about 4 away


def pattern(points: np.ndarray) -> np.ndarray:
    """Grey values on the plane, without repetition."""
    x, y = points[..., 0], points[..., 1]
    value = np.sin(7 * x + 2 * np.sin(3 * y)) + np.sin(9 * y + 3 * np.sin(2.3 * x + 1))
    return (0.5 + 0.2 * value + 0.1 * np.sin(17 * (x - 0.7 * y))).clip(0, 1)


def nothing(like: np.ndarray) -> np.ndarray:
    """A depth map that knows nothing."""
    return np.zeros_like(like)


def plane_view(position: tuple[float, float, float]) -> StereoView:
    """The tilted plane as a pinhole at `position` sees it, by intersecting every pixel's ray."""
    target = torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64)
    at = torch.tensor([position], dtype=torch.float64)
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    intrinsics = np.array([[FOCAL, 0, WIDTH / 2 + 1], [0, FOCAL, HEIGHT / 2 - 2], [0, 0, 1]])
    whole = np.ones((HEIGHT, WIDTH), bool)
    blank = np.zeros((HEIGHT, WIDTH), np.float32)
    view = StereoView(blank, whole, ~whole, intrinsics, look_at(at, target, up)[0].numpy())
    grey = pattern(view.centre + view.rays() * true_depth(view)[..., None])
    return view._replace(grey=grey.astype(np.float32))


def true_depth(view: StereoView) -> np.ndarray:
    """Depth of the plane behind every pixel."""
    return (OFFSET - NORMAL @ view.centre) / (view.rays() @ NORMAL)


@pytest.fixture(scope="module")
def views() -> list[StereoView]:
    places = [(0, 0, 0), (0.5, 0, 0), (-0.5, 0.1, 0), (0.1, 0.5, 0.1), (-0.3, -0.4, 0.2)]
    return [plane_view(place) for place in places]


@pytest.fixture(scope="module")
def planes(views: list[StereoView]) -> dict[int, Planes]:
    around = [[view for view in views if view is not own] for own in views]
    pairs = zip(views, around, strict=True)
    found = [match_planes(view, others, 2.0, 10.0, seed=3) for view, others in pairs]
    return dict(enumerate(found))


def test_cost_of_a_window_is_one_minus_the_weighted_correlation(rng) -> None:
    """Against NumPy's own covariance, for a shift by whole pixels."""
    grey = rng.random((30, 41), dtype=np.float32)
    other = rng.random((33, 37), dtype=np.float32)
    values, weights = np.empty(SAMPLES, np.float32), np.empty(SAMPLES, np.float32)
    mean, variance = read_window(grey, 14, 18, values, weights)
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    cost = source_cost(
        values, weights, mean, variance, np.append(other.ravel(), np.float32(0)), 33, 37,
        *[(x, y, z) for x, y, z in np.array([[20.5, 12.5, 1], [1, 0, 0], [0, 1, 0]], np.float32)],
    )  # fmt: skip
    offsets = np.arange(SIDE) * STEP - (SIDE - 1) * STEP // 2
    here = grey[np.ix_(14 + offsets, 18 + offsets)].ravel()
    there = other[np.ix_(12 + offsets, 20 + offsets)].ravel()
    both = np.cov(here, there, aweights=weights, ddof=0)
    expected = 1 - both[0, 1] / np.sqrt((both[0, 0] + 1e-4) * (both[1, 1] + 1e-4))
    assert cost == pytest.approx(expected, abs=1e-4)


def test_a_window_that_leaves_the_photo_costs_most(rng) -> None:
    grey = rng.random((30, 41), dtype=np.float32)
    values, weights = np.empty(SAMPLES, np.float32), np.empty(SAMPLES, np.float32)
    mean, variance = read_window(grey, 14, 18, values, weights)
    flat = np.append(grey.ravel(), np.float32(0))
    step = np.eye(3, dtype=np.float32)
    for start in ((4.0, 14.5, 1.0), (18.5, 27.0, 1.0), (18.5, 14.5, -1.0)):
        lines = [(x, y, z) for x, y, z in np.stack([start, *step[:2]]).astype(np.float32)]
        cost = source_cost(values, weights, mean, variance, flat, 30, 41, *lines)
        assert cost == 1


def test_planes_find_the_depth_and_the_tilt_of_a_textured_plane(views, planes) -> None:
    inner = np.s_[8:-8, 8:-8]
    for view, found in zip(views, planes.values(), strict=True):
        truth = true_depth(view)
        error = np.abs(1 / found.inverse[..., 0] - truth) / truth
        assert np.median(error[inner]) < 0.001
        assert (error[inner] < 0.01).mean() > 0.97
        for axis, change in ((1, found.inverse[..., 1]), (0, found.inverse[..., 2])):
            error = np.abs(change - np.gradient(1 / truth, axis=axis))
            assert np.median(error[inner]) < 0.02 / FOCAL, "slope of inverse depth, about a degree"


def test_the_same_seed_gives_the_same_planes(views, planes) -> None:
    again = match_planes(views[0], views[1:], 2.0, 10.0, seed=3)
    np.testing.assert_array_equal(again.inverse, planes[0].inverse)


def test_confirmed_depths_are_true_and_cover_what_several_views_see(views, planes) -> None:
    depth = confirmed_depth(0, views, planes, [1, 2, 3, 4])
    truth = true_depth(views[0])
    known = depth > 0
    assert known[8:-8, 8:-8].mean() > 0.95
    error = np.abs(depth - truth)[known] / truth[known]
    assert np.median(error) < 0.001
    assert np.percentile(error, 95) < 0.01, "two views may agree on a wrong depth at the border"


def test_a_view_with_a_wrong_camera_confirms_nothing(views, planes) -> None:
    """Depths of a camera that is moved by a tenth of the distance must not be averaged in."""
    moved = views[1].world_to_camera.copy()
    moved[1, 3] += 0.4
    wrong = views[1]._replace(world_to_camera=moved)
    depth = confirmed_depth(
        0, [views[0], wrong, wrong], {0: planes[0], 1: planes[1], 2: planes[1]}, [1, 2]
    )
    assert (depth > 0).mean() < 0.05


def test_completion_keeps_what_is_known_and_continues_it() -> None:
    """Inverse depth of a plane is linear on screen; a hole in it is filled between its rims."""
    row, column = np.mgrid[:40, :56]
    truth = (1 / (0.2 + 0.001 * column + 0.002 * row)).astype(np.float32)
    depth = truth.copy()
    depth[12:20, 30:41] = 0
    depth[:, :5] = 0
    found = completed(depth, nothing(depth), np.full(truth.shape, 100, np.float32))
    np.testing.assert_array_equal(found.depth[depth > 0], truth[depth > 0])
    np.testing.assert_array_equal(found.trust == 1, depth > 0)
    error = np.abs(found.depth / truth - 1)
    assert error[:, 5:].max() < 0.015, "between its rims"
    assert error[:, :5].max() < 0.08, "beyond the rim nothing is known of the slope"
    near = completed(depth, nothing(depth), np.full(truth.shape, 3.9, np.float32))
    assert near.depth[depth == 0].max() <= np.float32(3.9)


def test_gaps_between_near_and_far_continue_the_far_side() -> None:
    depth = np.full((32, 48), 4, np.float32)
    depth[:, :20], depth[:, 20:28] = 1, 0
    found = completed(depth, nothing(depth), np.full(depth.shape, 100, np.float32)).depth
    assert np.median(found[:, 20:28]) > 2.5
    assert np.median(found[:, 24:28]) > 3.5


def test_blank_areas_on_a_plane_are_spanned_exactly_and_steps_are_not(views) -> None:
    truth = true_depth(views[0]).astype(np.float32)
    depth = truth.copy()
    depth[15:40, 20:50] = 0
    found = spanned_depth(depth)
    np.testing.assert_allclose(found[15:40, 20:50], truth[15:40, 20:50], rtol=1e-4)
    assert not found[depth > 0].any()
    depth[:, :30] /= 2
    across = spanned_depth(depth)[15:40, 20:50] / truth[15:40, 20:50]
    assert ((across == 0) | (abs(across - 0.5) < 0.01) | (abs(across - 1) < 0.01)).all()
    assert (across == 0).any(), "no surface from near to far"
    assert not spanned_depth(nothing(depth)).any()


def test_views_vote_for_the_same_surface_and_against_what_hides_it(views) -> None:
    truths = [true_depth(view).astype(np.float32) for view in views]
    own = truths[0].copy()
    own[20:30, 30:40] *= 0.8  # in front of what the others saw
    own[40:50, 30:40] *= 1.2  # behind it: hidden from them
    own[5:9, 5:9] = 0
    said = votes(0, views, own, truths, [1, 2, 3, 4])
    assert (said.through[21:29, 31:39] == 4).all() and not said.agreeing[21:29, 31:39].any()
    assert not said.through[41:49, 31:39].any() and not said.agreeing[41:49, 31:39].any()
    assert np.median(said.agreeing[30:40, 30:40]) == 4
    assert not said.agreeing[5:9, 5:9].any() and not said.through[5:9, 5:9].any()


def test_sources_leave_no_part_of_a_photo_out() -> None:
    """Beside many views of the left half, the only one that shows the right half is taken."""
    middle = plane_view((0, 0, 0))
    crowd = [plane_view((-1.2 - 0.2 * k, 0.1 * k, 0.5)) for k in range(12)]
    alone = plane_view((1.4, 0, 0.5))
    views = [middle, *crowd, alone]
    rng = np.random.default_rng(0)
    points = np.stack([rng.uniform(-1.5, 1.5, 2000), rng.uniform(-1, 1, 2000)], axis=1)
    depth = (OFFSET - points @ NORMAL[:2]) / NORMAL[2]
    crowded = np.concatenate([points, depth[:, None]], axis=1)
    crowded = crowded[(points[:, 0] < 0.2) | (np.arange(2000) % 20 == 0)]
    found = SparsePoints(crowded, np.full((len(crowded), 2), -1))
    assert 13 in find_neighbourhoods(views, found)[0].sources[:3]


def test_completion_of_nothing_is_the_far_end() -> None:
    far = np.full((7, 9), 5.0, np.float32)
    found = completed(nothing(far), nothing(far), far)
    np.testing.assert_array_equal(found.depth, far)
    assert found.trust.max() < 0.1


def test_halved_views_show_the_same_points(views, rng) -> None:
    points = np.array([0, 0, 4.0]) + 0.3 * rng.normal(size=(50, 3))
    whole, half = views[1].project(points), halved(views[1]).project(points)
    np.testing.assert_allclose(half[:, :2] * 2, whole[:, :2], rtol=1e-12)


def test_features_of_known_cameras_lie_on_the_surface(views) -> None:
    points = triangulate_features(views)
    away = np.abs(points.positions @ NORMAL - OFFSET) / np.linalg.norm(NORMAL)
    assert len(points.positions) > 100
    assert np.percentile(away, 90) < 0.08
    places = find_neighbourhoods(views, points)
    truth = true_depth(views[0])
    assert places[0].nearest < truth.min() and places[0].farthest > truth.max()
    assert 0 not in places[0].sources and len(set(places[0].sources)) == 4


def test_blank_photos_from_one_line_of_sight_are_refused(views) -> None:
    blank = [view._replace(grey=np.full_like(view.grey, 0.5)) for view in views]
    same = [view._replace(world_to_camera=views[0].world_to_camera) for view in blank]
    with pytest.raises(InputError, match="too few details"):
        find_neighbourhoods(same, triangulate_features(same))


def test_a_stray_point_at_infinity_widens_no_range_of_depths(views) -> None:
    points = triangulate_features(views)
    plain = find_neighbourhoods(views, points)
    away = views[0].centre + np.array([[0.01, 0.0, 1.0]]) * 1e12
    pairs = np.concatenate([points.pairs, [[0, 1]]])
    stray = SparsePoints(np.concatenate([points.positions, away]), pairs)
    for before, after in zip(plain, find_neighbourhoods(views, stray), strict=True):
        assert after.farthest < 1.2 * before.farthest and after.nearest > 0.9 * before.nearest
