"""A router on digits' three routes for tests of the calibration, and questions for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pointsman.domain import Price, Route
from pointsman.router import Router, load
from pointsman.router.jobs.contenders import Contender
from pointsman.router.jobs.questions import chains
from pointsman.router.jobs.verifiable import Verifiable


def digits_router(home: Path, **routes: Any) -> Router:
    """A cold router whose store is ready; routes: other than the shipped three of digits."""
    shipped, _ = load(None, {"home": str(home)}, environ={})
    kept = {name: route for name, route in shipped.routes.items() if route.model == "digits"}
    made = shipped.model_copy(
        update={"models": {"digits": shipped.models["digits"]}, "routes": routes or kept, "safe_route": None}
    )
    router = Router(made)
    router.store.upgrade()
    return router


def chain_questions(n: int, *lengths: int) -> tuple[Verifiable, ...]:
    """Chains of each of these lengths, a group a length."""
    return tuple(
        Verifiable(f"{k}-{q.prompt}", "own", f"chain-{k}", q.prompt, "number", q.answer)
        for k in lengths
        for q in chains(n, (k,), seed=k)
    )


def contender(name: str, *, model: str = "m", budget: int | None = 0, samples: int = 1, mode: str = "") -> Contender:
    """A contender at price 1."""
    price = Price(0.1, 0.0, 1.0)
    made = Route(name, model, mode or ("direct" if budget == 0 else "think"), budget, price)
    return Contender(made, None, samples, None)  # type: ignore[arg-type]
