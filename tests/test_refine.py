"""Moving a wrong mesh to where its photos agree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import prepare_photos
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.meshes import Mesh
from dnr.geometry.smoothing_groups import make_mesh
from dnr.geometry.subdivision import subdivided
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.textures.pyramid import Pyramid
from dnr.textures.slope import uv_slope
from dnr.training import refine
from dnr.training.parallax import face_frames, offset_gradient, slid_uv


def bumpy_sheet(rng: np.random.Generator) -> Mesh:
    """A sheet of 2 x 8 x 8 triangles that is not flat, with uvs that are stretched and sheared."""
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)), axis=-1)
    points = grid.reshape(-1, 2)
    height = 0.1 * rng.normal(size=len(points))
    vertices = torch.from_numpy(np.column_stack([points, height])).float()
    index = np.arange(81).reshape(9, 9)
    a, b, c, d = (
        x.reshape(-1) for x in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    )
    faces = torch.from_numpy(np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
    uvs = torch.from_numpy(0.5 + points @ np.array([[0.3, 0.05], [-0.1, 0.4]])).float()
    return make_mesh(vertices, faces, uvs, faces)


@pytest.fixture
def sheet(rng: np.random.Generator) -> tuple[Mesh, Camera]:
    position = torch.tensor([[0.8, -0.5, 3.0]])
    matrix = look_at(position, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    return bumpy_sheet(rng), Camera(matrix, intrinsics_from_fov(40, (40, 56), position), (40, 56))


def seen(mesh: Mesh, camera: Camera, rows: torch.Tensor) -> dict[str, np.ndarray]:
    fragments = rasterize(mesh.vertices, mesh.faces, camera)
    surface = interpolate(fragments, mesh, camera)
    fields = {"face": fragments.face_id, "weights": fragments.barycentric}
    fields |= {"uv": surface.uv, "view": surface.view}
    return {k: v.reshape(-1, *v.shape[3:])[rows].numpy() for k, v in fields.items()}


def test_texture_slides_as_rasterising_the_moved_mesh_says(sheet, rng: np.random.Generator) -> None:
    mesh, camera = sheet
    flat = mesh.moved(mesh.vertices * torch.tensor([1.0, 1.0, 0.0]))
    # Along the one normal, because vertices that move within the sheet take their uvs along.
    offsets = np.zeros((81, 3), np.float32)
    offsets[:, 2] = 1e-3 * rng.normal(size=81)
    moved = flat.moved(flat.vertices + torch.from_numpy(offsets))
    before, after = (rasterize(m.vertices, m.faces, camera).face_id for m in (flat, moved))
    rows = ((before == after) & (before >= 0)).reshape(-1).nonzero()[:, 0]
    assert len(rows) > 500
    start, truth = seen(flat, camera, rows), seen(moved, camera, rows)["uv"]
    slid = np.empty_like(truth)
    inputs = (start["face"], start["weights"], start["view"], start["uv"], offsets)
    slid_uv(*inputs, *face_frames(flat), slid)
    unmoved = np.abs(start["uv"] - truth).max()
    assert unmoved > 1e-4
    assert np.abs(slid - truth).max() < 0.02 * unmoved


def test_gradients_of_sliding_are_those_of_differences(sheet, rng: np.random.Generator) -> None:
    mesh, camera = sheet
    rows = (rasterize(mesh.vertices, mesh.faces, camera).face_id >= 0).reshape(-1).nonzero()[:, 0]
    points, frames = seen(mesh, camera, rows), face_frames(mesh)
    towards = rng.normal(size=points["uv"].shape).astype(np.float32)
    gradient = np.zeros((81, 3), np.float32)
    offset_gradient(points["face"], points["weights"], points["view"], towards, *frames, gradient)

    def total(offsets: np.ndarray) -> float:
        out = np.empty_like(points["uv"])
        inputs = (points["face"], points["weights"], points["view"], points["uv"])
        slid_uv(*inputs, offsets.astype(np.float32), *frames, out)
        return float((out.astype(np.float64) * towards).sum())

    step = rng.normal(size=gradient.shape)  # sliding is linear in the offsets: any step will do
    expected = (total(step) - total(-step)) / 2
    assert abs(float((gradient * step).sum()) - expected) < 1e-3 * np.abs(gradient * step).sum()


def test_slope_is_the_autograd_gradient_of_the_lookup(generator: torch.Generator) -> None:
    pyramid = Pyramid((64, 32, 16), 3, always=17)
    pyramid.texels.data.normal_(generator=generator)
    uv = torch.rand(500, 2, generator=generator).requires_grad_()
    footprint = 0.05 * torch.rand(500, 1, generator=generator)
    towards = torch.randn(500, 3, generator=generator)
    (expected,) = torch.autograd.grad(pyramid.sample(uv, footprint), uv, towards)
    slope = np.empty((500, 2), np.float32)
    texels, sizes = pyramid.texels.detach().numpy(), np.array(pyramid.sizes)
    lookups = (uv.detach().numpy(), footprint.numpy(), towards.numpy())
    uv_slope(texels, sizes, 17, *lookups, slope)
    torch.testing.assert_close(torch.from_numpy(slope), expected, rtol=1e-4, atol=1e-3)


def test_subdividing_keeps_surface_and_uvs(sheet) -> None:
    mesh, camera = sheet
    finer = subdivided(mesh)
    assert len(finer) == 4 * len(mesh)
    for name in ("uv", "position"):
        pictures = [
            getattr(interpolate(rasterize(m.vertices, m.faces, camera), m, camera), name)
            for m in (mesh, finer)
        ]
        torch.testing.assert_close(*pictures, atol=1e-5, rtol=1e-5)
    edges = finer.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).sort(dim=1).values
    count = edges.unique(dim=0, return_counts=True)[1]
    assert int(count.max()) == 2 and int((count == 1).sum()) == 4 * 16  # only the border is open


@pytest.fixture(scope="module")
def wrong_sphere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mesh, Mesh, Path]:
    """A displaced sphere, the true one, and the capture folder of the first."""
    folder = tmp_path_factory.mktemp("refine")
    config = SceneConfig(
        size=(96, 96), num_train=16, num_test=1, texture_size=256, proxy_faces=1200, displace=0.012
    )
    write_capture(folder / "wrong", config)
    write_capture(folder / "true", replace(config, num_train=1, displace=0.0))
    wrong, true = (load_capture_mesh(load_capture(folder / n))[0] for n in ("wrong", "true"))
    return wrong, true, folder / "wrong"


def distance(mesh: Mesh) -> float:
    """Mean distance of the vertices from the unit sphere."""
    return float((mesh.vertices.norm(dim=1) - 1).abs().mean())


def test_a_displaced_sphere_becomes_round_again(wrong_sphere, tmp_path: Path, monkeypatch) -> None:
    wrong, _, folder = wrong_sphere
    monkeypatch.setattr(refine, "ROUNDS", 2)
    monkeypatch.setattr(refine, "FACES", 5000)
    photos = prepare_photos(load_capture(folder), tmp_path).of("train")
    refined, note = refine.refine_mesh(wrong, photos, seed=0)
    assert distance(wrong) > 0.008
    assert distance(refined) < 0.5 * distance(wrong)
    assert "moved" in note


def test_a_right_mesh_stays_as_it_is(wrong_sphere, tmp_path: Path) -> None:
    _, true, folder = wrong_sphere
    photos = prepare_photos(load_capture(folder), tmp_path).of("train")
    refined, note = refine.refine_mesh(true, photos, seed=0)
    assert refined is true
    assert "not changed" in note


def test_few_photos_or_none_that_show_the_mesh_leave_it_alone(wrong_sphere, tmp_path: Path) -> None:
    wrong, _, folder = wrong_sphere
    photos = prepare_photos(load_capture(folder), tmp_path).of("train")
    few, note = refine.refine_mesh(wrong, photos.chosen([0, 1, 2]), seed=0)
    assert few is wrong and "at least 8 photos" in note
    elsewhere = wrong.moved(wrong.vertices + 1000)
    unseen, note = refine.refine_mesh(elsewhere, photos, seed=0)
    assert unseen is elsewhere and "too few photos" in note
