"""The second story of the demonstration: chains whose text does not give their difficulty away.

Half of them are answered at once and half need the full thought, and both have the same characters in another order
(questions.annulled). A router on the text alone can only send all of them the same way. The learnt ladder buys the
small route's answer, two tokens, looks at how sure the model was of it, and goes on only where it was not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...domain import Json, Query
from ..decide import learnt as speaks_for
from ..live import Answered, collect
from ..router import Router
from .demo import CONCURRENCY, POINT, TIERS, Progress, decided, learn, recorded_runs, run_all
from .evaluation import figures
from .questions import Question, annulled, check

N_TRAIN, N_TEST = 120, 240


@dataclass(frozen=True, slots=True)
class Climbed:
    """One chain routed with evidence: how it ended, and whether the answer was right."""

    answered: Answered
    correct: bool

    @property
    def output_tokens(self) -> int:
        """Of everything that was bought for it."""
        return sum(attempt.usage.output for attempt in self.answered.attempts)

    @property
    def cost(self) -> float:
        """Output + 0.1 x input tokens of everything that was bought for it."""
        return self.output_tokens + 0.1 * sum(attempt.usage.prompt for attempt in self.answered.attempts)


async def play_hidden(router: Router, folder: Path, progress: Progress, *, seed: int = 0) -> Json:
    """Log, learn, route others, on the same router as the first story. Returns its JSON. Raises BackendError."""
    asked = annulled(N_TRAIN + N_TEST, seed)
    train, test = asked[:N_TRAIN], asked[N_TRAIN:]
    started = datetime.now(UTC)
    await run_all(router, train, "hidden: logging", progress, feed_back=True, signs=True)
    await asyncio.to_thread(router.store.flush, 30.0)
    learnt = await asyncio.to_thread(learn, router, folder, started)
    tested = await run_all(router, test, "hidden: testing", progress, feed_back=False)
    router.decider.use(speaks_for(learnt.artifact, router.decider.standing.routes))
    climbed = await _climb(router, test, progress)
    data = recorded_runs(router.routes, tested, len(test))
    rows = np.arange(len(test))
    fixed = figures.fixed(data, rows)
    text = figures.figure(data, rows, decided(router, test, [route.name for route in data.routes]))
    mine = _figure(climbed)
    mix = figures.random_mix(fixed, mine["cost"])
    best = figures.best_fixed(fixed)
    return {
        "routes": {name: asdict(fixed[name]) for name in TIERS},
        "text_only": asdict(text),
        "evidence": mine,
        "best_fixed": {"name": best, **asdict(fixed[best])},
        "random_mix": asdict(mix) if mix else None,
        "oracle": asdict(figures.oracle(data, rows)),
        "n_train": N_TRAIN,
        "n_test": N_TEST,
        "reasons": _reasons(climbed),
        "kept": {
            "accuracy": mine["accuracy"] >= fixed[best].accuracy - POINT,
            "cheaper_than_text": mine["cost"] < text.cost,
            "beats_random_mix": mix is not None and mine["accuracy"] > mix.accuracy,
        },
    }


async def _climb(router: Router, asked: Sequence[Question], progress: Progress) -> list[Climbed]:
    """Route every question as any caller's, a few at a time."""
    gate, done = asyncio.Semaphore(CONCURRENCY), 0

    async def one(question: Question) -> Climbed:
        nonlocal done
        async with gate:
            query = Query(messages=({"role": "user", "content": question.prompt},))
            _, answered = await collect(router.run(query))
        done += 1
        progress("hidden: routing", done, len(asked))
        return Climbed(answered, check(question, answered.attempts[-1].answer or ""))

    return list(await asyncio.gather(*(one(question) for question in asked)))


def _figure(climbed: Sequence[Climbed]) -> dict[str, Any]:
    """Accuracy, tokens and cost a query of everything bought; share: of answers by route; bought: of queries for which
    a route was run."""
    n = len(climbed)
    answered = [c.answered.decision.route.name for c in climbed]
    ran = [{attempt.route for attempt in c.answered.attempts} for c in climbed]
    return {
        "accuracy": sum(c.correct for c in climbed) / n,
        "output_tokens": sum(c.output_tokens for c in climbed) / n,
        "cost": sum(c.cost for c in climbed) / n,
        "share": {name: answered.count(name) / n for name in TIERS},
        "bought": {name: sum(name in routes for routes in ran) / n for name in TIERS},
    }


def _reasons(climbed: Sequence[Climbed]) -> dict[str, str]:
    """For each route that answered, the reason of one decision."""
    return {c.answered.decision.route.name: c.answered.decision.reason for c in climbed}
