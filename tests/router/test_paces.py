"""How fast models are, by their calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.router.paces import RECENT, Pace, Recent

SECONDS = st.floats(0.001, 1000.0)


def test_nothing_is_told_before_it_was_seen() -> None:
    pace = Pace()
    assert (pace.load_s, pace.tokens_s) == (None, None)
    pace.began(0.5, cold=False)
    assert pace.load_s is None


def test_a_load_is_what_a_first_token_took_longer_than_usual() -> None:
    pace = Pace()
    pace.began(12.5, cold=True)
    assert pace.load_s == 12.5
    pace.began(0.5, cold=False)
    assert pace.load_s == 12.0
    pace.began(20.0, cold=False)  # a slow one changes what is usual, and a load is never less than nothing
    pace.began(20.0, cold=False)
    assert pace.load_s == 0.0


def test_speed_is_told_by_answers_of_some_length() -> None:
    """The first token's time is that of reading."""
    pace = Pace()
    pace.wrote(2, 0.001)
    pace.wrote(100, 0.0)
    assert pace.tokens_s is None
    pace.wrote(11, 0.5)
    assert pace.tokens_s == pytest.approx(20.0)


@given(st.lists(SECONDS, min_size=1), st.floats(1e4, 1e6))
def test_single_calls_that_waited_for_other_reasons_change_little(seen: list[float], odd: float) -> None:
    """The median of the last few stays among what was seen beside it."""
    recent = Recent()
    for value in [odd, *seen, *seen]:
        recent.add(value)
    assert recent.value is not None
    last = [odd, *seen, *seen][-RECENT:]
    assert min(last) <= recent.value <= max(last)
    if len(last) >= 3:
        assert recent.value < odd
