"""Files of JSON lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.errors import DataError
from pointsman.store import read_json_lines


def test_every_object_comes_with_the_number_of_its_line(tmp_path: Path) -> None:
    """Blank lines count and are passed over; line ends of either kind, a byte order mark and a missing last end are
    none of the text; a line separator inside a text ends no line."""
    file = tmp_path / "some.jsonl"
    file.write_bytes('\ufeff{"a": 1}\r\n\n  \n{"a": "x\u2028y"}\n{}'.encode())
    assert list(read_json_lines(file)) == [(1, {"a": 1}), (4, {"a": "x\u2028y"}), (5, {})]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1}\n\n{', "line 3 is no JSON: "),
        (b'{"a": 1}\n[1]\n', "line 2 is no JSON object"),
        (b'{"a": "\xff"}\n', "cannot be read: is no UTF-8"),
    ],
)
def test_a_line_that_is_none_is_named_with_its_file(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "some.jsonl"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_json_lines(file))
    assert str(caught.value).startswith(f"{file}: {says}")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        list(read_json_lines(tmp_path / "none.jsonl"))
