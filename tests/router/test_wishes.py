"""What a model name spells, and which routes it leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Capabilities, Objective, Price, Route, Tier, Wish
from pointsman.errors import BadRequest, UnknownModel
from pointsman.router.wishes import MAX_THINKING_BUDGET, candidates, check_budget, parse_model_name

ROUTES = ("small", "full", "chat")
MODELS = ("digits", "qwen3:8b", "org/model(beta)")


def parse(name: str) -> Wish:
    return parse_model_name(name, ROUTES, MODELS)


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("auto", Wish()),
        ("auto:small", Wish(tier=Tier.SMALL)),
        ("auto:0.9", Wish(objective=Objective(value=0.9))),
        ("chat", Wish(route="chat")),
        ("full(2048)", Wish(route="full", thinking_budget=2048)),
        ("full(off)", Wish(route="full", thinking_budget=0)),
        ("digits", Wish(model="digits", unlimited=True)),
        ("digits(17)", Wish(model="digits", thinking_budget=17)),
        ("digits(0)", Wish(model="digits", thinking_budget=0)),
        ("qwen3:8b", Wish(model="qwen3:8b", unlimited=True)),
        ("qwen3:8b(off)", Wish(model="qwen3:8b", thinking_budget=0)),
        ("org/model(beta)", Wish(model="org/model(beta)", unlimited=True)),
        ("org/model(beta)(64)", Wish(model="org/model(beta)", thinking_budget=64)),
    ],
)
def test_names_spell_wishes(name: str, wish: Wish) -> None:
    assert parse(name) == wish


@pytest.mark.parametrize("name", ["", "gpt-4", "auto:", "auto:fast", "Auto", "small:full", "qwen3:14b", "nothing(5)"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        parse(name)
    assert "qwen3:8b" in str(caught.value)
    assert "auto:small" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["digits(-1)", "digits(1e9)", "digits()", "digits(on)", "digits(99999999)", "digits(1.5)", "auto:0", "auto:1.5"],
)
def test_an_absurd_budget_or_quality_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(name)
    assert not isinstance(caught.value, UnknownModel)


@given(st.integers())
def test_budgets_are_whole_numbers_within_bounds(budget: int) -> None:
    if 0 <= budget <= MAX_THINKING_BUDGET:
        assert parse(f"digits({budget})").thinking_budget == budget
    else:
        with pytest.raises(BadRequest):
            check_budget(budget)


@given(st.text(max_size=40))
def test_any_text_is_a_wish_or_a_clear_refusal(name: str) -> None:
    field = None
    try:
        wish = parse(name)
    except BadRequest as error:
        wish, field = None, error.field
    assert isinstance(wish, Wish) or field in ("model", "objective", "thinking_budget")


def left(wish: Wish, routes: tuple[Route, ...]) -> list[tuple[str, int | None]]:
    return [(r.name, r.thinking_budget) for r in candidates(wish, routes)[0]]


def test_auto_leaves_every_route_free(routes: tuple[Route, ...]) -> None:
    assert candidates(Wish(), routes) == (routes, None)


def test_a_tier_leaves_its_own(routes: tuple[Route, ...]) -> None:
    assert left(Wish(tier=Tier.BUDGETED), routes) == [("budgeted", 17)]


def test_a_tier_without_routes_is_refused(routes: tuple[Route, ...]) -> None:
    with pytest.raises(BadRequest, match="tier 'full'"):
        candidates(Wish(tier=Tier.FULL), routes[:2])


def test_a_bare_model_is_its_unlimited_route(routes: tuple[Route, ...]) -> None:
    found, fixed = candidates(Wish(model="digits", unlimited=True), routes)
    assert (found[0].name, fixed) == ("full", "full")


def test_a_model_with_a_known_budget_is_that_route(routes: tuple[Route, ...]) -> None:
    assert left(Wish(model="digits", thinking_budget=17), routes) == [("budgeted", 17)]


def test_a_model_with_another_budget_is_a_route_of_its_own(routes: tuple[Route, ...]) -> None:
    found, fixed = candidates(Wish(model="digits", thinking_budget=64), routes)
    assert (found[0].name, found[0].mode, found[0].thinking_budget, fixed) == ("digits(64)", "think", 64, "digits(64)")


@pytest.mark.parametrize("wish", [Wish(model="digits", thinking_budget=2048), Wish(route="full", thinking_budget=9999)])
def test_a_budget_above_the_context_is_refused_with_the_context(wish: Wish, routes: tuple[Route, ...]) -> None:
    small = tuple(replace(r, capabilities=Capabilities(context=2048)) for r in routes)
    with pytest.raises(BadRequest, match="does not fit: the context of digits is 2048 tokens") as caught:
        candidates(wish, small)
    assert caught.value.field == "thinking_budget"
    assert candidates(replace(wish, thinking_budget=2047), small)[0][0].thinking_budget == 2047
    assert candidates(wish, routes)[0], "where the context is not known, nobody can tell"


def test_off_turns_a_thinking_route_direct(routes: tuple[Route, ...]) -> None:
    found, _ = candidates(Wish(route="full", thinking_budget=0), routes)
    assert (found[0].mode, found[0].thinking_budget) == ("direct", 0)


def test_a_budget_alone_leaves_the_routes_that_think(routes: tuple[Route, ...]) -> None:
    """Both of them are the same route then, and it is the one that was asked for."""
    found, fixed = candidates(Wish(thinking_budget=8), routes)
    assert [(r.name, r.thinking_budget) for r in found] == [("digits(8)", 8)]
    assert fixed == "digits(8)"


def test_off_alone_leaves_the_routes_that_do_not_think(routes: tuple[Route, ...]) -> None:
    assert left(Wish(thinking_budget=0), routes) == [("small", 0)]


def test_a_budget_where_nothing_thinks_is_refused() -> None:
    only = (Route("small", "m", "direct", 0, Price(0, 0, 1)),)
    with pytest.raises(BadRequest, match="No route thinks"):
        candidates(Wish(thinking_budget=8), only)


def test_a_mode_leaves_its_routes_or_makes_them(routes: tuple[Route, ...]) -> None:
    assert left(Wish(mode="direct"), routes) == [("small", 0)]
    found, _ = candidates(Wish(mode="concise"), routes)
    assert {r.mode for r in found} == {"concise"}


@pytest.mark.parametrize(
    "wish",
    [
        Wish(mode="direct", mode_thinks=False, model="digits", thinking_budget=17),
        Wish(mode="direct", mode_thinks=False, unlimited=True),
        Wish(mode="think", mode_thinks=True, route="full", thinking_budget=0),
    ],
)
def test_a_mode_and_a_budget_that_contradict_each_other_are_refused(wish: Wish, routes: tuple[Route, ...]) -> None:
    with pytest.raises(BadRequest, match="contradict") as caught:
        candidates(wish, routes)
    assert caught.value.field == "mode"


def test_a_mode_without_thought_has_no_budget_whatever_the_route(routes: tuple[Route, ...]) -> None:
    """The name says what is done: off."""
    found, _ = candidates(Wish(route="full", mode="solve", mode_thinks=False), routes)
    assert [(r.name, r.mode, r.thinking_budget) for r in found] == [("digits(off)", "solve", 0)]
    found, _ = candidates(Wish(model="digits", mode="direct", mode_thinks=False), routes)
    assert [r.name for r in found] == ["small"]


def test_a_mode_with_thought_thinks_on_a_route_that_does_not(routes: tuple[Route, ...]) -> None:
    found, _ = candidates(Wish(route="small", mode="concise", mode_thinks=True), routes)
    assert [(r.name, r.mode, r.thinking_budget) for r in found] == [("digits(unlimited)", "concise", None)]
    assert left(Wish(mode="think", mode_thinks=True), routes) == [("budgeted", 17), ("full", None)]
