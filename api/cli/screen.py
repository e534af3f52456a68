"""What the commands write on: results go to standard output, everything about them to standard error."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 110
"""Columns where the output is no terminal and COLUMNS says nothing: tables keep their words whole."""


def out() -> Console:
    """Standard output; plain text where it is no terminal."""
    return _console(sys.stdout)


def err() -> Console:
    """Standard error; plain text where it is no terminal."""
    return _console(sys.stderr)


def _console(stream: IO[str]) -> Console:
    from rich.console import Console

    narrow = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(file=stream, width=narrow, highlight=False, emoji=False, soft_wrap=False)
