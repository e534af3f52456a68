"""What could have been seen of a call, for tests of what is made of it."""

from __future__ import annotations

from typing import Any

from pointsman.domain import Call, Enforcement, Finish, Usage
from pointsman.router.jobs.conformance.findings import Cut
from pointsman.router.jobs.conformance.observing import Observed


def seen(thought: int = 0, answer: int = 1, *, text: str | None = None, shown: bool = True, **more: Any) -> Observed:
    """A call that came to its end. thought, answer: tokens as told; text: the answer, a token a letter where left out;
    shown: whether the thought's text came."""
    budget = more.pop("budget", None)
    words = "x" * answer if text is None else text
    made: dict[str, Any] = {
        "call": Call(thinking_budget=budget),
        "thought": "t" * thought if shown else "",
        "text": words,
        "usage": Usage(prompt=9, thought=thought if shown else 0, answer=answer if shown else answer + thought),
        "finish": Finish.STOP,
        "enforced": Enforcement.NATIVE,
        "model": "m",
        "thought_tokens": thought if shown else 0,
        "text_tokens": len(words),
    }
    return Observed(**{**made, **more})


def failed(problem: str = "is down", **more: Any) -> Observed:
    """A call that failed."""
    return Observed(Call(), error=problem, **more)


def cut(budget: int, thought: int, free: int | None, **more: Any) -> Cut:
    """A budget, what was thought with it, and without it (None: that call failed)."""
    return Cut(budget, seen(thought, budget=budget, **more), failed() if free is None else seen(free))
