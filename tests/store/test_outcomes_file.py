"""Tables of outcomes in files."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.errors import DataError, MissingExtra
from pointsman.store import COLUMNS, read_table, write_table

FORMS = ("parquet", "jsonl", "csv")
RECORDED = os.environ.get("POINTSMAN_OUTCOMES")


def row(**changes: Any) -> dict[str, Any]:
    plain = {"query_id": "q1", "prompt": "3+4=", "model": "m", "mode": "direct", "correct": 1.0}
    return plain | changes


FULL = row(
    benchmark="sums",
    group="easy",
    sample=2,
    input_tokens=4.0,
    output_tokens=1.0,
    tokens_are="billed",
    answer="7",
    confidence=0.5,
)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_in_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"sums.{form}"
    bare = row(query_id="q2", prompt='a "quoted", \n ünï prompt', correct=None)
    assert write_table(path, [FULL, bare]) == 2
    table = read_table(path)
    assert len(table) == 2
    assert table.file == str(path)
    read = [{name: table.columns[name][n] for name in COLUMNS} for n in range(2)]
    assert read[0] == {name: FULL[name] for name in COLUMNS}
    assert (read[1]["prompt"], read[1]["correct"], read[1]["sample"]) == (bare["prompt"], None, 0)
    assert (read[1]["benchmark"], read[1]["group"]) == ("sums", "sums")
    assert "confidence" in table.columns


@pytest.mark.parametrize("form", FORMS)
def test_what_may_be_left_out_is_filled_in(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"sums.{form}"
    write_table(path, [row()])
    columns = read_table(path).columns
    assert (columns["benchmark"], columns["group"], columns["sample"]) == (["sums"], ["sums"], [0])
    assert (columns["input_tokens"], columns["tokens_are"], columns["answer"]) == ([None], [None], [None])


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1, max_size=8)
tokens = st.none() | st.floats(0, 1e9)


@settings(max_examples=25, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    rows=st.lists(
        st.fixed_dictionaries(
            {
                **dict.fromkeys(("benchmark", "group", "query_id", "prompt", "model", "mode"), texts),
                "sample": st.integers(0, 5),
                "correct": st.none() | st.floats(0, 1),
                "input_tokens": tokens,
                "output_tokens": tokens,
                "tokens_are": st.none() | texts,
                "answer": st.none() | texts,
            }
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_any_table_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, form: str, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("table") / f"t.{form}"
    write_table(path, rows)
    table = read_table(path)
    assert [{name: table.columns[name][n] for name in COLUMNS} for n in range(len(table))] == rows


@pytest.mark.parametrize(
    ("changes", "column", "says"),
    [
        ({"correct": 1.5}, "correct", "row 2: must be 0"),
        ({"correct": "yes"}, "correct", "row 2: must be a number"),
        ({"output_tokens": math.inf}, "output_tokens", "row 2: must be a number of tokens"),
        ({"input_tokens": "many"}, "input_tokens", "row 2: must be a number"),
        ({"sample": 0.5}, "sample", "row 2: must be 0, 1, 2"),
        ({"sample": -1}, "sample", "row 2: must be 0, 1, 2"),
        ({"model": ""}, "model", "row 2: must be a text"),
        ({"prompt": None}, "prompt", "row 2: must be a text"),
    ],
)
def test_values_out_of_range_name_file_column_and_row(
    tmp_path: Path, changes: dict[str, Any], column: str, says: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in (row(), row(**changes))))
    with pytest.raises(DataError, match=says) as caught:
        read_table(path)
    assert (caught.value.file, caught.value.column) == (str(path), column)
    with pytest.raises(DataError, match=says):
        write_table(tmp_path / "other.jsonl", [row(), row(**changes)])
    assert not (tmp_path / "other.jsonl").exists()


@pytest.mark.parametrize("column", ["query_id", "prompt", "model", "mode", "correct"])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_missing_column_is_named(tmp_path: Path, column: str, form: str) -> None:
    path = tmp_path / f"t.{form}"
    left = {name: value for name, value in row().items() if name != column}
    path.write_text(json.dumps(left) if form == "jsonl" else f"{','.join(left)}\n{','.join(map(str, left.values()))}\n")
    with pytest.raises(DataError, match="is missing") as caught:
        read_table(path)
    assert (caught.value.file, caught.value.column) == (str(path), column)


def test_rows_with_a_negative_number_of_tokens_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_table(path, [row(query_id="a", output_tokens=0), row(query_id="b", output_tokens=-3), row(query_id="c")])
    path.write_text(path.read_text() + json.dumps(row(query_id="d", input_tokens=-1)))
    table = read_table(path)
    assert table.columns["query_id"] == ["a", "c"]
    assert table.notes == ("1 rows had a negative number of tokens and were left out.",)
    path.write_text(json.dumps(row(output_tokens=-1)))
    with pytest.raises(DataError, match="every row has a negative"):
        read_table(path)


def test_an_empty_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("query_id,prompt,model,mode,correct\n")
    (tmp_path / "t.jsonl").write_text("")
    with pytest.raises(DataError, match=r"t\.csv: the table is empty"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.jsonl: column 'query_id': is missing"):
        read_table(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.jsonl", b'{"query_id": "q"}\n{', "line 2 is no JSON"),
        ("t.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("t.jsonl", b"\xff\xfe\x00", "is no UTF-8"),
        ("t.csv", b"query_id,prompt\nq1\n", "row 1 has not as many fields"),
        ("t.csv", b'query_id,prompt\n"q1" x,"y"\n', "is no CSV"),
        ("t.parquet", b"PAR0 is not it", "is no Parquet file"),
        ("t.txt", b"", "'.txt' is unknown; .parquet, .jsonl, .csv"),
    ],
)
def test_files_that_are_none_are_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read_table(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for form in FORMS:
        with pytest.raises(DataError, match="there is no such file"):
            read_table(tmp_path / f"none.{form}")
    with pytest.raises(DataError, match="cannot be written"):
        write_table(tmp_path / "nowhere" / "t.csv", [row()])
    with pytest.raises(DataError, match="is unknown"):
        write_table(tmp_path / "t.txt", [row()])


def test_only_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "t.parquet", [row()])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for form in ("jsonl", "csv"):
        write_table(tmp_path / f"t.{form}", [row()])
        assert len(read_table(tmp_path / f"t.{form}")) == 1
    with pytest.raises(MissingExtra, match=r"pointsman\[data\]"):
        read_table(tmp_path / "t.parquet")


def test_csv_knows_true_and_false_and_long_prompts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        f"query_id,prompt,model,mode,correct\n1,{'x' * 200_000},m,direct,True\n2,y,m,direct,false\n"
    )
    table = read_table(tmp_path / "t.csv")
    assert table.columns["correct"] == [1.0, 0.0]
    assert len(table.columns["prompt"][0]) == 200_000


@pytest.mark.skipif(RECORDED is None, reason="POINTSMAN_OUTCOMES names no folder")
def test_every_recorded_table_is_read() -> None:
    for path in sorted(Path(str(RECORDED)).glob("*.parquet")):
        assert len(read_table(path)) > 1000
