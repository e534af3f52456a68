"""The questions that come with it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.errors import MissingExtra
from pointsman.router.jobs import builtin as module
from pointsman.router.jobs.builtin import FAMILIES, LENGTHS, builtin
from pointsman.router.jobs.checks import check


@settings(max_examples=8)
@given(st.integers(1, 90), st.integers(0, 5), st.booleans())
def test_questions_are_different_evenly_spread_the_same_again_and_answered_by_their_answers(
    n: int, seed: int, digits: bool
) -> None:
    drawn = builtin(n, seed, digits=digits)
    counts = Counter(q.group for q in drawn)
    groups = len(FAMILIES) + digits * len(LENGTHS)
    assert len({q.id for q in drawn}) == len({q.prompt for q in drawn}) == n
    assert set(counts.values()) <= {n // groups, n // groups + 1}
    assert builtin(n, seed, digits=digits) == drawn
    assert all(check(q.kind, q.answer, f"The answer is {q.answer}.").correct == 1.0 for q in drawn)
    assert {q.benchmark for q in drawn} == {"builtin"}


def test_every_family_has_levels_that_differ() -> None:
    assert len(FAMILIES) == 10
    for name, family in FAMILIES.items():
        assert len({str(level) for level in family.levels}) == 3, name


def test_without_reasoning_gym_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pointsman\[calibrate\]"):
        builtin(10)
