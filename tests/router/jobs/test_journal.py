"""The file of runs: what it gives back, after whatever became of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calibrating import chain_questions, contender

from pointsman.errors import DataError
from pointsman.router.jobs.journal import Journal, trials
from pointsman.store import read_table

TRIALS = trials(chain_questions(2, 1), [contender("small"), contender("full", budget=None, samples=2)])


def done(trial: object, correct: float | None = 1.0) -> dict[str, object]:
    return {**trial.row(), "correct": correct}  # type: ignore[attr-defined]


def test_trials_go_question_by_question() -> None:
    told = [(t.question.id[:2], t.contender.name, t.sample) for t in TRIALS[:3]]
    assert told == [("1-", "small", 0), ("1-", "full", 0), ("1-", "full", 1)]
    assert len({t.key for t in TRIALS}) == len(TRIALS) == 6


def test_what_was_run_is_there_again_and_what_failed_is_not(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "runs.jsonl"
    with Journal(file, resume=False) as journal:
        journal.append(done(TRIALS[0]))
        journal.append(done(TRIALS[1], None))
        journal.append(done(TRIALS[2], None))
        journal.append(done(TRIALS[2], 0.0))
    with Journal(file, resume=True) as journal:
        assert [journal.row(t) is not None for t in TRIALS] == [True, False, True, False, False, False]
        journal.append(done(TRIALS[1]))
    assert len(read_table(file)) == 5, "it is a table of outcomes too"


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    """The process may be killed in the middle of a write."""
    file = tmp_path / "runs.jsonl"
    with Journal(file, resume=False) as journal:
        journal.append(done(TRIALS[0]))
    file.write_bytes(file.read_bytes() + b'{"query_id": "half')
    with Journal(file, resume=True) as journal:
        assert journal.row(TRIALS[0]) is not None
        journal.append(done(TRIALS[1]))
    assert [json.loads(line)["route"] for line in file.read_text().splitlines()] == ["small", "full"]


def test_another_limit_or_another_text_is_another_trial(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    with Journal(file, resume=False) as journal:
        journal.append({**done(TRIALS[0]), "max_tokens": 5})
        journal.append({**done(TRIALS[1]), "prompt": "another"})
        assert journal.row(TRIALS[0]) is None
        assert journal.row(TRIALS[1]) is None


def test_a_new_start_keeps_the_earlier_file(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    for _ in range(3):
        with Journal(file, resume=False) as journal:
            assert journal.row(TRIALS[0]) is None
            journal.append(done(TRIALS[0]))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("start", ["", "\ufeff", "\n \n"])
def test_what_an_editor_leaves_in_it_is_no_fault(tmp_path: Path, start: str) -> None:
    """A mark of its encoding, blank lines: as in every file of JSON lines."""
    file = tmp_path / "runs.jsonl"
    file.write_text(f"{start}{json.dumps(done(TRIALS[0]))}\n\n")
    with Journal(file, resume=True) as journal:
        assert [journal.row(t) is not None for t in TRIALS[:2]] == [True, False]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ('{"query_id": 1}', "no run of a calibration: 'route'"),
        (json.dumps({**done(TRIALS[0]), "sample": []}), "no run of a calibration: unhashable"),
    ],
)
def test_a_file_that_is_no_journal_is_said(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "runs.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=f"runs.jsonl: line 1 is {said}"):
        Journal(tmp_path / "runs.jsonl", resume=True)
