"""The file that every benchmark leaves: benchmarks/out/NAME.json."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import orjson

OUT = Path(__file__).resolve().parent / "out"


def put_into(file: Path, begin: str, end: str, text: str) -> None:
    """Put a text between two marks of a document. Raises SystemExit where it has none."""
    head, _, rest = file.read_text(encoding="utf-8").partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise SystemExit(f"{file.name} has no {begin} … {end}")
    file.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")


def write(name: str, figures: dict[str, float], raw: Path | None = None) -> Path:
    """Write `{name, date, machine, commit, figures, raw?}` and return the file's path."""
    OUT.mkdir(exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=OUT, text=True, capture_output=True, check=False
    )
    content = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit.stdout.strip() or None,
        "figures": figures,
        **({"raw": str(raw)} if raw else {}),
    }
    path = OUT / f"{name}.json"
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return path
