"""Where each photo was taken from: structure from motion with pycolmap."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from dnr.capture.colmap_models import lens_of
from dnr.capture.posed_photos import Pose
from dnr.errors import InputError

MOST_FOR_EXHAUSTIVE = 80  # photos; longer series are matched with their neighbours in time
NEIGHBOURS_IN_TIME = 12
MOST_FEATURES = 4096
LONGEST_SIDE = 1600  # pixels, for features
LEAST_REGISTERED = 0.5  # of the photos
LEAST_FOR_FULL_LENS = 30  # photos that can tell its centre and tangential distortion
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
    num_models: int  # separate pieces found; the largest is used

    def problem(self) -> str | None:
        """Why the result cannot be trusted, as a sentence with advice; None if it can."""
        total = len(self.poses) + len(self.left_out)
        if len(self.poses) < LEAST_REGISTERED * total:
            return f"only {len(self.poses)} of {total} photos could be placed. {ADVICE}"
        if self.angle_deg < LEAST_ANGLE_DEG:
            return (
                f"the camera hardly moved: rays to the same point differ by {self.angle_deg:.1f} "
                f"degrees. {ADVICE}"
            )
        return None


def register(
    folder: Path,  # of photos
    names: list[str],  # relative to it, in the order they were taken
    focal_px: float | None = None,  # of photos at their full size, where it is known
    single_lens: bool = True,  # all photos share one camera and zoom
    shown: Callable[[int], object] = int,  # told how many photos are placed
) -> Registration:
    """Poses of the photos of the largest piece of the scene that fits together."""
    try:
        import pycolmap  # optional, and slow to load
    except ImportError as error:
        raise InputError(
            "finding cameras needs the package pycolmap; run pip install pycolmap==4.2.1"
        ) from error
    pycolmap.logging.minloglevel = pycolmap.logging.FATAL.value
    with tempfile.TemporaryDirectory() as scratch:
        database = Path(scratch) / "features.db"
        _find_features(pycolmap, database, folder, names, focal_px, single_lens)
        _match(pycolmap, database, len(names))
        options = pycolmap.IncrementalPipelineOptions()
        options.min_model_size = 3
        options.num_threads = torch.get_num_threads()
        options.ba_global_function_tolerance = 1e-4
        placed = _Counter(shown)
        models = pycolmap.incremental_mapping(
            database, folder, Path(scratch), options,
            initial_image_pair_callback=placed.restart, next_image_callback=placed.count,
        )  # fmt: skip
        features = _feature_counts(pycolmap, database)
    if not models:
        raise InputError(
            f"no two photos of {folder} fit together; the first is {names[0]}. {ADVICE}"
        )
    largest = max(models.values(), key=lambda model: model.num_reg_images())
    if largest.num_reg_images() >= LEAST_FOR_FULL_LENS:
        _refine_centre(pycolmap, largest)
    return _registration(largest, names, features, len(models))


def _refine_centre(pycolmap: Any, model: Any) -> None:
    """Adjust everything once more, and where the axis of the lens meets the picture."""
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point = True
    options.print_summary = False
    options.ceres.solver_options.num_threads = torch.get_num_threads()
    # Not pycolmap.bundle_adjustment: that one turns the log on again.
    config = pycolmap.BundleAdjustmentConfig()
    for image in model.images.values():
        if image.has_pose:
            config.add_image(image.image_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, model).solve()
    model.update_point_3d_errors()


class _Counter:
    """How many photos are in the model that is being built."""

    def __init__(self, shown: Callable[[int], object]) -> None:
        self._shown, self._placed = shown, 0

    def restart(self) -> None:
        self._placed = 2
        self._shown(self._placed)

    def count(self) -> None:
        self._placed += 1
        self._shown(self._placed)


def _find_features(
    pycolmap: Any, database: Path, folder: Path, names: list[str],
    focal_px: float | None, single_lens: bool,
) -> None:  # fmt: skip
    reader = pycolmap.ImageReaderOptions()
    full = len(names) >= LEAST_FOR_FULL_LENS
    reader.camera_model = "OPENCV" if full else "SIMPLE_RADIAL"
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.max_image_size = LONGEST_SIDE
    extraction.sift.max_num_features = MOST_FEATURES
    extraction.num_threads = torch.get_num_threads()
    mode = pycolmap.CameraMode.SINGLE if single_lens else pycolmap.CameraMode.PER_IMAGE
    if focal_px is not None:
        from PIL import Image

        with Image.open(folder / names[0]) as photo:
            width, height = photo.size
        focal = [focal_px, focal_px] if full else [focal_px]
        params = [*focal, width / 2, height / 2, *([0] * (4 if full else 1))]
        reader.camera_params = ",".join(f"{value:.6f}" for value in params)
    pycolmap.extract_features(
        database, folder, names, mode, reader_options=reader, extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )  # fmt: skip


def _match(pycolmap: Any, database: Path, count: int) -> None:
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = torch.get_num_threads()
    if count <= MOST_FOR_EXHAUSTIVE:
        pycolmap.match_exhaustive(database, options, device=pycolmap.Device.cpu)
        return
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap = NEIGHBOURS_IN_TIME
    pairing.quadratic_overlap = True  # also 16, 32 ... photos later: a loop may close
    pycolmap.match_sequential(database, options, pairing, device=pycolmap.Device.cpu)


def _feature_counts(pycolmap: Any, database: Path) -> dict[str, int]:
    with pycolmap.Database.open(database) as opened:
        return {
            image.name: opened.num_keypoints_for_image(image.image_id)
            for image in opened.read_all_images()
        }


def _registration(
    model: Any, names: list[str], features: dict[str, int], num_models: int
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
        name: "too few details (blurred, dark or blank)"
        if features.get(name, 0) < 200
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
        num_models,
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
