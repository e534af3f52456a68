"""Runs a looping mode (modes/) on an engine, as one stream: nothing until it is decided, then the answer.

Every call is watched and charged, also those that fail or are cancelled; what one sample costs is never lost with it.
The time limit of the query's call is that of the whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from math import exp

from ..backends import Engine, Event, Finished, Text, Thought, Timings, ToolCallDelta
from ..domain import Call, Enforcement, Finish, Route, Usage
from ..errors import BackendError, BackendTimeout, BackendUnavailable
from .attempts import Watch, shown
from .modes import Answer, Loop, Reply


class Looping:
    """One query in a looping mode. prompt: tokens that the query probably has."""

    def __init__(self, engine: Engine, route: Route, call: Call, loop: Loop, prompt: float = 0.0) -> None:
        self._engine, self._route, self._call, self._prompt = engine, route, call, prompt
        self._steps = loop.steps(call)
        self._started = time.perf_counter()
        self._watches: list[Watch] = []
        self._events: list[list[Thought | Text | ToolCallDelta]] = []
        self._failures: dict[int, BackendError] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._ended: list[int] = []

    def usage(self) -> Usage:
        """What all calls so far took, together: each read the prompt, as far as the engine had not kept it."""
        spent = [watch.attempt().usage for watch in self._watches]
        return Usage(
            sum(usage.prompt for usage in spent),
            sum(usage.cached for usage in spent),
            sum(usage.thought for usage in spent),
            sum(usage.answer for usage in spent),
        )

    async def events(self) -> AsyncGenerator[Event, None]:
        """The thought and the text of the answer, then Finished. Closing it cancels every call at the engine. Raises
        BackendError where no call brought an answer."""
        self._started = time.perf_counter()
        try:
            answer = await self._decided()
        finally:
            await self._stop()
        if not answer.text:
            raise next(reversed(self._failures.values()), None) or BackendUnavailable(
                "the answers were all empty", backend=self._engine.name
            )
        decided_ms = self._elapsed()
        for number in answer.thought:
            for event in self._events[number]:
                if isinstance(event, Thought):
                    yield shown(event, self._call.logprobs)
        for number in answer.text:
            for event in self._events[number]:
                if not isinstance(event, Thought):
                    yield shown(event, self._call.logprobs)
        yield self._finished(answer, decided_ms)

    async def _decided(self) -> Answer:
        try:
            asked = next(self._steps)
            while True:
                for call in asked if isinstance(asked, tuple) else (asked,):
                    self._start(call)
                asked = self._steps.send(self._reply(await self._next()))
        except StopIteration as done:
            return done.value

    def _start(self, call: Call) -> None:
        number, limit = len(self._watches), self._call.deadline_ms
        if limit is not None:
            call = replace(call, deadline_ms=max(1.0, limit - self._elapsed()))
        watch = Watch(self._route, call, self._engine.stream(call), self._prompt)
        self._watches.append(watch)
        self._events.append([])
        self._running[number] = asyncio.create_task(self._run(number, watch))

    async def _run(self, number: int, watch: Watch) -> None:
        """One call to its end."""
        try:
            async with aclosing(watch):
                async for event in watch:
                    if isinstance(event, Finished):
                        break
                    self._events[number].append(event)
        except BackendError as error:
            watch.error = str(error)
            self._failures[number] = error
        except asyncio.CancelledError:
            watch.cancelled = True
            raise
        self._ended.append(number)

    async def _next(self) -> int:
        """The number of the next call that ended."""
        while not self._ended:
            if not self._running:
                raise AssertionError("a looping mode waits for a call that it never asked for")
            done, _ = await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            self._running = {number: task for number, task in self._running.items() if task not in done}
            await asyncio.gather(*done)  # raises what no call should
        return self._ended.pop(0)

    async def _stop(self) -> None:
        """Cancel what still runs, and wait until the engine knows."""
        self._steps.close()
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running = {}

    def _reply(self, number: int) -> Reply:
        watch, failure = self._watches[number], self._failures.get(number)
        if isinstance(failure, BackendTimeout) and self._overdue():
            raise failure  # the time is over for the others, too
        told, done = watch.attempt(), watch.finished
        logprobs = [min(0.0, token.logprob) for token in watch.logprobs]
        return Reply(
            number,
            watch.thought,
            watch.text,
            _tools([event for event in self._events[number] if isinstance(event, ToolCallDelta)]),
            told.usage,
            told.finish,
            done is not None and done.continuation is not None and done.continuation.ended,
            exp(sum(logprobs) / len(logprobs)) if logprobs else None,
            watch.error,
        )

    def _overdue(self) -> bool:
        limit = self._call.deadline_ms
        return limit is not None and self._elapsed() >= limit - 1.0

    def _finished(self, answer: Answer, decided_ms: float) -> Finished:
        """The end of the whole: what all calls took, and what holds of those that made the answer."""
        made = [self._watches[number].finished for number in dict.fromkeys((*answer.thought, *answer.text))]
        ends = [done for done in made if done is not None]
        last = self._watches[answer.text[-1]].finished
        kept = max((done.enforced for done in ends), key=list(Enforcement).index, default=Enforcement.NONE)
        if answer.cut and kept is Enforcement.NATIVE:
            kept = Enforcement.TWO_PASS
        failed = len(self._failures)
        lost = () if not failed else (f"{failed} of {len(self._watches)} calls failed: {self._failed()}",)
        return Finished(
            Finish.STOP if last is None else last.finish,
            self.usage(),
            Timings(self._elapsed(), decided_ms),
            kept,
            self._engine.name if last is None else last.model,
            warnings=tuple(dict.fromkeys((*(w for done in ends for w in done.warnings), *answer.notes, *lost))),
        )

    def _failed(self) -> str:
        return str(next(reversed(self._failures.values())))

    def _elapsed(self) -> float:
        return (time.perf_counter() - self._started) * 1000


def _tools(deltas: list[ToolCallDelta]) -> tuple[tuple[str, str], ...]:
    """The tools called, in order: name and arguments."""
    names, arguments = dict[int, str](), dict[int, str]()
    for delta in deltas:
        names[delta.index] = names.get(delta.index) or delta.name or ""
        arguments[delta.index] = arguments.get(delta.index, "") + delta.arguments
    return tuple((names[index], arguments[index]) for index in sorted(names))
