"""Cameras exported by Agisoft Metashape as XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from dnr.capture.posed_photos import Pose
from dnr.capture.xml_files import read_xml
from dnr.errors import InputError

_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, np.linalg.LinAlgError)


def metashape_file(source: Path) -> Path | None:
    """The XML file with cameras in `source`, if there is one."""
    for path in sorted(source.glob("*.xml")):
        with path.open("rb") as file:
            if b"<document" in file.read(400):
                return path
    return None


def read_metashape(path: Path) -> list[Pose]:
    """The aligned cameras, in the frame and scale of the chunk; labels are the photos' names."""
    try:
        chunk = read_xml(path).find("chunk")
        if chunk is None:
            raise ValueError("it has no chunk")
        lenses = {s.get("id"): _lens(path, s) for s in chunk.iter("sensor")}
        to_frame = _chunk_transform(chunk)
        poses = []
        for camera in chunk.iter("camera"):
            written = camera.findtext("transform")
            if written is None:
                continue  # it was not aligned
            matrix = np.array(written.split(), np.float64).reshape(4, 4)
            matrix = to_frame @ matrix
            matrix[:3, :3] /= np.cbrt(np.linalg.det(matrix[:3, :3]))  # scale moves, never turns
            lens = lenses[camera.get("sensor_id")]
            if lens is None:
                raise ValueError("a sensor has no calibration")
            poses.append(Pose(str(camera.get("label")), np.linalg.inv(matrix), lens))
    except _MALFORMED as error:
        raise InputError(f"{path} is not a camera file of Metashape: {error}.") from error
    if not poses:
        raise InputError(f"{path} has no aligned cameras. Align the photos, then export again.")
    return sorted(poses, key=lambda pose: pose.name)


def _chunk_transform(chunk: ElementTree.Element) -> np.ndarray:  # [4, 4]
    """From the chunk's own coordinates to those of its models and exports."""
    matrix = np.eye(4)
    found = chunk.find("transform")
    if found is None:
        return matrix
    rotation, translation = found.findtext("rotation"), found.findtext("translation")
    if rotation:
        matrix[:3, :3] = np.array(rotation.split(), np.float64).reshape(3, 3)
    matrix[:3, :3] *= float(found.findtext("scale") or 1)
    if translation:
        matrix[:3, 3] = np.array(translation.split(), np.float64)
    return matrix


def _lens(path: Path, sensor: ElementTree.Element) -> dict[str, float] | None:
    """The sensor's calibration; its tangential terms have the other order than OpenCV's."""
    calibration = sensor.find("calibration")
    if calibration is None:
        return None
    if sensor.get("type", "frame") != "frame":
        raise InputError(
            f"{path} has a sensor of type {sensor.get('type')}, but only frame cameras are "
            "understood. Undistort the photos in Metashape and export again."
        )

    def number(name: str) -> float:
        return float(calibration.findtext(name) or 0)

    high = [name for name in ("k4", "b2", "p3", "p4") if abs(number(name)) > 1e-6]
    if high:
        raise InputError(
            f"{path} describes the lens with {high[0]}, which is not understood. Undistort the "
            "photos in Metashape (Export, Undistort Photos) and export their cameras."
        )
    resolution = calibration.find("resolution")
    if resolution is None:
        raise ValueError("a sensor has no resolution")
    width, height = int(resolution.get("width", "")), int(resolution.get("height", ""))
    return {
        **{"w": width, "h": height, "fl_x": number("f") + number("b1"), "fl_y": number("f")},
        **{"cx": width / 2 + number("cx"), "cy": height / 2 + number("cy")},
        **{"k1": number("k1"), "k2": number("k2"), "k3": number("k3")},
        **{"p1": number("p2"), "p2": number("p1")},
    }
