"""Ladders: states, what may be bought in them, and where it leads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.errors import BadRequest
from pointsman.router.ladder import (
    Answer,
    Ladder,
    Purchase,
    Track,
    cheapest_first,
    default_action,
    fixed_route,
    serving_ladder,
    state_actions,
    streamed,
)

SMALL, SECOND = Track("small"), Track("second")
FULL = Track("full", (100, 300), ("b100", "b300"), 0)
THREE = (SMALL, SECOND, FULL)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """One to four tracks with up to two budgets each; a cut thought falls back to another track. Then up to two further
    samples of the first, or of one each."""
    size = draw(st.integers(1, 4))
    tracks = []
    for i in range(size):
        budgets = tuple(100 * (k + 1) for k in range(draw(st.integers(0, 2)))) if size > 1 else ()
        others = [j for j in range(size) if j != i]
        fallback = draw(st.sampled_from(others)) if budgets else None
        tracks.append(Track(f"r{i}", budgets, tuple(f"r{i}b{b}" for b in budgets), fallback))
    for _ in range(draw(st.integers(0, 2))):
        before = draw(st.sampled_from([len(tracks) - 1, 0]))
        tracks.append(replace(tracks[before], route=f"{tracks[before].route}#1", after=before))
    return Ladder(tuple(tracks), ordered=draw(st.booleans()))


@given(ladders())
def test_a_sample_is_bought_when_the_one_before_it_has_answered(ladder: Ladder) -> None:
    for state in ladder.states():
        begun = [(i, track.after) for i, track in enumerate(ladder.tracks) if state[i] and track.after is not None]
        assert {before for _, before in begun} <= set(ladder.done(state))
        for action in ladder.actions(state):
            before = ladder.tracks[action.track].after
            assert isinstance(action, Answer) or before is None or before in ladder.done(state)


@given(ladders())
def test_every_action_leads_to_a_state_listed_before_its_own(ladder: Ladder) -> None:
    states = ladder.states()
    place = {state: i for i, state in enumerate(states)}
    assert len(place) == len(states)
    assert states[-1] == ladder.root
    for state in states:
        for action in ladder.actions(state):
            if isinstance(action, Purchase):
                assert action.level > state[action.track]
                for ended in (True, False):
                    assert place[ladder.after(state, action, ended=ended)] < place[state]


@given(ladders())
def test_a_thought_that_ended_is_whole_and_one_that_did_not_is_open(ladder: Ladder) -> None:
    for state in ladder.states():
        assert not set(ladder.done(state)) & set(ladder.open(state))
        assert {a.track for a in ladder.actions(state) if isinstance(a, Answer)} == set(ladder.done(state))
        for action in ladder.actions(state):
            if isinstance(action, Purchase):
                whole = ladder.after(state, action, ended=True)
                going = ladder.after(state, action, ended=False)
                assert action.track in ladder.done(whole)
                assert (action.track in ladder.open(going)) == (action.level < ladder.tracks[action.track].top)
                others = [i for i in range(len(state)) if i != action.track]
                assert all(whole[i] == going[i] == state[i] for i in others)


@given(ladders())
def test_names_lead_to_what_they_stand_for(ladder: Ladder) -> None:
    names = ladder.names()
    for name in (name for name in names if names.count(name) == 1):
        bought = ladder.towards(name)
        assert ladder.tracks[bought.track].name(bought.level) == name


def test_an_ordered_ladder_buys_only_later_routes() -> None:
    ladder = Ladder(THREE, ordered=True)
    assert set(ladder.actions((0, 1, 0))) == {Answer(1), Purchase(2, 1), Purchase(2, 2), Purchase(2, 3)}
    assert set(ladder.actions((1, 0, 0))) - {Answer(0)} == {Purchase(1, 1), *(Purchase(2, k) for k in (1, 2, 3))}


def test_the_fallback_of_an_open_thought_may_always_be_bought() -> None:
    """A cut thought is no answer: what stands in for it is earlier in the order and still open to be bought."""
    ladder = Ladder(THREE, ordered=True)
    assert set(ladder.actions((0, 0, 1))) == {Purchase(0, 1), Purchase(2, 2), Purchase(2, 3)}
    assert ladder.actions((0, 0, 3)) == (Answer(2),)


def test_without_order_everything_not_bought_may_be() -> None:
    assert set(Ladder(THREE).actions((0, 1, 0))) == {Answer(1), Purchase(0, 1), *(Purchase(2, k) for k in (1, 2, 3))}


def test_routes_by_name_are_bought_in_their_order_with_the_cuts_that_are_named() -> None:
    ladder = cheapest_first(THREE, ["second", "small", "b300", "full"])
    assert ladder.names() == ["second", "small", "b300", "full"]
    assert ladder.ordered
    assert ladder.tracks[2] == Track("full", (300,), ("b300",), 1)
    assert cheapest_first(THREE, ["small", "full"]).tracks == (SMALL, Track("full"))


SAMPLED = (
    *THREE,
    replace(SMALL, route="small#1", after=0),
    replace(SECOND, route="second#1", after=1),
    replace(FULL, route="full#1", cuts=("b100#1", "b300#1"), after=2),
    replace(SMALL, route="small#2", after=3),
)


def test_further_samples_stand_where_they_are_named() -> None:
    """Each behind the one before it; a cut second thought falls back to the first sample of its fallback."""
    ladder = cheapest_first(SAMPLED, ["small", "small#1", "full", "small#2", "b100#1"])
    assert ladder.names() == ["small", "small#1", "full", "small#2", "b100#1"]
    assert ladder.routes() == ["small", "full"]
    assert [track.after for track in ladder.tracks] == [None, 0, None, 1, 2]
    assert ladder.tracks[4] == Track("full#1", (100,), ("b100#1",), 0, capped=True, after=2)
    assert ladder.actions(ladder.root) == (Purchase(0, 1), Purchase(2, 1))
    assert ladder.actions((1, 0, 0, 0, 0)) == (Answer(0), Purchase(1, 1), Purchase(2, 1))
    assert ladder.actions((1, 1, 0, 0, 0)) == (Answer(0), Answer(1), Purchase(2, 1), Purchase(3, 1))
    assert ladder.actions((0, 0, 1, 0, 0)) == (Answer(2), Purchase(4, 1))


def test_the_last_route_streams_not_a_sample_behind_it() -> None:
    ladder = cheapest_first(SAMPLED, ["small", "second", "full", "small#1"])
    assert streamed(ladder, fixed_route(ladder, "second")).final == (1, 2)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (["none-such"], "none-such"),
        (["second", "b100"], "'small'"),
        (["small#1", "full"], "'small#1' is bought after 'small'"),
        (["small", "small#2"], "'small#2' is bought after 'small#1'"),
        (["small#1", "small"], "'small#1' is bought after 'small'"),
        (["small", "small#3"], "'small#3'"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused(order: list[str], says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        cheapest_first(SAMPLED, order)
    assert caught.value.field == "ladder"


@pytest.mark.parametrize(("reference", "final"), [("full", (2,)), ("second", (1, 2)), ("small", (0, 2))])
def test_while_serving_nothing_follows_an_answer_that_streams(reference: str, final: tuple[int, ...]) -> None:
    """The best fixed route's and the last route's: whatever else was bought, that is the answer that the caller has."""
    ladder = serving_ladder(("small", "second", "full"), reference)
    best = fixed_route(ladder, reference)
    assert ladder.final == final
    for state in ladder.states():
        streamed = [place for place in final if state[place]]
        if streamed:
            assert state_actions(ladder, best, state) == (Answer(streamed[0]),)
            assert default_action(ladder, best, state) == Answer(streamed[0])
        else:
            free = Ladder(ladder.tracks, ordered=True)
            assert state_actions(ladder, best, state) == state_actions(free, best, state)
            assert default_action(ladder, best, state) == fixed_route(ladder, reference).purchase


@pytest.mark.parametrize("reference", ["full", "second", "small"])
def test_while_serving_with_a_cap_an_answer_is_bought_up_to_it_and_then_gone_on_with_or_left(reference: str) -> None:
    """Nothing that could agree with it is bought after a long answer: it goes on, or a final route answers."""
    ladder = serving_ladder(("small", "second", "full"), reference, 64, ("small", "second", "full"))
    some = serving_ladder(("small", "second", "full"), reference, 64, ("second",))
    assert [track.resumes for track in some.tracks] == [False, reference != "second", False]
    best, states = fixed_route(ladder, reference), ladder.states()
    place = {state: i for i, state in enumerate(states)}
    for state in states:
        assert len(ladder.begun(state)) <= 1
        for action in state_actions(ladder, best, state):
            track = ladder.tracks[action.track]
            if isinstance(action, Answer):
                assert action.track in (*ladder.done(state), *ladder.begun(state))
                continue
            assert action.level == (track.top if action.track in ladder.final else 1)
            assert not ladder.begun(state) or action.track in ladder.final
            for ended in (True, False):
                assert place[ladder.after(state, action, ended=ended)] < place[state]
    begun = next(state for state in states if ladder.begun(state) and not any(state[i] for i in ladder.final))
    assert Answer(ladder.begun(begun)[0]) in ladder.actions(begun)
    assert best.purchase == default_action(ladder, best, begun)


@pytest.mark.parametrize("reference", ["b300", "full", "second"])
def test_a_thought_that_streams_is_continued_or_cut_and_nothing_else(reference: str) -> None:
    """Only what stands in for a cut thought may be bought beside it; by default it goes to where the best route goes,
    and another route's to its end."""
    ladder = streamed(Ladder(THREE, ordered=True), best := fixed_route(Ladder(THREE), reference))
    assert ladder.final == ((1, 2) if reference == "second" else (2,))
    for before in (0, 1):
        for second in {0, int(2 not in ladder.final)}:
            state = before, second, 1
            instead = Answer(0) if before else Purchase(0, 1)
            assert state_actions(ladder, best, state) == (instead, Purchase(2, 2), Purchase(2, 3))
            going_on = Purchase(2, 2 if reference == "b300" else 3)
            assert default_action(ladder, best, state) == going_on
            at_best = default_action(ladder, best, (before, second, 2))
            assert at_best == (instead if reference == "b300" else Purchase(2, 3))
            assert state_actions(ladder, best, (before, second, 3)) == (Answer(2),)
    assert state_actions(Ladder(THREE, ordered=True), best, (1, 0, 1))[:1] == (Answer(0),)


def test_a_thought_that_may_not_be_bought_whole_is_whole_where_it_ended() -> None:
    """Only the levels that were named are for sale: whoever names a budget alone does not get the rest."""
    ladder = cheapest_first(THREE, ["small", "b100"])
    assert ladder.names() == ["small", "b100"]
    assert ladder.actions((1, 0)) == (Answer(0), Purchase(1, 1))
    assert ladder.actions((1, 1)) == (Answer(0),)
    assert ladder.after((1, 0), Purchase(1, 1), ended=True) == (1, 2)
    assert ladder.actions((1, 2)) == (Answer(0), Answer(1))
    with pytest.raises(BadRequest, match="'full'"):
        ladder.towards("full")
    last = streamed(ladder, best := fixed_route(ladder, "small"))
    assert default_action(last, best, (0, 1)) == Purchase(0, 1)
    assert fixed_route(ladder, "b100").fallback == 0


def test_elsewhere_any_answer_may_be_given() -> None:
    assert Ladder(THREE[:2], ordered=True).actions((1, 1)) == (Answer(0), Answer(1))
