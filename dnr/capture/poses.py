"""Where each photo was taken from: structure from motion with pycolmap."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from dnr.capture.colmap_models import lens_of
from dnr.capture.lens_choice import MAPPED, with_fitting_lens
from dnr.capture.posed_photos import Pose
from dnr.capture.row_counts import watched_rows
from dnr.errors import InputError
from dnr.progress import progress

MOST_FOR_EXHAUSTIVE = 80  # photos; longer series are matched with their neighbours in time
NEIGHBOURS_IN_TIME = 12
MOST_FEATURES = 4096
LEAST_PIECE = 3  # photos
LEAST_FEATURES = 200  # with fewer a photo is hardly ever placed
MOST_TURNED = 0.6  # a camera on a tripod has 0.9; walks past flat things reach 0.7 with depth,
LEAST_SEEN = 100  # which shows: each photo sees hundreds of placed points; after turns, a handful
SURELY_TURNED = 0.9  # then even hundreds of placed points are an invention
MOST_NAMED = 5  # photos left out that a note names
TOO_FEW_DETAILS = "too few details (blurred, dark or blank)"
LONGEST_SIDE = 1600  # pixels, for features
LEAST_REGISTERED = 0.5  # of the photos
LEAST_ANGLE_DEG = 3.0  # median between the rays of a point: less means no parallax
ADVICE = (
    "Film again: walk around the scene instead of turning on the spot, slowly, in good light, "
    "so that neighbouring photos overlap by two thirds."
)


class Registration(NamedTuple):
    """What structure from motion found."""

    poses: list[Pose]  # by name
    left_out: dict[str, str]  # photo: why
    error_px: float  # mean over all observations
    points: np.ndarray  # float64 [N, 3]
    angle_deg: float  # median angle between the rays that meet in a point
    turned_share: float  # of the matched details, that also fit a camera that only turned
    seen_points: float  # placed points that a photo sees, on average
    pieces: list[int]  # photos in each piece that fits together; the first, largest is used

    def problem(self) -> str | None:
        """Why the result cannot be trusted, as a sentence with advice; None if it can."""
        total = len(self.poses) + len(self.left_out)
        if len(self.poses) < LEAST_REGISTERED * total:
            blank = sum(reason == TOO_FEW_DETAILS for reason in self.left_out.values())
            why = f" ({blank} have too few details: blurred, dark or blank)" if blank else ""
            return f"only {len(self.poses)} of {total} photos could be placed{why}. {ADVICE}"
        few = self.seen_points < LEAST_SEEN  # placed points in a photo
        if self.turned_share > (MOST_TURNED if few else SURELY_TURNED):
            return (
                f"{100 * self.turned_share:.0f} % of what the photos have in common fits a camera "
                f"that only turned on the spot, or a scene that is flat. {ADVICE}"
            )
        if self.angle_deg < LEAST_ANGLE_DEG:
            return (
                f"the camera hardly moved: rays to the same point differ by {self.angle_deg:.1f} "
                f"degrees. {ADVICE}"
            )
        return None

    def notes(self) -> list[str]:
        """What the user should know of it."""
        total = len(self.poses) + len(self.left_out)
        notes = [f"{len(self.poses)} of {total} photos placed, mean error {self.error_px:.2f} px"]
        if len(self.pieces) > 1:
            sizes = " and ".join(map(str, self.pieces))
            notes.append(
                f"the photos fall into {len(self.pieces)} pieces that do not fit together "
                f"({sizes} photos), as when a folder mixes two scenes; the largest is used"
            )
        for name, reason in list(self.left_out.items())[:MOST_NAMED]:
            notes.append(f"{name} is left out: {reason}")
        if len(self.left_out) > MOST_NAMED:
            notes.append(f"{len(self.left_out) - MOST_NAMED} more are left out; see capture.json")
        return notes


def register(
    folder: Path,  # of photos
    names: list[str],  # relative to it, in the order they were taken
    scratch: Path,  # folder for details and matches; what is there already is not sought again
    focal_px: float | None = None,  # of photos at their full size, where it is known
    single_lens: bool = True,  # all photos share one camera and zoom
) -> Registration:
    """Poses of the photos of the largest piece of the scene that fits together."""
    try:
        import pycolmap  # optional, and slow to load
    except ImportError as error:
        raise InputError(
            "finding cameras needs the package pycolmap; run pip install pycolmap==4.2.1"
        ) from error
    pycolmap.logging.minloglevel = pycolmap.logging.FATAL.value
    scratch.mkdir(parents=True, exist_ok=True)
    database = scratch / "features.db"
    with watched_rows(database, "keypoints", len(names), "finding details"):
        _find_features(pycolmap, database, folder, names, focal_px, single_lens)
    _match(pycolmap, database, len(names))
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = LEAST_PIECE
    options.num_threads = torch.get_num_threads()
    options.ba_global_function_tolerance = 1e-4
    pieces = scratch / "pieces"
    pieces.mkdir(exist_ok=True)
    with progress(len(names), "placing photos") as shown:
        placed = _Counter(shown)
        models = pycolmap.incremental_mapping(
            database, folder, pieces, options,
            initial_image_pair_callback=placed.restart, next_image_callback=placed.count,
        )  # fmt: skip
    shutil.rmtree(pieces)
    features, turned = _feature_counts(pycolmap, database), _turned_share(pycolmap, database)
    if not models:
        blank = sum(features.get(name, 0) < LEAST_FEATURES for name in names)
        why = f" ({blank} of {len(names)} have too few details)" if blank else ""
        raise InputError(
            f"no photos of {folder} fit together{why}, or the camera did not move between them. "
            f"{ADVICE}"
        )
    largest = max(models.values(), key=lambda model: model.num_reg_images())
    pieces = _pieces(list(models.values()), largest)
    fitted = with_fitting_lens(pycolmap, largest)
    return _registration(fitted, names, features, turned, pieces)


def _pieces(models: list[Any], largest: Any) -> list[int]:
    """How many photos the largest model has, and each other one of a scene of its own: models may
    overlap, and those that mostly repeat a larger one say nothing."""
    taken, sizes = set(), []
    for model in sorted(models, key=lambda model: -model.num_reg_images() - (model is largest)):
        own = {image.name for image in model.images.values() if image.has_pose} - taken
        if len(own) >= LEAST_PIECE:
            sizes.append(len(own))
            taken |= own
    return sizes


class _Counter:
    """How many photos are in the model that is being built."""

    def __init__(self, shown: progress) -> None:
        self._shown, self._placed = shown, 0

    def restart(self) -> None:
        self._placed = 2
        self._shown.update(self._placed)

    def count(self) -> None:
        self._placed += 1
        self._shown.update(self._placed)


def _find_features(
    pycolmap: Any, database: Path, folder: Path, names: list[str],
    focal_px: float | None, single_lens: bool,
) -> None:  # fmt: skip
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = MAPPED
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.max_image_size = LONGEST_SIDE
    extraction.sift.max_num_features = MOST_FEATURES
    extraction.num_threads = torch.get_num_threads()
    mode = pycolmap.CameraMode.SINGLE if single_lens else pycolmap.CameraMode.PER_IMAGE
    if focal_px is not None:
        from PIL import Image

        with Image.open(folder / names[0]) as photo:
            width, height = photo.size
        params = [focal_px, width / 2, height / 2, 0]
        reader.camera_params = ",".join(f"{value:.6f}" for value in params)
    pycolmap.extract_features(
        database, folder, names, mode, reader_options=reader, extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )  # fmt: skip


def _match(pycolmap: Any, database: Path, count: int) -> None:
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = torch.get_num_threads()
    if count <= MOST_FOR_EXHAUSTIVE:
        pairs = count * (count - 1) // 2
        with watched_rows(database, "matches", pairs, "comparing photos"):
            pycolmap.match_exhaustive(database, options, device=pycolmap.Device.cpu)
        return
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap = NEIGHBOURS_IN_TIME
    pairing.quadratic_overlap = True  # also 16, 32 ... photos later: a loop may close
    with watched_rows(database, "matches", None, "comparing photos"):
        pycolmap.match_sequential(database, options, pairing, device=pycolmap.Device.cpu)


def _feature_counts(pycolmap: Any, database: Path) -> dict[str, int]:
    with pycolmap.Database.open(database) as opened:
        return {
            image.name: opened.num_keypoints_for_image(image.image_id)
            for image in opened.read_all_images()
        }


def _turned_share(pycolmap: Any, database: Path) -> float:
    """How much of what pairs of photos have in common a mere turn of the camera explains."""
    kinds = pycolmap.TwoViewGeometryConfiguration
    with pycolmap.Database.open(database) as opened:
        pairs = opened.read_two_view_geometries()[1]
    counts = [(len(pair.inlier_matches), kinds(pair.config)) for pair in pairs]
    turned = sum(n for n, kind in counts if kind in (kinds.PANORAMIC, kinds.PLANAR_OR_PANORAMIC))
    return turned / max(sum(n for n, _ in counts), 1)


def _registration(
    model: Any, names: list[str], features: dict[str, int], turned: float, pieces: list[int]
) -> Registration:
    poses = []
    for image in model.images.values():
        if not image.has_pose:
            continue
        matrix = np.eye(4)
        matrix[:3] = image.cam_from_world().matrix()
        camera = model.cameras[image.camera_id]
        values = [float(value) for value in camera.params]
        lens = lens_of(camera.model.value, camera.width, camera.height, values)
        poses.append(Pose(image.name, matrix, lens))
    placed = {pose.name for pose in poses}
    left_out = {
        name: TOO_FEW_DETAILS
        if features.get(name, 0) < LEAST_FEATURES
        else "its details do not fit the others"
        for name in names
        if name not in placed
    }
    points = np.array([point.xyz for point in model.points3D.values()]).reshape(-1, 3)
    return Registration(
        sorted(poses, key=lambda pose: pose.name),
        left_out,
        float(model.compute_mean_reprojection_error()),
        points,
        _median_angle_deg(model, {pose.name: pose for pose in poses}),
        turned,
        float(model.compute_mean_observations_per_reg_image()),
        pieces,
    )


def _median_angle_deg(model: Any, poses: dict[str, Pose]) -> float:
    """Over the points, of the widest angle between any of their rays and the first."""
    centres = {
        image.image_id: -pose.world_to_camera[:3, :3].T @ pose.world_to_camera[:3, 3]
        for image in model.images.values()
        if (pose := poses.get(image.name)) is not None
    }
    angles = []
    for point in model.points3D.values():
        rays = np.array([centres[e.image_id] - point.xyz for e in point.track.elements])
        rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
        angles.append(np.degrees(np.arccos(np.clip(rays @ rays[0], -1, 1))).max())
    return float(np.median(angles)) if angles else 0.0
