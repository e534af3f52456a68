"""Runs a check: a few calls at a time, each once, within a time limit; then rules on what came of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from ....backends import Engine, Identity
from ....domain import Call, Enforcement, Json, Route
from ....errors import BackendError, BadRequest
from ....store import CheckRow
from ...modes import loop_of
from . import abilities, findings
from .findings import Cut, Finding, Ruling
from .observing import Observed, observe, recounted
from .trials import ARGUMENT, KEY, MOST_THOUGHT, Subject, Trials, distinct

DEADLINE_S = 600.0
"""A check of one model asks nothing more after so long."""
FIRST_S = 30.0
"""How long calls that will be left are waited for, to see them begin."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many calls of how many are done."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a route's name is worth: the finding, and how its budget is kept."""

    route: Route
    finding: Finding
    enforced: Enforcement


@dataclass(frozen=True, slots=True)
class Checked:
    """One model as it was found. skipped: why it was not looked at, None where it was; identity: None where its server
    does not say."""

    model: str
    identity: Identity | None
    routes: tuple[Ruled, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None
    calls: int = 0
    seconds: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether a promise is broken."""
        every = (*self.findings, *(ruled.finding for ruled in self.routes))
        return any(one.promise and one.ruling is Ruling.BROKEN for one in every)

    def rows(self, at: datetime | None = None) -> list[CheckRow]:
        """What the store keeps of it, a row a route: the route's own finding first."""
        identity = self.identity
        if self.skipped is not None or identity is None:
            return []
        common = [one.body() for one in self.findings]
        when = at or datetime.now(UTC)
        return [
            CheckRow(
                ruled.route.name,
                self.model,
                ruled.route.mode,
                ruled.route.thinking_budget,
                identity.engine,
                identity.version,
                identity.fingerprint,
                ruled.enforced,
                (ruled.finding.body(), *common),
                when,
            )
            for ruled in self.routes
        ]

    def body(self) -> Json:
        """As JSON."""
        identity = self.identity
        return {
            "model": self.model,
            "engine": identity.engine if identity else None,
            "version": identity.version if identity else None,
            "fingerprint": identity.fingerprint if identity else None,
            "skipped": self.skipped,
            "broken": self.broken,
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "routes": [
                {
                    "route": ruled.route.name,
                    "mode": ruled.route.mode,
                    "thinking_budget": ruled.route.thinking_budget,
                    "enforced": ruled.enforced.value,
                    **ruled.finding.body(),
                }
                for ruled in self.routes
            ],
            "findings": [one.body() for one in self.findings],
        }


class _Asker:
    """Makes calls of one engine and keeps what came of each."""

    def __init__(self, engine: Engine, *, concurrency: int, deadline_s: float, progress: Progress, total: int) -> None:
        self.engine, self._gate = engine, asyncio.Semaphore(concurrency)
        self._end = time.monotonic() + deadline_s
        self._deadline_s, self._progress, self._total = deadline_s, progress, total
        self.seen: list[Observed] = []
        self.calls = 0

    def __getitem__(self, call: Call) -> Observed:
        return next(one for one in self.seen if one.call == call)

    @property
    def over(self) -> bool:
        """Whether the time for the whole check is used up."""
        return time.monotonic() > self._end

    async def all(self, calls: Iterable[Call]) -> list[Observed]:
        """What came of these, each asked once; those that were asked before are not asked again."""
        wanted = distinct(calls)
        new = [call for call in wanted if not any(one.call == call for one in self.seen)]
        await asyncio.gather(*(self._one(call) for call in new))
        return [self[call] for call in wanted]

    async def at_once(self, calls: Sequence[Call]) -> tuple[list[Observed], float]:
        """What came of these, all begun at the same moment, and how long all took, ms."""
        started = time.perf_counter()
        seen = await asyncio.gather(*(self._asked(call) for call in calls))
        took = (time.perf_counter() - started) * 1e3
        return list(await asyncio.gather(*(recounted(self.engine, one) for one in seen))), took

    async def left(self, calls: Sequence[Call]) -> None:
        """Begin these all at once, and leave all of them when the first has begun: the others may have to queue."""
        begun = asyncio.Event()

        async def one(call: Call) -> None:
            with suppress(BackendError):
                async with aclosing(self.engine.stream(call)) as events:
                    async for _ in events:
                        begun.set()

        self.calls += len(calls)
        tasks = [asyncio.create_task(one(call)) for call in calls]
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await begun.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, call: Call) -> None:
        async with self._gate:
            seen = await self._asked(call)
            self.seen.append(await recounted(self.engine, seen))
            self._progress(len(self.seen), self._total)

    async def _asked(self, call: Call) -> Observed:
        if self.over:
            return Observed(call, error=f"not asked: the check's {self._deadline_s:.0f} seconds were over")
        self.calls += 1
        return await observe(self.engine, call)


async def check_model(
    subject: Subject,
    engine: Engine,
    identity: Identity | None,
    *,
    n: int = 3,
    concurrency: int = 4,
    deadline_s: float = DEADLINE_S,
    progress: Progress = lambda _done, _of: None,
) -> Checked:
    """Check one model and its routes. Raises nothing but when cancelled: what fails is a finding."""
    started = time.monotonic()
    trials = Trials(subject, n)
    total = len(distinct(trials.all())) + 2
    asker = _Asker(engine, concurrency=concurrency, deadline_s=deadline_s, progress=progress, total=total)
    (first,) = await asker.all([trials.tight()])
    if first.error is not None and not first.refused:
        return Checked(subject.model, identity, skipped=first.error, calls=1, seconds=time.monotonic() - started)
    await asker.all(trials.all())
    found = await _of_model(trials, asker)
    routes = tuple(await _of_routes(trials, asker, {one.about: one for one in found}))
    return Checked(subject.model, identity, routes, found, None, asker.calls, time.monotonic() - started)


async def _of_model(trials: Trials, asker: _Asker) -> tuple[Finding, ...]:
    """What holds of the model, whatever the route."""
    subject = trials.subject
    thinking, without = await asker.all(trials.thinking()), await asker.all(trials.without())
    if without:
        off = findings.off(without, thinking, thinks=subject.able.thinks)
    else:
        off = Finding("off", Ruling.NOT_POSSIBLE, "The model cannot be told not to think, and no route promises it.")
    tool = trials.tool()
    tools = (await asker.all([tool]))[0] if tool is not None else None
    (schema,) = await asker.all([trials.schema()])
    (logprobs,) = await asker.all([trials.logprobs()])
    begun = await asker.all(trials.begun([*without, *thinking]))
    together, cancelling = await _together(trials, asker)
    plain = [*thinking, *without, *(asker[call] for _, call, _ in trials.bounded())]
    return (
        off,
        findings.budget(_cuts(trials.bounded(), asker), thinks=subject.able.thinks),
        findings.never_empty([*plain, asker[trials.tight()]]),
        abilities.parallel(together),
        abilities.apart(thinking),
        abilities.counts([*thinking, *without]),  # into thoughts that are cut words are put
        abilities.prefill(begun),
        abilities.tools(tools, (ARGUMENT,)),
        abilities.schema(schema, KEY),
        abilities.logprobs(logprobs),
        abilities.streaming([*thinking, *without]),
        cancelling,
        abilities.name(subject.asked, subject.listed, plain),
    )


async def _together(trials: Trials, asker: _Asker) -> tuple[list[Observed], Finding]:
    """Eight calls at once; then eight that are left, and whether the next one is served."""
    (alone,), _ = await asker.at_once([trials.alone()])
    together, took = await asker.at_once(trials.at_once())
    if asker.over:
        return together, Finding("cancelling", Ruling.NOT_SHOWN, "The time for the check was over.")
    await asker.left(trials.at_once())
    (after,), _ = await asker.at_once([trials.alone()])
    return together, abilities.cancelling(took, after.total_ms, alone.total_ms, error=after.error)


async def _of_routes(trials: Trials, asker: _Asker, model: Mapping[str, Finding]) -> list[Ruled]:
    """What each route's name is worth."""
    ruled = list[Ruled]()
    for route in trials.subject.routes:
        try:
            own = await asker.all(trials.of(route))
            tried = trials.of_bounded(route)
            await asker.all(call for _, *pair in tried for call in pair)
        except BadRequest as error:
            finding = Finding("route", Ruling.NOT_POSSIBLE, f"Its mode cannot be checked: {error}")
            ruled.append(Ruled(route, finding, Enforcement.NONE))
            continue
        if route.thinking_budget and not tried:
            why = "The model does not think" if not trials.subject.thinks else f"A check stops at {MOST_THOUGHT:,}"
            finding = Finding("route", Ruling.NOT_SHOWN, f"{why}, so its budget was not put to the test.", True)
            ruled.append(Ruled(route, finding, findings.enforced_of(findings.answered(own))))
            continue
        finding, how = findings.of_route(route, own, _cuts(tried, asker), model)
        if loop_of(route.mode) is not None:
            finding = replace(finding, sentence=f"Of each of its calls: {finding.sentence}")
        ruled.append(Ruled(route, finding, how))
    return ruled


def _cuts(tried: Sequence[tuple[int, Call, Call]], asker: _Asker) -> list[Cut]:
    return [Cut(budget, asker[bounded], asker[free]) for budget, bounded, free in tried]
