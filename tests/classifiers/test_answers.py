"""Which answers say the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers.answers import agreement_codes, normal_form


@pytest.mark.parametrize(
    ("answer", "exact", "free"),
    [("B", "B", "b"), ("  New \n York ", "New \n York", "new york"), ("", None, None), (" \t", None, None)],
)
def test_an_answer_has_a_form_by_how_it_is_compared(answer: str, exact: str | None, free: str | None) -> None:
    assert normal_form(answer, "exact") == exact
    assert normal_form(answer, "free_text") == free
    assert normal_form(None, "exact") is None


def test_codes_are_equal_within_a_row_where_answers_agree() -> None:
    given = [["A", "a", "A"], ["x  y", "X Y", None], ["B", "A", ""]]
    exact, free = agreement_codes(given, "exact"), agreement_codes(given, "free_text")
    assert [list(row) for row in exact] == [[0, 1, 0], [0, 1, -1], [0, 1, -1]]
    assert [list(row) for row in free] == [[0, 0, 0], [0, 0, -1], [0, 1, -1]]


def test_answers_that_cannot_be_compared_agree_with_none() -> None:
    assert (agreement_codes([["A", "A"]], None) == -1).all()
    assert agreement_codes([], "exact").shape == (0, 0)


@given(st.lists(st.lists(st.sampled_from(["A", "B", "a", None, " "]), min_size=3, max_size=3), min_size=1, max_size=6))
def test_agreement_is_that_of_each_pair_alone(rows: list[list[str | None]]) -> None:
    """The code of an answer says nothing of the others but which are equal to it."""
    codes = agreement_codes(rows, "exact")
    for row, given_ in zip(codes, rows, strict=True):
        for a in range(3):
            assert (row[a] < 0) == (given_[a] in (None, " "))
            for b in range(3):
                same = given_[a] == given_[b] and given_[a] not in (None, " ")
                assert (row[a] == row[b] and row[a] >= 0) == same


def test_codes_are_whole_numbers() -> None:
    assert agreement_codes([["A"]], "exact").dtype == np.int64
