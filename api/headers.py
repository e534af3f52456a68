"""A decision as response headers. What is not known when they are sent is left out."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain import Decision, Enforcement, Route

PREFIX = "x-pointsman-"
WITHHELD = "the answer is withheld until its route stands: route, mode and budget come with the last chunk"
_LONGEST = 500


def budget_word(budget: int | None) -> str:
    """A thinking budget as a header says it: a number of tokens, `off` or `unlimited`."""
    return "unlimited" if budget is None else "off" if budget == 0 else str(budget)


def decision_headers(
    decision: Decision,
    *,
    attempts: int | None = None,
    enforced: Enforcement | None = None,
    warnings: Sequence[str] | None = None,
) -> dict[str, str]:
    """The headers of an answer. attempts: how many runs it took. enforced and warnings are known once it is whole;
    before, they are what `pointsman check` found: how the budget is kept, and the decision's own warnings."""
    told = facts(decision, attempts=attempts, enforced=enforced, warnings=warnings)
    return {PREFIX + name: header_text(value) for name, value in told.items()}


def withheld_headers(decision_id: str) -> dict[str, str]:
    """The headers of a stream that is opened before its route stands."""
    return {f"{PREFIX}decision-id": decision_id, f"{PREFIX}warnings": WITHHELD}


def facts(
    decision: Decision,
    *,
    attempts: int | None = None,
    enforced: Enforcement | None = None,
    warnings: Sequence[str] | None = None,
) -> dict[str, str]:
    """The same by their names without the prefix, as they are."""
    route: Route = decision.route
    told = {
        "decision-id": decision.id,
        "route": route.name,
        "mode": route.mode,
        "thinking-budget": budget_word(route.thinking_budget),
        "thinking-enforced": enforced.value if enforced else None,
        "confidence": f"{decision.confidence:.4f}" if decision.confidence is not None else None,
        "reason": decision.reason,
        "overhead-ms": f"{decision.overhead_ms:.3f}",
        "attempts": str(attempts) if attempts is not None else None,
        "warnings": "; ".join(decision.warnings if warnings is None else warnings) or None,
        "policy": f"{decision.policy}; artifact={decision.artifact or 'none'}",
    }
    return {name: value for name, value in told.items() if value is not None}


def header_text(text: str) -> str:
    """Text that any HTTP client can read: ASCII, one line, at most 500 characters; other characters as in Python's
    strings (`\\xe9`)."""
    if text.isascii() and text.isprintable():
        return text[:_LONGEST].strip()
    line = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else " " for c in line)[:_LONGEST].strip()
