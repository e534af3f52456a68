"""Files of JSON lines: an object a line, and every error names its line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ..errors import DataError


def read_json_lines(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each line's number, from 1, and its object, as the file is read; blank lines are passed over.

    Raises DataError naming the file, and the line that is no JSON object."""
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _object(file, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error) from error


def _object(file: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"line {number} is no JSON: {error}", file=str(file)) from error
    if not isinstance(row, dict):
        raise DataError(f"line {number} is no JSON object", file=str(file))
    return cast("Mapping[str, Any]", row)


def unreadable(file: Path, error: OSError | UnicodeDecodeError) -> DataError:
    """What is said of a file that is not there, not to be read, or no text."""
    problem = error.strerror if isinstance(error, OSError) else "is no UTF-8"
    return DataError(f"cannot be read: {problem or error}", file=str(file))
