"""The generated scenes against closed forms: geometry, light, charts, files."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from dnr.geometry.cameras import Camera
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.primitives import (
    BOX,
    CYLINDER,
    DISC,
    NUM_CHARTS,
    SPHERE,
    chart_coordinates,
    facing_charts,
    intersect,
    surface_points,
)
from dnr.synthetic.proxy import build_proxy
from dnr.synthetic.render import render_view
from dnr.synthetic.scene import Light, Material, Scene, Sky, Solid
from dnr.synthetic.scenes import assemble, build_scene, build_views
from dnr.synthetic.sketch import Sketch
from dnr.synthetic.viewpoints import aim

SMALL = SceneConfig(size=(45, 61), num_train=3, num_test=2, texture_size=256, proxy_faces=3000)
WHITE = (1.0, 1.0, 1.0)


def bare(*solids: Solid, colour: float = 0.5, **rest) -> Scene:
    """A scene of evenly grey solids."""
    painters = {
        solid.name: lambda chart, st, points, rng: np.full((*st.shape[:2], 3), colour, np.float32)
        for solid in solids
    }
    nowhere = lambda count, size, rng: aim(np.zeros((0, 3)), np.zeros(3), 40.0, size)  # noqa: E731
    settings = {"lights": (), "flash": WHITE, "ambient": (0.0, 0.0, 0.0)} | rest
    sketch = Sketch(solids, painters, train_views=nowhere, test_views=nowhere, **settings)
    return assemble(sketch, SMALL)


def ball(material: Material = Material(), name: str = "ball") -> Solid:  # noqa: B008
    return Solid(name, SPHERE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), material)


def looking(position: tuple[float, float, float], size=(101, 141), fov: float = 50.0) -> Camera:
    return aim(np.array([position]), np.zeros(3), fov, size)


def inside(kind: int, points: np.ndarray) -> np.ndarray:
    """Which points lie in the solid: the definitions, without any ray."""
    if kind == SPHERE:
        return (points**2).sum(-1) < 1
    if kind == BOX:
        return np.abs(points).max(-1) < 1
    return ((points[..., :2] ** 2).sum(-1) < 1) & (np.abs(points[..., 2]) < 1)


@pytest.mark.parametrize("kind", [SPHERE, BOX, CYLINDER])
def test_rays_stop_where_the_solid_begins(kind):
    rng = np.random.default_rng(kind)
    steps = np.linspace(0, 8, 16001)
    hits = 0
    for trial in range(60):
        origin = rng.normal(size=3) * (0.3 if trial % 4 == 0 else 2.0)
        direction = rng.normal(size=3) * 0.3 - origin
        direction /= np.linalg.norm(direction)
        within = inside(kind, origin + steps[:, None] * direction)
        changes = np.flatnonzero(within[1:] != within[:-1])
        found = intersect(kind, tuple(origin), tuple(direction))
        if len(changes) == 0:
            continue  # a graze between two steps cannot be told from a miss
        hits += 1
        assert found == pytest.approx(steps[changes[0]] + 2.5e-4, abs=3e-4)
    assert hits > 30
    assert intersect(kind, (3.0, 0.0, 0.0), (1.0, 0.0, 0.0)) == np.inf
    assert intersect(kind, (3.0, 1.2, 0.0), (-1.0, 0.0, 0.0)) == np.inf


def test_disc_ends_at_its_rim():
    assert intersect(DISC, (0.6, 0.79, 2.0), (0.0, 0.0, -1.0)) == 2.0
    assert intersect(DISC, (0.6, 0.81, 2.0), (0.0, 0.0, -1.0)) == np.inf


@pytest.mark.parametrize("kind", [SPHERE, BOX, CYLINDER, DISC])
def test_charts_go_forth_and_back_and_are_not_mirrored(kind):
    rng = np.random.default_rng(0)
    for chart in range(NUM_CHARTS[kind]):
        st = 0.2 + 0.6 * rng.random((50, 2))
        points = surface_points(kind, chart, st)
        charts = np.full(len(st), chart)
        np.testing.assert_allclose(chart_coordinates(kind, charts, points), st, atol=1e-12)
        along_s = surface_points(kind, chart, np.add(st, (1e-6, 0))) - points
        along_t = surface_points(kind, chart, np.add(st, (0, 1e-6))) - points
        normal = np.cross(along_s, along_t)
        assert (facing_charts(kind, normal) == chart).all()


def test_sphere_has_its_depth_and_its_outline():
    scene, distance = bare(ball()), 3.2
    camera = looking((0.0, -distance, 0.0))
    view = render_view(scene, camera)
    assert view.depth[50, 70] == pytest.approx(distance - 1, abs=1e-6)
    focal_px = float(camera.intrinsics[0, 0, 0])
    radius_px = focal_px * math.tan(math.asin(1 / distance))
    assert view.object_mask.sum() == pytest.approx(math.pi * radius_px**2, rel=0.01)
    # Every depth, against the sphere's own equation.
    rows, columns = np.nonzero(view.object_mask)
    x, y = (columns + 0.5 - 70.5) / focal_px, (rows + 0.5 - 50.5) / focal_px
    z = view.depth[rows, columns]
    local = np.stack([x * z, y * z, z - distance], axis=1)
    np.testing.assert_allclose(np.linalg.norm(local, axis=1), 1.0, atol=1e-6)
    assert (view.image[~view.object_mask][:50] == 0).all()


def test_highlight_is_in_the_mirror_direction():
    light = Light((30.0, -20.0, 45.0), WHITE)
    shiny = Material(specular=1.0, shininess=400.0)
    eye = np.array([0.5, -3.0, 0.4])
    camera = looking((0.5, -3.0, 0.4), (121, 101))
    image = render_view(bare(ball(shiny), colour=0.0, lights=(light,)), camera).image
    row, column = np.unravel_index(image.sum(axis=2).argmax(), image.shape[:2])
    # The point where incidence equals exit, found without the renderer: walk along the sphere.
    normal = np.array([0.0, -1.0, 0.0])
    for _ in range(50):
        ways = [np.array(light.position) - normal, eye - normal]
        half = sum(way / np.linalg.norm(way) for way in ways)
        normal = half / np.linalg.norm(half)
    expected = camera.project(torch.from_numpy(normal)[None])[0, 0]
    assert abs(column + 0.5 - expected[0]) <= 1 and abs(row + 0.5 - expected[1]) <= 1


def test_diffuse_light_follows_lambert():
    light = Light((0.0, -1e6, 0.0), (0.8, 0.6, 0.4))
    view = render_view(bare(ball(), lights=(light,)), looking((0.0, -3.0, 0.0)))
    assert view.image[50, 70] == pytest.approx([0.4, 0.3, 0.2], abs=1e-3)
    assert view.image[50, 80, 0] < 0.995 * view.image[50, 70, 0]


def test_ball_casts_a_soft_shadow_on_the_table():
    table = Solid("table", DISC, (0.0, 0.0, -1.3), (3.0, 3.0, 1.0), Material())
    light = Light((0.0, 0.0, 6.0), WHITE, radius=0.3)
    scene = bare(ball(), table, lights=(light,), ambient=(0.1, 0.1, 0.1), ambient_reach=1.0)
    camera = looking((0.0, -5.0, 1.0), (120, 160))

    def at(x: float) -> float:
        place = torch.tensor([[x, -0.4, -1.3]], dtype=torch.float64)
        column, row, depth = camera.project(place)[0, 0].tolist()
        view = render_view(scene, camera)
        assert view.depth[int(row), int(column)] == pytest.approx(depth, rel=0.05)
        return float(view.image[int(row), int(column), 0])

    # The edge of the shadow of a point light: a cone that touches the ball.
    edge = 7.3 * math.tan(math.asin(1 / 6))
    umbra, penumbra, lit = at(0.7), at(math.sqrt(edge**2 - 0.4**2)), at(2.2)
    assert umbra < 0.06 < lit
    assert umbra + 0.05 < penumbra < lit - 0.05


@pytest.mark.parametrize("row", [40, 25, 14])  # from the middle to a grazing view
def test_mirror_shows_the_sky_by_schlick(row):
    sky = Sky((0.2, 0.0, 0.0), (0.2, 0.3, 0.0), (0.2, 0.3, 0.9))
    scene = bare(ball(Material(mirror=0.1)), colour=0.0, sky=sky)
    camera = looking((0.0, -3.0, 0.0))
    view = render_view(scene, camera, supersampling=1)
    focal_px, column = float(camera.intrinsics[0, 0, 0]), 70
    out = view.depth[row, column] * (50.5 - row - 0.5) / focal_px  # height of the point
    normal = np.array([0.0, view.depth[row, column] - 3.0, out])
    way = normal - np.array([0.0, -3.0, 0.0])
    way /= np.linalg.norm(way)
    cosine = -float(normal @ way)
    height = way[2] + 2 * cosine * normal[2]
    share = 0.1 + 0.9 * (1 - cosine) ** 5
    blend = math.sqrt(abs(height))
    green, blue = (0.3, 0.9 * blend) if height > 0 else (0.3 * (1 - blend), 0.0)
    expected = np.multiply(share, [0.2, green, blue])
    assert view.image[row, column] == pytest.approx(expected, rel=1e-4)


def test_flash_sits_at_the_camera():
    config = dataclasses.replace(SMALL, light="camera", size=(101, 101))
    scene = build_scene(config)
    assert scene.lights == () and scene.visibility.shape[-1] == 1
    shiny = ball(Material(specular=1.0, shininess=200.0))
    flashed = dataclasses.replace(bare(shiny, colour=0.0), flash=WHITE)
    for eye in ((0.0, -3.0, 0.1), (2.0, 1.0, 2.0)):
        image = render_view(flashed, looking(eye, (101, 101))).image[..., 0]
        assert np.unravel_index(image.argmax(), image.shape) == (50, 50)


@pytest.mark.parametrize("name", ["sphere", "still-life", "room"])
def test_uv_of_the_mesh_are_those_of_the_ray_caster(name):
    config = dataclasses.replace(SMALL, scene=name, texture_size=512, proxy_faces=20_000)
    scene = build_scene(config)
    mesh = build_proxy(scene, config)
    assert len(mesh) == pytest.approx(20_000, rel=0.1)
    camera = build_views(config)[0][1].resized((180, 244))
    view = render_view(scene, camera, supersampling=1)
    # Face centres that the camera sees must carry the uv of the pixel they fall into.
    corners = mesh.vertices[mesh.faces].double()
    uv = mesh.uvs[mesh.uv_faces].mean(dim=1).numpy()
    column, row, depth = camera.project(corners.mean(dim=1))[0].T.numpy()
    shown = (depth > 0) & (column >= 0) & (row >= 0) & (column < 244) & (row < 180)
    column, row, depth, uv = (x[shown] for x in (column.astype(int), row.astype(int), depth, uv))
    seen = np.abs(view.depth[row, column] - depth) < 0.01
    difference = np.abs(view.uv[row, column] - uv)[seen].max(axis=1)
    assert seen.sum() > 1000
    assert np.quantile(difference, 0.97) < 0.01  # a pixel is about this wide; seams are apart
    agreement = mesh.normals()[mesh.normal_faces].mean(dim=1).norm(dim=1)
    assert agreement.min() > 0.9


def test_uv_inside_triangles_are_true_to_tessellation():
    scene = build_scene(SMALL)
    mesh = build_proxy(scene, SMALL)
    rng = np.random.default_rng(3)
    faces = rng.integers(0, len(mesh), 500)
    weights = torch.from_numpy(rng.dirichlet(np.ones(3), 500)).float()
    points = (weights[..., None] * mesh.vertices[mesh.faces[faces]]).sum(dim=1).double().numpy()
    uv = (weights[..., None] * mesh.uvs[mesh.uv_faces[faces]]).sum(dim=1).numpy()
    charts = facing_charts(SPHERE, points)
    st = chart_coordinates(SPHERE, charts, points)
    left, top, right, bottom = scene.rectangles[charts].T
    expected = np.stack(
        [left + st[:, 0] * (right - left), 256 - bottom + st[:, 1] * (bottom - top)]
    )
    assert np.abs(expected.T / 256 - uv).max() < 0.2 / 256  # a fifth of a texel


def test_colours_are_looked_up_at_the_uv_that_is_reported():
    size = SMALL.texture_size
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    ramp = np.stack([(columns + 0.5) / size, 1 - (rows + 0.5) / size, np.ones_like(rows)], axis=-1)
    box = Solid("box", BOX, (0.1, 0.2, 0.0), (0.7, 0.5, 0.9), Material(), turn_deg=25)
    for solid in (ball(), box):
        scene = dataclasses.replace(bare(solid, ambient=WHITE), albedo=ramp)
        scene = dataclasses.replace(scene, flash=None)
        view = render_view(scene, looking((2.0, -2.0, 1.5)), supersampling=1)
        found = view.image[..., :2] / view.image[..., 2:].clip(1e-3)
        difference = np.abs(found - view.uv)[view.object_mask]
        assert difference.max() < 0.51 / size  # half a texel where lookups stop at a chart's edge
        assert np.quantile(difference, 0.9) < 1e-5


def test_edited_albedo_changes_its_own_pixels_only():
    scene = build_scene(SMALL)
    camera = build_views(SMALL)[0][0].resized((90, 122))
    left, top, right, bottom = scene.rectangles[0]
    edited = scene.albedo.copy()
    edited[top:bottom, left:right] = 1 - edited[top:bottom, left:right]
    before = render_view(scene, camera, supersampling=1)
    after = render_view(dataclasses.replace(scene, albedo=edited), camera, supersampling=1)
    low, high = np.array([left, 256 - bottom]) / 256, np.array([right, 256 - top]) / 256
    touched = before.object_mask & ((before.uv >= low) & (before.uv <= high)).all(axis=-1)
    changed = (before.image != after.image).any(axis=-1)
    assert touched.sum() > 100 and (changed & ~touched).sum() == 0
    assert changed[touched].mean() > 0.9
