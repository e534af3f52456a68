"""The logs of servers: whole lines, nothing secret, not too large."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.log_file import KEPT, LogWriter, last_line, tail

KEY = "sk-0123456789"


@given(
    st.lists(st.sampled_from([KEY, KEY[:7], "a", "\n", "\r", "é", "word " * 9000]), max_size=12),
    st.lists(st.integers(1, 40), max_size=60),
)
def test_a_key_is_in_no_log_however_its_line_is_cut(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], cuts: list[int]
) -> None:
    """Cut anywhere, in lines longer than are held back too; and nothing else is lost."""
    log = tmp_path_factory.mktemp("log") / "q.log"
    text = "".join(words).encode()
    writer, at = LogWriter(log, KEY), 0
    for cut in [*cuts, len(text)]:
        writer.write(text[at : at + cut])
        at += cut
    writer.close()
    written = log.read_bytes()
    assert KEY.encode() not in written.replace(b"\n", b"")
    kept = text.replace(KEY.encode(), b"[key]").replace(b"\r", b"").replace(b"\n", b"")
    assert written.replace(b"\n", b"") == kept


def test_a_progress_bar_is_a_line_each_time_and_colours_are_gone(tmp_path: Path) -> None:
    log = tmp_path / "q.log"
    writer = LogWriter(log)
    writer.write(b"one\nLoading:  50%\r\x1b[32mLoading: 100%\x1b[0m\rpart of a li")
    assert last_line(log) == "Loading: 100%"
    writer.write(b"ne\n" + b"x" * 400 + b"\n\n")
    assert last_line(log) == "x" * 160 + "…"
    writer.close()
    assert tail(log).splitlines()[:4] == ["one", "Loading:  50%", "Loading: 100%", "part of a line"]
    assert tail(tmp_path / "none.log") == last_line(tmp_path / "none.log") == ""


def test_a_log_that_grows_too_large_is_gone_on_with_in_another(tmp_path: Path) -> None:
    """The newest last, no more of them than are kept, none much over the limit, no line torn."""
    log = tmp_path / "q.log"
    writer = LogWriter(log, most_bytes=1000)
    for number in range(1000):
        writer.write(f"line {number:04}\n".encode())
    writer.close()
    files = [log.with_name(f"q.log.{number}") for number in range(KEPT, 0, -1)] + [log]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(file.stat().st_size <= 1010 for file in files)
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert lines == [f"line {number:04}" for number in range(1000 - len(lines), 1000)]
