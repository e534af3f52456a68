"""What is kept of a decision: the record, the same without texts, and the calls in it that were paid for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ..domain import Attempt, Decision, Outcome, Query
from .texts import query_hash

TEXT_NOT_KEPT = "failed (the text is not kept)"
"""Stands in for an error's text where texts are not kept: that something failed is a fact, what it said may quote."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one decision: what was asked, what was decided, what was run, what came of it.

    features, embedding: as the estimator saw them; `encoder` names what made them (the encoder and the list of
    features), so that those of another encoder are never mixed in. query_hash: set where the record was read."""

    decision: Decision
    query: Query
    attempts: tuple[Attempt, ...]
    features: tuple[float, ...] | None = None
    embedding: tuple[float, ...] | None = None
    outcomes: tuple[Outcome, ...] = ()
    encoder: str | None = None
    query_hash: str = field(default="", compare=False)


def redacted(record: Record) -> Record:
    """The record without anything that a caller or a model wrote: what is written where texts are not kept."""
    query = Query(
        messages=(),
        max_tokens=record.query.max_tokens,
        sampling=record.query.sampling,
        logprobs=record.query.logprobs,
        group=record.query.group,
    )
    decision = replace(record.decision, evidence=_redacted(record.decision.evidence), warnings=())
    return replace(
        record,
        decision=decision,
        query=query,
        attempts=_redacted(record.attempts),
        query_hash=record.query_hash or query_hash(record.query),
    )


def _redacted(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    return tuple(
        replace(attempt, answer=None, warnings=(), error=None if attempt.error is None else TEXT_NOT_KEPT)
        for attempt in attempts
    )


@dataclass(frozen=True, slots=True)
class Paid:
    """One call that was paid for, with its place among a record's attempts, among the evidence, or both."""

    attempt: Attempt
    position: int | None
    evidence_position: int | None


def paid(decision: Decision, attempts: Sequence[Attempt]) -> list[Paid]:
    """Every call once, evidence first, also where one stands both among the evidence and among the attempts."""
    calls: list[Paid] = []
    left = dict(enumerate(attempts))
    for place, bought in enumerate(decision.evidence):
        twin = next((position for position, attempt in left.items() if attempt == bought), None)
        if twin is not None:
            del left[twin]
        calls.append(Paid(bought, twin, place))
    return calls + [Paid(attempt, position, None) for position, attempt in left.items()]


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits to be written of one decision: its record (None: it is written), and statements that came since."""

    decision_id: str
    record: Record | None
    outcomes: tuple[Outcome, ...] = ()

    @property
    def items(self) -> int:
        """How much it counts in the queue: a record or a statement is one."""
        return (self.record is not None) + len(self.outcomes)

    @property
    def statements(self) -> tuple[Outcome, ...]:
        """All statements in it, in order of arrival."""
        return self.outcomes if self.record is None else self.record.outcomes + self.outcomes
