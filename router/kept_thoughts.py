"""A thought that was cut at its route's budget, and is gone on with by another route of the same model.

Only the rest is asked for. What is kept was paid with the attempt that made it; read again, it is part of the prompt,
most of which an engine that keeps prompts has in its memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..backends import Thought
from ..domain import Call, Route, Usage
from .buying import can_go_on, rest_of
from .modes import loop_of
from .run import Kept


@dataclass(frozen=True, slots=True)
class Beginning:
    """call: asks for the rest. thoughts: what is there of the thought, as it came; tokens: of it. source: the route
    that left it."""

    call: Call
    thoughts: tuple[Thought, ...]
    tokens: int
    source: str


def beginning(call: Call, route: Route, bought: Iterable[Kept]) -> tuple[Beginning | None, str]:
    """The longest of the bought thoughts that this call of the route can go on with, and a few words on it for the
    decision: also where there is one that cannot be gone on with, so that the route thinks anew."""
    cut = [kept for kept in bought if _fits(call, route, kept)]
    if not cut:
        return None, ""
    longest = max(cut, key=lambda kept: kept.watch.thought_tokens)
    watch = longest.watch
    said = f"{watch.route.name}'s thought of {watch.thought_tokens} tokens"
    if route.capabilities.continues is not True:
        return None, f"{said} is begun anew, as {route.model} cannot go on with one"
    assert watch.finished is not None
    assert watch.finished.continuation is not None
    thought = watch.finished.continuation.thought
    rest = rest_of(call, thought, "", Usage(thought=watch.thought_tokens)) if can_go_on(call, route) else None
    if rest is None:
        return None, f"{said} is begun anew, as this one cannot be gone on with"
    thoughts = tuple(event for event in longest.events if isinstance(event, Thought))
    return Beginning(rest, thoughts, watch.thought_tokens, watch.route.name), f"goes on with {said}"


def thinks_alike(one: Route, other: Route) -> bool:
    """Whether two routes of one model begin their thoughts alike, as far as the routes say it: where one's was cut the
    other can go on."""
    if loop_of(one.mode) is not None or loop_of(other.mode) is not None:
        return False
    return one.name != other.name and one.model == other.model and _family(one.mode) == _family(other.mode)


def _fits(call: Call, route: Route, kept: Kept) -> bool:
    """Whether a thought was cut that this route would have had, too, and would go on with for longer."""
    watch, done = kept.watch, kept.watch.finished
    if not thinks_alike(watch.route, route) or watch.call.messages != call.messages:
        return False  # it answered something else, or was told to think otherwise
    if done is None or done.continuation is None or done.continuation.ended or not done.continuation.thought.strip():
        return False
    limits = [limit for limit in (call.thinking_budget, call.max_tokens) if limit is not None]
    return all(limit > watch.thought_tokens for limit in limits)


def _family(mode: str) -> str:
    """The mode without its number: `think(512)` thinks as `think` does."""
    return mode.partition("(")[0]
