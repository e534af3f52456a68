"""One run of a route, watched: what came, what it cost, how it ended."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

from ..backends import Event, Finished, Text, Thought, TokenLogprob, ToolCallDelta
from ..domain import Attempt, Call, Enforcement, Finish, Route, Usage
from .pricing import cost
from .signs import signs


class Watch:
    """Wraps an engine's stream and keeps what an `Attempt` needs; `attempt()` tells how it went at any moment.

    prompt: how many tokens the query probably is, charged where the engine was at work but never told. logprobs: of the
    answer's tokens so far."""

    def __init__(self, route: Route, call: Call, events: AsyncGenerator[Event, None], prompt: float = 0.0) -> None:
        self.route, self.call, self.prompt = route, call, prompt
        self.finished: Finished | None = None
        self.error: str | None = None
        self.cancelled = False
        self._events = events
        self._started = time.perf_counter()
        self._first_ms: float | None = None
        self._thought_tokens = self._answer_tokens = 0
        self._text: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self._tools = False

    async def __anext__(self) -> Event:
        event = await self._events.__anext__()
        if isinstance(event, Finished):
            self.finished = event
            return event
        if self._first_ms is None:
            self._first_ms = self._elapsed()
        if isinstance(event, Thought):
            self._thought_tokens += event.tokens
        elif isinstance(event, Text):
            self._answer_tokens += event.tokens
            self._text.append(event.text)
            self.logprobs += event.logprobs
        else:
            self._tools = True
        return event

    def __aiter__(self) -> Watch:
        return self

    async def aclose(self) -> None:
        """Stop the generation at the engine."""
        await self._events.aclose()

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return self._first_ms is not None

    @property
    def overdue(self) -> bool:
        """Whether the time limit of the call itself is over (to a millisecond: clocks round)."""
        limit = self.call.deadline_ms
        return limit is not None and self._elapsed() >= limit - 1.0

    @property
    def empty(self) -> bool:
        """Whether nothing came that a caller could use."""
        return not self._tools and not "".join(self._text).strip()

    def attempt(self) -> Attempt:
        """How it went. A stream that was left has the tokens that were seen coming, and the prompt as estimated."""
        done = self.finished
        worked = self.cancelled or self.begun  # a server that refused has read nothing
        prompt = round(self.prompt) if worked else 0
        usage = done.usage if done else Usage(prompt, 0, self._thought_tokens, self._answer_tokens)
        finish = done.finish if done else Finish.CANCELLED if self.cancelled else Finish.ERROR
        return Attempt(
            route=self.route.name,
            model=self.route.model,
            purpose=self.call.purpose,
            usage=usage,
            price=self.route.price,
            cost=cost(self.route.price, usage),
            latency_ms=done.timings.total_ms if done else self._elapsed(),
            first_token_ms=self._first_ms,
            finish=finish,
            enforced=done.enforced if done else Enforcement.NONE,
            thinking_budget=self.route.thinking_budget,
            error=self.error,
            warnings=done.warnings if done else (),
            answer="".join(self._text) or None,
            signs=signs(self.logprobs),
        )

    def _elapsed(self) -> float:
        return (time.perf_counter() - self._started) * 1000


def is_token(event: Event) -> bool:
    """Whether an event is something a caller sees: from then on the router does not change its mind."""
    return isinstance(event, ToolCallDelta) or (isinstance(event, (Thought, Text)) and event.text != "")
