"""As few numbers for the lens as the photos can tell, against made-up points and cameras."""

import pytest

from dnr.capture.lens_choice import FEW, with_fitting_lens

pycolmap = pytest.importorskip("pycolmap")
MIDDLE = [512.0, 384.0]


def seen_through(kind: str, params: list[float], photos: int):
    """Photos of random points, found with half a pixel of noise, as the mapping leaves them: it
    knows no more of the lens than a focal length that is a little wrong."""
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_frames_per_rig, options.num_points3D = 1, photos, 400
    options.camera_model_id = getattr(pycolmap.CameraModelId, kind)
    options.camera_params = params
    pycolmap.set_random_seed(1)
    model = pycolmap.synthesize_dataset(options)
    noise = pycolmap.SyntheticNoiseOptions()
    noise.point2D_stddev = 0.5
    pycolmap.synthesize_noise(noise, model)
    for camera in model.cameras.values():
        camera.model = pycolmap.CameraModelId.SIMPLE_RADIAL
        camera.params = [1.01 * params[0], *MIDDLE, 0.0]
    return model


@pytest.mark.parametrize(
    ("kind", "params", "photos"),
    [
        ("SIMPLE_PINHOLE", [1280, *MIDDLE], 8),
        ("SIMPLE_PINHOLE", [1280, *MIDDLE], FEW),
        ("SIMPLE_RADIAL", [1280, *MIDDLE, -0.1], 8),
        ("OPENCV", [1280, 1290, *MIDDLE, 0.05, -0.03, 0.005, -0.005], FEW),
        ("OPENCV", [1280, 1290, 530.0, 370.0, 0.05, -0.03, 0.0, 0.0], FEW),
    ],
)
def test_the_lens_is_as_simple_as_the_truth_and_close_to_it(
    kind: str, params: list[float], photos: int
) -> None:
    model = seen_through(kind, params, photos)
    before = {key: camera.params.tolist() for key, camera in model.cameras.items()}
    fitted = with_fitting_lens(pycolmap, model)
    (camera,) = fitted.cameras.values()
    assert camera.model.name == kind
    true = pycolmap.Camera(model=kind, width=1024, height=768, params=params)
    for ray in ((0.0, 0.0), (0.3, 0.0), (0.0, -0.25), (0.28, 0.2), (-0.28, 0.2)):
        place, expected = (lens.img_from_cam([*ray, 1.0]) for lens in (camera, true))
        assert place == pytest.approx(expected, abs=2.5), f"the picture reaches to {ray}"
    assert {key: camera.params.tolist() for key, camera in model.cameras.items()} == before
