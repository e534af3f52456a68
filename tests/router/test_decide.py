"""From a query to a decision."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from laddered import CURVE, ROUTES, embedder, learnt_ladder

from pointsman.classifiers import PolicyPoint
from pointsman.domain import Capabilities, Objective, ObjectiveKind, Query, Wish
from pointsman.errors import BadRequest, ContextTooLong
from pointsman.router.decide import REPRICED, Decider, Standing, learnt, route_key
from pointsman.router.queries import as_query
from pointsman.router.serving import find


class NoStore:
    """A register in which nothing was ever promoted."""

    def serving(self) -> None:
        return None


@pytest.fixture(scope="module")
def decider() -> Decider:
    """The shipped routes with the shipped artifact."""
    from pointsman.router.build import build_decider, build_routes
    from pointsman.router.config import load

    settings, _ = load(None, environ={})
    made = build_decider(settings, build_routes(settings, settings.models))
    found, problems = find(NoStore(), made.standing.routes, made.embedder.content_hash)  # type: ignore[arg-type]
    assert problems == ()
    assert found is not None
    made.use(found)
    return made


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("3+4", "small"),
        ("3+4*2", "budgeted"),
        ("3+4*2-7", "budgeted"),
        ("3+4*2-7+1-8*3", "full"),
        ("What is the capital of France?", "chat"),
        ("Write a haiku about rain.", "chat"),
        ("What is 17 * 23?", "chat"),
        ("Hello!", "chat"),
    ],
)
def test_the_shipped_artifact_really_chooses(decider: Decider, text: str, route: str) -> None:
    """Open text goes to chat, a chain to the cheapest digits route that gets it right."""
    decision, _ = decider.decide(as_query(text))
    assert decision.route.name == route, decision.reason
    assert decision.artifact == decider.artifact
    assert set(decision.estimates) == {"small", "budgeted", "full", "chat"}
    if route == "chat":
        assert decision.confidence is None, "nobody judged its answers"
        assert decision.reason.endswith("was not measured")
    else:
        assert decision.confidence is not None
        assert decision.confidence > 0.8


def test_a_text_unlike_all_that_was_learnt_from_is_answered_by_the_safe_route(decider: Decider) -> None:
    """Thousands of operators without a number: a chain by its marks, but like none of them."""
    decision, _ = decider.decide(as_query("+-*" * 3000))
    assert decision.route.name == "chat"
    assert decision.reason == "little evidence (no text like this was learnt from): the safe route answers"
    assert decision.confidence is None


def test_a_decision_prints_as_route_and_reason(decider: Decider) -> None:
    decision, _ = decider.decide(as_query("3+4"))
    assert str(decision) == f"small: {decision.reason}"
    shown = repr(decision).splitlines()
    assert len(shown) == 5
    assert any(line.lstrip().startswith("-> small") and "% right" in line for line in shown)


def test_a_lower_quality_never_costs_more(decider: Decider) -> None:
    costs = []
    for quality in (0.5, 0.8, 0.9, 0.98, 1.0):
        wish = Wish(objective=Objective(value=quality))
        decision, considered = decider.decide(as_query("3+4*2-7+1-8*3"), wish)
        costs.append(considered.estimates[decision.route.name].cost)
    assert costs == sorted(costs)


def test_open_text_stays_with_chat_at_any_quality_worth_having(decider: Decider) -> None:
    """The routes know different things: half of all questions right must not pass for quality."""
    for quality in (0.7, 0.9, 0.98, 1.0):
        decision, _ = decider.decide(as_query("Tell me a joke."), Wish(objective=Objective(value=quality)))
        assert decision.route.name == "chat"


def test_observe_answers_with_one_route_and_notes_what_auto_would_have_done(decider: Decider) -> None:
    watching = Decider(replace(decider.standing, observed="full"), decider.embedder)
    watching.use(decider._learnt)
    decision, _ = watching.decide(as_query("3+4"))
    assert (decision.route.name, decision.observed) == ("full", "small")
    wished, _ = watching.decide(as_query("3+4"), Wish(route="budgeted"))
    assert (wished.route.name, wished.observed) == ("budgeted", None)


def test_an_artifact_does_not_speak_for_a_route_that_it_does_not_know(decider: Decider) -> None:
    assert decider._learnt is not None
    artifact = decider._learnt.artifact
    routes = decider.standing.routes
    assert learnt(artifact, routes) is not None
    assert learnt(artifact, routes[:2]) is not None
    changed = (replace(routes[0], thinking_budget=5), *routes[1:])
    assert learnt(artifact, changed) is None
    assert route_key(changed[0]) != route_key(routes[0])


def repriced(decider: Decider, **factors: float) -> Decider:
    """The same artifact after a change of prices, by route (those not named by `others`)."""
    assert decider._learnt is not None
    artifact, before = decider._learnt.artifact, {r.name: r.price for r in decider.standing.routes}
    trained = replace(artifact, prices=tuple(before[key.name] for key in artifact.routes))
    by = {name: factors.get(name, factors.get("others", 1.0)) for name in before}
    routes = tuple(
        replace(r, price=replace(r.price, input=r.price.input * by[r.name], output=r.price.output * by[r.name]))
        for r in decider.standing.routes
    )
    made = Decider(replace(decider.standing, routes=routes), decider.embedder)
    made.use(learnt(trained, routes))
    return made


@pytest.mark.parametrize("text", ["3+4", "3+4*2", "3+4*2-7+1-8*3", "Hello!"])
def test_prices_in_another_unit_change_no_decision(decider: Decider, text: str) -> None:
    """All prices a thousandfold: so is the curve."""
    decision, _ = repriced(decider, others=1000).decide(as_query(text))
    assert decision.route.name == decider.decide(as_query(text))[0].route.name
    assert decision.warnings == ()


def test_prices_that_changed_against_each_other_leave_the_safe_route_and_say_so(decider: Decider) -> None:
    """The estimates hold, what a route is worth does not; an objective in today's currency needs no curve."""
    changed = repriced(decider, full=5)
    decision, _ = changed.decide(as_query("3+4"))
    assert (decision.route.name, set(decision.estimates)) == ("chat", {"small", "budgeted", "full", "chat"})
    assert decision.reason == f"{REPRICED}: the safe route answers"
    assert REPRICED in decision.warnings[0]
    assert "pointsman retrain" in decision.warnings[0]
    for kind, value in ((ObjectiveKind.WILLINGNESS_TO_PAY, 1.0), (ObjectiveKind.MAX_COST, 1.0)):
        free, _ = changed.decide(as_query("3+4*2-7+1-8*3"), Wish(objective=Objective(kind, value)))
        assert free.route.name == "full", free.reason


def test_cold_makes_no_claim(decider: Decider) -> None:
    cold = Decider(decider.standing, decider.embedder)
    decision, _ = cold.decide(as_query("3+4"))
    assert (decision.route.name, decision.estimates, decision.confidence, decision.artifact) == ("chat", {}, None, None)
    assert decision.reason.startswith("nothing is learnt")


def test_tools_and_images_leave_only_the_routes_that_take_them(decider: Decider) -> None:
    able = [
        replace(r, capabilities=Capabilities(tools=r.name == "full", images=False)) for r in decider.standing.routes
    ]
    picky = Decider(Standing(tuple(able), "full", Objective()), decider.embedder)
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    decision, _ = picky.decide(as_query("3+4", tools=[tool]))
    assert decision.route.name == "full"
    image = Query(messages=({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},))
    with pytest.raises(BadRequest, match="takes images"):
        picky.decide(image)
    none = tuple(replace(r, capabilities=Capabilities(tools=False)) for r in decider.standing.routes)
    with pytest.raises(BadRequest, match="takes tools") as caught:
        Decider(Standing(none, "full", Objective()), decider.embedder).decide(as_query("3+4", tools=[tool]))
    assert caught.value.field == "tools"


def short_of(decider: Decider, context: int) -> Decider:
    routes = tuple(replace(r, capabilities=Capabilities(context=context)) for r in decider.standing.routes)
    return Decider(replace(decider.standing, routes=routes), decider.embedder)


def test_only_what_is_clearly_too_long_is_refused(decider: Decider) -> None:
    """800 guessed tokens: a context of 600 may hold them, for the count is a guess; one of 400 does not."""
    text = as_query("word " * 640)
    assert short_of(decider, 600).decide(text)[0].route.name == "chat"
    with pytest.raises(ContextTooLong, match="400 tokens"):
        short_of(decider, 400).decide(text)


def test_a_route_that_has_room_goes_before_one_that_may_have_it(decider: Decider) -> None:
    routes = tuple(
        replace(r, capabilities=Capabilities(context=2000 if r.name == "small" else 600))
        for r in decider.standing.routes
    )
    picky = Decider(replace(decider.standing, routes=routes), decider.embedder)
    assert picky.decide(as_query("word " * 640))[0].route.name == "small"


def test_routes_and_words_are_the_same_for_a_string_and_its_message(decider: Decider) -> None:
    one, _ = decider.decide(as_query("3+4"))
    other, _ = decider.decide(as_query([{"role": "user", "content": "3+4"}]))
    assert one.estimates == other.estimates


def test_the_overhead_is_told_in_milliseconds(decider: Decider) -> None:
    began = time.perf_counter()
    decision, _ = decider.decide(as_query("3+4"))
    took_ms = 1000 * (time.perf_counter() - began)
    assert took_ms / 100 < decision.overhead_ms <= took_ms


def on_a_ladder(**standing: object) -> Decider:
    """Two routes whose artifact has a ladder."""
    made = Decider(replace(Standing(ROUTES, "dear", Objective()), **standing), embedder())  # type: ignore[arg-type]
    made.use(learnt_ladder())
    return made


def test_a_query_that_may_buy_climbs_at_the_rung_of_its_plan() -> None:
    climb = on_a_ladder().consider(as_query("3+4")).terms.climb
    assert climb is not None
    assert climb.price == 1
    assert len(climb.features) == len(on_a_ladder().consider(as_query("3+4")).features or ())


def test_deciding_and_observing_have_no_ladder() -> None:
    """And a wish of tier or route is no less obeyed where there is one."""
    decider = on_a_ladder()
    assert decider.consider(as_query("3+4"), buying=False).terms.climb is None
    assert on_a_ladder(observed="dear").consider(as_query("3+4")).terms.climb is None
    decision, _ = decider.decide(as_query("3+4"))
    assert (decision.route.name, decision.evidence) == ("dear", ())
    assert decider.decide(as_query("3+4"), Wish(route="cheap"))[0].reason == "asked for"


def test_without_its_ladder_a_curves_rungs_are_nothing() -> None:
    """The plan on the text stands; an objective that needs no curve has no ladder either."""
    bare = on_a_ladder()
    assert bare._learnt is not None
    bare.use(replace(bare._learnt, artifact=replace(bare._learnt.artifact, ladder=None)))
    assert bare.consider(as_query("3+4")).terms.climb is None
    limit = Wish(objective=Objective(ObjectiveKind.MAX_COST, 1.0))
    assert on_a_ladder().consider(as_query("3+4"), limit).terms.climb is None


def test_the_rungs_of_a_curve_are_kept_at_todays_prices() -> None:
    """Costs change with the prices, places and what may be relied on do not; prices that changed against each other
    leave no rung."""
    points = tuple(PolicyPoint(p.accuracy, p.cost, p.error_price, p.route, p.rung, p.sure) for p in CURVE)
    trained = tuple(route.price for route in ROUTES)
    artifact = replace(learnt_ladder().artifact, policy=points, prices=trained)
    doubled = tuple(
        replace(r, price=replace(r.price, input=2 * r.price.input, output=2 * r.price.output)) for r in ROUTES
    )
    found = learnt(artifact, doubled)
    assert found is not None
    assert found.curve == tuple(replace(p, cost=2 * p.cost) for p in CURVE)
    bare = learnt(replace(artifact, ladder=None), ROUTES)
    assert bare is not None
    assert bare.curve == CURVE[:2], "a rung without a ladder is no rule"
    against = learnt(artifact, (doubled[0], ROUTES[1]))
    assert against is not None
    assert against.curve == ()
