"""The decision and the jobs round it.

Names are loaded when they are first used: reading the configuration must not wait for what decides and serves."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..domain import Decision
    from .config import Settings, load
    from .router import Answer, Router

_WHERE = {
    "Answer": "pointsman.router.router",
    "Decision": "pointsman.domain",
    "Router": "pointsman.router.router",
    "Settings": "pointsman.router.config",
    "load": "pointsman.router.config",
}

__all__ = ["Answer", "Decision", "Router", "Settings", "load"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
