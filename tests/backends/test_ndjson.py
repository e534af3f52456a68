"""Newline-delimited JSON, in any pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.ndjson import Lines
from pointsman.backends.sse import EventTooLargeError

ROWS = st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), max_size=5)


@given(ROWS, st.lists(st.integers(1, 30)), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_objects_come_whole_however_the_bytes_are_cut(rows, cuts: list[int], end: str) -> None:
    """Also in the middle of a character; what has no line end yet is kept back."""
    stream = b"".join(json.dumps(row, ensure_ascii=False).encode() + end.encode() for row in rows) + b'{"unfinished'
    lines, found, at = Lines(), [], 0
    for size in [*cuts, len(stream)]:
        found += [json.loads(event.data) for event in lines.feed(stream[at : at + size])]
        at += size
    assert found == rows


@pytest.mark.parametrize("piece", [b"x" * 11, b"x" * 11 + b"\n"])
def test_an_endless_line_is_an_error(piece: bytes) -> None:
    """The other side is not trusted with our memory."""
    lines = Lines(limit=10)
    assert [event.data for event in lines.feed(b"0123456789\n")] == ["0123456789"]
    with pytest.raises(EventTooLargeError):
        lines.feed(piece)
