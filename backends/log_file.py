"""The logs of the servers that we start: one file a model, the last ones kept, none too large, no key in them."""

from __future__ import annotations

import re
from pathlib import Path

KEPT = 3
"""Logs of earlier starts, or earlier parts of this one, as .1, .2, …"""
MOST_BYTES = 8 << 20
"""A log that is larger is gone on with in a new file."""
_TAIL_LINES, _TAIL_BYTES, _SHOWN = 20, 65_536, 160
_LONGEST_LINE = 16_384
_END = re.compile(rb"\r\n|\n|\r")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def rotate(log: Path) -> None:
    """Make room for a new log: the present one becomes .1, and so on; the oldest goes. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists() or not log.stat().st_size:
        return
    for number in range(KEPT, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        newer = log if number == 1 else log.with_name(f"{log.name}.{number - 1}")
        if newer.exists():
            newer.replace(older)


def tail(log: Path) -> str:
    """Its last lines; nothing where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(_COLOUR.sub("", text).splitlines()[-_TAIL_LINES:])


def last_line(log: Path) -> str:
    """What it said last, in one line, shortened."""
    lines = [line.strip() for line in tail(log).splitlines() if line.strip()]
    return "" if not lines else lines[-1] if len(lines[-1]) <= _SHOWN else f"{lines[-1][:_SHOWN]}…"


class LogWriter:
    """Writes what a server prints, line by line: a progress bar's returns end a line too. `hidden` never gets in."""

    def __init__(self, log: Path, hidden: str = "", most_bytes: int = MOST_BYTES) -> None:
        self._log, self._hidden, self._most = log, hidden.encode(), most_bytes
        self._file = log.open("ab")
        self._rest = b""

    def write(self, piece: bytes) -> None:
        """Take a piece as it came; the end of it may wait for its line's end. Raises OSError."""
        *lines, self._rest = _END.split(self._rest + piece)
        if len(self._rest) > _LONGEST_LINE:
            shown = self._shown(self._rest)
            cut = max(0, len(shown) - len(self._hidden))  # the end may be the beginning of what is hidden
            lines, self._rest = [*lines, shown[:cut]], shown[cut:]
        for line in lines:
            self._line(line)
        self._file.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._rest:
            self._line(self._rest)
        self._file.close()

    def _line(self, line: bytes) -> None:
        self._file.write(self._shown(line) + b"\n")
        if self._file.tell() > self._most:
            self._file.close()
            rotate(self._log)
            self._file = self._log.open("ab")

    def _shown(self, line: bytes) -> bytes:
        return line.replace(self._hidden, b"[key]") if self._hidden else line
