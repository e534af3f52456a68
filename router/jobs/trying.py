"""Running trials through a router: a few at a time, each written down as it ends; those that fail, once more.

Every run is a decision in the store, with an outcome of source `check`, so that retraining learns from it. What
fails is no wrong answer: it has no outcome. A route that never answers is given up, and named."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from ...domain import Purpose, Query
from ...errors import BackendError, ContextTooLong
from ..live import Answered, collect
from ..router import Router
from .bounded import Checker
from .contenders import Contender
from .journal import Journal, Trial

GIVE_UP = 10
"""A route that failed so often and answered never is not asked further in this pass."""
PASSES = 2


@dataclass(frozen=True, slots=True)
class Pace:
    """How far it is: runs done (failed among them) of total; what is left as the runs so far make likely, in seconds,
    output tokens and currency."""

    done: int
    total: int
    failed: int
    seconds_left: float
    tokens_left: float
    cost_left: float


Progress: TypeAlias = Callable[[Pace], None]


async def run_trials(
    router: Router,
    todo: Sequence[Trial],
    journal: Journal,
    *,
    concurrency: int = 2,
    progress: Progress = lambda _: None,
) -> Mapping[str, str]:
    """Run what the journal does not have yet. Returns the routes that failed always, each with its last error.

    The engines must be open. Cancelled, it leaves a journal to go on from. Raises DataError, StoreError."""
    async with Checker() as checker:
        trier = _Trier(router, todo, journal, checker, progress)
        left = [trial for trial in todo if journal.row(trial) is None]
        for _ in range(PASSES):
            left = await trier.all(left, concurrency)
        return trier.silent()


class _Trier:
    def __init__(
        self, router: Router, todo: Sequence[Trial], journal: Journal, checker: Checker, progress: Progress
    ) -> None:
        self._router, self._journal, self._checker, self._progress = router, journal, checker, progress
        self._todo = todo
        self._spent: dict[str, list[tuple[float, float, float]]] = {t.contender.name: [] for t in todo}
        self._waiting = Counter[str]()
        self._failures = Counter[str]()
        self._errors: dict[str, str] = {}
        for trial in todo:
            if (row := journal.row(trial)) is not None:
                self._count(trial.contender, row["latency_ms"], row["output_tokens"], row["cost"])

    async def all(self, trials: Sequence[Trial], concurrency: int) -> list[Trial]:
        """Run these, so many at a time; those that failed."""
        # A question's samples on a route come one after the other: the engine need not read the prompt again.
        waiting = iter([list(samples) for _, samples in groupby(trials, lambda t: (t.question.id, t.contender.name))])
        failed = list[Trial]()
        self._failures.clear()
        self._waiting = Counter(trial.contender.name for trial in trials)
        self._at, self._concurrency = len(self._todo) - len(trials), concurrency

        async def work() -> None:
            for samples in waiting:
                for trial in samples:
                    if not await self._one(trial):
                        failed.append(trial)
                    self._waiting[trial.contender.name] -= 1
                    self._at += 1
                    self._progress(self._pace(len(failed)))

        workers = [asyncio.create_task(work()) for _ in range(concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return failed

    def silent(self) -> Mapping[str, str]:
        """The routes that answered nothing, and their last error."""
        return {name: self._errors[name] for name, spent in self._spent.items() if not spent and name in self._errors}

    async def _one(self, trial: Trial) -> bool:
        name = trial.contender.name
        if not self._spent[name] and self._failures[name] >= GIVE_UP:
            return False
        asked = ({"role": "user", "content": trial.question.prompt},)
        query = Query(messages=asked, max_tokens=trial.contender.max_tokens, group=trial.question.group)
        try:
            _, answered = await collect(self._router.run(query, trial.contender.wish, signs=True))
        except (BackendError, ContextTooLong) as error:
            self._failures[name] += 1
            self._errors[name] = str(error)
            self._journal.append({**trial.row(), "correct": None, "failed": str(error)})
            return False
        await self._keep(trial, answered)
        return True

    async def _keep(self, trial: Trial, answered: Answered) -> None:
        """Check the answer, say so to the store, write it down."""
        question, attempt = trial.question, answered.attempts[-1]
        found = await self._checker.check(question.kind, question.answer, attempt.answer, question.tolerance)
        await asyncio.to_thread(self._router.feedback, answered.decision, found.correct, source="check")
        usage = attempt.usage
        self._journal.append(
            {
                **trial.row(),
                "correct": found.correct,
                "input_tokens": usage.prompt,
                "output_tokens": usage.output,
                "tokens_are": "billed",
                "answer": found.answer,
                "thought_tokens": usage.thought,
                "cost": attempt.cost,
                "latency_ms": attempt.latency_ms,
                "finish": attempt.finish.value,
                "decision": answered.decision.id,
                "probe_costs": {
                    name: a.cost for a in answered.attempts if a.purpose is Purpose.PROBE for name in a.signs
                },
                **attempt.signs,
            }
        )
        self._count(trial.contender, attempt.latency_ms, usage.output, attempt.cost)

    def _count(self, contender: Contender, latency_ms: float, tokens: float, cost: float) -> None:
        self._spent[contender.name].append((latency_ms / 1000, tokens, cost))

    def _pace(self, failed: int) -> Pace:
        every = [spent for runs in self._spent.values() for spent in runs]
        left = [0.0, 0.0, 0.0]
        for name, count in self._waiting.items():
            known = self._spent[name] or every
            for i in range(3):
                left[i] += count * sum(spent[i] for spent in known) / max(1, len(known))
        return Pace(self._at, len(self._todo), failed, left[0] / self._concurrency, left[1], left[2])
