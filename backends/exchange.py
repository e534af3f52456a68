"""One request to a server and the events that come of it: one pass of a call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

import orjson

from ..domain import Call, Enforcement, Finish, Json, Usage
from ..errors import BackendError, BackendRejected, BackendUnavailable
from .bodies import Terms, chat_body, raw_body
from .budget import gone_on
from .deltas import Reader
from .dialects import Dialect, merged
from .engine import Continuation, Event, Finished, Text, Thought, Timings
from .facts import Facts
from .foreign import readable
from .inline import Inline
from .markers import Begin
from .prompts import Prompt, Prompts
from .recount import shared_out
from .stops import Bounds
from .wire import Wire

UNLIMITED = 32_768
"""Tokens of a raw call without a limit, where the context is not known."""

READ_ON_S, READ_ON_CHUNKS = 1.0, 32
"""For how long, and how much, a reply is read after it was cut, so that its usage may come."""


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    body: Json
    begin: Begin
    guessed: bool = False
    """Earlier replies alone tell where this one begins."""


class _Beginning:
    """Holds the blanks back that an answer begins with, as they may be all there is of it."""

    def __init__(self) -> None:
        self.blanks: list[Event] = []
        self.answered = False

    def taken(self, event: Event) -> list[Event]:
        """What can be told now."""
        if not self.answered and isinstance(event, Text) and not event.text.strip():
            self.blanks.append(event)
            return []
        self.answered = self.answered or not isinstance(event, Thought)
        told, self.blanks = [*self.blanks, event], []
        return told


class Exchange:
    """Sends the passes of calls to one server. `two_pass` and `watched` (budget.py) run on `once`."""

    def __init__(self, backend: str, dialect: Dialect, wire: Wire, prompts: Prompts) -> None:
        self._backend, self._dialect, self._wire, self._prompts = backend, dialect, wire, prompts
        self._inline = Inline(prompts, parses=dialect.parses)

    async def aclose(self) -> None:
        """Give back what its wire holds."""
        await self._wire.aclose()

    async def once(self, call: Call, facts: Facts) -> AsyncGenerator[Event, None]:
        """One pass (budget.Run). An answer to a closed thought that comes out blank is asked for again: with empty
        answers forbidden, where the engine can do that, else without the thought."""
        closed = bool(call.thought_prefix) and call.thinking_budget == 0 and not call.answer_prefix
        guarded = closed and not (call.grammar or call.response_format or call.tools)
        began, start, last = time.monotonic(), _Beginning(), None
        async with aclosing(self._pass(call, facts, nonempty=False)) as events:
            async for event in events:
                if guarded and isinstance(event, Finished):
                    last = event
                    continue
                for kept in start.taken(event) if guarded else (event,):
                    yield kept
        if last is None:
            return
        if start.answered or last.finish is not Finish.STOP:
            for kept in (*start.blanks, last):
                yield kept
            return
        async with aclosing(self._again(call, facts, last, began)) as events:
            async for event in events:
                yield event

    async def _again(self, call: Call, facts: Facts, blank: Finished, began: float) -> AsyncGenerator[Event, None]:
        """The second try at an answer that came out blank, within what the first left of the call's time and limit.
        began: the first one's start."""
        forbids = self._dialect.nonempty is not None
        spent = (time.monotonic() - began) * 1e3
        left = None if call.max_tokens is None else max(1, call.max_tokens - blank.usage.output)
        due = None if call.deadline_ms is None else max(1.0, call.deadline_ms - spent)
        asked = replace(call, max_tokens=left, deadline_ms=due)
        asked = asked if forbids else replace(asked, thought_prefix="")
        told = (
            ()
            if forbids
            else ("the answer to the thought came out empty: it was asked for again, without the thought",)
        )
        async with aclosing(self._pass(asked, facts, nonempty=forbids)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    both = gone_on(blank.usage, event.usage)
                    times, first = event.timings, event.timings.first_token_ms
                    first = None if first is None else first + spent
                    times = replace(times, total_ms=times.total_ms + spent, first_token_ms=first)
                    warnings = tuple(dict.fromkeys((*blank.warnings, *event.warnings, *told)))
                    event = replace(event, usage=both, timings=times, warnings=warnings)
                yield event

    async def _pass(self, call: Call, facts: Facts, *, nonempty: bool) -> AsyncGenerator[Event, None]:
        started = time.monotonic()
        thinking = facts.thinks is not False and call.thinking_budget != 0 and not call.answer_prefix
        request = await self._request(call, facts, thinking=thinking, nonempty=nonempty)
        cut = call.thinking_budget is not None
        reader = Reader(
            self._dialect,
            self._backend,
            request.begin,
            thinking=thinking,
            cut=thinking and cut,
            markers=facts.markers,
            marker=facts.marker,
        )
        watches = thinking or call.resumable  # a server passes on what it held back when it cuts
        bounds = Bounds(call.stop if watches else (), call.max_answer_tokens if thinking else None)
        first: float | None = None
        async with aclosing(self._wire.chunks(request.path, request.body, call.deadline_ms)) as chunks:
            async for chunk in chunks:
                with readable(self._backend):
                    found = reader.read(chunk)
                for event in found:
                    first = first or (time.monotonic() - started) * 1e3
                    if (kept := bounds.keep(event)) is not None:
                        yield kept
                if bounds.finish is not None:
                    await self._read_on(chunks, reader, bounds.finish)
                    break
        for event in reader.flush(cut=(bounds.finish or reader.finish) is Finish.LENGTH):
            if (kept := bounds.keep(event)) is not None:
                yield kept
        misread = self._judged(reader, request, bounds.finish or reader.finish)
        if misread and (kept := bounds.keep(reader.as_answer())) is not None:
            yield kept
        finish = bounds.finish or reader.finish
        cut = call.resumable and finish is Finish.LENGTH
        if not cut and (held := bounds.flush()) is not None:
            yield held
        if finish is None:
            raise BackendUnavailable("the stream broke off before its end", backend=self._backend)
        timings = Timings((time.monotonic() - started) * 1e3, first, reader.prompt_ms)
        usage = await self._used(facts, reader)
        yield self._finished(call, facts, reader, usage, finish, timings, misread=misread)

    async def _read_on(self, chunks: AsyncGenerator[Json, None], reader: Reader, finish: Finish) -> None:
        """After a stop sequence that the server was not told of: read on for the usage, which comes last, where the
        answer is over soon. What is made meanwhile counts, but is not passed on."""
        with suppress(TimeoutError, BackendError):
            async with asyncio.timeout(READ_ON_S):
                for _ in range(READ_ON_CHUNKS):
                    if finish is not Finish.STOP or reader.usage().prompt:
                        return
                    if (chunk := await anext(chunks, None)) is None:
                        return
                    with readable(self._backend):
                        reader.read(chunk)

    def _judged(self, reader: Reader, request: _Request, finish: Finish | None) -> bool:
        """Learn from a whole reply whether thoughts come inline; whether this one's thought was the answer, as it
        came to its end without the marker that replies before it had."""
        if not request.guessed or finish in (None, Finish.LENGTH):  # the marker may have been still to come
            return False
        if reader.parsed:
            self._inline.parses()
            return False
        if request.begin is Begin.EITHER:
            self._inline.tried(marked=reader.marked)
            return False
        read_as_thought = request.begin is Begin.THOUGHT
        self._inline.saw(int(reader.marked) if read_as_thought else reader.stray_ends)
        unmarked = read_as_thought and not reader.marked and not self._inline.proven
        return unmarked and finish is Finish.STOP and reader.thought_seen

    async def _request(self, call: Call, facts: Facts, *, thinking: bool, nonempty: bool) -> _Request:
        prefixed = bool(call.thought_prefix or call.answer_prefix)
        closed = facts.closes and not thinking and not call.tools
        raw = call.rendered is not None or closed or (prefixed and facts.continues == "raw")
        terms = Terms(
            thinking=None if facts.thinks is False else thinking,
            budget=await self._budget(call, facts) if thinking else None,
            limit=call.max_tokens,
            stop=() if thinking else call.stop,
            nonempty=nonempty,
        )
        if raw and thinking and call.thought_prefix and not self._dialect.raw_markers:
            problem = f"{self._dialect.title} tells no thought from its answer in raw text: it cannot be gone on with"
            raise BackendRejected(problem, backend=self._backend)
        if raw:
            opened = await self._prompts.opened(facts, call)
            if terms.limit is None:
                terms = replace(terms, limit=await self._room(facts, opened.prompt))
            body = raw_body(call, self._dialect, facts, terms, opened.prompt)
            return _Request("completions", body, opened.begin)
        begin, guessed = Begin.UNKNOWN, False
        if call.answer_prefix:
            begin = Begin.ANSWER
        elif call.thought_prefix and not thinking:
            begin = Begin.CLOSED
        elif thinking:
            begin, guessed = await self._inline.begin(call, facts), True
        body = chat_body(call, self._dialect, facts, terms)
        if begin in (Begin.EITHER, Begin.THOUGHT):
            body = merged(self._dialect.show_markers, body)
        return _Request("chat/completions", body, begin, guessed)

    async def _room(self, facts: Facts, prompt: Prompt) -> int:
        """The limit of a raw call that sets none: what the context leaves. The endpoint's own is 16 tokens."""
        if facts.context is None:
            return UNLIMITED
        if isinstance(prompt, str):
            try:
                read = len(await self._prompts.tokens(facts.model, prompt))
            except BackendError:
                read = len(prompt.encode())  # a token is at least a byte
        else:
            read = len(prompt)
        return max(1, facts.context - read)

    async def _budget(self, call: Call, facts: Facts) -> int | None:
        """The native budget in the engine's way of counting: some count the thought that is gone on with."""
        budget = self._dialect.budget
        if call.thinking_budget is None or budget is None:
            return None
        if not call.thought_prefix or not budget.counts_prefix or self._dialect.tokenize is None:
            return call.thinking_budget
        return call.thinking_budget + len(await self._prompts.tokens(facts.model, call.thought_prefix))

    async def _used(self, facts: Facts, reader: Reader) -> Usage:
        """What a reply used; where the server tells only one count of it, shared out by the model's tokenizer, if that
        can be asked."""
        with readable(self._backend):
            usage = reader.usage()
        if reader.told or not reader.thought or not usage.answer:
            return usage
        try:
            read = await self._prompts.tokens(facts.model, reader.thought)
        except BackendError:
            return usage
        return shared_out(usage, len(read) + (facts.marker or 1))

    def _finished(
        self, call: Call, facts: Facts, reader: Reader, usage: Usage, finish: Finish, timings: Timings, *, misread: bool
    ) -> Finished:
        thought, warnings = call.thought_prefix + reader.thought, list[str]()
        cut = bool(call.thinking_budget) and usage.thought >= (call.thinking_budget or 0)
        if usage.prompt == 0:
            size = len(call.rendered) if isinstance(call.rendered, tuple) else len(orjson.dumps(call.messages)) // 4
            usage = replace(usage, prompt=max(1, size))
            warnings.append("the server told no usage: the prompt's tokens are estimated")
        if reader.stray_ends == 1 and facts.thinks is not False:
            warnings.append(
                "a thought may have come inline without its beginning; should replies go on so, it is told apart"
            )
        if misread:
            warnings.append("the answer was taken for a thought while it came, as it had no end marker")
        return Finished(
            finish,
            usage,
            timings,
            Enforcement.NATIVE,
            reader.model or facts.model,
            Continuation(thought, reader.ended and not cut) if thought else None,
            tuple(warnings),
        )
