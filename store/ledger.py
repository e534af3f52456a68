"""Writing and reading records in a transaction that the caller holds. SQL is here, the values' form is in rows.py."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select, tuple_

from ..domain import Decision, Outcome
from .outcomes import is_repeat
from .records import Entry, Record, redacted
from .rows import (
    attempt_rows,
    attempts_of,
    decision_of,
    decision_row,
    outcome_of,
    outcome_row,
    query_of,
    query_row,
)
from .tables import attempts, decisions, outcomes, queries

Place = tuple[datetime, str]
"""Where a reading stands: the last decision's time and id."""


def write(connection: Connection, entries: Sequence[Entry], *, keep_text: bool, again: bool = False) -> int:
    """Writes the entries; repeats of statements are left out. Returns how many statements had no decision.

    again: part of the entries may be there already, from an earlier try whose end we did not learn; those are left
    as they are."""
    written = known_ids(connection, [entry.decision_id for entry in entries if entry.record]) if again else set[str]()
    new = [entry.record for entry in entries if entry.record and entry.decision_id not in written]
    _insert(connection, new, keep_text=keep_text)
    return _insert_outcomes(connection, entries, {record.decision.id for record in new})


def read(connection: Connection, decision_id: str) -> Record | None:
    """The record of a decision, None where there is none."""
    found = connection.execute(select(decisions).where(decisions.c.id == decision_id)).mappings().all()
    return next(iter(_assembled(connection, found)), None)


def read_page(
    connection: Connection, *, since: datetime | None = None, after: Place | None = None, size: int = 500
) -> list[Record]:
    """The next `size` records in order of time, from `since` on (it included), behind `after`."""
    wanted = select(decisions).order_by(decisions.c.created_at, decisions.c.id).limit(size)
    if since is not None:
        wanted = wanted.where(decisions.c.created_at >= since)
    if after is not None:
        wanted = wanted.where(tuple_(decisions.c.created_at, decisions.c.id) > after)
    return _assembled(connection, connection.execute(wanted).mappings().all())


def read_observed(connection: Connection, since: datetime | None = None) -> list[Decision]:
    """The decisions from `since` on that say what `auto` would have taken, in order of time, without their evidence."""
    wanted = select(decisions).where(decisions.c.observed.is_not(None)).order_by(decisions.c.created_at, decisions.c.id)
    if since is not None:
        wanted = wanted.where(decisions.c.created_at >= since)
    return [decision_of(row, ()) for row in connection.execute(wanted).mappings()]


def read_groups(connection: Connection) -> dict[str, str]:
    """The group of each question that was given one, by the question's hash; the last one that it was given."""
    group = queries.c.limits["group"].as_string()
    given = select(queries.c.hash, group).join(decisions).where(group.is_not(None)).order_by(decisions.c.created_at)
    return {row[0]: row[1] for row in connection.execute(given)}


def known_ids(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Which of these decisions are written."""
    return set(connection.execute(select(decisions.c.id).where(decisions.c.id.in_(ids))).scalars()) if ids else set()


def read_outcomes(connection: Connection, ids: Sequence[str]) -> dict[str, list[Outcome]]:
    """The statements on these decisions, by decision, in order of arrival."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    for row in _of_decisions(connection, outcomes, ids):
        found[row["decision_id"]].append(outcome_of(row))
    return found


def _insert(connection: Connection, records: Sequence[Record], *, keep_text: bool) -> None:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        # The hash is of the text, so it is taken before the text goes.
        rows["queries"].append(query_row(record, keep_text=keep_text))
        shown = record if keep_text else redacted(record)
        rows["decisions"].append(decision_row(shown.decision))
        rows["attempts"].extend(attempt_rows(shown.decision, shown.attempts))
        time.sleep(0)  # gives the interpreter lock to a waiting request after each record instead of after 5 ms
    for table in (decisions, queries, attempts):
        if rows[table.name]:
            connection.execute(table.insert(), rows[table.name])


def _insert_outcomes(connection: Connection, entries: Sequence[Entry], new: set[str]) -> int:
    telling = [(entry, entry.statements) for entry in entries]
    telling = [(entry, statements) for entry, statements in telling if statements]
    old = [entry.decision_id for entry, _ in telling if entry.decision_id not in new]
    known = known_ids(connection, old) | new
    earlier = read_outcomes(connection, old)
    rows: list[dict[str, Any]] = []
    refused = 0
    for entry, statements in telling:
        if entry.decision_id not in known:
            refused += len(statements)
            continue
        taken = earlier.get(entry.decision_id, [])
        for outcome in statements:
            if not is_repeat(outcome, taken):
                taken.append(outcome)
                rows.append(outcome_row(outcome))
    if rows:
        connection.execute(outcomes.insert(), rows)
    return refused


def _assembled(connection: Connection, found: Sequence[RowMapping]) -> list[Record]:
    """The records of these rows of `decisions`, in their order."""
    ids = [row["id"] for row in found]
    asked = {row["decision_id"]: row for row in _of_decisions(connection, queries, ids)}
    tried: dict[str, list[RowMapping]] = defaultdict(list)
    for row in _of_decisions(connection, attempts, ids):
        tried[row["decision_id"]].append(row)
    told = read_outcomes(connection, ids)
    return [_record(row, asked[row["id"]], tried[row["id"]], told.get(row["id"], ())) for row in found]


def _record(decision: RowMapping, query: RowMapping, tried: Sequence[RowMapping], told: Iterable[Outcome]) -> Record:
    evidence, answered = attempts_of(tried)
    return Record(
        decision=decision_of(decision, evidence),
        query=query_of(query),
        attempts=answered,
        features=query["features"],
        embedding=query["embedding"],
        outcomes=tuple(told),
        encoder=query["encoder"],
        query_hash=query["hash"],
    )


def _of_decisions(connection: Connection, table: Table, ids: Sequence[str]) -> Sequence[RowMapping]:
    """A table's rows that belong to these decisions, in order of writing."""
    if not ids:
        return ()
    order = table.c.id if "id" in table.c else table.c.decision_id
    return connection.execute(select(table).where(table.c.decision_id.in_(ids)).order_by(order)).mappings().all()


def with_pending(record: Record, pending: Sequence[Outcome]) -> Record:
    """The record with statements that wait to be written; those that were written meanwhile are not doubled."""
    missing = tuple(outcome for outcome in pending if outcome not in record.outcomes)
    return replace(record, outcomes=record.outcomes + missing) if missing else record
