"""Statements on how a decision turned out: reading and checking one, telling a repeat, making a label of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from ..domain import Metric, Outcome, Source, Verdict
from ..errors import BadRequest

HUMAN_WEIGHT = 1.0
JUDGE_WEIGHT = 0.5
"""A model that judges is wrong more often than a person or a check: its statement counts half."""
IMPORT_WEIGHT = 1.0

WEIGHTS = {
    Source.HUMAN: HUMAN_WEIGHT,
    Source.USER: HUMAN_WEIGHT,
    Source.CHECK: HUMAN_WEIGHT,
    Source.JUDGE: JUDGE_WEIGHT,
    Source.IMPORT: IMPORT_WEIGHT,
}
"""How much a statement counts in training, by who made it."""

STRONG = frozenset({Source.HUMAN, Source.USER, Source.CHECK})
"""Sources whose word goes before that of the others, however late those come."""

VERDICTS = {Verdict.GOOD_FIT: 1.0, Verdict.OVERPROVISIONED: 1.0, Verdict.UNDERPOWERED: 0.0, Verdict.FAILED: 0.0}
"""What a verdict says of the answer's correctness."""

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Label:
    """Whether an answer was right, in [0, 1], and how much that counts, in (0, 1]."""

    correct: float
    weight: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a statement. Taken: accepted. A repeat of an earlier one: duplicate, and not taken again. Neither:
    dropped, the queue is full or closed."""

    accepted: bool
    duplicate: bool


_Word = TypeVar("_Word", bound=StrEnum)


def parse_outcome(
    *,
    decision_id: str,
    value: object,
    metric: str | None = None,
    source: str = Source.USER,
    idempotency_key: str | None = None,
    created_at: datetime | None = None,
) -> Outcome:
    """An outcome from what a caller wrote. A verdict's word as `value` needs no metric; `created_at` is now by default.

    Raises BadRequest naming the field, as `check_outcome` does."""
    if metric is None:
        if not isinstance(value, str):
            raise BadRequest(f"metric is missing; one of {_words(Metric)}.", field="metric")
        metric = Metric.VERDICT
    kind = _word(Metric, metric, "metric")
    read: Any = _word(Verdict, value, "value") if kind is Metric.VERDICT else value
    outcome = Outcome(
        decision_id=decision_id,
        metric=kind,
        value=read,
        source=_word(Source, source, "source"),
        created_at=created_at or datetime.now(UTC),
        idempotency_key=idempotency_key,
    )
    check_outcome(outcome)
    return outcome


def check_outcome(outcome: Outcome) -> None:
    """Returns where the outcome can be taken; else raises BadRequest naming the field.

    correct: 0 or 1; score: a number in [0, 1]; verdict: one of `Verdict`; ids and keys: 1 to 200 characters, no control
    characters; created_at: with a time zone."""
    _check_id(outcome.decision_id, "decision_id")
    if outcome.idempotency_key is not None:
        _check_id(outcome.idempotency_key, "idempotency_key")
    _word(Source, outcome.source, "source")
    metric = _word(Metric, outcome.metric, "metric")
    if metric is Metric.VERDICT:
        _word(Verdict, outcome.value, "value")
    else:
        _check_number(metric, outcome.value)
    if outcome.created_at.tzinfo is None:
        raise BadRequest("created_at must be a point in time with its zone.", field="created_at")


def is_repeat(outcome: Outcome, earlier: Sequence[Outcome]) -> bool:
    """Whether the decision's `earlier` statements (in order of arrival) hold this one already.

    With an idempotency key: the same key was taken before, whatever it said. Without: the latest statement of the same
    source and metric says the same, so a mind changed and changed back is three statements; or one of the same instant
    does, which is a writing tried again."""
    if outcome.idempotency_key is not None:
        return any(other.idempotency_key == outcome.idempotency_key for other in earlier)
    if outcome in earlier:
        return True
    for other in reversed(earlier):
        if (other.source, other.metric) == (outcome.source, outcome.metric):
            return other.value == outcome.value
    return False


def label(outcomes: Sequence[Outcome]) -> Label | None:
    """What a decision's statements (in order of arrival) say of its answer; None where there are none.

    The latest of the strongest sources wins: people and checks go before judges and imports."""
    if not outcomes:
        return None
    _, winner = max(enumerate(outcomes), key=lambda pair: (pair[1].source in STRONG, _utc(pair[1].created_at), pair[0]))
    correct = VERDICTS[winner.value] if isinstance(winner.value, Verdict) else float(winner.value)
    return Label(correct, WEIGHTS[winner.source])


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _check_id(value: object, field: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise BadRequest(f"{field} must be 1 to {_LONGEST} printable characters.", field=field)


def _check_number(metric: Metric, value: object) -> None:
    allowed = "0 or 1" if metric is Metric.CORRECT else "a number from 0 to 1"
    problem = BadRequest(f"value must be {allowed} where metric is {metric}, not {value!r:.50}.", field="value")
    if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise problem
    if metric is Metric.CORRECT and value not in (0, 1):
        raise problem


def _word(words: type[_Word], value: object, field: str) -> _Word:
    """The member that `value` names; raises BadRequest listing them."""
    if isinstance(value, str) and value in set(words):
        return words(value)
    raise BadRequest(f"{field} {value!r:.50} is unknown; one of {_words(words)}.", field=field)


def _words(words: type[StrEnum]) -> str:
    return ", ".join(words)
