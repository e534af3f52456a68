"""`pointsman db`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pointsman.api.cli.main import main


@pytest.fixture
def at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """A home whose store holds one decision."""
    options = ["--home", str(tmp_path / "home")]
    assert main(["route", "What is 17 * 23?", *options]) == 0
    capsys.readouterr()
    return options


def test_records_are_exported_and_deleted_by_age(
    at: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A decision is in the export as a line of JSON, stays while it is young, and goes when it is too old."""
    file = tmp_path / "out.jsonl"
    assert main(["db", "export", str(file), *at]) == 0
    assert "1 decisions written" in capsys.readouterr().err
    [line] = file.read_text().splitlines()
    assert json.loads(line)["query"]["messages"][0]["content"] == "What is 17 * 23?"
    assert main(["db", "prune", "--older-than", "1d", *at]) == 0
    assert "Deleted: 0 decisions" in capsys.readouterr().out
    assert main(["db", "prune", "--older-than", "0s", *at]) == 0
    assert "Deleted: 1 decisions" in capsys.readouterr().out


def test_an_export_as_parquet_has_a_row_a_decision(at: list[str], tmp_path: Path) -> None:
    """The file reads back with the decision in it."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "out.parquet"
    assert main(["db", "export", str(file), "--form", "parquet", *at]) == 0
    assert parquet.read_table(file).num_rows == 1


def test_upgrade_says_the_form_and_may_be_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice the same, on an empty folder too."""
    for _ in range(2):
        assert main(["db", "upgrade", "--home", str(tmp_path / "new")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite:////proc/no/where.db"])
def test_a_store_that_cannot_be_used_is_named(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One message, exit code 1, no traceback."""
    assert main(["db", "upgrade", "--store", url, "--home", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" not in error
