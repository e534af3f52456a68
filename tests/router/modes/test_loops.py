"""What the looping modes are called, which numbers they take, and where they cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends import ModelConfig, load_modes
from pointsman.domain import Call, Capabilities, Price, Query, Route
from pointsman.errors import BadRequest, ConfigError
from pointsman.router import Router, load
from pointsman.router.build import build_routes
from pointsman.router.modes import LOOPS, fitting, loop_of, mode_of

HELLO = ({"role": "user", "content": "3+4"},)
PRICE = Price(0.1, 0.0, 1.0)
ABLE, UNABLE = Capabilities(continues=True), Capabilities(continues=False)


@pytest.mark.parametrize(
    ("asked", "full", "given_"),
    [
        ("vote", "vote(5)", (5,)),
        ("vote(7)", "vote(7)", (7,)),
        ("first", "first(3,5)", (3, 5)),
        ("first(2, 4)", "first(2,4)", (2, 4)),
        ("first(1)", "first(1,5)", (1, 5)),
        ("early-exit", "early-exit(64,3)", (64, 3)),
        ("early-exit(16)", "early-exit(16,3)", (16, 3)),
        ("early-exit(16,2)", "early-exit(16,2)", (16, 2)),
    ],
)
def test_a_mode_is_named_with_all_its_numbers(asked: str, full: str, given_: tuple[int, ...]) -> None:
    loop = loop_of(asked)
    assert loop is not None
    assert (loop.name, loop.given) == (full, given_)
    assert loop_of(full) == loop


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("vote(2)", r"vote\(2\): vote takes samples from 3 to 32, as in vote\(5\)\."),
        ("vote(abc)", "samples from 3 to 32"),
        ("vote()", "samples from 3 to 32"),
        ("vote(3,4)", "samples from 3 to 32"),
        ("vote(" + "9" * 5000 + ")", "samples from 3 to 32"),
        ("first(5,3)", "of 3 samples, 5 cannot finish"),
        ("first(0,3)", r"finished from 1 to 32 and samples from 2 to 32, as in first\(3,5\)"),
        ("early-exit(1)", "tokens from 4 to 100000 and times from 2 to 16"),
        ("ponder", "Known: direct, think, .*solve, vote, first, early-exit"),
        ("concise(0)", "words must be a whole number"),
    ],
)
def test_what_cannot_be_is_refused(asked: str, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem) as caught:
        mode_of(asked)
    assert caught.value.field == "mode"
    assert len(str(caught.value)) < 300


@given(st.sampled_from([*LOOPS]) | st.text(max_size=8), st.text(st.sampled_from("0123456789,() -"), max_size=9))
def test_any_text_is_a_mode_or_a_clear_refusal(base: str, given_: str) -> None:
    field = None
    try:
        found = loop_of(f"{base}({given_})")
    except BadRequest as error:
        found, field = None, error.field
    if found is not None:
        assert loop_of(found.name) == found
        assert all(n.least <= value <= n.most for n, value in zip(found.numbers, found.given, strict=True))
    assert (field == "mode") <= (base in LOOPS)


def test_every_one_is_there_and_names_its_source() -> None:
    for loop in LOOPS.values():
        assert loop.about.endswith(".")
        assert "arXiv:" in loop.source
        steps = mode_of(loop.name).steps(Call(messages=HELLO))  # type: ignore[union-attr]
        assert next(steps)
        steps.close()


def route(mode: str, model: str = "m", capabilities: Capabilities = ABLE) -> Route:
    return Route(model, model, mode, None, PRICE, None, capabilities)


def test_an_engine_that_cannot_go_on_leaves_early_exit_to_those_that_can() -> None:
    query = Query(HELLO)
    both = (route("early-exit(64,3)", "a", UNABLE), route("early-exit(64,3)", "b"))
    assert fitting(both, query, both) == both[1:]
    with pytest.raises(BadRequest, match="which the engine of a cannot; these models' can: b") as caught:
        fitting(both[:1], query, both)
    assert caught.value.field == "mode"
    with pytest.raises(BadRequest, match="no model's here can"):
        fitting(both[:1], query, both[:1])
    votes = tuple(replace(r, mode="vote(3)") for r in both)
    assert fitting(votes, query, both) == votes


@pytest.mark.parametrize(
    "query",
    [
        Query(HELLO, tools=({"type": "function", "function": {"name": "f"}},)),
        Query(HELLO, response_format={"type": "json_object"}),
        Query(({"role": "user", "content": [{"type": "text", "text": "3+4"}]},)),
    ],
)
def test_an_answer_that_cannot_be_gone_on_with_is_not_cut(query: Query) -> None:
    """Other routes take it; asked for by name, it is refused."""
    routes = (route("early-exit(64,3)"), route("think", "b"))
    assert fitting(routes, query, routes) == routes[1:]
    with pytest.raises(BadRequest, match=r"The mode early-exit\(64,3\) (cuts|goes on)"):
        fitting(routes[:1], query, routes)


def built(**fields: Any) -> Route:
    models = {"q": ModelConfig.model_validate({"url": "http://h/v1", "model": "Qwen3-8B", **fields.pop("told", {})})}
    plain = {"models": {"q": {"url": "http://h/v1"}}, "routes": {"r": {"model": "q", **fields}}, "safe_route": None}
    settings, _ = load(None, plain, environ={})
    (made,) = build_routes(settings, models, load_modes())
    return made


def test_a_route_may_loop() -> None:
    made = built(mode="vote", thinking_budget=32)
    assert (made.mode, made.thinking_budget) == ("vote(5)", 32)
    assert built(mode="first(2,4)", thinking_budget=0).thinking_budget == 0  # samples without thought
    assert built(mode="early-exit", told={"dialect": "vllm"}).mode == "early-exit(64,3)"


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"mode": "vote(1)"}, "routes.r.mode", "samples from 3"),
        (
            {"mode": "early-exit", "thinking_budget": 0, "told": {"dialect": "vllm"}},
            "routes.r.thinking_budget",
            "contradict",
        ),
        (
            {"mode": "early-exit", "told": {"dialect": "openai"}},
            "routes.r.mode",
            "the engine of q cannot; no model's here can",
        ),
    ],
)
def test_a_route_that_cannot_be_is_refused(fields: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        built(**fields)
    assert caught.value.field == field


def test_no_mode_of_the_owners_takes_a_loops_name(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("models: {}\nmodes:\n  vote: {about: A., source: S, think: true}\n")
    with pytest.raises(ConfigError, match="give yours another name") as caught:
        load(file, environ={})
    assert (caught.value.where, caught.value.field) == (f"{file}:3", "modes.vote")


def test_a_caller_may_ask_for_one(tmp_path: Path) -> None:
    with Router.from_config(home=tmp_path) as router:
        made = router.route("3+4", model="digits", mode="vote(3)", thinking_budget=8)
        assert (made.route.mode, made.route.thinking_budget) == ("vote(3)", 8)
        made = router.route("3+4", model="digits", mode="vote(3)", thinking_budget=0)
        assert (made.route.mode, made.route.thinking_budget) == ("vote(3)", 0)
        assert router.route("3+4", model="digits", mode="early-exit").route.thinking_budget is None
        with pytest.raises(BadRequest, match="contradict"):
            router.route("3+4", model="digits", mode="early-exit", thinking_budget=0)
