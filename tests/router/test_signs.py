"""What an answer's token probabilities say of it."""

from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends import TokenLogprob
from pointsman.router.signs import ALTERNATIVES, NAMES, signs


def test_by_hand() -> None:
    """Tokens of 0.8 and 0.2; the first one's alternatives are itself, 0.1 and 0.05, which leaves 0.05 for the rest."""
    top = (("7", log(0.8)), ("8", log(0.05)), ("9", log(0.1)))  # an engine's order is not relied on
    found = signs([TokenLogprob("7", log(0.8), top), TokenLogprob("\n", log(0.2))])
    assert found == pytest.approx(
        {
            "first_probability": 0.8,
            "mean_probability": 0.4,  # the root of 0.8 x 0.2
            "least_probability": 0.2,
            "first_margin": 0.7,
            "first_entropy": -(0.8 * log(0.8) + 0.1 * log(0.1) + 2 * 0.05 * log(0.05)),
        }
    )
    assert set(found) == set(NAMES)


def test_without_tokens_there_is_nothing_to_say() -> None:
    assert signs([]) == {}


@pytest.mark.parametrize("top", [(), (("7", log(0.8)),)])
def test_without_alternatives_there_is_no_margin_and_no_entropy(top: tuple[tuple[str, float], ...]) -> None:
    """One alternative, the token itself, is none; later tokens' alternatives are not looked at."""
    later = TokenLogprob("!", log(0.5), (("!", log(0.5)), ("?", log(0.4))))
    assert set(signs([TokenLogprob("7", log(0.8), top), later])) == set(NAMES[:3])


logprobs = st.floats(-60, 0.1) | st.just(float("-inf"))  # rounding puts some engines a little above nought
tokens = st.builds(
    TokenLogprob, st.just("t"), logprobs, st.lists(st.tuples(st.just("a"), logprobs), max_size=ALTERNATIVES).map(tuple)
)


@given(st.lists(tokens, min_size=1, max_size=6))
def test_whatever_the_engine_says_they_stay_within_bounds(given_tokens: list[TokenLogprob]) -> None:
    found = signs(given_tokens)
    for name in set(found) - {"first_entropy"}:
        assert 0 <= found[name] <= 1, name
    assert found["least_probability"] <= found["mean_probability"] + 1e-12
    assert found["least_probability"] <= found["first_probability"]
    assert ("first_margin" in found) == ("first_entropy" in found) == (len(given_tokens[0].top) > 1)
    # At most what the alternatives and the rest would have if they were all alike, where they sum to one.
    if "first_entropy" in found:
        assert found["first_entropy"] >= 0
        if sum(exp(p) for _, p in given_tokens[0].top) <= 1:
            assert found["first_entropy"] <= log(ALTERNATIVES + 1) + 1e-9
