"""Going on with a cut thought on digits, on a real llama.cpp server: the answer of the full route, thought once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from embedded import PRICE, ask

from pointsman.backends import Text, Thought
from pointsman.domain import Query, Sampling, Wish
from pointsman.router import Router
from pointsman.router.jobs.questions import chains
from pointsman.router.live import LiveEvent

BUDGET = 17
LONG = chains(8, (5, 7), seed=5)


@pytest.fixture(scope="module", params=["auto", "two-pass"])
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """Two routes of digits: with a budget, kept by the engine or by cutting, and without one."""
    settings: dict[str, Any] = {
        "models": {"digits": {"engine": "llamacpp", "embedded": "digits", "budget": request.param}},
        "routes": {
            "short": {"model": "digits", "mode": "think", "thinking_budget": BUDGET, "price": PRICE},
            "whole": {"model": "digits", "mode": "think", "price": PRICE},
        },
        "safe_route": "short",
        "escalate": {"cut_thoughts": True},
    }
    home = tmp_path_factory.mktemp("home")
    (home / "empty.yaml").write_text("")
    with Router.from_config(home / "empty.yaml", home=home, **settings) as made:
        yield made


def told(events: list[LiveEvent]) -> tuple[str, str]:
    thought = "".join(event.text for event in events if isinstance(event, Thought))
    return thought, "".join(event.text for event in events if isinstance(event, Text))


def test_the_answer_is_the_full_routes_and_no_token_of_the_thought_is_made_twice(router: Router) -> None:
    went_on = 0
    for question in LONG:
        query = Query(
            messages=({"role": "user", "content": question.prompt},), sampling=Sampling(temperature=0.0, seed=1)
        )
        alone, full = ask(router, query, Wish(route="whole"))
        first, budgeted = ask(router, query, Wish(route="short"))
        events, answered = ask(router, query)
        if full.usage.thought <= BUDGET:
            continue
        went_on += 1
        assert told(events) == told(alone)
        assert told(alone)[0].startswith(told(first)[0])
        cut, rest = answered.attempts
        assert (cut.route, cut.kept, rest.route, rest.kept) == ("short", 0, "whole", BUDGET)
        assert cut.usage.output == budgeted.usage.output
        assert rest.usage.output + BUDGET == full.usage.output
        both = full.usage.output + budgeted.usage.output
        assert sum(attempt.usage.output for attempt in answered.attempts) == both - BUDGET
        assert answered.usage.output == full.usage.output
        assert rest.usage.cached > rest.usage.prompt // 2, "the server had kept the prompt and the thought"
        assert answered.usage.prompt == full.usage.prompt
        assert answered.decision.reason.endswith(f"goes on with short's thought of {BUDGET} tokens")
    assert went_on >= 6
