"""Taking records out: to a file that other tools read, or away for good when they are old."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from ..errors import DataError, MissingExtra
from .database import Database, dumps
from .history import records
from .outcomes import label
from .records import Record, paid
from .tables import attempts, decisions, outcomes

Form = Literal["jsonl", "parquet"]

_ROW_GROUP = 1000
_STEP = 500
"""Decisions deleted in one transaction: short enough that a running proxy's writer hardly waits."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much was deleted."""

    decisions: int
    attempts: int
    outcomes: int


def lines(database: Database, since: datetime | None = None) -> Iterator[str]:
    """Every record as one line of JSON with the names of `Record`, in order of time. Raises StoreError."""
    for record in records(database, since):
        yield dumps(record)


def export(database: Database, path: Path, form: Form = "jsonl", since: datetime | None = None) -> int:
    """Writes every record of the decisions from `since` on to `path`; returns how many.

    jsonl: one record a line. parquet: one row a decision, what is nested as JSON text, with the totals of tokens and
    cost and the label beside it. Raises StoreError, MissingExtra (parquet without pyarrow), DataError where the file
    cannot be written."""
    write = {"jsonl": _write_jsonl, "parquet": _write_parquet}.get(form)
    if write is None:
        raise DataError(f"the form {form!r} is unknown; jsonl or parquet", file=str(path))
    try:
        return write(database, path, since)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", file=str(path)) from error


def prune(database: Database, older_than: timedelta, most: int | None = None) -> Pruned:
    """Deletes decisions older than that, with all that hangs on them; at most `most` decisions. What is deleted is
    overwritten in a SQLite file. Raises StoreError."""
    before = datetime.now(UTC) - older_than
    total = Pruned(0, 0, 0)
    while most is None or total.decisions < most:
        with database.writing() as connection:
            step = _prune_step(connection, before, _STEP if most is None else min(_STEP, most - total.decisions))
        total = Pruned(total.decisions + step.decisions, total.attempts + step.attempts, total.outcomes + step.outcomes)
        if step.decisions == 0:
            break
    if total.decisions:
        database.settle()
    return total


def _prune_step(connection: Connection, before: datetime, size: int) -> Pruned:
    old = select(decisions.c.id).where(decisions.c.created_at < before).order_by(decisions.c.created_at).limit(size)
    ids = list(connection.execute(old).scalars())
    if not ids:
        return Pruned(0, 0, 0)
    counts = [
        connection.execute(select(func.count()).select_from(table).where(table.c.decision_id.in_(ids))).scalar_one()
        for table in (attempts, outcomes)
    ]
    connection.execute(decisions.delete().where(decisions.c.id.in_(ids)))  # the rest goes with them (ON DELETE CASCADE)
    return Pruned(len(ids), *counts)


def _write_jsonl(database: Database, path: Path, since: datetime | None) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, line in enumerate(lines(database, since), start=1):  # noqa: B007 - count is what we return
            file.write(line + "\n")
    return count


def _write_parquet(database: Database, path: Path, since: datetime | None) -> int:
    arrow, parquet = _arrow()
    schema = _schema(arrow)
    found = records(database, since)
    count = 0
    with parquet.ParquetWriter(str(path), schema) as writer:
        while rows := [_flat(record) for record in islice(found, _ROW_GROUP)]:
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def _arrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("Parquet", "data") from error


def _schema(arrow: Any) -> Any:
    text, number, count, flag = arrow.string(), arrow.float64(), arrow.int64(), arrow.bool_()
    vector = arrow.list_(arrow.float32())
    return arrow.schema(
        {
            "decision_id": text,
            "created_at": arrow.timestamp("us", tz="UTC"),
            "route": text,
            "model": text,
            "mode": text,
            "thinking_budget": count,
            "tier": text,
            "policy": text,
            "artifact": text,
            "observed": text,
            "reason": text,
            "propensity": number,
            "confidence": number,
            "overhead_ms": number,
            "price_input": number,
            "price_cached_input": number,
            "price_output": number,
            "price_assumed": flag,
            "prompt_tokens": count,
            "cached_tokens": count,
            "thought_tokens": count,
            "answer_tokens": count,
            "cost": number,
            "latency_ms": number,
            "correct": number,
            "weight": number,
            "answer": text,
            "query_hash": text,
            "query": text,
            "estimates": text,
            "attempts": text,
            "evidence": text,
            "outcomes": text,
            "features": vector,
            "embedding": vector,
            "encoder": text,
        }
    )


def _flat(record: Record) -> dict[str, Any]:
    """One row: totals over every call that was paid for, the label, and what is nested as JSON."""
    decision, route = record.decision, record.decision.route
    calls = [call.attempt for call in paid(decision, record.attempts)]
    said = label(record.outcomes)
    return {
        "decision_id": decision.id,
        "created_at": decision.created_at,
        "route": route.name,
        "model": route.model,
        "mode": route.mode,
        "thinking_budget": route.thinking_budget,
        "tier": route.tier,
        "policy": decision.policy,
        "artifact": decision.artifact,
        "observed": decision.observed,
        "reason": decision.reason,
        "propensity": decision.propensity,
        "confidence": decision.confidence,
        "overhead_ms": decision.overhead_ms,
        "price_input": route.price.input,
        "price_cached_input": route.price.cached_input,
        "price_output": route.price.output,
        "price_assumed": route.price.assumed,
        "prompt_tokens": sum(call.usage.prompt for call in calls),
        "cached_tokens": sum(call.usage.cached for call in calls),
        "thought_tokens": sum(call.usage.thought for call in calls),
        "answer_tokens": sum(call.usage.answer for call in calls),
        "cost": sum(call.cost for call in calls),
        "latency_ms": sum(call.latency_ms for call in calls),
        "correct": said.correct if said else None,
        "weight": said.weight if said else None,
        "answer": record.attempts[-1].answer if record.attempts else None,
        "query_hash": record.query_hash,
        "query": dumps(record.query),
        "estimates": dumps(decision.estimates),
        "attempts": dumps(record.attempts),
        "evidence": dumps(decision.evidence),
        "outcomes": dumps(record.outcomes),
        "features": record.features,
        "embedding": record.embedding,
        "encoder": record.encoder,
    }
