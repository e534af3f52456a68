"""Pointsman routes each query to the cheapest model, reasoning mode and thinking budget that gets it right.

>>> from pointsman import route
>>> decision = route("What is 17 * 23?")
>>> decision.route.name, decision.reason

Importing this loads nothing heavy: names are fetched when they are first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointsman.domain import Decision as Decision
    from pointsman.errors import PointsmanError as PointsmanError
    from pointsman.router import Answer as Answer
    from pointsman.router import Router as Router
    from pointsman.router.default import aroute as aroute
    from pointsman.router.default import ask as ask
    from pointsman.router.default import route as route

__version__ = "0.1.0"

__all__ = ["Answer", "Decision", "PointsmanError", "Router", "__version__", "aroute", "ask", "route"]

_HOMES = {
    "Answer": "pointsman.router",
    "Decision": "pointsman.domain",
    "PointsmanError": "pointsman.errors",
    "Router": "pointsman.router",
    "aroute": "pointsman.router.default",
    "ask": "pointsman.router.default",
    "route": "pointsman.router.default",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
