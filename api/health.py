"""GET /health: the process lives. GET /ready: it can answer, or what is missing."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import Response

from .. import __version__
from .errors import json_response
from .openapi import Answers, described
from .responses import Readiness
from .service import Service


def routes(service: Service) -> APIRouter:
    """The endpoints."""
    api = APIRouter(tags=["state"])

    @api.get("/health", **described(errors=()))
    async def health() -> Response:
        """200 while the process serves HTTP at all."""
        return json_response({"status": "ok", "version": __version__})

    more: Answers = {503: {"model": Readiness, "description": "Not yet, or not now; `missing` says why."}}

    @api.get("/ready", **described(answer=Readiness, errors=(500,), more=more))
    async def ready() -> Response:
        """200 from when every model's server is well, or 10 s after the start, while at least one is. The store's
        troubles do not make it unready: they fail no request; what could not be written is counted here."""
        told = await service.health()
        can = service.is_ready(told)
        down = service.router.decider.outages.reason
        missing = {name: down(name) or health.detail for name, health in told.items() if not health.ready}
        if service.problem is not None:
            missing["engines"] = service.problem
        body = {
            "ready": can,
            "missing": missing | service.router.missing,
            "engines": {name: health.detail for name, health in told.items() if health.ready},
            "routes": [route.name for route in service.router.routes],
            "checked": {
                route.name: service.router.decider.certificates.standing(route) for route in service.router.routes
            },
            "artifact": service.router.decider.artifact,
            "store": asdict(service.router.store.stats()),
        }
        return json_response(body, 200 if can else 503)

    return api
