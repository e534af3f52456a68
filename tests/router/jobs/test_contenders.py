"""Which routes are run, and how often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from calibrating import contender, digits_router

from pointsman.backends import ModelConfig, load_modes, mode
from pointsman.domain import Capabilities, Sampling
from pointsman.errors import BadRequest
from pointsman.router.config import RouteConfig
from pointsman.router.jobs.contenders import contenders, fallback, greedy, longest
from pointsman.router.modes import mode_of


def test_every_route_is_run_cheapest_first_twice_and_short_on_an_embedded_model(tmp_path: Path) -> None:
    with digits_router(tmp_path) as router:
        found = contenders(router)
        assert [(c.name, c.mode, c.samples, c.max_tokens) for c in found] == [
            ("small", "direct", 2, 8),
            ("budgeted", "think(17)", 2, 256),
            ("full", "think", 2, 256),
        ]
        (only,) = contenders(router, ["small"], samples=3, max_tokens=5)
        assert (only.name, only.samples, only.max_tokens) == ("small", 3, 5)
        with pytest.raises(BadRequest, match="no route 'huge'; there are small, budgeted, full"):
            contenders(router, ["small", "huge"])


def test_a_model_that_only_thinks_is_run_without_thought_too(tmp_path: Path) -> None:
    """A cut thought needs an answer to fall back on; not where thinking cannot be switched off."""
    with digits_router(tmp_path, full=RouteConfig.model_validate({"model": "digits"})) as router:
        first, second = contenders(router)
        assert (first.name, first.mode, first.configured, first.thinks) == ("digits(off)", "direct", False, False)
        assert (second.name, second.configured) == ("full", True)
        router.routes = tuple(replace(r, capabilities=Capabilities(switchable=False)) for r in router.routes)
        assert [c.name for c in contenders(router)] == ["full"]


@pytest.mark.parametrize(
    ("extra", "sampling", "one"),
    [({}, {}, False), ({"temperature": 0}, {}, True), ({}, {"temperature": 0}, True), ({"seed": 1}, {}, True),
     ({"temperature": 0}, {"temperature": 0.7}, False), ({}, {"top_k": 1}, True)],
)  # fmt: skip
def test_one_sample_is_enough_where_nothing_is_left_to_chance(
    extra: dict[str, float], sampling: dict[str, float], one: bool
) -> None:
    model = ModelConfig.model_validate({"url": "http://localhost:1/v1", "extra": extra})
    row = {"about": "x", "source": "x", "think": False, "sampling": sampling}
    assert greedy(model, mode("mine", load_modes({"mine": row}))) is one


def test_what_is_recommended_for_the_model_leaves_something_to_chance() -> None:
    here = ModelConfig.model_validate({"embedded": "digits", "engine": "transformers"})
    assert not greedy(here, mode("think"), Sampling(temperature=0.6))
    served = ModelConfig.model_validate({"url": "http://localhost:1/v1", "extra": {"temperature": 0}})
    assert greedy(served, mode("think"), Sampling(temperature=0.6))  # it is not recommended to who has decided


def test_transformers_draw_the_likeliest_token_if_not_told_otherwise() -> None:
    assert greedy(ModelConfig.model_validate({"embedded": "digits", "engine": "transformers"}), mode("direct"))


def test_a_vote_leaves_something_to_chance_and_an_early_exit_does_not() -> None:
    here = ModelConfig.model_validate({"embedded": "digits", "engine": "transformers"})
    assert not greedy(here, mode_of("vote(3)"))
    assert greedy(here, mode_of("early-exit"))


def test_thoughts_are_cut_from_the_longest_and_fall_back_on_the_direct_answer() -> None:
    entered = [
        contender("worked", mode="solve"),
        contender("direct"),
        contender("short", budget=64),
        contender("brief", budget=None, mode="concise"),
        contender("whole", budget=None),
        contender("looped", budget=None, mode="early-exit(8,3)"),  # its thought is several
        contender("other", model="n", budget=None),
    ]
    assert longest(entered, "m") is entered[4]
    assert fallback(entered, "m") is entered[1]
    assert fallback(entered, "n") is None
