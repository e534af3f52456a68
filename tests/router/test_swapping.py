"""When a swap pays: what must hold whatever the traffic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.router.swapping import UNKNOWN_S, Load, gains, load_seconds, remembered

GAINS = st.floats(-5.0, 5.0).map(lambda gain: round(gain, 3))
COSTS = st.floats(0.5, 20.0)


def swaps(wants: list[float], costs: tuple[float, float]) -> list[int]:
    """The queries at which a server of two models swaps. wants: how much more a query is worth on the second model;
    costs: of loading the first, the second. The first is loaded at the start."""
    at, forgone, swapped = 0, dict[str, float](), list[int]()
    for place, want in enumerate(wants):
        other = "ab"[1 - at]
        load = Load(other, 1.0, costs[1 - at], forgone.get(other, 0.0))
        worth = {"ab"[at]: 0.0, other: want if at == 0 else -want}
        if worth[other] - load.charge > 0.0:
            at, forgone = 1 - at, {}
            swapped.append(place)
        else:
            forgone = remembered(forgone, gains(worth.items(), {other: load}))
    return swapped


@given(st.lists(GAINS, max_size=300), st.tuples(COSTS, COSTS))
def test_every_swap_pays(wants: list[float], costs: tuple[float, float]) -> None:
    """Some run of queries since the swap before it, up to its own, gains more by it than it costs."""
    begin = 0
    for nth, place in enumerate(swaps(wants, costs)):
        sign, cost = (1, costs[1]) if nth % 2 == 0 else (-1, costs[0])
        run = [sign * want for want in wants[begin : place + 1]]
        assert max(sum(run[i:]) for i in range(len(run))) > cost - 1e-6
        begin = place + 1


@given(st.floats(0.01, 5.0), st.floats(0.01, 5.0), st.integers(1, 60), st.tuples(COSTS, COSTS))
def test_alternating_traffic_never_swaps_to_and_fro(
    one: float, other: float, times: int, costs: tuple[float, float]
) -> None:
    """At most once, to the model that gains more; unless a single query pays for the load."""
    if one > costs[1] or other > costs[0]:
        return
    assert len(swaps([one, -other] * times, costs)) <= 1
    if one <= other:
        assert swaps([one, -other] * times, costs) == []


@given(st.floats(0.2, 5.0), COSTS)
def test_traffic_that_stays_with_the_other_model_is_followed(gain: float, cost: float) -> None:
    """After about as many queries as the load costs; a tenth of the gain is lost to forgetting at the most."""
    (place,) = swaps([gain] * 300, (cost, cost))
    assert int(cost / gain) - 1 <= place <= 1.2 * cost / gain + 1


@given(GAINS, COSTS)
def test_one_query_swaps_only_where_it_pays_for_the_load(gain: float, cost: float) -> None:
    assert (swaps([gain], (cost, cost)) == [0]) == (gain > cost)


def test_a_gain_that_was_missed_long_ago_counts_less() -> None:
    """Half after HALF_LIFE queries that have no preference."""
    forgone = remembered({}, {"b": 8.0})
    for _ in range(256):
        forgone = remembered(forgone, {"b": 0.0})
    assert forgone["b"] == pytest.approx(4.0)


def test_what_one_query_says_of_one_model_leaves_the_others_alone() -> None:
    assert remembered({"b": 3.0, "c": 1.0}, {"b": -5.0}) == {"b": 0.0, "c": 1.0}


def test_gains_are_the_best_of_a_model_over_the_best_that_needs_no_load() -> None:
    load = Load("b", 1.0, 1.0)
    worth = {"a": 1.0, "a2": 2.0, "b": 5.0, "b2": 4.0}.items()
    assert gains(worth, {"b": load, "b2": load}) == {"b": 3.0}
    assert gains(worth, {}) == {}
    assert gains({"b": 5.0}.items(), {"b": load}) == {}, "there is nothing to stay with"


def test_the_charge_is_what_the_load_costs_less_what_staying_has() -> None:
    assert Load("b", 1.0, 3.0, 1.0).charge == 2.0
    assert Load("b", 1.0, 3.0, 4.0).charge == 0.0


def test_measured_seconds_go_before_told_ones_and_those_before_a_guess() -> None:
    assert load_seconds(2.0, 3.0, 8.0) == (2.0, False)
    assert load_seconds(None, 3.0, 8.0) == (3.0, False)
    assert load_seconds(None, None, 8.0) == (8.0, True)
    assert load_seconds(None, None, None) == (UNKNOWN_S, True)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (Load("b", 12.4, 1.0), "loading b takes 12 s"),
        (Load("b", 0.44, 1.0), "loading b takes 0.4 s"),
        (Load("b", 8.0, 1.0, guessed=True), "loading b takes about 8.0 s (a guess)"),
    ],
)
def test_it_says_how_long_it_takes(load: Load, words: str) -> None:
    assert str(load) == words
