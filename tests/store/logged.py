"""What a store is given in tests: plausible records of decisions, attempts and statements."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.domain import (
    Attempt,
    Decision,
    Enforcement,
    Estimate,
    Finish,
    Metric,
    Objective,
    Outcome,
    Price,
    Purpose,
    Query,
    Route,
    Source,
    Tier,
    Usage,
)
from pointsman.store import Record

MOMENT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
PRICE = Price(input=0.1, cached_input=0.0, output=1.0, assumed=True)


def attempt(**changes: Any) -> Attempt:
    """An answered attempt."""
    plain = Attempt(
        route="small",
        model="digits",
        purpose=Purpose.ANSWER,
        usage=Usage(prompt=10, cached=2, thought=5, answer=3),
        price=PRICE,
        cost=9e-6,
        latency_ms=12.5,
        first_token_ms=3.5,
        finish=Finish.STOP,
        enforced=Enforcement.NATIVE,
        answer="7",
    )
    return replace(plain, **changes)


def record(decision_id: str = "d1", said: str = "3+4=", **changes: Any) -> Record:
    """A decision of the route small, with its query and one attempt; changes: of the record, its time or evidence."""
    decision = Decision(
        id=decision_id,
        created_at=changes.pop("created_at", MOMENT),
        route=Route("small", "digits", "direct", 0, PRICE, Tier.SMALL),
        reason="small is expected to be right",
        objective=Objective(),
        policy="1",
        estimates={"small": Estimate("small", 0.9, 0.05, 10, 8, 2.5, 9e-6, 1e-6)},
        evidence=changes.pop("evidence", ()),
    )
    plain = Record(
        decision=decision,
        query=Query(messages=({"role": "user", "content": said},)),
        attempts=(attempt(),),
        features=(0.5, 2.0),
        embedding=(0.25, -1.0, 3.0),
        encoder="static-1",
    )
    return replace(plain, **changes)


def outcome(decision_id: str = "d1", value: Any = 1.0, minutes: int = 0, **changes: Any) -> Outcome:
    """A user's statement, `minutes` after the decision."""
    plain = Outcome(decision_id, Metric.CORRECT, value, Source.USER, MOMENT + timedelta(minutes=minutes))
    return replace(plain, **changes)
