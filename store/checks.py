"""What `pointsman check` found, a row a route and run; the newest of each route is what counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, func, select

from ..domain import Enforcement, Json
from .database import Database
from .tables import checks as table
from .texts import storable


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One route as it was checked. mode, thinking_budget: as it was configured then; engine, version: of the server, as
    shown to people; fingerprint: changes when what was found need not hold any more; enforced: how its budget is kept;
    findings: one JSON object each."""

    route: str
    model: str
    mode: str
    thinking_budget: int | None
    engine: str
    version: str
    fingerprint: str
    enforced: Enforcement
    findings: tuple[Json, ...]
    created_at: datetime


def add(database: Database, rows: Sequence[CheckRow]) -> None:
    """Writes what one run found. Raises StoreError."""
    values = [
        {
            "created_at": row.created_at,
            "route": storable(row.route),
            "model": storable(row.model),
            "mode": storable(row.mode),
            "thinking_budget": row.thinking_budget,
            "engine": storable(row.engine),
            "version": storable(row.version),
            "fingerprint": row.fingerprint,
            "enforced": row.enforced.value,
            "findings": list(row.findings),
        }
        for row in rows
    ]
    if values:
        with database.writing() as connection:
            connection.execute(table.insert(), values)


def latest(database: Database) -> list[CheckRow]:
    """The newest row of each route that was ever checked, by the route's name. Raises StoreError."""
    newest = select(func.max(table.c.id)).group_by(table.c.route)
    with database.reading() as connection:
        found = connection.execute(select(table).where(table.c.id.in_(newest)).order_by(table.c.route))
        return [_row(row) for row in found.mappings()]


def _row(row: RowMapping) -> CheckRow:
    return CheckRow(
        row["route"],
        row["model"],
        row["mode"],
        row["thinking_budget"],
        row["engine"],
        row["version"],
        row["fingerprint"],
        Enforcement(row["enforced"]),
        tuple(row["findings"]),
        row["created_at"],
    )
