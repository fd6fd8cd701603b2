"""`dnr track`: from a video to a folder with a head's track, in passes that resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from avatars.detectors.bias import mediapipe_bias
from avatars.detectors.face_alignment import face_alignment_detector
from avatars.detectors.faces import FaceDetector
from avatars.detectors.mediapipe import mediapipe_detector, mediapipe_masker
from avatars.detectors.recorded import recorded_detector
from avatars.heads.files import load_head
from avatars.heads.head import Head, Motion
from avatars.tracking.crops import crop_matrices
from avatars.tracking.doubt import Signs, total_doubt
from avatars.tracking.fitting import Fitted, fit_track
from avatars.tracking.landmarks import Landmarks
from avatars.tracking.looking import FACES, TIMES, Looked, follow, look
from avatars.tracking.neck import neck_turns
from avatars.tracking.normal import Motions
from avatars.tracking.options import TrackOptions
from avatars.tracking.pictures import write_masks
from avatars.tracking.points import Lens, Pose
from avatars.tracking.priors import point_weights
from avatars.tracking.refining import Refined, Studio, on_device, refine
from avatars.tracking.report import write_quality, write_report
from avatars.tracking.rough import lens_for
from avatars.tracking.signs import face_boxes, signs_of
from avatars.tracking.stages import fingerprint, is_done, once, workshop
from avatars.tracking.track import CROP_SIZE, LANDMARKS, Track, load_track, save_track
from dnr.device import choose_device
from dnr.footage import Footage, open_footage
from dnr.progress import progress

LOOKED, FITTED, REFINED = "looked.npz", "fitted.npz", "refined.npz"
_MOTIONS = ("rotation", "translation", "expression", "gaze")


def track_video(
    video: Path,
    out: Path,
    options: TrackOptions | None = None,
    first: Callable[[Track], object] | None = None,
    has_masks: bool = True,
) -> Track:
    """The track of a head in `video`, written to the folder `out`.

    If `out` holds it already it is read; an attempt that was stopped goes on where it was. Before
    pictures are compared, which takes longest, `first` is given what the landmarks alone say.
    Without `has_masks` those of the person are left out, unless refining needs them.
    """
    options = options or TrackOptions()
    footage = open_footage(video)
    source = fingerprint(video, options)
    if is_done(out, source):
        return load_track(out)
    folder = workshop(out, source)
    notes: list[str] = []
    head = load_head(options.head)
    looked = _look(footage, options, folder, notes.append)
    lens = lens_for(footage.size, options.focal)
    boxes = face_boxes(looked)
    crop = crop_matrices(boxes, footage.size, CROP_SIZE, footage.fps)
    fitted = _fit(looked, lens, options, folder)
    if first is not None and options.refine:
        rough = signs_of(footage, looked, fitted, None, lens)
        first(_track(head, footage, looked, fitted, None, rough, lens, crop))
    if has_masks or options.refine:
        with progress(len(looked.times), "masks of the person") as shown:
            write_masks(footage, crop, CROP_SIZE, mediapipe_masker(), folder, shown.update)
    seen = _refine(fitted, looked, footage, crop, options, folder) if options.refine else None
    signs = signs_of(footage, looked, fitted, seen, lens)
    track = _track(head, footage, looked, fitted, seen, signs, lens, crop)
    save_track(folder, track)
    write_quality(folder, track, signs)
    if options.report:
        with progress(len(track), "drawing the report") as shown:
            write_report(folder, track, footage, notes, shown.update)
    for name in (FACES, TIMES, LOOKED, FITTED, REFINED):
        (folder / name).unlink(missing_ok=True)
    folder.replace(out)
    return load_track(out)


def _detector(options: TrackOptions) -> FaceDetector:
    if options.landmarks is not None:
        return recorded_detector(options.landmarks)
    if options.detector == "face-alignment":
        return face_alignment_detector(str(choose_device(options.device)))
    return mediapipe_detector()


def _look(
    footage: Footage, options: TrackOptions, folder: Path, note: Callable[[str], object]
) -> Looked:
    """The landmarks of one person, from this attempt or an earlier one."""

    def run() -> dict[str, np.ndarray]:
        with progress(footage.length, "looking for faces") as shown:
            look(footage, _detector(options), folder, shown.update, note)
        found = follow(folder, footage.path, options.face, folder / LANDMARKS)
        return {"found": found.found, "times": found.times, "people": np.array(found.people)}

    arrays = once(folder / LOOKED, run)
    landmarks = np.load(folder / LANDMARKS, mmap_mode="c", allow_pickle=False)
    return Looked(landmarks, arrays["found"], arrays["times"], int(arrays["people"]))


def _fit(looked: Looked, lens: Lens, options: TrackOptions, folder: Path) -> Fitted:
    """What the landmarks say, from this attempt or an earlier one."""

    def run() -> dict[str, np.ndarray]:
        like = torch.zeros(0, device=choose_device(options.device))
        with progress(1, "fitting the head") as shown:
            head = load_head(options.head).to(like)
            fitted = fit_track(head, _landmarks(head, looked, lens))
            shown.update(1)
        return _arrays(fitted.motions, identity=fitted.identity, miss=fitted.miss, keys=fitted.keys)

    arrays, motions = _motions(once(folder / FITTED, run))
    return Fitted(arrays["identity"], motions, arrays["miss"], arrays["keys"])


def _refine(
    fitted: Fitted,
    looked: Looked,
    footage: Footage,
    crop: np.ndarray,
    options: TrackOptions,
    folder: Path,
) -> Refined:
    """What the pictures say, from this attempt or an earlier one."""

    def run() -> dict[str, np.ndarray]:
        like = torch.zeros(0, device=choose_device(options.device))
        head, frames = load_head(options.head).to(like), len(fitted.miss)
        landmarks = _landmarks(head, looked, lens_for(footage.size, options.focal))
        studio = Studio(footage, crop, CROP_SIZE, folder, landmarks)
        with progress(frames, "comparing with the pictures") as shown:
            refined = refine(head, on_device(fitted, like), studio, shown.update)
        rest = {
            name: getattr(refined, name) for name in ("identity", "offsets", "error", "covered")
        }
        return _arrays(refined.motions, **rest)

    arrays, motions = _motions(once(folder / REFINED, run))
    identity, offsets = arrays["identity"], arrays["offsets"]
    return Refined(identity, offsets, motions, arrays["error"], arrays["covered"])


def _landmarks(head: Head, looked: Looked, lens: Lens) -> Landmarks:
    """What the detector saw, with all that is known about how wrong it is."""
    return Landmarks(looked, lens, point_weights(head), mediapipe_bias())


def _arrays(motions: Motions, **tensors: torch.Tensor) -> dict[str, np.ndarray]:
    named = dict(zip(_MOTIONS, (*motions.pose, *motions[1:]), strict=True)) | tensors
    return {name: tensor.cpu().numpy() for name, tensor in named.items()}


def _motions(arrays: dict[str, np.ndarray]) -> tuple[dict[str, torch.Tensor], Motions]:
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    rotation, translation, expression, gaze = (tensors[name] for name in _MOTIONS)
    return tensors, Motions(Pose(rotation, translation), expression, gaze)


def _track(
    head: Head,
    footage: Footage,
    looked: Looked,
    fitted: Fitted,
    seen: Refined | None,
    signs: Signs,
    lens: Lens,
    crop: np.ndarray,
) -> Track:
    pose, expression, gaze = fitted.motions if seen is None else seen.motions
    neck = neck_turns(pose.rotation, footage.fps)
    return Track(
        head=head.name,
        identity=fitted.identity if seen is None else seen.identity,
        offsets=torch.zeros(len(head.template)) if seen is None else seen.offsets,
        motion=Motion(expression, gaze, neck),
        head_to_camera=torch.cat([pose.rotation, pose.translation[..., None]], dim=2),
        focal=lens.focal,
        size=footage.size,
        fps=footage.fps,
        times=torch.from_numpy(looked.times),
        landmarks=torch.from_numpy(looked.landmarks),
        found=torch.from_numpy(looked.found),
        doubt=torch.from_numpy(total_doubt(signs)).float(),
        crop=torch.from_numpy(crop),
    )
