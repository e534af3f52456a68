"""The owner's questions: what a line may hold, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.errors import DataError
from pointsman.router.jobs.verifiable import read_questions

GOOD: dict[str, Any] = {"question": "2+2?", "answer": "4", "kind": "exact"}


def written(folder: Path, *rows: object) -> Path:
    file = folder / "mine.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return file


def test_every_kind_is_read_with_what_is_left_out_filled_in(tmp_path: Path) -> None:
    rows = [
        GOOD,
        {**GOOD, "question": "pi?", "kind": "number", "answer": 3.14, "tolerance": 0.01, "id": 7, "group": "maths"},
        {**GOOD, "question": "x?", "kind": "mathematics", "answer": "x^2"},
        {**GOOD, "question": "which?", "kind": "choice", "answer": "(b)"},
        {**GOOD, "question": "yes?", "kind": "regex", "answer": "^yes"},
        {**GOOD, "question": "json?", "kind": "json_schema", "answer": {"type": "object"}},
    ]
    found = read_questions(written(tmp_path, *rows, ""))
    assert [q.kind for q in found] == [row["kind"] for row in rows]
    assert (found[0].benchmark, found[0].group, found[0].tolerance) == ("mine", "mine", None)
    assert (found[1].id, found[1].group, found[1].tolerance) == ("7", "maths", 0.01)
    assert found[3].answer == "b"
    assert read_questions(written(tmp_path, *rows))[0].id == found[0].id, "an id stays the same"
    assert len({q.id for q in found}) == len(rows)


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        ({**GOOD, "kind": "vibes"}, "kind", "one of exact, number"),
        ({**GOOD, "hint": "x"}, "hint", "is no field"),
        ({**GOOD, "question": " "}, "question", "must be a text"),
        ({"question": "x", "kind": "exact"}, "answer", "must be a text"),
        ({**GOOD, "kind": "number", "answer": "many"}, "answer", "must be a number"),
        ({**GOOD, "kind": "choice", "answer": "AB"}, "answer", "letter of an option"),
        ({**GOOD, "kind": "regex", "answer": "("}, "answer", "no regular expression"),
        ({**GOOD, "kind": "json_schema", "answer": "{}"}, "answer", "must be a JSON schema"),
        ({**GOOD, "kind": "json_schema", "answer": {"type": "thing"}}, "answer", "is no JSON schema"),
        ({**GOOD, "tolerance": 1}, "tolerance", "is for numbers"),
        ({**GOOD, "kind": "number", "tolerance": -1}, "tolerance", "0 or more"),
        ({**GOOD, "group": ["a"]}, "group", "must be a text"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_line_and_field(tmp_path: Path, row: Any, field: str, said: str) -> None:
    file = written(tmp_path, {**GOOD, "question": "before"}, row)
    with pytest.raises(DataError, match=said) as error:
        read_questions(file)
    assert str(error.value).startswith(f"{file}: column {field!r}: line 2: ")


@pytest.mark.parametrize(
    ("rows", "said"),
    [((), "no question"), (("{",), "line 1 is no JSON"), (("[]",), "no JSON object"), ((GOOD, GOOD), "stood before")],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, rows: tuple[Any, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_questions(written(tmp_path, *rows))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_questions(tmp_path / "none.jsonl")
