"""POST /v1/route: a decision without an answer. GET /v1/decisions/{id}: what became of one."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from ..domain import Attempt, Decision, Estimate, Json, Outcome, Price, Route
from ..errors import NotFound
from ..store import Record
from .body import read_body
from .errors import json_response
from .headers import decision_headers
from .openapi import described
from .requests import RouteRequest
from .responses import DecisionBody, RecordBody
from .service import Service


def routes(service: Service) -> APIRouter:
    """The endpoints."""
    api = APIRouter(tags=["decisions"])

    @api.post("/v1/route", **described(RouteRequest, DecisionBody, errors=(400, 404, 413, 500)))
    async def decide(request: Request) -> Response:
        """Which route would answer a query, what each is expected to do with it, and why. Runs no model."""
        body = await read_body(request, RouteRequest, service.config.max_body_bytes)
        decision = service.router.decide(body.asked(), body.wish(service.router))
        return json_response(decision_body(decision), headers=decision_headers(decision))

    @api.get("/v1/decisions/{decision_id}", **described(answer=RecordBody, errors=(400, 404, 500, 503)))
    async def decision(decision_id: Annotated[str, Path(max_length=200)]) -> Response:
        """A decision with its estimates, what was run for it and what was said of it, from the moment of its answer."""
        record = await asyncio.to_thread(service.router.decision, decision_id)
        if record is None:
            raise NotFound(f"There is no decision {decision_id!r}.")
        return json_response(record_body(record))

    return api


def decision_body(decision: Decision) -> Json:
    """A decision as JSON (responses.DecisionBody)."""
    return {
        "id": decision.id,
        "created_at": decision.created_at,
        "route": _route(decision.route),
        "reason": decision.reason,
        "confidence": decision.confidence,
        "propensity": decision.propensity,
        "objective": {"kind": decision.objective.kind.value, "value": decision.objective.value},
        "policy": decision.policy,
        "artifact": decision.artifact,
        "observed": decision.observed,
        "estimates": {name: _estimate(estimate) for name, estimate in decision.estimates.items()},
        "overhead_ms": decision.overhead_ms,
        "warnings": list(decision.warnings),
    }


def record_body(record: Record) -> Json:
    """A record as JSON (responses.RecordBody); nothing that a caller or a model wrote."""
    return {
        **decision_body(record.decision),
        "evidence": [_attempt(attempt) for attempt in record.decision.evidence],
        "attempts": [_attempt(attempt) for attempt in record.attempts],
        "outcomes": [_outcome(outcome) for outcome in record.outcomes],
    }


def price_body(price: Price) -> Json:
    """A price as JSON, per million tokens."""
    return asdict(price)


def _route(route: Route) -> Json:
    return {
        "name": route.name,
        "model": route.model,
        "mode": route.mode,
        "thinking_budget": route.thinking_budget,
        "tier": route.tier.value if route.tier else None,
        "price": price_body(route.price),
    }


def _estimate(estimate: Estimate) -> Json:
    told = asdict(estimate)
    del told["route"]
    return told


def _attempt(attempt: Attempt) -> Json:
    return {
        "route": attempt.route,
        "model": attempt.model,
        "purpose": attempt.purpose.value,
        "thinking_budget": attempt.thinking_budget,
        "enforced": attempt.enforced.value,
        "usage": asdict(attempt.usage),
        "kept": attempt.kept,
        "price": price_body(attempt.price),
        "cost": attempt.cost,
        "latency_ms": attempt.latency_ms,
        "first_token_ms": attempt.first_token_ms,
        "finish": attempt.finish.value,
        "error": attempt.error,
        "warnings": list(attempt.warnings),
    }


def _outcome(outcome: Outcome) -> Json:
    return {
        "metric": outcome.metric.value,
        "value": outcome.value,
        "source": outcome.source.value,
        "created_at": outcome.created_at,
        "idempotency_key": outcome.idempotency_key,
    }
