"""A tiny ladder whose every gain is known by hand, attempts to feed it, and an artifact that it serves from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from pointsman.classifiers import Artifact, Embedder, RouteKey, fit, load_embedder, training_set
from pointsman.classifiers.features import FEATURES
from pointsman.classifiers.ladder_model import LadderModel, StateModel
from pointsman.classifiers.shrinkage import FitSettings
from pointsman.domain import Attempt, Enforcement, Finish, Observation, Price, Purpose, Route, Tier, Usage
from pointsman.router.climb import Climb
from pointsman.router.decide import Learnt
from pointsman.router.ladder import default_action, fixed_route, serving_ladder, state_actions
from pointsman.router.objectives import Point

PRICE = Price(0.1, 0.0, 1.0)
ROUTES = (
    Route("cheap", "cheap", "direct", 0, PRICE, Tier.SMALL),
    Route("dear", "dear", "think", None, Price(1.0, 0.0, 10.0), Tier.FULL),
)
SURE = "mean_probability"
PRICES = (1.0, 1000.0)
"""At the first a cheap answer is always kept, at the second only where the sign says more than 0.9."""
CURVE = (Point(0.9, 100.0, route="dear"), Point(0.5, 1.0, route="cheap"), Point(0.9, 30.0, rung=1, sure=0.9))


def tiny() -> LadderModel:
    """cheap, then dear (100, right nine times of ten). A cheap answer is as likely right as its own token probability
    says: keeping it gains 100 less what the error it may be costs. The evidence itself is worth 50."""
    text = np.zeros((4, 5)), np.zeros((7, 6))
    root = np.vstack([[0.9, 50.0, 50.0, 0.0, 0.0], text[0]])
    # Rows after the constant: four of the text, length, unread, the sign. Columns: right, best fixed, gains by action.
    probed = np.vstack([[0.0, 0.9, 99.0, -900.0, 0.0, 0.0], text[1]])
    probed[7] = [1.0, 0.0, 1.0, 1000.0, 0.0, 0.0]
    return LadderModel(
        ("cheap", "dear"),
        "dear",
        PRICES,
        "free_text",
        ((SURE,), ()),
        {
            (1, 1): StateModel((0, 1), 1, 0),
            (1, 0): _state((0,), 2, 1, probed),
            (0, 1): StateModel((1,), 1, 0),
            (0, 0): _state((), 2, 1, root),
        },
    )


def capped(cap: int = 64) -> LadderModel:
    """The same where a cheap answer is cut after so many tokens: of its beginning the sign alone is seen."""
    whole = tiny()
    begun = np.zeros((6, 6))
    begun[0], begun[5] = [0.0, 0.9, 99.0, -900.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1000.0, 0.0, 0.0]
    states = {
        (2, 1): StateModel((0, 1), 1, 0),
        (1, 1): StateModel((1,), 1, 0, begun=(0,)),
        (2, 0): whole.states[1, 0],
        (1, 0): replace(_state((), 2, 1, begun), begun=(0,)),
        (0, 1): whole.states[0, 1],
        (0, 0): whole.states[0, 0],
    }
    return replace(whole, states=states, cap=cap, resumes=("cheap",))


def _state(done: tuple[int, ...], actions: int, default: int, weights: np.ndarray) -> StateModel:
    size = len(weights) - 1
    return StateModel(done, actions, default, np.zeros(size), np.ones(size), weights.astype(np.float32))


def unfitted(names: Sequence[str], reference: str) -> LadderModel:
    """A ladder of these routes that nothing was fitted for: every state does what the best fixed route would."""
    ladder = serving_ladder(names, reference)
    best = fixed_route(ladder, reference)
    states: dict[tuple[int, ...], StateModel] = {}
    for state in ladder.states():
        actions = state_actions(ladder, best, state)
        place = actions.index(default_action(ladder, best, state))
        states[state] = StateModel(ladder.done(state), len(actions), place)
    return LadderModel(tuple(names), reference, PRICES, "free_text", tuple(() for _ in names), states)


def climbing(model: LadderModel | None = None, price: int = 1) -> Climb:
    """How a query without a text climbs."""
    return Climb(model or tiny(), price, np.zeros(len(FEATURES), np.float32))


def said(route: str, answer: str | None = "7", sure: float | None = None, **changes: Any) -> Attempt:
    """An attempt that answered this, so sure of itself."""
    signs = {} if sure is None else {SURE: sure}
    plain = Attempt(
        route,
        route,
        Purpose.ANSWER,
        Usage(10, 0, 0, 2),
        PRICE,
        3e-6,
        1.0,
        1.0,
        Finish.STOP,
        Enforcement.NATIVE,
        answer=answer,
        signs=signs,
    )
    return replace(plain, **changes)


def failed(route: str) -> Attempt:
    """An attempt of which nothing came."""
    return said(route, None, usage=Usage(), cost=0.0, finish=Finish.ERROR, error="connection refused")


@lru_cache(maxsize=1)
def embedder() -> Embedder:
    """The shipped encoder."""
    return load_embedder()


@lru_cache(maxsize=1)
def _artifact() -> Artifact:
    rows = [
        Observation(f"q{i}", f"q{i}", route.name, float((i + (route.name == "dear")) % 3 > 0), 10.0, 5.0, text=f"{i}+4")
        for i in range(30)
        for route in ROUTES
    ]
    quick = FitSettings(strengths=(0.1,), token_penalties=(0.1,), inner_folds=2)
    return Artifact(
        id="laddered",
        routes=tuple(RouteKey(r.name, r.model, r.mode, r.thinking_budget) for r in ROUTES),
        estimator=fit(training_set(rows, [route.name for route in ROUTES], embedder()), quick),
        embedder="static",
        embedder_hash=embedder().content_hash,
        policy=(),
        report={},
        fingerprint="made",
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        versions={},
    )


def learnt_ladder(curve: Sequence[Point] = CURVE, model: LadderModel | None = None) -> Learnt:
    """What serves ROUTES with the tiny ladder and this curve."""
    return Learnt(replace(_artifact(), ladder=model or tiny()), {"cheap": 0, "dear": 1}, tuple(curve))


def evidence_of(names: Sequence[str], row: Mapping[str, Observation]) -> dict[str, Attempt]:
    """What each route would have answered to a question that was logged with all of them."""
    return {
        name: said(
            name,
            row[name].answer,
            usage=Usage(int(row[name].input_tokens or 0), 0, 0, int(row[name].output_tokens or 0)),
            signs=dict(row[name].signs),
        )
        for name in names
    }
