"""RealityCapture's exports, from fixtures written here; and one pose that its users published."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from dnr.capture.folder import load_capture, load_views
from dnr.capture.imports import import_cameras, known_project
from dnr.capture.photos import prepare_photos
from dnr.capture.reality_capture import read_reality_capture
from dnr.errors import InputError

SIZE = (30, 40)
HEADER = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2"
LENS = "45,-0.025,0.05,0.1,-0.05,0.02,{k4},0.002,0.001"


def write_photos(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (SIZE[1], SIZE[0])).save(folder / name)


def poses(count: int) -> tuple[np.ndarray, np.ndarray]:  # [N, 3, 3], [N, 3]
    """World-to-camera rotations, and centres."""
    rng = np.random.default_rng(2)
    return Rotation.random(count, rng=rng).as_matrix(), rng.normal(size=(count, 3))


def angles(turn: np.ndarray) -> np.ndarray:
    """Heading, pitch and roll in degrees: turns about z (clockwise), x and y of a camera that first
    looked down with its picture's top along +y; by SciPy, not by our formula."""
    opengl = turn.T @ np.diag([1, -1, -1])
    heading, pitch, roll = Rotation.from_matrix(opengl).as_euler("ZXY", degrees=True)
    return np.array([-heading, pitch, roll])


def write_csv(source: Path, turns: np.ndarray, centres: np.ndarray, k4: float = 0) -> None:
    names = [f"a photo {number}.jpg" for number in range(len(turns))]
    write_photos(source / "images", names)
    lines = [HEADER]
    for name, turn, centre in zip(names, turns, centres, strict=True):
        numbers = map(repr, map(float, [*centre, *angles(turn)]))
        lines.append(f"{name},{','.join(numbers)},{LENS.format(k4=k4)}")
    (source / "cameras.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")


def write_xmp(path: Path, turn: np.ndarray, centre: np.ndarray, **changed: str) -> None:
    lens = {
        **{"DistortionModel": "brown3t2", "DistortionCoeficients": "0.1 -0.05 0.02 0 0.002 0.001"},
        **{"FocalLength35mm": "45", "Skew": "0", "AspectRatio": "1"},
        **{"PrincipalPointU": "-0.025", "PrincipalPointV": "0.05"},
    }
    words = " ".join(f'xcr:{key}="{value}"' for key, value in (lens | changed).items())
    place, rows = (" ".join(map(repr, map(float, x.reshape(-1)))) for x in (centre, turn))
    path.write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:xcr="http://www.capturingreality.com/ns/xcr/1.1#" xcr:Version="3" {words} '
        f'xcr:Rotation="{rows}"><xcr:Position>{place}</xcr:Position></rdf:Description></rdf:RDF>'
        "</x:xmpmeta>"
    )


def check(source: Path, out: Path, turns: np.ndarray, centres: np.ndarray) -> None:
    assert known_project(source)
    import_cameras(source, out)
    views, _ = load_views(out)
    assert len(views) == len(turns)
    for view, turn, centre in zip(views, turns, centres, strict=True):
        found = view.camera
        np.testing.assert_allclose(found.world_to_camera[0, :3, :3], turn, atol=1e-5)
        np.testing.assert_allclose(found.position[0], centre, atol=1e-5)
        np.testing.assert_allclose(found.intrinsics[0], [[50, 0, 19], [0, 50, 17], [0, 0, 1]])
        assert view.distortion == (0.1, -0.05, 0.001, 0.002, 0.02), "t1 is OpenCV's p2"


def test_csv_files(tmp_path: Path) -> None:
    turns, centres = poses(5)
    write_csv(tmp_path / "project", turns, centres)
    check(tmp_path / "project", tmp_path / "capture", turns, centres)


def test_xmp_files_beside_their_photos(tmp_path: Path) -> None:
    """The last photo was not aligned: it has no file."""
    source, (turns, centres) = tmp_path / "photos", poses(4)
    write_photos(source, [f"{number}.JPG" for number in range(5)])
    for number in range(4):
        write_xmp(source / f"{number}.xmp", turns[number], centres[number])
    check(source, tmp_path / "capture", turns, centres)


def test_angles_and_matrix_of_one_published_pose(tmp_path: Path) -> None:
    """The same camera in both formats, as quoted in the vendor's forum in 2021."""
    write_photos(tmp_path / "images", ["x.jpg"])
    row = "x.jpg,0,0,0,163.736597399311,83.4154313461628,174.386496244756," + LENS.format(k4=0)
    (tmp_path / "cameras.csv").write_text(f"{HEADER}\n{row}\n")
    (pose,) = read_reality_capture(tmp_path / "cameras.csv", tmp_path / "images")
    expected = [
        [0.982594073038806, 0.185426733553445, -0.0112166890261935],
        [-0.032113633044729, 0.11008102707942, -0.993403685341366],
        [-0.18296885582437, 0.976472781986697, 0.114119],
    ]
    np.testing.assert_allclose(pose.world_to_camera[:3, :3], expected, atol=2e-6)


def test_lens_and_pose_agree_with_opencv(tmp_path: Path) -> None:
    """A blob drawn with OpenCV's distortion lies where the undistorted pinhole expects it."""
    point, size = np.array([[0.3, -0.25, 4.0]]), (96, 128)
    rows, columns = np.mgrid[: size[0], : size[1]]
    focal, centre = 128.0, np.array([128 / 2 - 0.02 * 128, 96 / 2 + 0.01 * 128])
    matrix = np.array([[focal, 0, centre[0] - 0.5], [0, focal, centre[1] - 0.5], [0, 0, 1]])
    bend, still = np.array([0.3, -0.1, 0.01, 0.02, 0.05]), np.zeros(3)
    (drawn,), _ = cv2.projectPoints(point, still, still, matrix, bend)
    blob = np.exp(-((columns - drawn[0, 0]) ** 2 + (rows - drawn[0, 1]) ** 2) / 18)
    for number in range(2):
        photo = Image.fromarray((255 * blob).round().astype(np.uint8))
        photo.save(tmp_path / f"{number}.png")
        lens = {"FocalLength35mm": "36", "PrincipalPointU": "-0.02", "PrincipalPointV": "0.01"}
        lens["DistortionCoeficients"] = "0.3 -0.1 0.05 0 0.02 0.01"
        write_xmp(tmp_path / f"{number}.xmp", np.eye(3), np.zeros(3), **lens)
    import_cameras(tmp_path, tmp_path / "capture")
    (tmp_path / "capture" / "mesh.obj").write_text("v 0 0 5\nv 1 0 5\nv 0 1 5\nf 1 2 3\n")
    photos = prepare_photos(load_capture(tmp_path / "capture"), tmp_path / "prepared")
    seen = photos[0].rgb[..., 0].astype(float)
    seen = np.where(seen > 5, seen, 0)
    found = np.array([(seen * (columns + 0.5)).sum(), (seen * (rows + 0.5)).sum()]) / seen.sum()
    np.testing.assert_allclose(found, focal * point[0, :2] / point[0, 2] + centre, atol=0.06)


def test_what_is_not_understood_is_said(tmp_path: Path) -> None:
    turns, centres = poses(2)
    write_csv(tmp_path / "fourth", turns, centres, k4=0.1)
    with pytest.raises(InputError, match=r"describes the lens with k4.*undistorted"):
        import_cameras(tmp_path / "fourth", tmp_path / "out")
    write_csv(tmp_path / "short", turns, centres)
    table = tmp_path / "short" / "cameras.csv"
    table.write_text(table.read_text("utf-8-sig").replace(",f,", ",g,"))
    with pytest.raises(InputError, match="has no column f"):
        import_cameras(tmp_path / "short", tmp_path / "out")
    write_csv(tmp_path / "gone", turns, centres)
    (tmp_path / "gone" / "images" / "a photo 1.jpg").unlink()
    with pytest.raises(InputError, match=r"lists a photo 1\.jpg"):
        import_cameras(tmp_path / "gone", tmp_path / "out")
    write_photos(tmp_path / "division", ["0.png"])
    xmp = tmp_path / "division" / "0.xmp"
    write_xmp(xmp, turns[0], centres[0], DistortionModel="division")
    with pytest.raises(InputError, match="lens model division"):
        import_cameras(tmp_path / "division", tmp_path / "out")
    xmp.write_text(xmp.read_text()[:-30])
    with pytest.raises(InputError, match="not valid XML"):
        import_cameras(tmp_path / "division", tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()
