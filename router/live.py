"""The serving driver: asks the policy, runs what it says through the engines, streams, records.

Before the first token of thought or answer the router may still change its mind (an error, an empty answer); after it,
never. What was bought or failed on the way is in the record, and charged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..backends import Advice, Engine, Event, Finished, Mode, Text, Thought, ToolCallDelta
from ..classifiers import vectors_id
from ..domain import Attempt, Decision, Enforcement, Finish, Query, Usage, Wish
from ..errors import BackendError, BackendTimeout, BackendUnavailable
from ..store import Record
from . import policy
from .at_once import at_once as as_it_comes
from .attempts import Watch, in_one_piece, is_token, shown
from .buying import Bought
from .decide import Decider, conclude
from .opening import Opening
from .probing import Prober
from .run import Run


@dataclass(frozen=True, slots=True)
class Decided:
    """The first event of every run: from here on the route stands."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Answered:
    """The last event: how it ended. usage is the answer's, a thought that it went on with included; attempts has what
    each call took, in order, the last answered."""

    decision: Decision
    attempts: tuple[Attempt, ...]
    finish: Finish
    usage: Usage
    model: str
    enforced: Enforcement
    warnings: tuple[str, ...]


LiveEvent: TypeAlias = Decided | Thought | Text | ToolCallDelta | Answered
Recorder: TypeAlias = Callable[[Record], bool]


class Live:
    """Runs queries over engines (by model name). advice: recommended sampling, by model name. hand_over: whether a
    route that answers after one of another model is told what that one said."""

    def __init__(
        self,
        decider: Decider,
        engines: Mapping[str, Engine],
        modes: Mapping[str, Mode],
        record: Recorder,
        *,
        advice: Mapping[str, Advice] | None = None,
        begin: Callable[[Record], None] | None = None,
        deadline_ms: float | None = None,
        bought: Bought | None = None,
        hand_over: bool = False,
    ) -> None:
        self.decider, self.engines, self.modes = decider, engines, modes
        self._record, self._begin, self._deadline_ms = record, begin, deadline_ms
        self._bought = bought or Bought()
        limits = self._bought
        self._opening = Opening(
            decider,
            lambda name: self.engines[name],
            modes,
            limits,
            advice=advice,
            deadline_ms=deadline_ms,
            hand_over=hand_over,
        )
        self._prober = Prober(
            limits.ask, decider.embedder, max_tokens=limits.max_tokens, deadline_ms=limits.deadline_ms
        )

    async def run(
        self,
        query: Query,
        wish: Wish | None = None,
        *,
        signs: bool = False,
        at_once: bool = False,
        decision_id: str = "",
    ) -> AsyncGenerator[LiveEvent, None]:
        """Decided, then the answer's events, then Answered. Closing it cancels the generation at the engine.

        signs: learn with the answer what would be known of it had it been bought as evidence: its tokens' probabilities
        and what is asked about it. at_once: nothing is withheld: the text alone decides, one route answers as it comes,
        and nothing follows. decision_id: where the caller has told it already. Raises BadRequest before anything runs,
        BackendError where no route could answer or a stream broke off."""
        considered = self.decider.consider(query, wish, buying=not at_once)
        if at_once:
            considered = as_it_comes(considered)
        run = Run(replace(considered, id=decision_id), signs=signs)
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

    async def _steps(self, run: Run) -> AsyncGenerator[LiveEvent, None]:
        while True:
            step = self._next(run)
            if isinstance(step, policy.Commit) and step.bought is not None and not self._goes_on(run, step):
                for event in self._replay(run, step):
                    yield event
                return
            opened = self._opening.open(run, step)
            watch = opened.watch
            async with aclosing(watch):
                first = await self._first(run, watch)
                if first is None:
                    continue
                if isinstance(step, policy.Buy):
                    if await run.collect(first, opened.shown) and run.considered.terms.climb is not None:
                        await self._ask(run)
                    continue
                for event in (self._decided(run, step, opened.said), *opened.shown):
                    yield event
                if not isinstance(first, Finished):
                    yield first
                    async for event in self._rest(run, watch):
                        yield event
            await self._signs(run, watch)
            yield self._answered(run)
            return

    def _decided(self, run: Run, step: policy.Commit, said: str) -> Decided:
        if said:
            step = replace(step, reason=f"{step.reason}; {said}")
        run.decision = conclude(run.considered, step, run.attempts)
        if self._begin is not None:  # the caller learns its id now, and may ask for it before the answer ends
            self._begin(self._recorded(run, run.decision, ()))
        return Decided(run.decision)

    def _next(self, run: Run) -> policy.Step:
        try:
            return self.decider.step(run.considered, run.attempts)
        except BackendUnavailable:
            raise run.failure or BackendUnavailable("no route can serve this query", backend="all") from None

    def _goes_on(self, run: Run, step: policy.Commit) -> bool:
        """Whether an answer was cut by the limit of evidence, not by the caller's own."""
        if not step.resume or step.bought is None:
            return False
        most = run.considered.query.max_tokens
        attempt = run.attempts[step.bought]
        return most is None or attempt.kept + attempt.usage.output < most

    async def _signs(self, run: Run, watch: Watch) -> None:
        """Learn of the answer that was given what a bought one would have shown, where that is wanted."""
        if run.signs:
            run.count(watch)
            await self._ask(run)

    async def _ask(self, run: Run) -> None:
        """Put the probes about the last answer, or about its beginning where it was cut or would have been."""
        watch, asked = run.watch, list[Attempt]()
        assert watch is not None
        finish, (answer, _) = run.attempts[-1].finish, watch.beginning()
        if not self._bought.ask or finish not in (Finish.STOP, Finish.LENGTH) or not answer.strip():
            return
        signs, whole = dict[str, float](), finish is Finish.STOP and answer == watch.text
        try:
            signs = await self._prober.ask(self.engines[watch.route.model], watch, answer, asked, whole=whole)
        finally:
            run.asked(asked, signs)

    async def _first(self, run: Run, watch: Watch) -> Event | None:
        """The first event that a caller sees, or Finished; None where the attempt failed and the policy goes on."""
        model, outages = watch.route.model, self.decider.outages
        try:
            event = await anext(watch)
            while not isinstance(event, Finished) and not is_token(event):
                event = await anext(watch)
        except BackendError as error:
            # cut off by a limit that only evidence has: that is our impatience, and proves little of the server
            if isinstance(error, BackendTimeout) and watch.overdue and watch.call.deadline_ms != self._deadline_ms:
                outages.cut_short(model)
            else:
                outages.failed(model, error)
            run.fail(watch, error)
            return None
        outages.answered(model)
        if isinstance(event, Finished) and watch.empty and run.considered.terms.wished is None:
            run.fail(watch, BackendUnavailable("the answer was empty", backend=model))
            return None
        return event

    async def _rest(self, run: Run, watch: Watch) -> AsyncGenerator[LiveEvent, None]:
        try:
            async for event in watch:
                if isinstance(event, Finished):
                    return
                yield event
        except BackendError as error:
            watch.error = str(error)
            raise

    def _replay(self, run: Run, step: policy.Commit) -> list[LiveEvent]:
        """The events of an answer that was bought before it was chosen."""
        assert step.bought is not None
        kept = run.kept[step.bought]
        run.decision = conclude(run.considered, step, [a for i, a in enumerate(run.attempts) if i != step.bought])
        # The answering attempt is the last of the record, whenever it was bought.
        run.attempts.append(run.attempts.pop(step.bought))
        run.watch = kept.watch
        run.watch_counted = True
        wanted = run.considered.query.logprobs
        return [Decided(run.decision), *(shown(event, wanted) for event in kept.events), self._answered(run)]

    def _answered(self, run: Run) -> Answered:
        watch, decision = run.watch, run.decision
        assert watch is not None
        assert decision is not None
        attempts = self._put(run)
        done = watch.finished
        assert done is not None
        several = done.enforced is Enforcement.TWO_PASS or watch.before or watch.kept or watch.spent
        if not several:  # else a second prompt is in its usage
            self.decider.counts.learn(watch.route.model, run.considered.query, done.usage.prompt)
        warnings = (*decision.warnings, *done.warnings)
        usage = in_one_piece(done.usage, watch.kept)
        return Answered(decision, attempts, done.finish, usage, done.model, done.enforced, warnings)

    def _put(self, run: Run) -> tuple[Attempt, ...]:
        """Record the run; the last attempt is the one that the caller got."""
        run.recorded = True
        attempts = run.all_attempts()
        decision = run.decision or run.undecided(attempts)
        if decision is not None:
            self._record(self._recorded(run, decision, attempts))
        return attempts

    def _recorded(self, run: Run, decision: Decision, attempts: tuple[Attempt, ...]) -> Record:
        c, encoder = run.considered, vectors_id(self.decider.embedder)
        return Record(decision, c.query, attempts, c.features, c.embedding, encoder=encoder)


async def collect(events: AsyncGenerator[LiveEvent, None]) -> tuple[list[LiveEvent], Answered]:
    """All events of a run and its last."""
    async with aclosing(events):
        kept = [event async for event in events]
    last = kept[-1]
    assert isinstance(last, Answered)
    return kept, last
