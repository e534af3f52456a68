"""Tables of outcomes in files: one row a (query, model, mode, sample), as Parquet, JSON lines or CSV.

Columns: `query_id`, `prompt`, `model`, `mode` and `correct` (0 to 1, empty where nobody said) must be there;
`benchmark` (else the file's name), `group` (else the benchmark), `sample` (else 0), `input_tokens`, `output_tokens`,
`tokens_are` and `answer` may be. Others are kept as they are. `tokens_are` is `visible-only` where hidden thought is
not counted: such tokens are no cost.
"""

from __future__ import annotations

import csv
import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import DataError, MissingExtra
from .database import dumps
from .json_lines import read_json_lines, unreadable

Columns: TypeAlias = Mapping[str, Sequence[Any]]

REQUIRED = ("query_id", "prompt", "model", "mode", "correct")
COLUMNS = (
    *("benchmark", "group", "query_id", "prompt", "model", "mode", "sample", "correct"),
    *("input_tokens", "output_tokens", "tokens_are", "answer"),
)
"""The columns that every table read has, in the order they are written."""

_LONGEST_FIELD = 100_000_000


@dataclass(frozen=True, slots=True)
class Table:
    """A checked table: every column of `COLUMNS`, all of one length, and what else the file had.

    Texts are str, `answer` and `tokens_are` str or None, `sample` int, numbers float or None. notes: what a report has
    to say of the reading."""

    file: str
    columns: Mapping[str, Sequence[Any]]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["query_id"])


def read_table(path: str | Path) -> Table:
    """The table in a .parquet, .jsonl or .csv file. Rows with a negative number of tokens are left out, and said so.

    Raises DataError naming file and column (no such file, empty, a column missing, a value out of range with its row),
    MissingExtra for Parquet without pyarrow."""
    file = Path(path)
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise DataError(f"the form {file.suffix!r} is unknown; {', '.join(_READERS)}", file=str(path))
    if not file.is_file():
        raise DataError("there is no such file", file=str(path))
    try:
        columns = read(file)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error) from error
    return _checked(file, columns)


def write_table(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes rows as a table that `read_table` reads; returns how many. The form is the file's ending.

    Raises DataError as `read_table` does, before anything is written; MissingExtra."""
    file = Path(path)
    write = _WRITERS.get(file.suffix.lower())
    if write is None:
        raise DataError(f"the form {file.suffix!r} is unknown; {', '.join(_WRITERS)}", file=str(path))
    table = _checked(file, _columns(list(rows)))
    try:
        write(file, table.columns)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", file=str(path)) from error
    return len(table)


def write_rows(path: str | Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes any rows with these columns; returns how many. The form is the file's ending.

    Raises DataError where it cannot be written, MissingExtra for Parquet without pyarrow."""
    file = Path(path)
    write = _WRITERS.get(file.suffix.lower())
    if write is None:
        raise DataError(f"the form {file.suffix!r} is unknown; {', '.join(_WRITERS)}", file=str(path))
    kept = list(rows)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, {name: [row[name] for row in kept] for name in names})
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", file=str(path)) from error
    return len(kept)


def _checked(file: Path, columns: Columns) -> Table:
    for name in REQUIRED:
        if name not in columns:
            raise DataError(f"is missing; there are {', '.join(columns) or 'none'}", file=str(file), column=name)
    size = len(columns["query_id"])
    if size == 0:
        raise DataError("the table is empty", file=str(file))
    benchmark = _filled(columns.get("benchmark"), [file.stem] * size)
    columns = {**columns, "benchmark": benchmark, "group": _filled(columns.get("group"), benchmark)}
    checked = {name: _column(file, name, columns.get(name, [None] * size)) for name in COLUMNS}
    return _without_negatives(Table(str(file), {**columns, **checked}))


def _filled(values: Sequence[Any] | None, otherwise: Sequence[Any]) -> Sequence[Any]:
    if values is None:
        return otherwise
    return [other if _is_null(value) else value for value, other in zip(values, otherwise, strict=True)]


def _without_negatives(table: Table) -> Table:
    columns = table.columns
    pairs = zip(columns["input_tokens"], columns["output_tokens"], strict=True)
    wrong = {row for row, pair in enumerate(pairs) if any(tokens is not None and tokens < 0 for tokens in pair)}
    if not wrong:
        return table
    if len(wrong) == len(table):
        raise DataError("every row has a negative number of tokens", file=table.file, column="output_tokens")
    kept = {name: [v for row, v in enumerate(values) if row not in wrong] for name, values in columns.items()}
    return Table(table.file, kept, (f"{len(wrong)} rows had a negative number of tokens and were left out.",))


def _column(file: Path, name: str, values: Sequence[Any]) -> list[Any]:
    read = _VALUES[name]
    try:
        return [read(value) for value in values]
    except ValueError:
        pass
    for row, value in enumerate(values, start=1):  # again, to tell which row it was
        try:
            read(value)
        except ValueError as error:
            raise DataError(f"row {row}: {error}, not {value!r:.50}", file=str(file), column=name) from error
    raise AssertionError("a value failed once and not twice")


def _text(value: Any) -> str:
    if value is None or value == "" or isinstance(value, float):
        raise ValueError("must be a text")
    return value if isinstance(value, str) else str(value)


def _optional_text(value: Any) -> str | None:
    return None if _is_null(value) else str(value)


def _number(value: Any) -> float | None:
    if _is_null(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError("must be a number") from error


def _tokens(value: Any) -> float | None:
    number = _number(value)
    if number is not None and not math.isfinite(number):
        raise ValueError("must be a number of tokens")
    return number


def _correct(value: Any) -> float | None:
    number = _CSV_BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value
    number = _number(number)
    if number is not None and not 0 <= number <= 1:
        raise ValueError("must be 0 (wrong) to 1 (right)")
    return number


def _sample(value: Any) -> int:
    number = _number(value) or 0.0
    if number < 0 or number != int(number):
        raise ValueError("must be 0, 1, 2, …")
    return int(number)


def _is_null(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


_CSV_BOOLEANS = {"true": 1.0, "false": 0.0}
_VALUES: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("benchmark", "group", "query_id", "prompt", "model", "mode"), _text),
    "sample": _sample,
    "correct": _correct,
    **dict.fromkeys(("input_tokens", "output_tokens"), _tokens),
    **dict.fromkeys(("tokens_are", "answer"), _optional_text),
}


def _columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_jsonl(file: Path) -> Columns:
    return _columns([row for _, row in read_json_lines(file)])


def _read_csv(file: Path) -> Columns:
    csv.field_size_limit(_LONGEST_FIELD)  # the default ends at 131,072 characters; a prompt may be longer
    with file.open(encoding="utf-8-sig", newline="") as lines:
        try:
            reader = csv.DictReader(lines, strict=True)
            rows = list(reader)
        except csv.Error as error:
            raise DataError(f"is no CSV: {error}", file=str(file)) from error
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise DataError(f"row {number} has not as many fields as the head", file=str(file))
    return {name: [row[name] for row in rows] for name in reader.fieldnames or ()}


def _read_parquet(file: Path) -> Columns:
    arrow, parquet = _arrow()
    try:
        table = parquet.read_table(file)
    except arrow.ArrowException as error:
        raise DataError(f"is no Parquet file: {error}", file=str(file)) from error
    return {name: _values(arrow, table.column(name)) for name in table.column_names}


def _values(arrow: Any, column: Any) -> list[Any]:
    """A column's values; a text that comes often (a prompt, once a route) is one object."""
    if arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        words = encoded.dictionary.to_pylist()
        return [None if index is None else words[index] for index in encoded.indices.to_pylist()]
    return column.to_pylist()


def _write_jsonl(file: Path, columns: Columns) -> None:
    with file.open("w", encoding="utf-8") as lines:
        for row in zip(*columns.values(), strict=True):
            lines.write(dumps(dict(zip(columns, row, strict=True))) + "\n")


def _write_csv(file: Path, columns: Columns) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write_parquet(file: Path, columns: Columns) -> None:
    arrow, parquet = _arrow()
    types = {"sample": arrow.int64()} | dict.fromkeys(("correct", "input_tokens", "output_tokens"), arrow.float64())
    arrays = [
        arrow.array(values, types.get(name, arrow.string() if name in _VALUES else None))
        for name, values in columns.items()
    ]
    parquet.write_table(arrow.table(arrays, names=list(columns)), file)


def _arrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("Parquet", "data") from error


_READERS: dict[str, Callable[[Path], Columns]] = {
    ".parquet": _read_parquet,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
}
_WRITERS: dict[str, Callable[[Path, Columns], None]] = {
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
}
