"""The tables. Everything about one decision hangs on `decisions.id` and goes with it when it is deleted.

Times are UTC; tokens are counts; latencies are milliseconds; money is the owner's one currency. Where a number is
NULL it was not a number (NaN). A change here needs a migration (`migrations/versions`); a test compares the two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: written as UTC, read with its zone. A datetime without a zone is taken for UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        # SQLite keeps the digits only, so that their order is that of time.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Floats32(TypeDecorator[tuple[float, ...]]):
    """A vector as little-endian 32-bit floats (`numpy.frombuffer(blob, "<f4")` reads it)."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Iterable[float] | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        numbers = tuple(value)
        return struct.pack(f"<{len(numbers)}f", *numbers)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[float, ...] | None:
        return None if value is None else struct.unpack(f"<{len(value) // 4}f", value)


_Serial = BigInteger().with_variant(Integer, "sqlite")
_Json = JSON(none_as_null=True)


def _price() -> list[Column[Any]]:
    """The price in force, per million tokens by kind."""
    return [
        Column("price_input", Double),
        Column("price_cached_input", Double),
        Column("price_output", Double),
        Column("price_assumed", Boolean, nullable=False),
    ]


def _of_decision() -> Column[Any]:
    return Column("decision_id", String, ForeignKey("decisions.id", ondelete="CASCADE"), nullable=False)


decisions = Table(
    "decisions",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("route", String, nullable=False),
    Column("model", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("thinking_budget", BigInteger),
    Column("tier", String),
    *_price(),
    Column("capabilities", _Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("objective", String, nullable=False),
    Column("objective_value", Double),
    Column("policy", String, nullable=False),
    Column("artifact", String),
    Column("estimates", _Json, nullable=False),
    Column("propensity", Double),
    Column("confidence", Double),
    Column("observed", String),
    Column("overhead_ms", Double),
    Column("warnings", _Json, nullable=False),
    Index(None, "created_at", "id"),
)
"""One row a decision: the route as it was, with its price, every estimate, and why."""

queries = Table(
    "queries",
    metadata,
    Column("decision_id", String, ForeignKey("decisions.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", String, nullable=False, index=True),
    Column("messages", _Json),
    Column("tools", _Json),
    Column("demands", _Json),
    Column("limits", _Json, nullable=False),
    Column("features", Floats32),
    Column("embedding", Floats32),
    Column("encoder", String),
)
"""What was asked, one row a decision. messages, tools and demands (what else the caller wrote) are NULL where texts
are not kept; hash, limits (numbers, and the group that the question was given), features and embedding are always
there."""

attempts = Table(
    "attempts",
    metadata,
    Column("id", _Serial, primary_key=True),
    _of_decision(),
    Column("position", Integer),
    Column("evidence_position", Integer),
    Column("route", String, nullable=False),
    Column("model", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("thought_tokens", BigInteger, nullable=False),
    Column("answer_tokens", BigInteger, nullable=False),
    *_price(),
    Column("cost", Double),
    Column("latency_ms", Double),
    Column("first_token_ms", Double),
    Column("finish", String, nullable=False),
    Column("enforced", String, nullable=False),
    Column("thinking_budget", BigInteger),
    Column("error", Text),
    Column("warnings", _Json, nullable=False),
    Column("answer", Text),
    Column("signs", _Json),
    Column("kept_tokens", BigInteger),
    Index(None, "decision_id"),
)
"""One row a call that was paid for. `position` orders a record's attempts, `evidence_position` what was bought before
deciding; an attempt that is both has both, and is counted once."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", _Serial, primary_key=True),
    _of_decision(),
    Column("metric", String, nullable=False),
    Column("value", Double),
    Column("verdict", String),
    Column("source", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("idempotency_key", String),
    UniqueConstraint("decision_id", "idempotency_key"),
    Index(None, "created_at"),
)
"""One row a statement on how a decision turned out; `value` for correct and score, else `verdict`."""

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", String, primary_key=True),
    Column("path", String, nullable=False),
    Column("report", _Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""The register of trained artifacts; the files lie at `path`."""

promotions = Table(
    "promotions",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("artifact_id", String, ForeignKey("artifacts.id")),
    Column("action", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""What was put to serve, in order; only ever appended. A rollback's `artifact_id` is what it went back to."""

checks = Table(
    "checks",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("route", String, nullable=False),
    Column("model", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("thinking_budget", BigInteger),
    Column("engine", String, nullable=False),
    Column("version", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("enforced", String, nullable=False),
    Column("findings", _Json, nullable=False),
    Index(None, "route"),
)
"""One row a route that `pointsman check` looked at: what it found, on which engine, and by what to tell whether that is
still the same one (`fingerprint`)."""
