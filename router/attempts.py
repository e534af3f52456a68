"""One run of a route, watched: what came, what it cost, how it ended."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace

from ..backends import Event, Finished, Text, Thought, TokenLogprob, ToolCallDelta, gone_on
from ..domain import Attempt, Call, Enforcement, Finish, Route, Usage
from .pricing import cost
from .signs import signs


class Watch:
    """Wraps an engine's stream and keeps what an `Attempt` needs; `attempt()` tells how it went at any moment.

    prompt: how many tokens the query probably is, charged where the engine was at work but never told. before: a watch
    that had been cut off, which this one goes on from: the attempt is both as one. logprobs: of the answer's tokens so
    far. spent: what it took so far, where the stream is not all of it (looping.py). signs: what is known of the answer
    already; None: what the probabilities of its tokens say, as far as the cap (tokens, as an answer that is bought is
    cut there; None: all). begun: what is there of the thought, by another route that left it; kept: tokens of it."""

    def __init__(
        self,
        route: Route,
        call: Call,
        events: AsyncGenerator[Event, None],
        prompt: float = 0.0,
        before: Watch | None = None,
        cap: int | None = None,
        spent: Callable[[], Usage] | None = None,
        begun: Sequence[Thought] = (),
        kept: int = 0,
    ) -> None:
        self.route, self.call, self.prompt, self.before, self.cap = route, call, prompt, before, cap
        self.spent = spent
        self.finished: Finished | None = None
        self.error: str | None = None
        self.cancelled = False
        self._events = events
        self._started = time.perf_counter()
        self._first_ms: float | None = None
        self._thought_tokens = self._answer_tokens = 0
        self._thought: list[str] = [piece.text for piece in begun]
        self._text: list[str] = []
        self.kept = kept if before is None else before.kept
        self.logprobs: list[TokenLogprob] = []
        self.signs: Mapping[str, float] | None = None
        self._came = False
        self._bought = (0, 0)
        self._tools = False
        if before is not None:
            self._first_ms, self.logprobs = before._first_ms, list(before.logprobs)
            self._thought, self._text = list(before._thought), list(before._text)

    async def __anext__(self) -> Event:
        event = await self._events.__anext__()
        if isinstance(event, Finished):
            self.finished = event = self._as_one(event)
            return event
        self._came = True
        if self._first_ms is None:
            self._first_ms = self._elapsed()
        if isinstance(event, Thought):
            self._thought_tokens += event.tokens
            self._thought.append(event.text)
        elif isinstance(event, Text):
            self._answer_tokens += event.tokens
            self._text.append(event.text)
            self.logprobs += event.logprobs
            if self.cap is not None and self.kept + self._thought_tokens + self._answer_tokens <= self.cap:
                self._bought = len(self._text), len(self.logprobs)
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
        """Whether anything has come of this call."""
        return self._came

    @property
    def overdue(self) -> bool:
        """Whether the time limit of the call itself is over (to a millisecond: clocks round)."""
        limit = self.call.deadline_ms
        return limit is not None and self._elapsed() >= limit - 1.0

    @property
    def empty(self) -> bool:
        """Whether nothing came that a caller could use."""
        return not self._tools and not self.text.strip()

    @property
    def thought(self) -> str:
        """The thought so far."""
        return "".join(self._thought)

    @property
    def thought_tokens(self) -> int:
        """Tokens of the thought so far, without the words that an engine closed it with where it tells them apart."""
        told = self.finished.usage.thought if self.finished is not None else 0
        return self.kept + (self._thought_tokens or told)

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._text)

    def beginning(self) -> tuple[str, list[TokenLogprob]]:
        """The answer and its tokens' probabilities, as far as the cap."""
        pieces, tokens = self._bought if self.cap is not None else (len(self._text), len(self.logprobs))
        return "".join(self._text[:pieces]), self.logprobs[:tokens]

    def _as_one(self, done: Finished) -> Finished:
        """The end of this call and of the one before it."""
        if self.before is None or (first := self.before.finished) is None:
            return done
        total = first.timings.total_ms + done.timings.total_ms
        enforced = max(first.enforced, done.enforced, key=list(Enforcement).index)  # what holds of both
        timings = replace(first.timings, total_ms=total)
        warnings = tuple(dict.fromkeys((*first.warnings, *done.warnings)))
        usage = gone_on(first.usage, done.usage)
        return replace(done, usage=usage, timings=timings, enforced=enforced, warnings=warnings)

    def attempt(self) -> Attempt:
        """How it went. A stream that was left has the tokens that were seen coming, and the prompt as estimated."""
        done = self.finished
        worked = self.cancelled or self.begun  # a server that refused has read nothing
        prompt = round(self.prompt) if worked else 0
        usage = done.usage if done else Usage(prompt, 0, self._thought_tokens, self._answer_tokens)
        if done is None and self.before is not None and self.before.finished is not None:
            usage = gone_on(self.before.finished.usage, replace(usage, cached=usage.prompt))
        if done is None and self.kept and self.before is None and worked:  # what it read again is not known
            usage = replace(usage, prompt=usage.prompt + self.kept, cached=usage.prompt + self.kept)
        if done is None and self.spent is not None:
            usage = self.spent()
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
            answer=self.text or None,
            signs=signs(self.beginning()[1]) if self.signs is None else self.signs,
            kept=self.kept,
        )

    def _elapsed(self) -> float:
        return (time.perf_counter() - self._started) * 1000


def in_one_piece(usage: Usage, kept: int) -> Usage:
    """The usage of an answer whose thought was gone on with, as if its route had thought all of it."""
    return Usage(max(0, usage.prompt - kept), max(0, usage.cached - kept), usage.thought + kept, usage.answer)


def shown(event: Thought | Text | ToolCallDelta, wanted: int | None) -> Thought | Text | ToolCallDelta:
    """The event as a caller gets it who asked for so many alternatives a token (None: no log-probabilities)."""
    if isinstance(event, ToolCallDelta):
        return event
    told = () if wanted is None else tuple(replace(token, top=token.top[:wanted]) for token in event.logprobs)
    return replace(event, logprobs=told)


def is_token(event: Event) -> bool:
    """Whether an event is something a caller sees: from then on the router does not change its mind."""
    return isinstance(event, ToolCallDelta) or (isinstance(event, (Thought, Text)) and event.text != "")
