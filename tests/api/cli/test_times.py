"""Lengths of time and moments as people type them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman.api.cli.times import UNITS, length, moment
from pointsman.errors import BadRequest

quick = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@quick
@given(st.integers(0, 999_999), st.sampled_from(sorted(UNITS)))
def test_every_number_with_a_unit_is_that_length(number: int, unit: str) -> None:
    """A number and a unit come back as just that many of it."""
    assert length(f"{number}{unit}") == timedelta(**{UNITS[unit]: number})


@quick
@given(st.text(max_size=12))
def test_any_text_is_a_length_or_a_bad_request(text: str) -> None:
    """Whatever is typed ends in a length of 0 or more, or in a BadRequest."""
    with suppress(BadRequest):
        assert length(text) >= timedelta(0)


@quick
@given(st.text(max_size=12))
def test_any_text_is_a_moment_or_a_bad_request(text: str) -> None:
    """Whatever is typed ends in a moment with a time zone, or in a BadRequest."""
    with suppress(BadRequest):
        assert moment(text, NOW).tzinfo is not None


def test_a_moment_is_a_length_ago_or_a_date() -> None:
    """7d counts back from now; a date without a zone is UTC; a zone that is given is kept."""
    assert moment("7d", NOW) == NOW - timedelta(days=7)
    assert moment("2026-11-01", NOW) == datetime(2026, 11, 1, tzinfo=UTC)
    assert moment("2026-11-01T10:00:00+02:00", NOW) == datetime(2026, 11, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "d", "-3d", "3 days", "1e3d", "soon", "2026-13-01"])
def test_what_is_neither_is_refused(text: str) -> None:
    """Words, signs, impossible dates: a BadRequest that shows what to write."""
    with pytest.raises(BadRequest, match="7d for seven days ago"):
        moment(text, NOW)
