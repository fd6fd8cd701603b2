"""Rows are counted from outside while a database is filled."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from dnr.capture.row_counts import watched_rows


def test_rows_are_shown_and_the_last_count_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "a databäse.db"
    with watched_rows(database, "things", 30, "counting"):
        assert not database.exists(), "watching makes no file"
        with closing(sqlite3.connect(database)) as opened:
            opened.execute("PRAGMA journal_mode=WAL")
            opened.execute("CREATE TABLE things (number INTEGER)")
            for number in range(30):
                opened.execute("INSERT INTO things VALUES (?)", (number,))
            opened.commit()
            time.sleep(0.1)
    assert "counting  30/30" in capsys.readouterr().err


def test_a_failure_inside_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), watched_rows(tmp_path / "x.db", "things", 3, "counting"):
        raise ZeroDivisionError
