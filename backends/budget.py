"""Thinking budgets: how a call's limits are shared between thought and answer, and how they are kept.

An engine that keeps a budget itself is watched; for one that does not, the call is made in two passes: the first
thinks with the budget as its limit, then the thought is closed and the answer is generated from the same text.
Measured on llama.cpp with a miniature model: two passes cost 3 to 7 ms more than the native budget and give the
same answers.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..domain import Call, Enforcement, Finish, Usage
from .engine import Continuation, Event, Finished, Text, Thought, Timings, ToolCallDelta

RESERVE = 256
"""Tokens of a limit that are kept for the answer, where half the limit is not less."""

SLACK = 32
"""Tokens over its budget that a thought may have: the closing words, or a character that must be completed."""

Run: TypeAlias = Callable[[Call], AsyncGenerator[Event, None]]
"""One pass of a call: `max_tokens` bounds its tokens; with `thinking_budget` 0 and a thought prefix, the thought is
closed and the answer generated; with an answer prefix, the answer is gone on with. Ends with one `Finished`."""


@dataclass(frozen=True, slots=True)
class Allotment:
    """A call's tokens, shared out. thought: the most tokens of new thought (0: none, None: no limit); total: thought
    and answer together (None: no limit); off: thinking is switched off; warning: what the caller should know."""

    thought: int | None
    total: int | None
    off: bool
    warning: str | None = None


def allot(budget: int | None, limit: int | None, reserve: int = RESERVE, *, closing: int = 2) -> Allotment:
    """Share `limit` tokens (None: unlimited) between a thought of at most `budget` (None: unlimited, 0: off) and the
    answer.

    The thought is cut at min(budget, limit - reserve), the reserve being at most half the limit, so the answer is
    never eaten. Where the reserve cannot hold the `closing` words of a cut thought and a token of answer, thinking is
    off, with a warning."""
    if budget is not None and budget <= 0:
        return Allotment(0, limit, off=True)
    if limit is None:
        return Allotment(budget, None, off=False)
    kept = min(reserve, (limit + 1) // 2)
    room = limit - kept
    if room < 1 or kept <= closing:
        return Allotment(0, limit, off=True, warning=f"thinking is off: a limit of {limit} tokens has no room for it")
    if budget is None or room < budget:
        return Allotment(room, limit, off=False)
    return Allotment(budget, limit, off=False)


def allot_call(call: Call, limit: int | None, reserve: int = RESERVE, *, closing: int = 2) -> Allotment:
    """The same for a call's thinking budget; one that will be gone on with keeps nothing for an answer."""
    if call.resumable and call.thinking_budget != 0:
        return Allotment(call.thinking_budget, limit, off=False)
    return allot(call.thinking_budget, limit, reserve, closing=closing)


@dataclass(slots=True)
class _Pass:
    """What came out of one pass so far."""

    thought: list[str] = field(default_factory=list[str])
    answer: list[str] = field(default_factory=list[str])
    thought_tokens: int = 0
    answer_tokens: int = 0
    called: bool = False
    ended: bool = False
    done: Finished | None = None

    def take(self, event: Event) -> None:
        if isinstance(event, Thought):
            self.thought.append(event.text)
            self.thought_tokens += event.tokens
        elif isinstance(event, Text):
            self.answer.append(event.text)
            self.answer_tokens += event.tokens
        elif isinstance(event, ToolCallDelta):
            self.called = True
        else:
            self.done = event
            self.ended = event.continuation is not None and event.continuation.ended

    @property
    def answered(self) -> bool:
        return self.called or bool("".join(self.answer).strip())

    @property
    def usage(self) -> Usage:
        return self.done.usage if self.done else Usage(thought=self.thought_tokens, answer=self.answer_tokens)


async def two_pass(run: Run, call: Call, allotment: Allotment) -> AsyncGenerator[Event, None]:
    """The call with its thought cut at `allotment.thought` tokens by the first pass's own limit.

    `Finished.enforced` is TWO_PASS. A call with a grammar, a schema or tools is cut at the end of its thought in any
    case, as a grammar cannot be taken up in the middle of an answer."""
    bound = bool(call.response_format or call.grammar or call.tools)
    first = replace(
        call,
        thinking_budget=None,
        max_tokens=_least(allotment.thought, allotment.total),
        response_format=None,
        grammar=None,
        resumable=True,
    )
    passes = _passes(run, call, first, allotment, enforced=Enforcement.TWO_PASS, thought_only=bound)
    async with aclosing(passes) as events:
        async for event in events:
            yield event


async def watched(run: Run, call: Call, allotment: Allotment) -> AsyncGenerator[Event, None]:
    """The call with the engine's own budget (or its whole thought, where the allotment sets no limit).

    Should the engine ignore the budget, the thought is cut at `SLACK` tokens over it and the answer comes from a
    second pass: `Finished.enforced` is then TWO_PASS, otherwise NATIVE. The second pass also takes over where a cut
    thought ended with no answer."""
    first = replace(call, thinking_budget=allotment.thought, max_tokens=allotment.total)
    cut = None if allotment.thought is None else allotment.thought + SLACK
    async with aclosing(_passes(run, call, first, allotment, enforced=Enforcement.NATIVE, cut=cut)) as events:
        async for event in events:
            yield event


async def _passes(
    run: Run,
    call: Call,
    first: Call,
    allotment: Allotment,
    *,
    enforced: Enforcement,
    thought_only: bool = False,
    cut: int | None = None,
) -> AsyncGenerator[Event, None]:
    """The first pass, then the second where the first did not bring the whole answer."""
    started = time.monotonic()
    one = _Pass()
    async with aclosing(run(first)) as events:
        async for event in events:
            if thought_only and isinstance(event, Text | ToolCallDelta):
                one.ended = True
                break
            one.take(event)
            if one.done is None:
                yield event
            if cut is not None and one.thought_tokens >= cut:
                enforced = Enforcement.TWO_PASS
                break
    rest = _second(call, first, one, allotment, started)
    if rest is None:
        if one.done is not None:
            yield replace(one.done, enforced=enforced)
        return
    two = _Pass()
    async with aclosing(run(rest)) as events:
        async for event in events:
            two.take(event)
            if two.done is None:
                yield event
    if two.done is not None:
        yield _merged(call, one, two.done, enforced, started)


def _second(call: Call, first: Call, one: _Pass, allotment: Allotment, started: float) -> Call | None:
    """The call that brings what the first pass left out; None where nothing is missing."""
    if one.done is not None and not _unfinished(call, first, one, allotment):
        return None
    remaining = None if allotment.total is None else max(1, allotment.total - one.usage.output)
    answer = "".join(one.answer) if one.answered else ""
    if (most := call.max_answer_tokens) is not None:
        most = max(1, most - (one.answer_tokens if answer else 0))
        remaining = most if remaining is None else min(most, remaining)
    return replace(
        call,
        thinking_budget=0,
        thought_prefix=call.thought_prefix + "".join(one.thought),
        answer_prefix=call.answer_prefix + answer,
        max_tokens=remaining,
        max_answer_tokens=None,
        deadline_ms=_left(call.deadline_ms, started),
    )


def _unfinished(call: Call, first: Call, one: _Pass, allotment: Allotment) -> bool:
    """Whether a first pass that came to its end was ended by its own limit, or left no answer to its thought."""
    finish = one.done.finish if one.done else Finish.LENGTH
    if one.called or finish not in (Finish.STOP, Finish.LENGTH):
        return False
    if call.resumable and _at_the_total(first, one, allotment):
        return False  # it is cut where it was to be
    if not one.answered:
        return bool(one.thought) or finish is Finish.LENGTH
    if finish is Finish.STOP or first.max_tokens is None or one.usage.output < first.max_tokens:
        return False  # the answer is whole, or the context is full
    if call.max_answer_tokens is not None and one.answer_tokens >= call.max_answer_tokens:
        return False
    return allotment.total is None or one.usage.output < allotment.total


def _at_the_total(first: Call, one: _Pass, allotment: Allotment) -> bool:
    """Whether a first pass ended at the limit of thought and answer together. Its own word counts, as not every count
    is exact; but not where its count tells that the smaller limit of the thought ended it."""
    spent, thought, total = one.usage.output, allotment.thought, allotment.total
    if total is None or spent >= total:
        return total is not None
    near = thought is not None and thought <= spent < (thought + total) / 2
    length = one.done is not None and one.done.finish is Finish.LENGTH
    return length and first.max_tokens == total and not near


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def gone_on(before: Usage, after: Usage) -> Usage:
    """The usage of a call and of the one that went on from its end, as one: the prompt once, plus what the second had
    to read again."""
    prompt = before.prompt + after.prompt - after.cached
    return Usage(prompt, before.cached, before.thought + after.thought, before.answer + after.answer)


def _left(deadline_ms: float | None, started: float) -> float | None:
    return None if deadline_ms is None else max(1.0, deadline_ms - (time.monotonic() - started) * 1e3)


def _merged(call: Call, one: _Pass, last: Finished, enforced: Enforcement, started: float) -> Finished:
    """Both passes as one: the prompt once, plus what the second pass had to read again."""
    before, after = one.usage, last.usage
    usage = gone_on(before, after)
    if one.done is None:  # broken off before it told what it had read: charge the prompt as read in full
        usage = replace(usage, prompt=max(0, after.prompt - before.output), cached=0)
    timings = one.done.timings if one.done else last.timings
    return replace(
        last,
        usage=usage,
        timings=Timings((time.monotonic() - started) * 1e3, timings.first_token_ms, timings.prompt_ms),
        enforced=enforced,
        continuation=Continuation(call.thought_prefix + "".join(one.thought), ended=one.ended),
        warnings=(*(one.done.warnings if one.done else ()), *last.warnings),
    )
