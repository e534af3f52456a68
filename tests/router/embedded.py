"""A router over both embedded models on real llama.cpp servers, started for the first query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pointsman.domain import Query, Wish
from pointsman.router import Router
from pointsman.router.live import Answered, LiveEvent, collect

PRICE = {"input": 0.1, "output": 1.0}


def embedded_router(home: Path, **evidence: Any) -> Router:
    """digits as small and full, SmolLM2 as chat; evidence: the section of that name."""
    return Router.from_config(
        home=home,
        models={
            "digits": {"engine": "llamacpp", "embedded": "digits"},
            "smollm2": {"engine": "llamacpp", "embedded": "smollm2"},
        },
        routes={
            "small": {"model": "digits", "mode": "direct", "thinking_budget": 0, "price": PRICE},
            "full": {"model": "digits", "mode": "think", "price": PRICE},
            "chat": {"model": "smollm2", "mode": "direct", "thinking_budget": 0, "price": PRICE},
        },
        safe_route="full",
        evidence=evidence,
    )


def ask(
    router: Router, query: Query, wish: Wish | None = None, *, signs: bool = False
) -> tuple[list[LiveEvent], Answered]:
    """All events of a run, and its last."""

    async def run() -> tuple[list[LiveEvent], Answered]:
        if not router.engines:
            await router.open_engines(endpoints)
        return await collect(router.run(query, wish, signs=signs))

    endpoints = router.endpoints() if not router.engines else {}
    return router.portal().call(run)
