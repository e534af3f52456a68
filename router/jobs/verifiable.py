"""Questions whose answers can be checked: the owner's own, out of a file of JSON lines."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...errors import DataError
from ...store import read_json_lines
from .checks import KINDS, Kind, needed, number

FIELDS = ("question", "answer", "kind", "group", "id", "tolerance")


@dataclass(frozen=True, slots=True)
class Verifiable:
    """A question and how its answers are checked (checks.py). group: what is held out together, a topic or a task;
    tolerance: of a number, None for the usual one."""

    id: str
    benchmark: str
    group: str
    prompt: str
    kind: Kind
    answer: Any
    tolerance: float | None = None


def named(prompt: str, answer: Any) -> str:
    """An id that is the same for the same question and answer, and for no others."""
    text = json.dumps([prompt, answer], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def read_questions(file: Path) -> tuple[Verifiable, ...]:
    """The questions of a file: a JSON object a line, with question, answer and kind; group (else the file's name), id
    (else made of the question) and tolerance may be.

    Raises DataError naming file, line and field; MissingExtra where a kind needs a part that is not installed."""
    found: dict[str, Verifiable] = {}
    for line, row in read_json_lines(file):
        question = _Reader(file, line, row).question()
        if question.id in found:
            raise DataError(f"line {line}: the id {question.id!r} stood before", file=str(file), column="id")
        found[question.id] = question
    if not found:
        raise DataError("there is no question in it", file=str(file))
    return tuple(found.values())


class _Reader:
    """Reads one line, with the place in every error."""

    def __init__(self, file: Path, line: int, row: Mapping[str, Any]) -> None:
        self._file, self._line, self._row = file, line, row

    def question(self) -> Verifiable:
        unknown = [name for name in self._row if name not in FIELDS]
        if unknown:
            raise self._wrong(unknown[0], f"is no field; there are {', '.join(FIELDS)}")
        kind = self._row.get("kind")
        if kind not in KINDS:
            raise self._wrong("kind", f"must be one of {', '.join(KINDS)}, not {kind!r:.50}")
        needed(kind)
        prompt, answer = self._text("question"), self._answer(kind)
        return Verifiable(
            id=self._text("id", named(prompt, answer)),
            benchmark=self._file.stem,
            group=self._text("group", self._file.stem),
            prompt=prompt,
            kind=kind,
            answer=answer,
            tolerance=self._tolerance(kind),
        )

    def _text(self, name: str, otherwise: str | None = None) -> str:
        value = self._row.get(name, otherwise)
        if isinstance(value, int) and not isinstance(value, bool) and name == "id":
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(name, f"must be a text, not {value!r:.50}")
        return value

    def _answer(self, kind: Kind) -> Any:
        value = self._row.get("answer")
        if kind == "json_schema":
            return self._schema(value)
        if kind in ("number", "mathematics", "exact") and _is_number(value):
            return value if kind == "number" else str(value)
        text = self._text("answer")
        if kind == "number" and number(text) is None:
            raise self._wrong("answer", f"must be a number, not {value!r:.50}")
        if kind == "choice" and not re.fullmatch(r"\(?[A-Za-z]\)?", text.strip()):
            raise self._wrong("answer", f"must be the letter of an option, not {value!r:.50}")
        if kind == "regex":
            try:
                re.compile(text)
            except (re.error, OverflowError, RecursionError) as error:
                raise self._wrong("answer", f"is no regular expression: {error}") from None
        return text.strip().strip("()") if kind == "choice" else text

    def _schema(self, value: Any) -> Any:
        import importlib

        if not isinstance(value, dict):
            raise self._wrong("answer", f"must be a JSON schema, not {value!r:.50}")
        library: Any = importlib.import_module("jsonschema")
        try:
            library.validators.validator_for(value).check_schema(value)
        except library.SchemaError as error:
            raise self._wrong("answer", f"is no JSON schema: {error.message}") from None
        return cast("Any", value)

    def _tolerance(self, kind: Kind) -> float | None:
        value = self._row.get("tolerance")
        if value is None:
            return None
        if kind != "number":
            raise self._wrong("tolerance", f"is for numbers, not for {kind}")
        if not _is_number(value) or value < 0:
            raise self._wrong("tolerance", f"must be a number, 0 or more, not {value!r:.50}")
        return float(value)

    def _wrong(self, field: str, problem: str) -> DataError:
        return DataError(f"line {self._line}: {problem}", file=str(self._file), column=field)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
