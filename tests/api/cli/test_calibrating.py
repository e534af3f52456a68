"""`pointsman calibrate` as a user runs it: to its end, stopped and gone on with, on what is wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pointsman.api.cli.calibrating import left_words
from pointsman.api.cli.main import main
from pointsman.router.jobs.questions import chains
from pointsman.router.jobs.trying import Pace

COMMAND = Path(sys.executable).with_name("pointsman")
DIGITS = """
models:
  digits: {embedded: digits}
routes:
  small: {model: digits, mode: direct, thinking_budget: 0, price: &tokens {input: 0.1, output: 1}}
  full: {model: digits, mode: think, price: *tokens}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "digits.yaml"
    file.write_text(DIGITS)
    return file


def questions(folder: Path, n: int) -> Path:
    """Chains of three lengths as an owner would give them."""
    file = folder / "mine.jsonl"
    rows = [
        {"question": q.prompt, "answer": q.answer, "kind": "exact", "group": f"length {k}"}
        for k in (1, 2, 5)
        for q in chains(n, (k,), seed=k)
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


@pytest.mark.usefixtures("quick_fits")
def test_the_owners_questions_to_the_verdict_the_best_budget_and_the_front(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is written can be evaluated by the command that is suggested."""
    options = ["--config", str(config), "--home", str(tmp_path / "h")]
    asked = ["--data", str(questions(tmp_path, 10)), "--out", str(tmp_path / "t.jsonl")]
    assert main(["calibrate", *options, *asked]) == 0
    shown = capsys.readouterr()
    assert "30 questions, 120 runs" in shown.out
    assert "120 of 120 runs; left: 0:00 min" in shown.err
    for said in (
        "One route or budget",
        "The best fixed budget of each model",
        "Not enough data. 30 questions",
        "Artifact ",
    ):
        assert said in shown.out
    again = next(line for line in shown.out.splitlines() if line.startswith("More: pointsman "))
    assert main(again.removeprefix("More: pointsman ").split()) == 0
    assert "30 questions, 3 folds" in capsys.readouterr().out


@pytest.mark.usefixtures("quick_fits")
def test_after_ctrl_c_the_same_command_with_resume_goes_on(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], eventually: Callable[..., None]
) -> None:
    """Exit code 130, the command that goes on is said, and no run is made twice."""
    file, runs = questions(tmp_path, 20), tmp_path / "h" / "calibration" / "runs.jsonl"
    arguments = ["calibrate", "--config", str(config), "--home", str(tmp_path / "h"), "--data", str(file)]
    arguments += ["--concurrency", "1"]  # slow enough to be stopped in the midst of it, however busy the machine
    started = subprocess.Popen(
        [COMMAND, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell's background jobs are started with Ctrl-C ignored, and so would be what they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    eventually(lambda: runs.exists() and runs.read_bytes().count(b"\n") >= 2, 90, "two runs")
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130, said
    before = runs.read_text()
    assert 2 <= len(before.splitlines()) < 240
    go_on = said.split("Go on: pointsman ")[1].splitlines()[0]
    assert go_on.endswith(f"--config {config} --home {tmp_path / 'h'} --resume")
    assert main(go_on.split()) == 0
    after = runs.read_text()
    assert after.startswith(before)
    keys = [(row["query_id"], row["route"], row["sample"]) for row in map(json.loads, after.splitlines())]
    assert len(keys) == len(set(keys)) == 240
    assert "60 questions, 240 runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--routes", "huge"], "There is no route 'huge'; there are small, full"),
        (["--out", "t.xlsx"], "--out is a file of .jsonl, .csv or .parquet"),
        (["--data", "none.jsonl"], "none.jsonl: cannot be read"),
        (["--samples", "0"], "samples"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    own = [] if "--data" in arguments else ["--data", str(questions(tmp_path, 2))]
    assert main(["calibrate", "--config", str(config), "--home", str(tmp_path / "h"), *own, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_wrong_line_of_the_owners_is_named(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "1+1", "answer": "2", "kind": "exakt"}')
    assert main(["calibrate", "--config", str(config), "--data", str(tmp_path / "q.jsonl")]) == 2
    assert "column 'kind': line 1: must be one of exact, number" in capsys.readouterr().err


@pytest.mark.usefixtures("quick_fits")
def test_a_route_that_never_answers_is_left_out_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens on its port; the others are learnt from, and the exit code is that of a calibration."""
    file = tmp_path / "c.yaml"
    gone = "  gone: {url: 'http://127.0.0.1:9/v1', model: m}\n"
    there = DIGITS.replace("routes:\n", f"{gone}routes:\n  away: {{model: gone, mode: direct, price: *tokens}}\n")
    file.write_text(there.replace("price: *tokens}\n  small", "price: {input: 1, output: 2}}\n  small"))
    asked = ["--data", str(questions(tmp_path, 8)), "--samples", "1"]
    assert main(["calibrate", "--config", str(file), "--home", str(tmp_path / "h"), *asked]) == 0
    shown = capsys.readouterr().out
    assert "The route away failed always, and is left out: gone: " in shown
    assert "24 questions, 48 runs" in shown
    assert "24 runs failed; --resume tries them again." in shown


@pytest.mark.usefixtures("quick_fits")
def test_a_model_that_no_named_route_needs_is_not_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Starting it would fail: its file is no model. Asked for, it is an error before anything runs."""
    (tmp_path / "broken.gguf").write_bytes(b"no model at all")
    file = tmp_path / "c.yaml"
    file.write_text(f"""
models:
  digits: {{embedded: digits}}
  big: {{path: {tmp_path}/broken.gguf, parameters: 70}}
routes:
  small: {{model: digits, mode: direct}}
  full: {{model: digits}}
  dear: {{model: big}}
""")
    asked = ["--config", str(file), "--home", str(tmp_path / "h"), "--data", str(questions(tmp_path, 4))]
    assert main(["calibrate", *asked, "--routes", "small,full"]) == 0
    assert "12 questions, 48 runs" in capsys.readouterr().out
    assert main(["calibrate", *asked, "--routes", "small,dear"]) == 1
    assert "models.big: the engine ended" in capsys.readouterr().err


def test_where_every_route_is_silent_the_exit_code_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("models: {gone: {url: 'http://127.0.0.1:9/v1', model: m, parameters: 1}}\n")
    asked = ["--data", str(questions(tmp_path, 2))]
    assert main(["calibrate", "--config", str(file), "--home", str(tmp_path / "h"), *asked]) == 1
    assert "no route answered a single question" in capsys.readouterr().err


def test_what_is_left_is_told_in_time_tokens_and_cost() -> None:
    told = left_words(Pace(done=10, total=30, failed=2, seconds_left=75.2, tokens_left=12345.6, cost_left=0.0123))
    assert told == "left: 1:15 min, 12,346 tokens, cost 0.0123, 2 failed"
    assert "failed" not in left_words(Pace(1, 2, 0, 1, 1, 1))
