"""What calls cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Price, Usage
from pointsman.errors import ConfigError
from pointsman.router.pricing import assumed_price, changed_by, check_prices, cost, expected_cost

counts = st.integers(0, 100_000)


def test_each_kind_of_token_has_its_price() -> None:
    usage = Usage(prompt=1_000_000, cached=400_000, thought=200_000, answer=300_000)
    assert cost(Price(input=1.0, cached_input=0.1, output=4.0), usage) == pytest.approx(0.6 + 0.04 + 2.0)


@given(counts, counts, counts)
def test_thought_costs_what_an_answer_costs(prompt: int, thought: int, answer: int) -> None:
    price = Price(0.5, 0.0, 2.0)
    assert cost(price, Usage(prompt, 0, thought, answer)) == pytest.approx(
        cost(price, Usage(prompt, 0, 0, thought + answer))
    )


def test_a_size_stands_for_a_price() -> None:
    assert assumed_price(8.0) == Price(input=0.8, cached_input=0.0, output=8.0, assumed=True)
    assert expected_cost(assumed_price(8.0), 100, 10) == pytest.approx(160e-6)


def test_given_and_assumed_prices_do_not_mix() -> None:
    with pytest.raises(ConfigError, match=r"the routes a have prices and b have none"):
        check_prices({"a": Price(1, 0, 1), "b": assumed_price(1)})
    check_prices({"a": assumed_price(2), "b": assumed_price(1)})


@pytest.mark.parametrize(
    ("now", "factor"),
    [
        ((Price(1, 0, 4), Price(2, 0, 8)), 1.0),
        ((Price(1, 0.5, 4), Price(2, 1, 8)), 1.0),
        ((Price(1000, 0, 4000), Price(2000, 0, 8000)), 1000.0),
        ((Price(1, 0, 4), Price(2, 0, 9)), None),
        ((Price(0, 0, 0), Price(0, 0, 0)), None),
    ],
)
def test_prices_that_changed_by_one_factor_are_told_from_others(now: tuple[Price, ...], factor: float | None) -> None:
    assert changed_by((Price(1, 0, 4), Price(2, 0, 8)), now) == factor


def test_free_routes_that_stay_free_have_not_changed() -> None:
    free = (Price(0, 0, 0), Price(0, 0, 1))
    assert changed_by(free, free) == 1.0
    assert changed_by(free, (Price(0, 0, 1), Price(0, 0, 1))) is None
