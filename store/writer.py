"""The one thread that writes what the queue holds: batches, back-off while the database fails, one record at a time
where a batch holds one that the database refuses, and a chore now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..errors import StoreError
from .database import refused
from .ledger import Entry
from .queue import WriteQueue

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""Back-off while the database fails; it doubles in between."""
CHORE_S = 3600.0
"""How often the chore runs."""

Write: TypeAlias = Callable[[Sequence[Entry], bool], int]
"""Writes entries in one transaction (the flag: part of them may be there already, as after a commit whose answer was
lost), returns how many statements had no decision. Raises StoreError."""


class Writer:
    """What the queue's thread does. It lives as long as the queue, whatever the database or a record does to it.

    chore: called at the start and once an hour, between batches; returns True where there is more to do at once."""

    def __init__(self, write: Write, chore: Callable[[], bool] | None = None) -> None:
        self._write, self._chore = write, chore
        self._chore_due = time.monotonic()

    def run(self, queue: WriteQueue) -> None:
        """Writes until the queue is closed and empty, or its time is over."""
        pause = 0.0
        while (batch := queue.next_batch(pause, self._idle_s())) is not None:
            if batch:
                pause = self._try(queue, batch, pause)
                queue.report_dropped()
            if self._chore is not None and not pause and time.monotonic() >= self._chore_due:
                self._do_chore(self._chore)

    def _idle_s(self) -> float | None:
        """How long the thread may sleep without work."""
        return None if self._chore is None else max(0.0, self._chore_due - time.monotonic())

    def _try(self, queue: WriteQueue, batch: Sequence[Entry], pause: float) -> float:
        """Writes a batch. Returns how long to pause before the next: 0 where the database is well."""
        try:
            lost = self._write(batch, False)
        except StoreError as error:
            if refused(error):
                return self._try_singly(queue, batch)
            queue.failed(error)
            return min(LONGEST_PAUSE_S, pause * 2) if pause else FIRST_PAUSE_S
        except Exception:
            # Once a batch, with its place in the code; each record is named below. Nobody else could handle it here.
            logger.exception("A batch of records could not be prepared; trying them one by one.")
            return self._try_singly(queue, batch)
        queue.done(batch, lost)
        return 0.0

    def _try_singly(self, queue: WriteQueue, batch: Sequence[Entry]) -> float:
        """Writes entries one by one, so that the one at fault is lost alone."""
        for entry in batch:
            try:
                lost = self._write([entry], True)
            except StoreError as error:
                if not refused(error):
                    queue.failed(error)
                    return FIRST_PAUSE_S
                lost = self._refused(entry, error)
            except Exception as error:  # noqa: BLE001 - logged with its place when the batch failed
                lost = self._refused(entry, error)
            queue.done([entry], lost)
        return 0.0

    def _refused(self, entry: Entry, error: Exception) -> int:
        logger.warning("The record of decision %s cannot be written: %r", entry.decision_id, error)
        return entry.items

    def _do_chore(self, chore: Callable[[], bool]) -> None:
        more = False
        try:
            more = chore()
        except StoreError as error:
            logger.warning("Old records could not be deleted: %s", error)
        except Exception:
            logger.exception("Old records could not be deleted.")
        self._chore_due = time.monotonic() + (0.0 if more else CHORE_S)
