"""`pointsman.route`, `aroute` and `ask`: one router for the process, made at first use."""

from __future__ import annotations

import asyncio
import atexit
import threading
from typing import Any

from ..domain import Decision
from .queries import Askable
from .router import Answer, Router

_lock = threading.Lock()
_router: Router | None = None


def default_router() -> Router:
    """The process's own router: `POINTSMAN_CONFIG`, else the shipped configuration. Raises ConfigError."""
    global _router
    with _lock:
        if _router is None:
            _router = Router.from_config()
            atexit.register(_router.close)
        return _router


def route(query: Askable, **wishes: Any) -> Decision:
    """Which route should answer a query, and why; runs no model. Keywords as in `Router.route`."""
    return default_router().route(query, **wishes)


async def aroute(query: Askable, **wishes: Any) -> Decision:
    """As `route`, without holding up the event loop while the router is made for the first time."""
    router = await asyncio.to_thread(default_router)
    return router.route(query, **wishes)


def ask(query: Askable, **wishes: Any) -> Answer:
    """Decide and run. Keywords as in `Router.route`, and `max_tokens`."""
    return default_router().ask(query, **wishes)
