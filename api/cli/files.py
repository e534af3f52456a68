"""Files that commands write for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DataError

if TYPE_CHECKING:
    from ...domain import Json


def write_json(path: Path, value: Json) -> None:
    """Write a file of JSON; its folder is made. Raises DataError where that cannot be done."""
    import orjson

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", file=str(path)) from None
