"""The HTTP application: the endpoints put together over one router."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from .. import __version__
from ..router import Router
from . import chat, decisions, errors, feedback, health, home, models, openapi
from .config import ServerConfig, load_server
from .service import Endpoints, Service

ABOUT = """Sends every query down the cheapest route that is likely to get it right. Point an OpenAI client at `/v1` and
ask for the model `auto`; say how it turned out with `POST /v1/feedback`."""


def create_app(
    router: Router,
    config: ServerConfig | None = None,
    endpoints: Endpoints | None = None,
    failed: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The application. It opens the router's engines when it starts and closes the router when it ends.

    endpoints: where the model servers run that Pointsman launches, awaited once; None: there are none. Until they are
    known and open, requests for answers are refused with 503. failed: called where they can never be opened (a setting,
    a missing library)."""
    service = Service(router, config or load_server(router.settings.server)[0], endpoints, failed)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(title="Pointsman", version=__version__, description=ABOUT, lifespan=lifespan, redoc_url=None)
    errors.install(app)
    openapi.install(app)
    for part in (chat, decisions, feedback, models, health, home):
        app.include_router(part.routes(service))
    return app
