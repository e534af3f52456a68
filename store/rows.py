"""Values to rows and back, in one place: what a record becomes in the tables, and the record that the rows give.

The way there and back changes nothing (a property test says so), except: NUL and lone surrogates in plain text columns
become U+FFFD, infinite numbers inside JSON columns become NaN, vectors have 32-bit precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping as Row

from ..domain import (
    Attempt,
    Capabilities,
    Decision,
    Enforcement,
    Estimate,
    Finish,
    Json,
    Metric,
    Objective,
    ObjectiveKind,
    Outcome,
    Price,
    Purpose,
    Query,
    Route,
    Sampling,
    Source,
    Tier,
    Usage,
    Verdict,
)
from .records import Paid, Record, paid
from .texts import query_hash, storable

_CAPABILITIES = ("context", "tools", "images", "thinks", "switchable")
_ESTIMATE = tuple(Estimate.__dataclass_fields__)
_SAMPLING = tuple(Sampling.__dataclass_fields__)


def decision_row(decision: Decision) -> dict[str, Any]:
    """The row of `decisions`."""
    route = decision.route
    return {
        "id": decision.id,
        "created_at": decision.created_at,
        "route": route.name,
        "model": route.model,
        "mode": route.mode,
        "thinking_budget": route.thinking_budget,
        "tier": route.tier,
        **_price_row(route.price),
        "capabilities": _fields(route.capabilities, _CAPABILITIES),
        "reason": storable(decision.reason),
        "objective": decision.objective.kind,
        "objective_value": _number(decision.objective.value),
        "policy": decision.policy,
        "artifact": decision.artifact,
        "estimates": {name: _fields(estimate, _ESTIMATE) for name, estimate in decision.estimates.items()},
        "propensity": _number(decision.propensity),
        "confidence": _number(decision.confidence),
        "observed": decision.observed,
        "overhead_ms": _number(decision.overhead_ms),
        "warnings": list(decision.warnings),
    }


def decision_of(row: Row, evidence: tuple[Attempt, ...]) -> Decision:
    """The decision that a row of `decisions` holds."""
    route = Route(
        name=row["route"],
        model=row["model"],
        mode=row["mode"],
        thinking_budget=row["thinking_budget"],
        price=_price_of(row),
        tier=None if row["tier"] is None else Tier(row["tier"]),
        capabilities=Capabilities(**row["capabilities"]),
    )
    return Decision(
        id=row["id"],
        created_at=row["created_at"],
        route=route,
        reason=row["reason"],
        objective=Objective(ObjectiveKind(row["objective"]), _float(row["objective_value"])),
        policy=row["policy"],
        estimates={name: _estimate_of(estimate) for name, estimate in row["estimates"].items()},
        evidence=evidence,
        propensity=_float(row["propensity"]),
        artifact=row["artifact"],
        confidence=row["confidence"],
        observed=row["observed"],
        overhead_ms=_float(row["overhead_ms"]),
        warnings=tuple(row["warnings"]),
    )


def query_row(record: Record, *, keep_text: bool) -> dict[str, Any]:
    """The row of `queries`; without its texts where they are not kept."""
    query = record.query
    demands = {
        "tool_choice": query.tool_choice,
        "response_format": query.response_format,
        "stop": query.stop,
        "extra": query.extra,
    }
    return {
        "decision_id": record.decision.id,
        "hash": record.query_hash or query_hash(query),
        "messages": list(query.messages) if keep_text else None,
        "tools": list(query.tools) if keep_text else None,
        "demands": demands if keep_text else None,
        "limits": {
            "max_tokens": query.max_tokens,
            "logprobs": query.logprobs,
            "sampling": _fields(query.sampling, _SAMPLING),
            "group": None if query.group is None else storable(query.group),
        },
        "features": record.features,
        "embedding": record.embedding,
        "encoder": record.encoder,
    }


def query_of(row: Row) -> Query:
    """The query that a row of `queries` holds; without messages where texts were not kept."""
    demands: Json = row["demands"] or {}
    limits: Json = row["limits"]
    return Query(
        messages=tuple(row["messages"] or ()),
        tools=tuple(row["tools"] or ()),
        tool_choice=demands.get("tool_choice"),
        response_format=demands.get("response_format"),
        max_tokens=limits["max_tokens"],
        stop=tuple(demands.get("stop", ())),
        sampling=Sampling(**limits["sampling"]),
        logprobs=limits["logprobs"],
        extra=demands.get("extra", {}),
        group=limits.get("group"),
    )


def attempt_rows(decision: Decision, attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """The rows of `attempts`: one a call."""
    return [_attempt_row(decision.id, call) for call in paid(decision, attempts)]


def attempts_of(rows: Sequence[Row]) -> tuple[tuple[Attempt, ...], tuple[Attempt, ...]]:
    """(evidence, attempts) that a decision's rows of `attempts` hold, each in its order."""
    evidence: dict[int, Attempt] = {}
    attempts: dict[int, Attempt] = {}
    for row in rows:
        attempt = _attempt_of(row)
        if row["evidence_position"] is not None:
            evidence[row["evidence_position"]] = attempt
        if row["position"] is not None:
            attempts[row["position"]] = attempt
    return tuple(evidence[key] for key in sorted(evidence)), tuple(attempts[key] for key in sorted(attempts))


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """The row of `outcomes`."""
    is_verdict = isinstance(outcome.value, Verdict)
    return {
        "decision_id": outcome.decision_id,
        "metric": outcome.metric,
        "value": None if is_verdict else float(outcome.value),
        "verdict": outcome.value if is_verdict else None,
        "source": outcome.source,
        "created_at": outcome.created_at,
        "idempotency_key": outcome.idempotency_key,
    }


def outcome_of(row: Row) -> Outcome:
    """The outcome that a row of `outcomes` holds."""
    return Outcome(
        decision_id=row["decision_id"],
        metric=Metric(row["metric"]),
        value=row["value"] if row["verdict"] is None else Verdict(row["verdict"]),
        source=Source(row["source"]),
        created_at=row["created_at"],
        idempotency_key=row["idempotency_key"],
    )


def _attempt_row(decision_id: str, call: Paid) -> dict[str, Any]:
    attempt, usage = call.attempt, call.attempt.usage
    return {
        "decision_id": decision_id,
        "position": call.position,
        "evidence_position": call.evidence_position,
        "route": attempt.route,
        "model": attempt.model,
        "purpose": attempt.purpose,
        "prompt_tokens": usage.prompt,
        "cached_tokens": usage.cached,
        "thought_tokens": usage.thought,
        "answer_tokens": usage.answer,
        **_price_row(attempt.price),
        "cost": _number(attempt.cost),
        "latency_ms": _number(attempt.latency_ms),
        "first_token_ms": _number(attempt.first_token_ms),
        "finish": attempt.finish,
        "enforced": attempt.enforced,
        "thinking_budget": attempt.thinking_budget,
        "error": None if attempt.error is None else storable(attempt.error),
        "warnings": list(attempt.warnings),
        "answer": None if attempt.answer is None else storable(attempt.answer),
        "signs": {name: _number(value) for name, value in attempt.signs.items()} or None,
        "kept_tokens": attempt.kept,
    }


def _attempt_of(row: Row) -> Attempt:
    return Attempt(
        route=row["route"],
        model=row["model"],
        purpose=Purpose(row["purpose"]),
        usage=Usage(row["prompt_tokens"], row["cached_tokens"], row["thought_tokens"], row["answer_tokens"]),
        price=_price_of(row),
        cost=_float(row["cost"]),
        latency_ms=_float(row["latency_ms"]),
        first_token_ms=row["first_token_ms"],
        finish=Finish(row["finish"]),
        enforced=Enforcement(row["enforced"]),
        thinking_budget=row["thinking_budget"],
        error=row["error"],
        warnings=tuple(row["warnings"]),
        answer=row["answer"],
        signs=_signs_of(row["signs"]),
        kept=row["kept_tokens"] or 0,  # rows from before thoughts were gone on with have none
    )


def _signs_of(stored: dict[str, float | None] | None) -> dict[str, float]:
    """Rows from before there were signs have none."""
    return {name: _float(value) for name, value in (stored or {}).items()}


def _price_row(price: Price) -> dict[str, Any]:
    return {
        "price_input": _number(price.input),
        "price_cached_input": _number(price.cached_input),
        "price_output": _number(price.output),
        "price_assumed": price.assumed,
    }


def _price_of(row: Row) -> Price:
    return Price(
        input=_float(row["price_input"]),
        cached_input=_float(row["price_cached_input"]),
        output=_float(row["price_output"]),
        assumed=row["price_assumed"],
    )


def _estimate_of(values: Json) -> Estimate:
    others = ("route", "latency_ms", "measured", "load_ms")
    numbers = {name: _float(value) for name, value in values.items() if name not in others}
    known = values.get("measured", True)  # older rows do not say
    told = {name: values.get(name) for name in ("latency_ms", "load_ms")}
    return Estimate(route=values["route"], **told, measured=known, **numbers)


def _fields(value: object, names: Sequence[str]) -> Json:
    return {name: getattr(value, name) for name in names}


def _number(value: float | None) -> float | None:
    """NaN is NULL: SQLite makes it so, and JSON cannot say it."""
    return None if value is None or value != value else float(value)


def _float(value: float | None) -> float:
    return float("nan") if value is None else value
