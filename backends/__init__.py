"""The models, behind one narrow door: `Engine.stream(call)` yields events.

Names are loaded when they are first used, so that importing this room costs nothing: the child process of an engine
imports it too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .advised import advice, names_of
    from .budget import RESERVE, SLACK, Allotment, allot, gone_on, two_pass
    from .catalogue import Mode, load_modes, mode, prepare
    from .child import ChildStatus
    from .config import EnginesConfig, ModelConfig, Timeouts
    from .dialects import Dialect, dialect
    from .discover import Discovered
    from .embedded import EMBEDDED, embedded_path
    from .engine import (
        Continuation,
        Engine,
        Event,
        Finished,
        Health,
        ModelInfo,
        Text,
        Thought,
        Timings,
        TokenLogprob,
        ToolCallDelta,
    )
    from .engines import continues, create, keeps_budgets
    from .families import load_families, parameters, weights_from_name
    from .family_rows import Family
    from .hosted_prices import listed
    from .identity import Identity, identify
    from .launch import Endpoint, Supervisor, running
    from .least import budget_problem
    from .memory import Swapping, in_memory, sharing
    from .outages import Outages
    from .preflight import check_model, key_of
    from .sampling import UNADVISED, Advice
    from .spellings import suspect

_WHERE = {
    "EMBEDDED": "embedded",
    "RESERVE": "budget",
    "SLACK": "budget",
    "UNADVISED": "sampling",
    "Advice": "sampling",
    "Allotment": "budget",
    "ChildStatus": "child",
    "Continuation": "engine",
    "Dialect": "dialects",
    "Discovered": "discover",
    "Endpoint": "launch",
    "Engine": "engine",
    "EnginesConfig": "config",
    "Event": "engine",
    "Family": "family_rows",
    "Finished": "engine",
    "Health": "engine",
    "Identity": "identity",
    "Mode": "catalogue",
    "ModelConfig": "config",
    "ModelInfo": "engine",
    "Outages": "outages",
    "Supervisor": "launch",
    "Swapping": "memory",
    "Text": "engine",
    "Thought": "engine",
    "Timeouts": "config",
    "Timings": "engine",
    "TokenLogprob": "engine",
    "ToolCallDelta": "engine",
    "advice": "advised",
    "allot": "budget",
    "budget_problem": "least",
    "check_model": "preflight",
    "continues": "engines",
    "keeps_budgets": "engines",
    "create": "engines",
    "dialect": "dialects",
    "embedded_path": "embedded",
    "gone_on": "budget",
    "identify": "identity",
    "in_memory": "memory",
    "key_of": "preflight",
    "listed": "hosted_prices",
    "load_families": "families",
    "load_modes": "catalogue",
    "mode": "catalogue",
    "names_of": "advised",
    "parameters": "families",
    "prepare": "catalogue",
    "running": "launch",
    "sharing": "memory",
    "suspect": "spellings",
    "two_pass": "budget",
    "weights_from_name": "families",
}

__all__ = [
    "EMBEDDED",
    "RESERVE",
    "SLACK",
    "UNADVISED",
    "Advice",
    "Allotment",
    "ChildStatus",
    "Continuation",
    "Dialect",
    "Discovered",
    "Endpoint",
    "Engine",
    "EnginesConfig",
    "Event",
    "Family",
    "Finished",
    "Health",
    "Identity",
    "Mode",
    "ModelConfig",
    "ModelInfo",
    "Outages",
    "Supervisor",
    "Swapping",
    "Text",
    "Thought",
    "Timeouts",
    "Timings",
    "TokenLogprob",
    "ToolCallDelta",
    "advice",
    "allot",
    "budget_problem",
    "check_model",
    "continues",
    "create",
    "dialect",
    "embedded_path",
    "gone_on",
    "identify",
    "in_memory",
    "keeps_budgets",
    "key_of",
    "listed",
    "load_families",
    "load_modes",
    "mode",
    "names_of",
    "parameters",
    "prepare",
    "running",
    "sharing",
    "suspect",
    "two_pass",
    "weights_from_name",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
