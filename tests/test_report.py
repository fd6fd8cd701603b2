import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from dnr.errors import InputError
from dnr.training.charts import Curve, line_chart, log_ticks, number, ticks
from dnr.training.report import Report, View, write_report


class Page(HTMLParser):
    """What a browser would make of the file: its texts, and every address in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open, f"tags never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def decoded(address: str) -> np.ndarray:
    """The picture inside a data address, RGB."""
    data = base64.b64decode(address.partition("base64,")[2])
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1]


def view(name: str, error_levels: int) -> View:
    """A grey photo and a rendering that is `error_levels` too bright everywhere."""
    truth = np.full((30, 44, 3), 100, np.uint8)
    return View(name, truth, truth + np.uint8(error_levels))


def content(**changes) -> Report:
    parts = {
        "title": "teapot",
        "command": "python train.py teapot --out runs/teapot",
        "versions": {"torch": "2.13.0"},
        "config": {"preset": "best", "texture": {"size": 512}},
        "metrics": {
            "test": {"psnr": 31.2345, "num_views": 3},
            "train": {"steps": 20000, "seconds": 125.0, "device": "cpu"},
            "definition": {"psnr": "ten times a logarithm", "background": "white"},
        },
    }
    return Report(**{**parts, **changes})


def test_a_bare_report_is_complete(tmp_path) -> None:
    path = write_report(tmp_path / "run", content())
    assert path == tmp_path / "run" / "report" / "index.html"
    assert [item.name for item in path.parent.iterdir()] == ["index.html"]
    text = Page(path).text
    for words in (
        "teapot",
        "31.23",
        "ten times a logarithm",
        "background",
        "20 000 steps",
        "2:05 of training",
        "texture size",
        "512",
        "2.13.0",
        "python train.py teapot",
    ):
        assert words in text


def test_views_are_shown_with_their_psnr_and_the_extremes_marked(tmp_path) -> None:
    views = [view("a.png", 10), view("b.png", 20), view("c.png", 5)]
    page = Page(write_report(tmp_path, content(views=views)))
    words = [text for text in page.texts if text.strip()]
    for name, levels, mark in (("a.png", 10, None), ("b.png", 20, "worst"), ("c.png", 5, "best")):
        place = words.index(name)
        assert words[place + 1] == f"{20 * np.log10(255 / levels):.2f} dB"
        assert (words[place + 2] == mark) if mark else words[place + 2] == "ground truth"
    pictures = [decoded(value) for value in page.values("src")]
    triple = pictures[2:5]  # after the one on top and the error scale
    assert [picture.shape for picture in triple] == [(30, 44, 3)] * 3
    assert abs(int(triple[0][9, 9, 0]) - 100) <= 1 and abs(int(triple[1][9, 9, 0]) - 110) <= 1


def test_many_views_are_thinned_but_the_extremes_stay(tmp_path) -> None:
    views = [view(f"{index:03d}.png", 20 + (index == 50) - (index == 51)) for index in range(101)]
    page = Page(write_report(tmp_path, content(views=views)))
    names = [text for text in page.texts if re.fullmatch(r"\d{3}\.png", text)]
    assert {"000.png", "100.png", "050.png", "051.png"} <= set(names)
    assert f"{len(names)} of 101 are shown" in page.text and len(names) <= 26


def test_large_pictures_are_scaled_down(tmp_path) -> None:
    texture = np.zeros((300, 3000, 3), np.uint8)
    page = Page(write_report(tmp_path, content(texture_images=[("channels 1 to 3", texture)])))
    assert decoded(page.values("src")[0]).shape == (102, 1024, 3)


def test_nothing_is_asked_of_the_network_and_every_text_is_escaped(tmp_path) -> None:
    nasty = "<script>alert(1)</script> & \"quotes\" 'too'"
    report = content(
        title=nasty,
        command=nasty,
        versions={nasty: nasty},
        config={nasty: nasty},
        notes=[nasty],
        metrics={"test": {nasty: 1.0, "device": nasty}, "definition": {nasty: nasty}},
        history=[{"step": 0, nasty: 1.0}, {"step": 1, nasty: 2.0}],
        views=[view(nasty, 3)],
        video='a "b" <c>.mp4',
        texture_images=[(nasty, np.zeros((4, 6, 3), np.uint8))],
        uv_coverage=np.zeros((5, 8), np.uint8),
    )
    path = write_report(tmp_path, report)
    page = Page(path)
    assert page.text.count(nasty) >= 12
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object"})
    addresses = page.values("src") + page.values("poster") + page.values("href")
    outside = [address for address in addresses if not address.startswith("data:image/")]
    assert outside == ["../a%20%22b%22%20%3Cc%3E.mp4"]
    assert "http" not in path.read_text() and "url(" not in path.read_text()


def test_history_becomes_one_chart_per_family(tmp_path) -> None:
    history = [{"step": step, "seconds": step / 10, "loss": 1 / (step + 1)} for step in range(100)]
    history[50] |= {"psnr": 25.0, "psnr_train": 27.0}
    history[99] |= {"psnr": 30.0, "psnr_train": float("inf")}
    page = Page(write_report(tmp_path, content(history=history)))
    assert page.values("aria-label") == ["loss", "psnr, psnr train"]
    assert "steps (0:10 in all)" in page.text


def test_a_report_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(InputError, match=r"index\.html"):
        write_report(tmp_path, content())


def points(svg: str) -> np.ndarray:
    """Columns and rows of the first curve of a chart."""
    root = ElementTree.fromstring(svg)
    line = next(item for item in root.iter() if item.tag == "polyline")
    return np.array([pair.split(",") for pair in line.attrib["points"].split()], float)


def grid_rows(svg: str) -> dict[str, float]:
    """Label and row of every line of the grid."""
    items = list(ElementTree.fromstring(svg))
    return {
        text.text or "": float(line.attrib["y1"])
        for line, text in pairwise(items)
        if line.tag == "line"
    }


def test_a_curve_lies_where_its_grid_says() -> None:
    svg = line_chart([Curve("psnr", [0, 50, 100], [20.0, 30.0, 25.0])], "steps")
    rows, drawn = grid_rows(svg), points(svg)
    np.testing.assert_allclose(
        drawn[:, 1], [rows["20"], rows["30"], (rows["20"] + rows["30"]) / 2], atol=0.11
    )
    assert drawn[1, 0] - drawn[0, 0] == pytest.approx(drawn[2, 0] - drawn[1, 0], abs=0.11)
    assert rows["20"] > rows["30"], "larger is higher"


def test_a_logarithmic_chart_gives_every_decade_the_same_height() -> None:
    svg = line_chart([Curve("loss", [0, 1, 2, 3], [1.0, 0.1, 0.0, 0.01])], "steps", log_y=True)
    drawn = points(svg)
    assert len(drawn) == 3, "zero has no logarithm"
    assert np.diff(drawn[:, 1], n=2) == pytest.approx(0, abs=0.21)


def test_charts_bear_empty_single_and_flat_curves() -> None:
    assert "No values" in line_chart([Curve("psnr", [0.0], [float("nan")])], "steps")
    assert len(points(line_chart([Curve("psnr", [5], [30.0])], "steps"))) == 1
    assert np.isfinite(points(line_chart([Curve("loss", [0, 1], [0.0, 0.0])], "steps"))).all()
    assert np.isfinite(points(line_chart([Curve("l", [0, 1], [2.0, 2.0])], "steps", True))).all()


def test_long_curves_are_thinned_and_names_kept_apart() -> None:
    steps = [float(step) for step in range(50_000)]
    curves = [Curve(f"loss {k}", steps, [1.0 + k / 1000] * len(steps)) for k in range(4)]
    svg = line_chart(curves, "steps")
    assert len(points(svg)) <= 300 and len(svg) < 40_000
    groups = [item for item in ElementTree.fromstring(svg) if item.tag == "g"]
    rows = sorted(float(item.attrib["y"]) for group in groups for item in group.findall("text"))
    assert min(np.diff(rows)) >= 34


@pytest.mark.parametrize("low, high", [(0, 5000), (21.3, 33.6), (-4, 7), (0.0012, 0.0013), (5, 5)])
def test_ticks_are_round_and_cover_the_range(low, high) -> None:
    values = ticks(low, high)
    steps = np.diff(values)
    assert values[0] <= low + 1e-9 and values[-1] >= high - 1e-9 and 2 <= len(values) <= 9
    np.testing.assert_allclose(steps, steps[0])
    assert f"{steps[0]:.1e}"[:3] in ("1.0", "2.0", "5.0")


@pytest.mark.parametrize("low, high", [(0.004, 0.09), (1e-6, 3.0), (0.5, 0.5), (0.011, 0.013)])
def test_log_ticks_cover_the_range(low, high) -> None:
    values = log_ticks(low, high)
    assert values[0] <= low * 1.01 and values[-1] >= high * 0.99 and len(values) <= 9


def test_numbers_are_written_for_readers() -> None:
    shown = [number(v) for v in (20000, 31.2345, 0.01234, -1.5, 0.95931, 3, float("inf"))]
    minus = "\N{MINUS SIGN}"
    assert shown == ["20 000", "31.23", "0.0123", f"{minus}1.5000", "0.9593", "3", "∞"]
