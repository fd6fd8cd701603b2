"""An hour of film: what it would take, told from two shorter ones."""

import subprocess
import sys
from pathlib import Path

import pytest

HOUR = 108_000  # frames
SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from avatars.detectors.faces import Face
from avatars.heads.files import load_head
from avatars.tracking import looking
from avatars.tracking.fitting import fit_track
from avatars.tracking.landmarks import Landmarks
from avatars.tracking.points import point_model, project, Pose
from avatars.tracking.priors import point_weights
from avatars.tracking.rough import lens_for
from dnr.footage import Footage

class Frame:
    image = np.zeros((240, 320, 3), np.uint8)
    def __init__(self, number):
        self.number, self.time_s = number, number / 30

frames, folder = int(sys.argv[1]), Path(sys.argv[2])
footage = Footage(Path("stream"), (240, 320), 30.0, frames, False)
looking.footage_frames = lambda footage, broken: (Frame(k) for k in range(frames))
head, lens = load_head(), lens_for((240, 320))
model = point_model(head)
noise = np.random.default_rng(0)

def detect(image):
    detect.count += 1
    angle = torch.tensor(0.3 * np.sin(detect.count / 40))
    turn = torch.eye(3)
    turn[0, 0] = turn[2, 2] = angle.cos()
    turn[0, 2], turn[2, 0] = angle.sin(), -angle.sin()
    pose = Pose((torch.diag(torch.tensor([1.0, -1, -1])) @ turn)[None], torch.tensor([[0, 0, 0.7]]))
    points = project(model.mean[None], pose, lens)[0].numpy()
    return [Face((points + noise.normal(0, 0.3, points.shape)).astype(np.float32), 1.0)]

detect.count = 0
looking.look(footage, detect, folder, lambda count: None, print)
found = looking.follow(folder, footage.path, None, folder / "landmarks.npy")
fitted = fit_track(head, Landmarks(found, lens, point_weights(head)))
assert len(fitted.miss) == frames and float(fitted.miss.max()) < 3
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_an_hour_fits_into_memory(tmp_path: Path) -> None:
    peaks = {}
    for frames in (600, 3000):
        folder = tmp_path / str(frames)
        folder.mkdir()
        words = [sys.executable, "-c", SCRIPT, str(frames), str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        peaks[frames] = int(done.stdout.split()[-1]) / 1024  # MiB
    growth = (peaks[3000] - peaks[600]) / 2400
    assert peaks[600] + growth * HOUR < 2048, peaks
