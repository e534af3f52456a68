"""`pointsman retrain`, `promote`, `rollback` on tables of outcomes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pointsman.api.cli.main import main

TOPICS = ("sums", "capitals", "rivers")
CONSTELLATION = """\
tiny:
  file: outcomes.jsonl
  hold_out_by: group
  cost: tokens
  routes:
    small: {model: little, mode: direct, price: {input: 0.1, output: 1}}
    full: {model: large, mode: think, price: {input: 1, output: 10}}
"""
CONFIGURED = """\
models:
  little: {url: "http://127.0.0.1:1/v1", parameters: 1}
  large: {url: "http://127.0.0.1:1/v1", parameters: 10}
routes:
  small: {model: little, mode: direct, price: {input: 0.1, output: 1}}
  full: {model: large, mode: think, price: {input: 1, output: 10}}
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 questions in three groups on two routes: the small one fails where there is a number to work out."""
    folder = tmp_path_factory.mktemp("table")
    file = folder / "outcomes.jsonl"
    with file.open("w") as out:
        for i in range(60):
            hard = i % 2 == 0
            text = f"Work out {i} * {i + 7} - {3 * i} step by step." if hard else f"Name a thing that begins with {i}?"
            common = {"benchmark": "made", "group": TOPICS[i % 3], "query_id": f"q{i}", "prompt": text, "sample": 0}
            for model, mode, right, tokens in (
                ("little", "direct", 0 if hard and i % 20 else 1, 5),
                ("large", "think", 0 if i % 30 == 1 else 1, 400),
            ):
                row = {"model": model, "mode": mode, "correct": right, "input_tokens": 20, "output_tokens": tokens}
                out.write(json.dumps(common | row | {"tokens_are": "billed"}) + "\n")
    (folder / "constellations.yaml").write_text(CONSTELLATION)
    (folder / "pointsman.yaml").write_text(CONFIGURED)
    return file


def test_a_table_is_learnt_reported_registered_and_promoted_only_when_told(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`retrain --data` reports accuracy, calibration and held-out groups beside the best fixed route and registers the
    artifact; `promote` lists it, then serves it by the beginning of its id; `rollback` takes it back."""
    at = ["--home", str(tmp_path), "--config", str(table.parent / "pointsman.yaml")]
    tiny = f"{table.parent}/constellations.yaml:tiny"
    out = tmp_path / "report.json"
    assert main(["retrain", "--data", str(table), "--constellation", tiny, "--json", str(out), *at]) == 0
    shown = capsys.readouterr()
    told = ("60 queries", "ECE", "Brier", "best fixed route (full)", "rivers", "random mix", "oracle")
    for said in (*told, "registered only"):
        assert said in shown.out
    made = re.search(r"^Artifact (\S+)\n +(\S+)$", shown.out, re.MULTILINE)
    assert made is not None
    assert f"pointsman promote {made[1]}" in shown.out
    assert Path(made[2]).is_dir()
    report = json.loads(out.read_text())
    assert report["artifact"] == made[1]
    assert report["promoted"] is False
    assert set(report["routes"]) == {"small", "full"}

    assert main(["promote", *at]) == 0
    listed = capsys.readouterr().out
    assert made[1] in listed
    assert "serves" not in listed
    assert main(["promote", made[1][:6], *at]) == 0
    assert f"Artifact {made[1]} serves" in capsys.readouterr().out
    assert main(["promote", *at]) == 0
    assert "serves" in capsys.readouterr().out
    assert main(["rollback", *at]) == 0
    assert "No promoted artifact serves any more" in capsys.readouterr().out
    assert main(["rollback", *at]) == 2


def test_what_could_not_serve_is_not_advised_and_not_promoted(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table's routes are not those of the shipped configuration: refused, with the routes that differ."""
    learn = ["retrain", "--data", str(table), "--constellation", f"{table.parent}/constellations.yaml:tiny"]
    assert main([*learn, "--promote", "--home", str(tmp_path)]) == 2
    assert "says nothing of small, chat, budgeted, full as configured" in capsys.readouterr().err
    assert main([*learn, "--home", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "not the configured ones" in shown
    assert "pointsman promote" not in shown
    made = re.search(r"^Artifact (\S+)", shown, re.MULTILINE)
    assert made is not None
    assert main(["promote", made[1], "--home", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "trained for the routes small, full" in error
    assert "does not know small, chat, budgeted, full" in error
    assert main(["promote", "--home", str(tmp_path)]) == 0
    assert "serves" not in capsys.readouterr().out


def test_an_unknown_artifact_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and how to see those that are there."""
    assert main(["promote", "feed", "--home", str(tmp_path)]) == 2
    assert "`pointsman promote` without an id lists" in capsys.readouterr().err


def test_a_log_without_outcomes_teaches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what to do: give feedback."""
    assert main(["retrain", "--home", str(tmp_path)]) == 2
    assert "pointsman feedback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.jsonl", None, "none.jsonl"),
        ("bad.csv", "query_id,prompt\n1,x\n", "column 'model'"),
        ("odd.txt", "x", "the form '.txt' is unknown"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(
    name: str, text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No such file, a column missing, an unknown form: exit code 2 with the file, and the column where there is one."""
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    assert main(["retrain", "--data", str(file), "--home", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
