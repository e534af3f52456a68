"""What a calibration has run so far, in a file that grows by a line a run, so that a second start goes on from there.

A line is a row of a table of outcomes (store/outcomes_file.py), so the file is one too, with more columns: which route,
what it cost, its decision in the store, why it failed where it did (`correct` is null then). The last line of a run is
what holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeAlias

from ...domain import Json
from ...errors import DataError
from ...store import read_json_lines
from .contenders import Contender
from .verifiable import Verifiable

Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One question on one route, once more or for the first time."""

    question: Verifiable
    contender: Contender
    sample: int

    @property
    def key(self) -> Key:
        """What makes two trials the same: with another limit of tokens it is another trial."""
        c = self.contender
        return self.question.id, c.name, c.route.model, c.mode, self.sample, c.max_tokens

    def row(self) -> Json:
        """What is known of it beforehand, as columns of a table of outcomes and of the journal."""
        q, c = self.question, self.contender
        return {
            "benchmark": q.benchmark,
            "group": q.group,
            "query_id": q.id,
            "prompt": q.prompt,
            "model": c.route.model,
            "mode": c.mode,
            "sample": self.sample,
            "route": c.name,
            "max_tokens": c.max_tokens,
        }


def trials(questions: Iterable[Verifiable], entered: Iterable[Contender]) -> tuple[Trial, ...]:
    """Every question on every route, question by question, so that what is there after an interruption is whole."""
    every = tuple(entered)
    return tuple(Trial(q, c, sample) for q in questions for c in every for sample in range(c.samples))


class Journal:
    """The file, open for appending. Use it as a context manager."""

    def __init__(self, file: Path, *, resume: bool) -> None:
        """resume: go on with what is there; else a file that is there is kept under another name.

        Raises DataError where the file cannot be read or written."""
        self.file = file
        self._rows: dict[Key, Json] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                if resume:
                    self._rows = {_key(row): row for row in self._read()}
                else:
                    _put_aside(file)
            self._out: IO[str] = file.open("a", encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot be written: {error.strerror or error}", file=str(file)) from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()

    def row(self, trial: Trial) -> Json | None:
        """What came of a trial; None where it was not run, or failed, or its question has another text now."""
        row = self._rows.get(trial.key)
        known = row is not None and row.get("correct") is not None and row.get("prompt") == trial.question.prompt
        return row if known else None

    def append(self, row: Json) -> None:
        """Add what came of a trial; on disk when this returns. Raises DataError."""
        self._rows[_key(row)] = row
        try:
            self._out.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._out.flush()
        except OSError as error:
            raise DataError(f"cannot be written: {error.strerror or error}", file=str(self.file)) from None

    def _read(self) -> Iterator[Json]:
        """The rows; a last line that was cut off in the middle is cut off whole, so that the next one stands alone."""
        data = self.file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self.file.open("r+b") as file:
                file.truncate(whole)
        for number, row in read_json_lines(self.file):
            try:
                hash(_key(row))
            except (KeyError, TypeError) as error:
                raise DataError(f"line {number} is no run of a calibration: {error}", file=str(self.file)) from None
            yield dict(row)


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(row[name] for name in ("query_id", "route", "model", "mode", "sample", "max_tokens"))


def _put_aside(file: Path) -> None:
    """An earlier calibration's file stays, named by the time of its last run."""
    stamp = datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y%m%d-%H%M%S")
    place, more = file.with_stem(f"{file.stem}-{stamp}"), 1
    while place.exists():
        place, more = file.with_stem(f"{file.stem}-{stamp}-{more}"), more + 1
    file.rename(place)
