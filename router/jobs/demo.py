"""The learning story on the miniature reasoning model: log, learn, route better.

300 chains in equal thirds of three difficulties run on every route, cost and correctness go to a store of the demo's
own; a router is trained on them and decides 600 further chains, beside the cold router, every fixed route, random
mixing of fixed routes and the oracle. Everything is really run; nothing is recorded beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...domain import Attempt, Json, Query, Route, Wish
from ..decide import learnt as speaks_for
from ..live import collect
from ..router import Router
from .evaluation import figures
from .evaluation.replay import Aim, Recorded
from .questions import DIFFICULTIES, Question, chains, check
from .retrain import Retrained, retrain
from .sources import from_store

N_TRAIN, N_TEST = 300, 600
TIERS = ("small", "budgeted", "full")
CONCURRENCY = 4
SHARE_OF_TOKENS = 0.6
"""The retrained router is to reach the full route's accuracy for at most this share of its tokens..."""
POINT = 0.01
"""...and within this much of it."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, how many there are."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One chain on one route: the answer's attempt, its decision's id and whether it was right."""

    question: int
    route: str
    attempt: Attempt
    correct: bool


async def play(router: Router, folder: Path, progress: Progress, *, seed: int = 0) -> Json:
    """The whole story on a router whose routes are small, budgeted and full; artifacts go to `folder`.

    Returns the JSON of `pointsman demo --json`; cost is output + 0.1 x input tokens. Raises BackendError."""
    train, test = questions(seed)
    logged = await run_all(router, train, "logging", progress, feed_back=True)
    await asyncio.to_thread(router.store.flush, 30.0)
    learnt = await asyncio.to_thread(learn, router, folder)
    tested = await run_all(router, test, "testing", progress, feed_back=False)
    data = recorded_runs(router.routes, tested, len(test))
    return story(router, test, data, learnt, n_train=len({r.question for r in logged}))


def questions(seed: int) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Training and test chains, equal thirds of each difficulty, none in both where the space allows it."""
    train: list[Question] = []
    test: list[Question] = []
    for number, lengths in enumerate(DIFFICULTIES.values()):
        both = chains((N_TRAIN + N_TEST) // 3, lengths, seed + number)
        train.extend(both[: N_TRAIN // 3])
        test.extend(both[N_TRAIN // 3 :])
    return tuple(train), tuple(test)


async def run_all(
    router: Router,
    asked: Sequence[Question],
    what: str,
    progress: Progress,
    *,
    feed_back: bool,
    signs: bool = False,
) -> list[Ran]:
    """Run every question on every route, a few at a time; signs: see Live.run."""
    gate = asyncio.Semaphore(CONCURRENCY)
    jobs = [(i, name) for i in range(len(asked)) for name in TIERS]
    done = 0

    async def one(i: int, name: str) -> Ran:
        nonlocal done
        async with gate:
            query = Query(messages=({"role": "user", "content": asked[i].prompt},))
            _, answered = await collect(router.run(query, Wish(route=name), signs=signs))
        right = check(asked[i], answered.attempts[-1].answer or "")
        if feed_back:
            router.feedback(answered.decision, float(right), source="check")
        done += 1
        progress(what, done, len(jobs))
        return Ran(i, name, answered.attempts[-1], right)

    return list(await asyncio.gather(*(one(i, name) for i, name in jobs)))


def learn(router: Router, folder: Path, since: datetime | None = None) -> Retrained:
    """Retrain on what the router's store logged since then, for its own routes."""
    aim = Aim.of(router.decider.standing)
    source = from_store(router.store, aim, router.decider.embedder, since)
    return retrain(source.observations, aim, router.decider.embedder, folder)


def recorded_runs(routes: Sequence[Route], ran: Sequence[Ran], n: int) -> Recorded:
    """The test runs as a table of outcomes at the demo's price: output + 0.1 x input tokens."""
    shape = (n, len(routes))
    correct, costs, tokens = (np.full(shape, np.nan) for _ in range(3))
    column = {route.name: i for i, route in enumerate(routes)}
    for r in ran:
        at = r.question, column[r.route]
        usage = r.attempt.usage
        correct[at], tokens[at] = float(r.correct), usage.output
        costs[at] = usage.output + 0.1 * usage.prompt
    return Recorded(tuple(routes), np.arange(n), correct, costs, tokens, correct, costs, np.zeros(n, bool))


def story(router: Router, test: Sequence[Question], data: Recorded, learnt: Retrained, *, n_train: int) -> Json:
    """Figures of every contestant on the test chains."""
    rows = np.arange(len(test))
    names = [route.name for route in data.routes]
    fixed = figures.fixed(data, rows)
    cold = figures.figure(data, rows, decided(router, test, names))
    router.decider.use(speaks_for(learnt.artifact, router.decider.standing.routes))
    chosen = decided(router, test, names)
    retrained = figures.figure(data, rows, chosen)
    best = figures.best_fixed(fixed)
    mix = figures.random_mix(fixed, retrained.cost)
    result: dict[str, Any] = {
        "routes": {name: asdict(fixed[name]) for name in TIERS},
        "cold": asdict(cold),
        "retrained": asdict(retrained),
        "best_fixed": {"name": best, **asdict(fixed[best])},
        "random_mix": asdict(mix) if mix else None,
        "oracle": asdict(figures.oracle(data, rows)),
        "n_train": n_train,
        "n_test": len(test),
        "by_difficulty": _by_difficulty(test, data, chosen),
    }
    full = fixed["full"]
    result["kept"] = {
        "accuracy": retrained.accuracy >= full.accuracy - POINT,
        "tokens": retrained.output_tokens <= SHARE_OF_TOKENS * full.output_tokens,
        "beats_random_mix": mix is not None and retrained.accuracy > mix.accuracy,
    }
    return result


def decided(router: Router, test: Sequence[Question], names: Sequence[str]) -> Any:
    """The route's index for each chain, as the router decides it now."""
    queries = [Query(messages=({"role": "user", "content": q.prompt},)) for q in test]
    return np.array([names.index(router.decider.decide(query)[0].route.name) for query in queries])


def _by_difficulty(test: Sequence[Question], data: Recorded, chosen: Any) -> Json:
    out: Json = {}
    for name in DIFFICULTIES:
        rows = np.array([i for i, q in enumerate(test) if q.difficulty == name])
        out[name] = {
            "retrained": asdict(figures.figure(data, rows, chosen[rows])),
            "routes": {k: asdict(f) for k, f in figures.fixed(data, rows).items()},
        }
    return out
