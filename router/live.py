"""The serving driver: asks the policy, runs what it says through the engines, streams, records.

Before the first token of thought or answer the router may still change its mind (an error, an empty answer); after it,
never. What was bought or failed on the way is in the record, and charged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..backends import Engine, Event, Finished, Mode, Text, Thought, ToolCallDelta, prepare
from ..classifiers import vectors_id
from ..domain import Attempt, Call, Decision, Enforcement, Finish, Query, Usage, Wish
from ..errors import BackendError, BackendUnavailable
from ..store import Record
from . import policy
from .attempts import Watch, is_token
from .decide import Considered, Decider, conclude
from .signs import ALTERNATIVES


@dataclass(frozen=True, slots=True)
class Decided:
    """The first event of every run: from here on the route stands."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Answered:
    """The last event: how it ended. usage is the answering attempt's; attempts has all, in order, the last answered."""

    decision: Decision
    attempts: tuple[Attempt, ...]
    finish: Finish
    usage: Usage
    model: str
    enforced: Enforcement
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bought:
    """Limits of an answer that is bought before committing: tokens, thought included, and milliseconds. What is cut off
    is evidence all the same, but answers nobody; a call that takes longer has failed and cost what it cost."""

    max_tokens: int = 1024
    deadline_ms: float = 30_000


LiveEvent: TypeAlias = Decided | Thought | Text | ToolCallDelta | Answered
Recorder: TypeAlias = Callable[[Record], bool]


class Live:
    """Runs queries over engines (by model name)."""

    def __init__(
        self,
        decider: Decider,
        engines: Mapping[str, Engine],
        modes: Mapping[str, Mode],
        record: Recorder,
        *,
        begin: Callable[[Record], None] | None = None,
        deadline_ms: float | None = None,
        bought: Bought | None = None,
    ) -> None:
        self.decider, self.engines, self.modes = decider, engines, modes
        self._record, self._begin, self._deadline_ms = record, begin, deadline_ms
        self._bought = bought or Bought()

    async def run(self, query: Query, wish: Wish | None = None) -> AsyncGenerator[LiveEvent, None]:
        """Decided, then the answer's events, then Answered. Closing it cancels the generation at the engine.

        Raises BadRequest before anything runs, BackendError where no route could answer or a stream broke off."""
        considered = self.decider.consider(query, wish)
        run = _Run(considered)
        try:
            async with aclosing(self._steps(run)) as steps:  # a caller who leaves must reach the engine at once
                async for event in steps:
                    yield event
        except (asyncio.CancelledError, GeneratorExit):
            if run.watch is not None and run.watch.finished is None:
                run.watch.cancelled = True
                if not run.watch.begun:
                    self.decider.outages.left(run.watch.route.model)
            raise
        finally:
            if not run.recorded:
                self._put(run)

    async def _steps(self, run: _Run) -> AsyncGenerator[LiveEvent, None]:
        while True:
            step = self._next(run)
            if isinstance(step, policy.Commit) and step.bought is not None:
                for event in self._replay(run, step):
                    yield event
                return
            watch = run.begin(self._watch(run, step))
            async with aclosing(watch):
                first = await self._first(run, watch)
                if first is None:
                    continue
                if isinstance(step, policy.Buy):
                    await run.collect(first)
                    continue
                run.decision = conclude(run.considered, step, run.attempts)
                if self._begin is not None:  # the caller learns its id now, and may ask for it before the answer ends
                    self._begin(self._recorded(run, run.decision, ()))
                yield Decided(run.decision)
                if not isinstance(first, Finished):
                    yield first
                    async for event in self._rest(run, watch):
                        yield event
            yield self._answered(run)
            return

    def _next(self, run: _Run) -> policy.Step:
        try:
            return policy.next(run.considered.query, run.attempts, run.considered.estimates, run.considered.terms)
        except BackendUnavailable:
            raise run.failure or BackendUnavailable("no route can serve this query", backend="all") from None

    def _watch(self, run: _Run, step: policy.Step) -> Watch:
        route = run.considered.routes[step.route]
        call = replace(prepare(run.considered.query, route, self.modes), deadline_ms=self._deadline_ms)
        if isinstance(step, policy.Buy) and run.considered.terms.climb is not None:
            call = self._evidence(call)
        self.decider.outages.trying(route.model)
        prompt = self.decider.counts.prompt_tokens(route.model, run.considered.query)
        return Watch(route, call, self.engines[route.model].stream(call), prompt)

    def _evidence(self, call: Call) -> Call:
        """The call within the limits of what is bought, with the probabilities of its tokens."""
        limits = self._bought
        most = min(limits.max_tokens, call.max_tokens or limits.max_tokens)
        deadline = min(limits.deadline_ms, call.deadline_ms or limits.deadline_ms)
        asked = max(call.logprobs or 0, ALTERNATIVES)
        return replace(call, max_tokens=most, deadline_ms=deadline, logprobs=asked)

    async def _first(self, run: _Run, watch: Watch) -> Event | None:
        """The first event that a caller sees, or Finished; None where the attempt failed and the policy goes on."""
        model, outages = watch.route.model, self.decider.outages
        try:
            event = await anext(watch)
            while not isinstance(event, Finished) and not is_token(event):
                event = await anext(watch)
        except BackendError as error:
            outages.failed(model, error)
            run.fail(watch, error)
            return None
        outages.answered(model)
        if isinstance(event, Finished) and run.considered.terms.wished is None:
            run.fail(watch, BackendUnavailable("the answer was empty", backend=model))
            return None
        return event

    async def _rest(self, run: _Run, watch: Watch) -> AsyncGenerator[LiveEvent, None]:
        try:
            async for event in watch:
                if isinstance(event, Finished):
                    return
                yield event
        except BackendError as error:
            watch.error = str(error)
            raise

    def _replay(self, run: _Run, step: policy.Commit) -> list[LiveEvent]:
        """The events of an answer that was bought before it was chosen."""
        assert step.bought is not None
        kept = run.kept[step.bought]
        run.decision = conclude(run.considered, step, [a for i, a in enumerate(run.attempts) if i != step.bought])
        # The answering attempt is the last of the record, whenever it was bought.
        run.attempts.append(run.attempts.pop(step.bought))
        run.watch = kept.watch
        run.watch_counted = True
        wanted = run.considered.query.logprobs
        return [Decided(run.decision), *(_shown(event, wanted) for event in kept.events), self._answered(run)]

    def _answered(self, run: _Run) -> Answered:
        watch, decision = run.watch, run.decision
        assert watch is not None
        assert decision is not None
        attempts = self._put(run)
        done = watch.finished
        assert done is not None
        if done.enforced is not Enforcement.TWO_PASS:  # its usage holds the second pass's prompt too
            self.decider.counts.learn(watch.route.model, run.considered.query, done.usage.prompt)
        warnings = (*decision.warnings, *done.warnings)
        return Answered(decision, attempts, done.finish, done.usage, done.model, done.enforced, warnings)

    def _put(self, run: _Run) -> tuple[Attempt, ...]:
        """Record the run; the last attempt is the one that the caller got."""
        run.recorded = True
        attempts = run.all_attempts()
        decision = run.decision or run.undecided(attempts)
        if decision is not None:
            self._record(self._recorded(run, decision, attempts))
        return attempts

    def _recorded(self, run: _Run, decision: Decision, attempts: tuple[Attempt, ...]) -> Record:
        c, encoder = run.considered, vectors_id(self.decider.embedder)
        return Record(decision, c.query, attempts, c.features, c.embedding, encoder=encoder)


def _shown(event: Thought | Text | ToolCallDelta, wanted: int | None) -> Thought | Text | ToolCallDelta:
    """The event as a caller gets it who asked for so many alternatives a token (None: no log-probabilities)."""
    if isinstance(event, ToolCallDelta):
        return event
    told = () if wanted is None else tuple(replace(token, top=token.top[:wanted]) for token in event.logprobs)
    return replace(event, logprobs=told)


@dataclass(frozen=True, slots=True)
class _Kept:
    watch: Watch
    events: tuple[Thought | Text | ToolCallDelta, ...]


class _Run:
    """What happened to one query so far."""

    def __init__(self, considered: Considered) -> None:
        self.considered = considered
        self.attempts: list[Attempt] = []
        self.kept: dict[int, _Kept] = {}
        self.watch: Watch | None = None
        self.watch_counted = False
        self.decision: Decision | None = None
        self.failure: BackendError | None = None
        self.recorded = False

    def begin(self, watch: Watch) -> Watch:
        self.watch, self.watch_counted = watch, False
        return watch

    def fail(self, watch: Watch, error: BackendError) -> None:
        watch.error, self.failure = str(error), error
        self._count(watch)

    async def collect(self, first: Event) -> None:
        """Run a bought answer to its end and keep it."""
        watch = self.watch
        assert watch is not None
        events: list[Thought | Text | ToolCallDelta] = []
        try:
            if not isinstance(first, Finished):
                events.append(first)
                async for event in watch:
                    if isinstance(event, Finished):
                        break
                    events.append(event)
        except BackendError as error:
            self.fail(watch, error)
            return
        self._count(watch)
        self.kept[len(self.attempts) - 1] = _Kept(watch, tuple(events))

    def _count(self, watch: Watch) -> None:
        self.attempts.append(watch.attempt())
        self.watch_counted = True

    def all_attempts(self) -> tuple[Attempt, ...]:
        if self.watch is not None and not self.watch_counted:
            self._count(self.watch)
        return tuple(self.attempts)

    def undecided(self, attempts: tuple[Attempt, ...]) -> Decision | None:
        """The decision of a run that never got as far as a token: the last route tried.

        The error's own text stays with the attempt: it may quote the query, and a reason is kept without texts too."""
        if not attempts:
            return None
        reason = "no route answered" if attempts[-1].error else "left before the first token"
        step = policy.Commit(attempts[-1].route, reason)
        return conclude(self.considered, step, attempts[:-1])


async def collect(events: AsyncGenerator[LiveEvent, None]) -> tuple[list[LiveEvent], Answered]:
    """All events of a run and its last."""
    async with aclosing(events):
        kept = [event async for event in events]
    last = kept[-1]
    assert isinstance(last, Answered)
    return kept, last
