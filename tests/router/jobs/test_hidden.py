"""The second story of the demonstration: its figures by hand, and a small one played for real."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from calibrating import digits_router
from laddered import ROUTES, said

from pointsman.domain import Decision, Enforcement, Finish, Objective, Usage
from pointsman.router import Router
from pointsman.router.jobs import hidden
from pointsman.router.jobs.demo import TIERS
from pointsman.router.jobs.hidden import Climbed, play_hidden
from pointsman.router.live import Answered
from pointsman.router.signs import NAMES
from pointsman.store import Record, history


def climbed(route: str, correct: bool, *outputs: tuple[str, int]) -> Climbed:
    """A chain for which these routes were run, so many tokens each, ten of prompt."""
    attempts = tuple(replace(said(name), usage=Usage(10, 0, 0, n)) for name, n in outputs)
    made = replace(ROUTES[0], name=route)
    decision = Decision("d", datetime.now(UTC), made, f"why {route}", Objective(), "1")
    return Climbed(Answered(decision, attempts, Finish.STOP, attempts[-1].usage, "m", Enforcement.NATIVE, ()), correct)


def test_everything_that_was_bought_is_counted() -> None:
    ran = [
        climbed("small", True, ("small", 2)),
        climbed("small", True, ("small", 2)),
        climbed("full", False, ("small", 2), ("full", 60)),
        climbed("full", True, ("small", 2), ("budgeted", 20), ("full", 60)),
    ]
    assert hidden._figure(ran) == {
        "accuracy": 0.75,
        "output_tokens": (2 + 2 + 62 + 82) / 4,
        "cost": pytest.approx((2 + 2 + 62 + 82 + 0.1 * 10 * 7) / 4),
        "share": {"small": 0.5, "budgeted": 0.0, "full": 0.5},
        "bought": {"small": 1.0, "budgeted": 0.25, "full": 0.5},
    }
    assert hidden._reasons(ran) == {"small": "why small", "full": "why full"}


@pytest.fixture
def router(tmp_path: Path) -> Router:
    """A cold router on digits' three routes."""
    return digits_router(tmp_path)


async def test_a_small_one_is_played_for_real(router: Router, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that tells nothing is of no use to it, the small route's own sureness is: as right as the best fixed route
    (within what 40 chains tell), for less."""
    monkeypatch.setattr(hidden, "N_TRAIN", 110)
    monkeypatch.setattr(hidden, "N_TEST", 40)
    said: dict[str, tuple[int, int]] = {}

    def progress(what: str, done: int, total: int) -> None:
        said[what] = (done, total)

    with router:
        await router.open_engines(router.endpoints())
        try:
            told = await play_hidden(router, tmp_path / "artifacts", progress)
        finally:
            await router.aclose()
        records = _records(router)
    assert said == {"hidden: logging": (330, 330), "hidden: testing": (120, 120), "hidden: routing": (40, 40)}
    assert (told["n_train"], told["n_test"]) == (110, 40)
    assert set(told["routes"]) == set(TIERS)
    assert told["evidence"]["bought"]["small"] == 1.0
    assert told["evidence"]["share"]["small"] > 0.2
    assert told["evidence"]["accuracy"] >= told["best_fixed"]["accuracy"] - 0.1
    assert told["evidence"]["cost"] < told["routes"]["full"]["cost"]
    assert told["evidence"]["accuracy"] > told["routes"]["small"]["accuracy"]
    assert told["oracle"]["accuracy"] >= told["evidence"]["accuracy"]
    assert set(told["kept"]) == {"accuracy", "cheaper_than_text", "beats_random_mix"}
    assert told["reasons"]["small"].startswith("small ")
    assert set(told["reasons"]) <= set(TIERS)
    # What was routed is in the log as any caller's: evidence apart, charged, with its signs.
    assert len(records) == 40
    for record in records:
        assert record.attempts[-1].route == record.decision.route.name
        probe = next(a for a in record.attempts if a.route == "small")
        assert set(probe.signs) == set(NAMES)
        assert ("small" in {a.route for a in record.decision.evidence}) == (record.decision.route.name != "small")


def _records(router: Router) -> list[Record]:
    """Those that were routed, not asked for by name."""
    router.store.flush(30.0)
    every = history.records(router.store._database)
    return [r for r in every if r.decision.reason != "asked for"]
