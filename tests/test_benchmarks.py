"""The benchmarks at tiny sizes: every part adds its rows, tables show them, nothing runs twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.__main__ import Bench, bench
from benchmarks.ablation import Ablation, Trial, ablate, trials
from benchmarks.floors import count_flops, measure_layers
from benchmarks.plain import look_up
from benchmarks.quality import MEAN_TEXTURE, PLAIN_TEXTURE
from benchmarks.raster_speed import bumpy_sphere
from benchmarks.readme import fill_readme, measured
from benchmarks.results import Results
from benchmarks.tables import quality_table, table
from dnr.errors import InputError


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder, so that the capture is made once."""
    return tmp_path_factory.mktemp("bench")


@contextmanager
def untouched(path: Path) -> Iterator[None]:
    """Nothing is written to `path` inside the block."""
    before = path.stat().st_mtime_ns
    yield
    assert path.stat().st_mtime_ns == before


def test_every_part_but_memory_makes_its_table_once(out: Path) -> None:
    options = Bench(
        out,
        parts=("raster", "sampling", "presets", "quality"),
        presets=("pixel", "unet"),
        scenes=("sphere", "sphere-wrong"),
        seconds=(0.2,),
        faces=(500,),
        repeats=1,
        size=64,
        train_views=4,
        test_views=1,
    )
    text = bench(options)
    for words in ("| 500", "Texture lookups", "| unet | 64 |", "sphere-wrong: PSNR", MEAN_TEXTURE):
        assert words in text
    sections = Results.open(out / "bench.json").sections
    methods = [(row["scene"], row["method"]) for row in sections["quality"]]
    averages = PLAIN_TEXTURE, MEAN_TEXTURE
    assert methods == [
        *(("sphere", method) for method in (*averages, "pixel", "unet")),
        *(("sphere-wrong", method) for method in (*averages, "pixel")),
    ]
    assert all(row["psnr"] > 10 for row in sections["quality"])
    with untouched(out / "bench.json"):
        assert bench(options) == text


def test_an_ablation_compares_with_its_default(out: Path) -> None:
    sphere, lamps = ("sphere",), ("lamps",)
    options = Ablation(out, sphere, 0.2, 64, train_views=4, test_views=1, choices=lamps)
    lines = ablate(options).splitlines()
    assert "| +0.00 |" in lines[2] and lines[3].startswith("| lamps | none |")
    with untouched(out / "ablation.json"):
        ablate(options)


def test_trials_differ() -> None:
    own = [trial[2:] for trial in trials(60)]
    assert all(isinstance(trial, Trial) for trial in trials(60))
    assert all(first != second for i, first in enumerate(own) for second in own[:i])


def test_the_readme_takes_the_tables(out: Path, tmp_path: Path) -> None:
    results = Results(tmp_path / "bench.json", {})
    results.add("memory", {"preset": "pixel", "side": 64, "photos": 4, "peak_gib": 0.5})
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    fill_readme(readme, measured(tmp_path))
    fill_readme(readme, measured(tmp_path))  # the markers stay
    text = readme.read_text()
    assert text.startswith("before\n<!-- bench -->\n**Peak") and "| pixel | 4 | 64 | 0.5 |" in text
    assert text.endswith("\n<!-- /bench -->\nafter\n") and "old" not in text
    assert f"{results.sections['memory'][0]['commit']} on " in text
    readme.write_text("no place for tables")
    with pytest.raises(InputError, match="has no <!-- bench -->"):
        fill_readme(readme, "x")
    with pytest.raises(InputError, match="holds no results"):
        measured(tmp_path / "empty")


def test_cells_say_how_far_from_the_average_and_from_the_budget() -> None:
    average = {"method": MEAN_TEXTURE, "budget": 0, "psnr": 20.0, "ssim": 0.5}
    run = {"method": "pixel", "budget": 30, "psnr": 29.5, "ssim": 0.9, "cpu_seconds": 36.0}
    text = quality_table([average, run])
    assert "| pixel |  | 29.50 (+9.50) 0.900 [36 s] |" in text
    assert "| averaged texture | 20.00 0.500 |  |" in text
    assert table(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_the_arithmetic_of_layers_is_counted() -> None:
    convolution = torch.nn.Conv2d(3, 5, 4, stride=2, padding=1)
    image = torch.zeros(2, 3, 8, 12)
    expected = 2 * (2 * 5 * 4 * 6) * (3 * 4 * 4)  # a multiply-add is two

    def forward() -> torch.Tensor:
        return convolution(convolution(image)[:, :3].repeat(1, 1, 2, 2))

    layers = measure_layers(torch.nn.Sequential(convolution), forward, repeats=1)
    assert count_flops(forward) == layers.flops == 2 * expected
    assert layers.seconds > 0 and layers.num_bytes > 2 * image.numel() * 2


def test_plain_lookups_are_bilinear_over_known_texels() -> None:
    texture = np.zeros((4, 4, 4))
    texture[0, 0] = 1, 0, 0, 1
    texture[0, 1] = 0, 1, 0, 1
    uv = np.array([[0.125, 0.875], [0.25, 0.875], [0.125, 0.75], [0.9, 0.1]])
    expected = [[1, 0, 0], [0.5, 0.5, 0], [1, 0, 0], [0.5, 0.5, 0.5]]
    np.testing.assert_allclose(look_up(texture, uv), expected, atol=1e-12)


@pytest.mark.parametrize("count", [500, 10_000])
def test_the_bench_mesh_is_closed_but_for_its_poles(count: int) -> None:
    vertices, faces = bumpy_sphere(count)
    assert abs(len(faces) / count - 1) < 0.1 and int(faces.max()) == len(vertices) - 1
    sides = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, uses = sides.sort(dim=1).values.unique(dim=0, return_counts=True)
    columns = 2 * round((count / 4) ** 0.5)
    assert int((uses == 1).sum()) == 2 * columns and int(uses.max()) == 2
