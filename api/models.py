"""GET /v1/models: every name that can be asked for."""

from __future__ import annotations

import time

from fastapi import APIRouter
from starlette.responses import Response

from ..domain import Capabilities, Json, Tier
from ..errors import UnknownModel
from ..router.wishes import AUTO
from .decisions import price_body
from .errors import json_response
from .openapi import described
from .responses import ModelBody, ModelList
from .service import Service

OWNER = "pointsman"


def routes(service: Service) -> APIRouter:
    """The endpoints."""
    api = APIRouter(tags=["models"])
    started = int(time.time())

    @api.get("/v1/models", **described(answer=ModelList, errors=(500,)))
    async def models() -> Response:
        """`auto` and its tiers, the routes, and the models. `name(2048)` and `name(off)` set a thinking budget."""
        return json_response({"object": "list", "data": listed(service, started)})

    @api.get("/v1/models/{name:path}", **described(answer=ModelBody, errors=(404, 500)))
    async def model(name: str) -> Response:
        """One of them."""
        known = {one["id"]: one for one in listed(service, started)}
        if name not in known:
            raise UnknownModel(name, tuple(known))
        return json_response(known[name])

    return api


def listed(service: Service, created: int) -> list[Json]:
    """The names as OpenAI lists models; a route of the same name as its model stands for both."""
    router = service.router
    tiers = [tier for tier in Tier if any(route.tier is tier for route in router.routes)]
    told: dict[str, Json] = {AUTO: {"kind": "auto", "objective": _objective(service)}}
    told |= {f"{AUTO}:{tier}": {"kind": "auto", "tier": tier.value} for tier in tiers}
    for route in router.routes:
        told[route.name] = {
            "kind": "route",
            "model": route.model,
            "mode": route.mode,
            "thinking_budget": route.thinking_budget,
            "tier": route.tier.value if route.tier else None,
            "price": price_body(route.price),
            **_able(route.capabilities),
        }
    for name in router.models:
        able = next((r.capabilities for r in router.routes if r.model == name), Capabilities())
        told.setdefault(name, {"kind": "model", "model": name, "thinking_budget": None, **_able(able)})
    return [
        {"id": name, "object": "model", "created": created, "owned_by": OWNER, "pointsman": facts}
        for name, facts in told.items()
    ]


def _able(able: Capabilities) -> Json:
    return {"context": able.context, "tools": able.tools, "images": able.images, "thinks": able.thinks}


def _objective(service: Service) -> Json:
    objective = service.router.decider.standing.objective
    return {objective.kind.value: objective.value}
