"""`reenact.py --camera`: driven by a webcam, shown in the browser, kept as a video."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import av
import numpy as np
from av.error import FFmpegError

from avatars.detectors.mediapipe import mediapipe_detector
from avatars.film.mark import marked
from avatars.film.parts import Picture, claim_parts, forget_if_empty
from avatars.film.provenance import provenance
from avatars.film.write import Film, check_place, write_film
from avatars.reenact.actors import find_actor
from avatars.reenact.live import live_pictures
from avatars.reenact.options import ReenactOptions
from avatars.reenact.preview import preview
from dnr.device import choose_device
from dnr.errors import InputError

FPS = 30.0
_PLACES = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("dshow", "video={}"),
}


def reenact_live(options: ReenactOptions) -> None:
    """Drive the source with a webcam until Ctrl-C; what was shown is then in the video."""
    assert options.camera is not None
    if options.resume:
        raise InputError("a live video cannot be resumed; start a new one without --resume")
    check_place(options.out, False, options.yes)
    actor, notes = find_actor(options, choose_device(options.device))
    claim_parts(options.out, {"camera": options.camera}, False)
    about = provenance(actor.origin, {"name": f"camera {options.camera}", "sha256": "live"})
    with forget_if_empty(options.out), preview() as (shown, address):
        print(f"look straight into the camera, relaxed, and open {address}; Ctrl-C ends")
        frames = camera_frames(options.camera)
        made = live_pictures(actor, frames, mediapipe_detector(), options.transfer, FPS)

        def pictures() -> Iterator[Picture]:
            began = time.monotonic()
            for image in made:
                image = marked(image) if options.mark else image
                shown.show(image)
                yield Picture(image, time.monotonic() - began)

        notes += write_film(Film(options.out, FPS, about), pictures(), 0)
    for note in notes:
        print(note)


def camera_frames(number: int) -> Iterator[np.ndarray]:  # uint8 [H, W, 3]
    """What a webcam sees, mirrored as people are used to see themselves."""
    kind, place = _PLACES.get(sys.platform, _PLACES["linux"])
    try:
        with av.open(place.format(number), format=kind) as container:
            for frame in container.decode(video=0):
                yield np.ascontiguousarray(frame.to_ndarray(format="rgb24")[:, ::-1])
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"camera {number} cannot be read ({error}); check that it is there "
            "and that no other program uses it"
        ) from error
