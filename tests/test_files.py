"""Files are read with limits, and written whole or not at all."""

import errno
import json
import os
from pathlib import Path

import pytest

from dnr.errors import InputError
from dnr.files import check_format, new_folder, read_json, write_json, written_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_json_comes_back(tmp_path: Path) -> None:
    value = {"psnr": 31.5, "names": ["ä", "b"], "none": None}
    write_json(tmp_path / "new" / "metrics.json", value)
    assert read_json(tmp_path / "new" / "metrics.json") == value
    assert names(tmp_path / "new") == ["metrics.json"]


def test_nan_is_never_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "metrics.json", {"psnr": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1', "line 1, column 8"),
        (b"", "not JSON"),
        (b"[1, 2]", "JSON object"),
        (b"\xff\xfe{", "UTF-8"),
        (b'{"a": ' * 100_000, "sensible size"),
        (b'{"a": 1' + b"0" * 10_000 + b"}", "sensible size"),
        (b'{"a": "' + b"x" * 2_000_000 + b'"}', "larger than the 1 MiB"),
    ],
)
def test_bad_json_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "transforms.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="transforms") as caught:
        read_json(path, limit_bytes=1 << 20)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # would block for ever if it were opened
    for name, words in [("nothing", "does not exist"), (".", "not a file"), ("pipe", "not a file")]:
        with pytest.raises(InputError, match=words):
            read_json(tmp_path / name)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"format_version": 3}, "newer version .*format 3.* up to 2.*update"),
        ({}, "no valid format_version"),
        ({"format_version": "2"}, "no valid format_version"),
        ({"format_version": True}, "no valid format_version"),
        ({"format_version": 0}, "no valid format_version"),
    ],
)
def test_foreign_formats_are_refused(document: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_format(Path("asset.json"), document, newest=2)


def test_older_formats_are_welcome() -> None:
    check_format(Path("asset.json"), {"format_version": 1}, newest=2)
    check_format(Path("asset.json"), {"format_version": 2}, newest=2)


def test_a_folder_appears_at_the_end(tmp_path: Path) -> None:
    with new_folder(tmp_path / "runs" / "a") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "x.txt").write_text("x")
        assert not (tmp_path / "runs" / "a").exists()
    assert (tmp_path / "runs" / "a" / "deep" / "x.txt").read_text() == "x"
    assert names(tmp_path / "runs") == ["a"]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, InputError])
def test_a_failure_leaves_nothing(tmp_path: Path, stop: type[BaseException]) -> None:
    with pytest.raises(stop), new_folder(tmp_path / "a") as folder:
        (folder / "half.txt").write_text("half")
        raise stop("in the middle")
    assert names(tmp_path) == []


def test_an_old_file_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "asset.json"
    write_json(path, {"good": True})
    with pytest.raises(RuntimeError), written_whole(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"good": True}
    assert names(tmp_path) == ["asset.json"]


def test_a_folder_in_the_way_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a"):
        pass  # an empty folder is no obstacle
    (tmp_path / "a" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / "a"):
        pytest.fail("the refusal must come before the work")
    assert (tmp_path / "a" / "mine.txt").read_text() == "mine"


def test_a_file_as_parent_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a part of this path is a file"):
        write_json(tmp_path / "file" / "a.json", {})
    with pytest.raises(InputError, match="it is a folder"):
        write_json(tmp_path, {})
    with pytest.raises(InputError, match="the name is too long"):
        write_json(tmp_path / ("a" * 300), {})
    assert names(tmp_path) == ["file"]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dnr.files.os.fsync", full)
    with pytest.raises(InputError, match=r"a\.json cannot be written: the disk is full; free"):
        write_json(tmp_path / "a.json", {})
    with (
        pytest.raises(InputError, match="folder cannot be written"),
        new_folder(tmp_path / "folder"),
    ):
        pass
    assert names(tmp_path) == []


def test_trouble_with_another_file_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "a"):
        (tmp_path / "elsewhere" / "input.txt").read_text()
