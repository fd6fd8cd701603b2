"""How many numbers describe the lens: as few as explain the photos about as well as more would.

Around a single round thing, focal length and distortion can stand in for each other: freed
together they end far from the truth, at an error that is hardly smaller.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch

KINDS = (  # COLMAP's models, and whether the axis may meet the picture beside its middle
    ("SIMPLE_PINHOLE", False),
    ("SIMPLE_RADIAL", False),
    ("RADIAL", False),
    ("OPENCV", False),
    ("OPENCV", True),
)
MAPPED = "SIMPLE_RADIAL"  # while photos are placed
FEW, KINDS_OF_FEW = 30, 2  # so few photos cannot tell more kinds apart
WORTH = 0.0025  # of the error: what a further kind must take away to be believed


def with_fitting_lens(pycolmap: Any, model: Any) -> Any:
    """The model with the simplest kind of lens that fits, everything adjusted to it."""
    count = KINDS_OF_FEW if model.num_reg_images() < FEW else len(KINDS)
    fits = [_adjusted(pycolmap, model, *kind) for kind in KINDS[:count]]
    errors = [fit.compute_mean_reprojection_error() for fit in fits]
    limit = min(errors) * (1 + WORTH)
    return next(fit for fit, error in zip(fits, errors, strict=True) if error <= limit)


def _adjusted(pycolmap: Any, model: Any, kind: str, centre: bool) -> Any:
    """A copy with another kind of lens, after a bundle adjustment."""
    model = deepcopy(model)
    for camera in model.cameras.values():
        _convert(pycolmap, camera, kind)
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point = centre
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
    return model


def _convert(pycolmap: Any, camera: Any, kind: str) -> None:
    """The same focal length; distortion starts from what the mapping found."""
    focal, bend = camera.mean_focal_length(), float(camera.params[3])
    middle = [camera.principal_point_x, camera.principal_point_y]
    camera.model = getattr(pycolmap.CameraModelId, kind)
    camera.params = {
        "SIMPLE_PINHOLE": [focal, *middle],
        "SIMPLE_RADIAL": [focal, *middle, bend],
        "RADIAL": [focal, *middle, bend, 0],
        "OPENCV": [focal, focal, *middle, bend, 0, 0, 0],
    }[kind]
