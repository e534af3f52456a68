"""The store as the other rooms use it: one object over the queue, the register and the history."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType

from ..domain import Decision, Json, Observation, Outcome, Query
from ..errors import NotFound, StoreError
from . import artifacts, checks, export, history, ledger, schema
from .artifacts import ArtifactRow, Promotion
from .checks import CheckRow
from .config import StoreConfig
from .database import Database
from .export import Form, Pruned
from .outcomes import Receipt, check_outcome
from .queue import QueueStats, WriteQueue
from .records import Entry, Record, redacted
from .texts import last_user_text
from .writer import Writer

FLUSH_S = 5.0
"""How long a reading of the history waits at most for what is still queued in this process."""
_EXIT_S = 2.0
_PRUNED_AT_ONCE = 2000


def open_store(config: StoreConfig) -> Store:
    """A store on the configured database. It connects when first used, so a database that is down is no error here;
    `upgrade` or `check` say what is wrong with it.

    Raises StoreError where the URL makes no sense, MissingExtra where PostgreSQL's driver is missing."""
    return Store(Database(config.url), config)


class Store:
    """The memory. Every method may be called from any thread; those that touch the database at once block on it, so an
    event loop calls them in a thread: all but `begin`, `put` and `stats`.

    What waits in the queue is written when the store is closed, forgotten, or the interpreter ends (2 s at most)."""

    def __init__(self, database: Database, config: StoreConfig) -> None:
        self._database, self._keep_text = database, config.keep_text
        days = config.retention_days
        writer = Writer(
            partial(_write, database, config.keep_text),
            chore=None if days is None else partial(_retain, database, timedelta(days=days)),
        )
        self._queue = WriteQueue(
            capacity=config.queue_capacity, most_bytes=config.queue_megabytes * 1_000_000, run=writer.run
        )
        self._end = weakref.finalize(self, _end, self._queue, database, _EXIT_S)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def upgrade(self) -> None:
        """Brings the tables to this version's form; see `schema.upgrade`. Raises StoreError."""
        schema.upgrade(self._database)

    def current(self) -> str | None:
        """The form (revision) the tables are in; None where there are none. Raises StoreError."""
        return schema.current(self._database)

    def check(self) -> None:
        """Returns where the tables are in this version's form; else raises StoreError, which says what to do."""
        schema.check(self._database)

    def put(self, record: Record) -> bool:
        """Queues a decision's record; never waits. False where it was dropped (and counted): the queue is full or
        closed, or a record of this decision waits already."""
        return self._queue.put(record)

    def begin(self, record: Record) -> None:
        """Shows a decision while its answer is under way, so that it can be read and stated on; `put` must follow."""
        self._queue.begin(record)

    def put_outcome(self, outcome: Outcome) -> Receipt:
        """Queues a statement on a decision, whether its record waits or is written; a repeat is taken once
        (`outcomes.is_repeat`). While the database cannot be asked the statement is taken unseen, and counted as dropped
        later if there is no such decision.

        Raises BadRequest naming the field, NotFound where there is no such decision."""
        check_outcome(outcome)
        receipt = self._queue.put_outcome_if_waiting(outcome)
        return receipt or self._queue.put_outcome(outcome, self._earlier(outcome.decision_id))

    def decision(self, decision_id: str) -> Record | None:
        """The record of a decision with all statements on it, also while it waits; None where there is none. Without
        texts where they are not kept. Raises StoreError where the database must be asked and cannot."""
        waiting = self._queue.waiting(decision_id)
        if waiting is not None and waiting.record is not None:
            shown = waiting.record if self._keep_text else redacted(waiting.record)
            return ledger.with_pending(shown, waiting.outcomes)
        with self._database.reading() as connection:
            record = ledger.read(connection, decision_id)
        return record and ledger.with_pending(record, waiting.outcomes if waiting else ())

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Waits until what is queued now is written or dropped for good; False where the time was too short."""
        return self._queue.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Takes nothing more, writes what is queued for at most `timeout_s`, drops and counts the rest, closes the
        connections. Returns whether all was written."""
        self._end.detach()
        return _end(self._queue, self._database, timeout_s)

    def stats(self) -> QueueStats:
        """How the queue stands: waiting, written, dropped, and what is wrong with the database, if anything."""
        return self._queue.stats()

    def observations(
        self,
        since: datetime | None = None,
        *,
        text_of: Callable[[Query], str] = last_user_text,
        encoder: str | None = None,
    ) -> Iterator[Observation]:
        """What was logged, as training reads it; see `history.observations`. What is queued here is written first."""
        self.flush()
        return history.observations(self._database, since, text_of=text_of, encoder=encoder)

    def records(self, since: datetime | None = None) -> Iterator[Record]:
        """Every record of the decisions from `since` on, in order of time; what is queued here is written first."""
        self.flush()
        return history.records(self._database, since)

    def observed(self, since: datetime | None = None) -> list[Decision]:
        """The decisions from `since` on that say what `auto` would have taken; what is queued here is written first."""
        self.flush()
        with self._database.reading() as connection:
            return ledger.read_observed(connection, since)

    def lines(self, since: datetime | None = None) -> Iterator[str]:
        """Every record as one line of JSON; see `export.lines`. What is queued here is written first."""
        self.flush()
        return export.lines(self._database, since)

    def export(self, path: Path, form: Form = "jsonl", since: datetime | None = None) -> int:
        """Writes every record to a file; see `export.export`. What is queued here is written first."""
        self.flush()
        return export.export(self._database, path, form, since)

    def prune(self, older_than: timedelta) -> Pruned:
        """Deletes decisions older than that with all that hangs on them; see `export.prune`."""
        return export.prune(self._database, older_than)

    def register(self, artifact: str, path: str, report: Json, created_at: datetime) -> None:
        """Adds a trained artifact to the register; see `artifacts.register`."""
        artifacts.register(self._database, artifact, path, report, created_at)

    def promote(self, artifact: str) -> None:
        """Puts an artifact to serve. Raises NotFound, StoreError."""
        artifacts.promote(self._database, artifact)

    def rollback(self) -> str | None:
        """Goes back to the artifact promoted before; None where there was none. Raises NotFound, StoreError."""
        return artifacts.rollback(self._database)

    def serving(self) -> ArtifactRow | None:
        """The artifact that serves; None where none was promoted. Raises StoreError."""
        return artifacts.serving(self._database)

    def artifacts(self) -> list[ArtifactRow]:
        """All registered artifacts, newest first. Raises StoreError."""
        return artifacts.artifacts(self._database)

    def promotions(self) -> list[Promotion]:
        """Every promotion and rollback, oldest first. Raises StoreError."""
        return artifacts.promotions(self._database)

    def add_checks(self, rows: Sequence[CheckRow]) -> None:
        """Keeps what `pointsman check` found, at once. Raises StoreError."""
        checks.add(self._database, rows)

    def checks(self) -> list[CheckRow]:
        """What was found of each route when it was last checked, by the routes' names. Raises StoreError."""
        return checks.latest(self._database)

    def _earlier(self, decision_id: str) -> Sequence[Outcome]:
        try:
            with self._database.reading() as connection:
                if ledger.known_ids(connection, [decision_id]):
                    return ledger.read_outcomes(connection, [decision_id]).get(decision_id, [])
        except StoreError:
            return ()
        raise NotFound(f"There is no decision {decision_id!r}.")


def _write(database: Database, keep_text: bool, entries: Sequence[Entry], again: bool) -> int:
    with database.writing() as connection:
        return ledger.write(connection, entries, keep_text=keep_text, again=again)


def _retain(database: Database, older_than: timedelta) -> bool:
    """One piece of the retention's work; whether there may be more."""
    return export.prune(database, older_than, _PRUNED_AT_ONCE).decisions == _PRUNED_AT_ONCE


def _end(queue: WriteQueue, database: Database, timeout_s: float) -> bool:
    whole = queue.close(timeout_s)
    database.close()
    return whole
