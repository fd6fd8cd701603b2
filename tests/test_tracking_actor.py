"""The whole tracker on a short film of a made-up person whose every movement is known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatars.heads.files import load_head
from avatars.heads.head import Motion, head_vertices
from avatars.heads.rotations import rotation_vectors
from avatars.synthetic.film import FilmOptions, Truth, film, load_truth
from avatars.tracking import track_video as room
from avatars.tracking.appearance import colours_at, learn_appearance, predict, see, skin_faces
from avatars.tracking.hair import fit_offsets
from avatars.tracking.options import TrackOptions
from avatars.tracking.outline import overlap_of_outlines
from avatars.tracking.pictures import read_mask
from avatars.tracking.track import Track, crop_camera
from avatars.tracking.track_video import track_video
from benchmarks.heads_measures import against_truth
from dnr.errors import InputError
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

FRAMES, SIZE = 14, 160
HEAD = load_head()


@pytest.fixture(scope="module")
def actor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Actor.mp4 and its truth."""
    folder = tmp_path_factory.mktemp("film") / "actor"
    film(folder, FilmOptions(frames=FRAMES, size=SIZE, fps=8))
    return folder


@pytest.fixture(scope="module")
def rough() -> list[Track]:
    """What landmarks alone say, once `tracked` is there."""
    return []


@pytest.fixture(scope="module")
def tracked(actor: Path, rough: list[Track]) -> tuple[Path, Track]:
    out = actor.parent / "track"
    return out, track_video(actor / "actor.mp4", out, None, rough.append)


def truth_views(truth: Truth) -> tuple[Motion, Camera]:
    series = [torch.from_numpy(np.asarray(x)).float() for x in truth[2:6]]
    matrix = torch.eye(4).repeat(FRAMES, 1, 1)
    matrix[:, :3] = series[3]
    focal = float(truth.focal)
    lens = torch.tensor([[[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1.0]]])
    return Motion(*series[:3]), Camera(matrix, lens.expand(FRAMES, 3, 3), (SIZE, SIZE))


def test_the_actor_is_followed(actor: Path, tracked: tuple[Path, Track]) -> None:
    truth, (_, track) = load_truth(actor), tracked
    assert track.found.all() and track.doubt.max() < 0.5 and len(track) == FRAMES
    true = torch.from_numpy(truth.head_to_camera).float()
    turned = rotation_vectors(track.head_to_camera[:, :, :3] @ true[:, :, :3].transpose(1, 2))
    assert turned.rad2deg().std(dim=0).max() < 2.0
    width = np.linalg.norm(truth.landmarks[:, 33] - truth.landmarks[:, 263], axis=1).mean()
    miss = np.linalg.norm(track.landmarks.numpy() - truth.landmarks, axis=2).mean()
    assert miss / width < 0.05


def test_the_outline_is_that_of_the_mask(tracked: tuple[Path, Track]) -> None:
    out, track = tracked
    frames = torch.arange(0, FRAMES, 3)
    motion = Motion(*(field[frames] for field in track.motion))
    masks = np.stack([read_mask(out, int(frame)) for frame in frames])
    views = crop_camera(track, frames)
    overlaps = [
        overlap_of_outlines(
            HEAD, head_vertices(HEAD, track.identity, motion, offsets), views, masks
        ).mean()
        for offsets in (torch.zeros_like(track.offsets), track.offsets)
    ]
    assert overlaps[1] > 0.94 and overlaps[1] > overlaps[0] + 0.01


def test_pictures_bring_the_surface_nearer_to_the_truth(
    actor: Path, tracked: tuple[Path, Track], rough: list[Track]
) -> None:
    """Fourteen small frames; the benchmark has two hundred large ones."""
    truth = load_truth(actor)
    before, after = (against_truth(track, truth) for track in (rough[0], tracked[1]))
    assert after["face_error"] < min(before["face_error"], 2.2)
    assert after["head_error"] < 0.9 * before["head_error"]
    assert not torch.equal(rough[0].identity, tracked[1].identity)


def test_the_report_and_the_table_are_there(tracked: tuple[Path, Track]) -> None:
    out, _ = tracked
    names = {str(item.relative_to(out)) for item in out.rglob("*") if item.is_file()}
    wanted = {"report/index.html", "report/overlay.mp4", "report/sheet.jpg", "quality.csv"}
    assert wanted <= names and f"masks/{FRAMES - 1:06d}.png" in names
    assert not out.with_name("track.part").exists()
    rows = (out / "quality.csv").read_text().splitlines()
    assert len(rows) == FRAMES + 1 and rows[0].startswith("frame,seconds,found,doubt")


def test_a_finished_track_is_read_and_another_video_is_refused(
    actor: Path, tracked: tuple[Path, Track], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, track = tracked
    monkeypatch.setattr(room, "_look", pytest.fail)
    again = track_video(actor / "actor.mp4", out)
    assert torch.equal(again.motion.expression, track.motion.expression)
    with pytest.raises(InputError, match="other options"):
        track_video(actor / "actor.mp4", out, TrackOptions(face=1))


def test_a_stopped_attempt_goes_on(
    actor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TrackOptions(refine=False, report=False)

    class Killed(Exception):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(room, "write_masks", killed)
        with pytest.raises(Killed):
            track_video(actor / "actor.mp4", tmp_path / "track", options)
    assert not (tmp_path / "track").exists()
    monkeypatch.setattr(room, "look", pytest.fail)
    monkeypatch.setattr(room, "fit_track", pytest.fail)
    assert len(track_video(actor / "actor.mp4", tmp_path / "track", options)) == FRAMES


def test_three_frames_are_enough(actor: Path, tmp_path: Path) -> None:
    from dnr.footage import footage_frames, open_footage
    from dnr.video import write_video

    frames = [frame.image for frame in footage_frames(open_footage(actor / "actor.mp4"))][:3]
    write_video(tmp_path / "short.mp4", frames)
    track = track_video(tmp_path / "short.mp4", tmp_path / "t", TrackOptions(report=False))
    assert len(track) == 3 and track.found.all()


def test_hair_is_found_by_exact_masks(actor: Path) -> None:
    """True pose and motion, masks by rasterizing the true head: the skull grows to the hair."""
    truth = load_truth(actor)
    motion, cameras = truth_views(truth)
    identity = torch.from_numpy(truth.identity).float()
    hair = torch.from_numpy(truth.offsets).float()
    vertices = head_vertices(HEAD, identity, motion, hair)
    masks = 255 * (rasterize(vertices, HEAD.faces, cameras).face_id >= 0).numpy().astype(float)
    found = fit_offsets(HEAD, identity, motion, cameras, masks)
    bald = head_vertices(HEAD, identity, motion)
    grown = head_vertices(HEAD, identity, motion, found)
    before, after = (overlap_of_outlines(HEAD, v, cameras, masks).mean() for v in (bald, grown))
    assert after > 0.97 and 1 - after < 0.75 * (1 - before)
    assert found[HEAD.regions["shoulders"]].abs().max() < 1e-4


def test_albedo_and_light_explain_what_they_made(actor: Path) -> None:
    """A picture painted with a known texture and lamp is predicted again."""
    truth = load_truth(actor)
    motion, cameras = truth_views(truth)
    vertices = head_vertices(HEAD, torch.from_numpy(truth.identity).float(), motion)
    skin, whole = skin_faces(HEAD), torch.ones(SIZE, SIZE)
    sights, colours = [], []
    for frame in range(0, FRAMES, 2):
        sight = see(HEAD, skin, vertices[frame], cameras[frame], whole)
        lamp = 0.6 - 0.3 * sight.normal[:, 2:] + 0.2 * sight.normal[:, :1]
        waves = 0.5 + 0.3 * torch.sin(20 * sight.uv[:, :1] + sight.uv[:, 1:] * 9)
        sights.append(sight)
        colours.append(lamp * waves * torch.tensor([0.9, 0.7, 0.6]))
    appearance = learn_appearance(sights, colours)
    image = torch.zeros(3, SIZE, SIZE)
    image[:, sights[2].pixel[:, 0], sights[2].pixel[:, 1]] = colours[2].T
    torch.testing.assert_close(colours_at(image, sights[2]), colours[2])
    off = (predict(appearance, sights[2]) - colours[2]).abs().mean()
    assert off < 0.02 * colours[2].mean() + 0.004
