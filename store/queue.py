"""The bounded queue between requests and the database, and the one thread that writes.

Putting costs a lock and a dictionary entry; it never waits for the database. While the database is down or slow the
queue grows up to its bounds, then new entries are dropped and counted; the thread tries again with back-off. What is
queued can be read, and statements on it are taken, as if it were written.

The queue is a dictionary by decision, in order of arrival; an entry leaves it only after its transaction is committed,
so there is no moment in which a record is in neither place. Beside it stand the decisions whose answers are under way:
they can be read, and what is said of them waits until their record is put.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from ..domain import Json, Outcome
from ..errors import StoreError
from .outcomes import Receipt, is_repeat
from .records import Entry, Record

logger = logging.getLogger(__name__)

BATCH = 256
"""Decisions a transaction at most."""
LINGER_S = 0.02
"""How long the thread waits for company before it writes: one commit for what a burst brings."""
SHORT_PAUSE_S = 0.1
"""The longest pause after a failure while somebody waits for the queue to empty."""


@dataclass(frozen=True, slots=True)
class QueueStats:
    """depth: records and statements that wait; written: those handed to the database, repeats included; dropped: those
    lost since the start (queue full, refused by the database, statements on unknown decisions); failing: what is wrong
    with the database right now, None where nothing is."""

    depth: int
    written: int
    dropped: int
    failing: str | None


class _Waiting:
    """One decision's entry. `added` and `done` count its items (a record or a statement is one)."""

    __slots__ = ("added", "done", "outcomes", "record", "weight")

    def __init__(self) -> None:
        self.record: Record | None = None
        self.outcomes: list[Outcome] = []
        self.added = self.done = self.weight = 0


class WriteQueue:
    """See the module. All methods may be called from any thread.

    capacity: items; most_bytes: rough memory of the waiting records; run: what the thread does, started with the first
    item; it takes batches with `next_batch` and gives them back with `done` or `failed`."""

    def __init__(self, *, capacity: int, most_bytes: int, run: Callable[[WriteQueue], None]) -> None:
        self._capacity, self._most_bytes, self._run = capacity, most_bytes, run
        self._changed = threading.Condition(threading.Lock())
        self._waiting: dict[str, _Waiting] = {}
        self._running: dict[str, _Waiting] = {}
        self._depth = self._bytes = self._written = self._dropped = self._reported = 0
        self._failing: str | None = None
        self._thread: threading.Thread | None = None
        self._asleep = False  # the thread waits for work; else a put need not wake it
        self._waiters = 0  # how many flushes wait for the queue to empty
        self._closed_at: float | None = None  # monotonic time when the thread stops, done or not
        self._abandoned = False  # closed, and what was left is counted as dropped

    def begin(self, record: Record) -> None:
        """Shows the record of a decision whose answer is under way; `put` must follow and takes its place."""
        with self._changed:
            if self._closed_at is None:
                self._running[record.decision.id] = running = _Waiting()
                running.record = record

    def put(self, record: Record) -> bool:
        """Takes a record; False where it was dropped: queue full or closed, or a record of the decision waits."""
        weight = _weight(record)
        with self._changed:
            running = self._running.pop(record.decision.id, None)
            stated = running.outcomes if running else []
            self._depth -= len(stated)
            entry = self._entry(record.decision.id, weight)
            if entry is None or entry.record is not None:
                self._dropped += 1 + len(stated)
                return False
            entry.record = record
            self._added(entry, weight)
            for outcome in stated:
                entry.outcomes.append(outcome)
                self._added(entry, 0)
        return True

    def put_outcome(self, outcome: Outcome, earlier: Sequence[Outcome]) -> Receipt:
        """Takes a statement; `earlier` are those on the decision that are written, in order of arrival."""
        with self._changed:
            return self._state(outcome, earlier)

    def put_outcome_if_waiting(self, outcome: Outcome) -> Receipt | None:
        """Takes a statement on a decision whose record waits; None where there is no such record."""
        with self._changed:
            entry = self._shown(outcome.decision_id)
            return None if entry is None or entry.record is None else self._state(outcome, entry.record.outcomes)

    def waiting(self, decision_id: str) -> Entry | None:
        """What waits of a decision, or is under way: its record, statements, or both."""
        with self._changed:
            entry = self._shown(decision_id)
            return None if entry is None else Entry(decision_id, entry.record, tuple(entry.outcomes))

    def stats(self) -> QueueStats:
        """How the queue stands."""
        with self._changed:
            return QueueStats(self._depth, self._written, self._dropped, self._failing)

    def flush(self, timeout_s: float) -> bool:
        """Waits until what waits now is written or dropped for good; False where the time was too short."""
        with self._changed:
            marks = [(entry, entry.added) for entry in reversed(self._waiting.values())]

            def through() -> bool:
                while marks and marks[-1][0].done >= marks[-1][1]:
                    marks.pop()
                return self._abandoned or not marks

            self._waiters += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(through, timeout_s) and not marks
            finally:
                self._waiters -= 1

    def close(self, timeout_s: float) -> bool:
        """Takes nothing more, writes what waits for at most `timeout_s`, then drops and counts the rest (a transaction
        that hangs just then may still come through). Returns whether all was written. Closing twice does nothing."""
        with self._changed:
            if self._closed_at is None:
                self._closed_at = time.monotonic() + timeout_s
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():  # where it is forgotten in the thread
            thread.join(timeout_s)
        with self._changed:
            lost, self._depth = self._depth, 0
            self._dropped += lost
            self._waiting.clear()
            self._running.clear()
            self._abandoned = True
            self._changed.notify_all()
        self.report_dropped()
        return lost == 0

    def _entry(self, decision_id: str, weight: int) -> _Waiting | None:
        """The decision's entry, made where there is none; None where there is no room for one more item."""
        if self._closed_at is not None or self._depth >= self._capacity or self._bytes + weight > self._most_bytes:
            return None
        entry = self._waiting.get(decision_id)
        if entry is None:
            entry = self._waiting[decision_id] = _Waiting()
        return entry

    def _shown(self, decision_id: str) -> _Waiting | None:
        return self._running.get(decision_id) or self._waiting.get(decision_id)

    def _state(self, outcome: Outcome, earlier: Sequence[Outcome]) -> Receipt:
        waiting = self._shown(outcome.decision_id)
        if is_repeat(outcome, [*earlier, *(waiting.outcomes if waiting else ())]):
            return Receipt(accepted=False, duplicate=True)
        running = self._running.get(outcome.decision_id)
        if running is not None and self._closed_at is None and self._depth < self._capacity:
            running.outcomes.append(outcome)
            self._depth += 1  # it waits, and counts against the bound, but cannot be written before its record
            return Receipt(accepted=True, duplicate=False)
        entry = None if running else self._entry(outcome.decision_id, 0)
        if entry is None:
            self._dropped += 1
            return Receipt(accepted=False, duplicate=False)
        entry.outcomes.append(outcome)
        self._added(entry, 0)
        return Receipt(accepted=True, duplicate=False)

    def _added(self, entry: _Waiting, weight: int) -> None:
        entry.added += 1
        entry.weight += weight
        self._depth += 1
        self._bytes += weight
        if self._thread is None:
            thread = threading.Thread(target=self._run, args=(self,), name="pointsman-store", daemon=True)
            with suppress(RuntimeError):  # no more threads to be had: the next item tries again
                thread.start()
                self._thread = thread
        elif self._asleep or len(self._waiting) == BATCH:
            self._changed.notify_all()

    @property
    def _hurried(self) -> bool:
        return self._waiters > 0 or self._closed_at is not None

    def next_batch(self, pause: float, idle_s: float | None) -> list[Entry] | None:
        """For the thread: the next entries, oldest first, after `pause` seconds where the last try failed. Empty where
        nothing came for `idle_s`; None where the work is over."""
        with self._changed:
            if pause:
                self._back_off(pause)
            else:
                self._await_work(idle_s)
            if self._closed_at is not None and (not self._waiting or time.monotonic() >= self._closed_at):
                return None
            return [
                Entry(decision_id, entry.record, tuple(entry.outcomes))
                for decision_id, entry in islice(self._waiting.items(), BATCH)
            ]

    def done(self, batch: Sequence[Entry], lost: int) -> None:
        """For the thread: takes a batch out, `lost` items of which came to nothing; what came meanwhile stays."""
        items = sum(entry.items for entry in batch)
        with self._changed:
            recovered, self._failing = self._failing is not None, None
            if not self._abandoned:
                for entry in batch:
                    self._take_out(entry)
                self._depth -= items
                self._written += items - lost
                self._dropped += lost
                self._changed.notify_all()
        if recovered:
            logger.warning("The store can be written again.")

    def failed(self, error: StoreError) -> None:
        """For the thread: notes what is wrong with the database."""
        with self._changed:
            first, self._failing = self._failing is None, str(error)
        if first:  # not at every try
            logger.warning("The store cannot be written, records wait in memory: %s", error)

    def report_dropped(self) -> None:
        """Logs how much was dropped since this was called last."""
        with self._changed:
            new, self._reported = self._dropped - self._reported, self._dropped
        if new:
            logger.warning("%d records or statements were dropped and are not in the store.", new)

    def _back_off(self, pause: float) -> None:
        began = time.monotonic()
        self._changed.wait_for(lambda: self._hurried, pause)
        self._changed.wait_for(lambda: False, max(0.0, began + SHORT_PAUSE_S - time.monotonic()))

    def _await_work(self, idle_s: float | None) -> None:
        self._asleep = True
        self._changed.wait_for(lambda: bool(self._waiting) or self._closed_at is not None, idle_s)
        self._asleep = False
        self._changed.wait_for(lambda: self._hurried or not 0 < len(self._waiting) < BATCH, LINGER_S)

    def _take_out(self, entry: Entry) -> None:
        waiting = self._waiting[entry.decision_id]
        waiting.done += entry.items
        del waiting.outcomes[: len(entry.outcomes)]
        if entry.record is not None:
            self._bytes -= waiting.weight
            waiting.record, waiting.weight = None, 0
        if not waiting.outcomes and waiting.record is None:
            del self._waiting[entry.decision_id]


def _weight(record: Record) -> int:
    """Roughly the memory that a waiting record takes, in bytes; cheap, for it is counted on the request's path."""
    weight = 2048 + 512 * len(record.query.tools)
    for message in record.query.messages:
        content = message.get("content")
        weight += 256 + (len(content) if isinstance(content, str) else _weight_of_parts(content))
    for attempt in record.attempts:
        weight += 1024 + _length(attempt.answer)
    return weight


def _weight_of_parts(content: Any) -> int:
    """Texts and pictures of a message made of parts; a picture is mostly its data URL."""
    if not isinstance(content, list):
        return 0
    parts = [cast(Json, part) for part in cast(list[Any], content) if isinstance(part, dict)]
    return sum(256 + _length(part.get("text")) + _length(_picture(part.get("image_url"))) for part in parts)


def _picture(value: Any) -> Any:
    return cast(Json, value).get("url") if isinstance(value, dict) else value


def _length(value: object) -> int:
    return len(value) if isinstance(value, str) else 0
