"""Which answers say the same."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pointsman.classifiers import Embedder
from pointsman.classifiers.answers import agreement_codes, likeness, normal_form, text_likenesses

PIECES = ["Answer:", "The answer is", "answer", "\\boxed{", "}", "####", "<answer>", "</answer>", "B", "b", "12",
          "1,000", "0.5", "\\frac", "{1}", "{2}", "$", "**", "-", "\u2212", ".", ":", ",", " ", "  ", "\t", "\u00a0",
          "\n", "\n\n", "x", "Paris", "is", "the city of light that all know", "St.", "(", ")", "\u0130"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=16).map("".join) | st.text(max_size=40)
WHY = "We add what was given to what was found, step by step, and look at it again."
FRAMES = ["{}", " {}.\n", "**{}**", "${}$", "\\boxed{{{}}}", "The answer is {}.", f"{WHY}\n\n**Answer:** {{}}",
          f"{WHY} So we get \\boxed{{{{{{}}}}}}.", f"The answer is ${{}}$. {WHY}", f"{WHY}\n#### {{}}"]  # fmt: skip


def spellings(value: Fraction) -> list[str]:
    """One rational as people write it."""
    above, below = value.numerator, value.denominator
    found = [
        f"{above}/{below}",
        f"{7 * above}/{7 * below}",
        f"\\frac{{{above}}}{{{below}}}",
        f"\\dfrac{{{above}}}{{{below}}}",
    ]
    if below == 1:
        found += [str(above), f"{above:,}", f"{above}.0", f"{above}e0", f"{above:,}.00", f"{10 * above}e-1"]
    if 10**6 % below == 0:
        exact = above * 10**6 // below
        found += [f"{exact}e-6", f"{'-' * (exact < 0)}{abs(exact) // 10**6}.{abs(exact) % 10**6:06d}"]
    return [*found, *(text.replace("-", "\u2212") for text in found)]


FRACTIONS = st.fractions(-(10**9), 10**9, max_denominator=1000) | st.integers(-(10**9), 10**9).map(Fraction)
SPELT = FRACTIONS.flatmap(lambda value: st.tuples(st.just(value), st.sampled_from(spellings(value))))


@pytest.mark.parametrize(
    ("answer", "exact", "free"),
    [("B", "B", "b"), ("  New \n York ", "New \n York", "new york"), ("", None, None), (" \t", None, None)],
)
def test_an_answer_has_a_form_by_how_it_is_compared(answer: str, exact: str | None, free: str | None) -> None:
    assert normal_form(answer, "exact") == exact
    assert normal_form(answer, "free_text") == free
    assert normal_form(None, "exact") is None


@given(TEXTS)
def test_a_normal_form_is_its_own(text: str) -> None:
    for comparison in ("exact", "free_text"):
        form = normal_form(text, comparison)
        assert normal_form(form, comparison) == form
    assert (normal_form(text, "free_text") is None) == (not text.strip())


@given(TEXTS, st.data())
def test_case_and_blanks_say_nothing(text: str, data: st.DataObject) -> None:
    """Nor do the ends of lines, unless something is marked as the answer: it ends with its line."""
    other = text.swapcase() if data.draw(st.booleans()) else text.lower()
    assume(other.lower() == text.lower())
    marks = any(mark in text.lower() for mark in ("answer", "boxed", "####"))
    blanks = [" ", "\t ", "\u2003", "   "] + ([] if marks else ["\n", "\n\n"])
    run = r"[^\S\n]+" if marks else r"\s+"
    other = re.sub(run, lambda _: data.draw(st.sampled_from(blanks)), other)
    assert normal_form(f" \n{other}\n\n", "free_text") == normal_form(text, "free_text")


@given(SPELT, SPELT, st.sampled_from(FRAMES), st.sampled_from(FRAMES))
def test_replies_agree_where_their_numbers_are_equal(
    first: tuple[Fraction, str], second: tuple[Fraction, str], frame: str, other: str
) -> None:
    a, b = normal_form(frame.format(first[1]), "free_text"), normal_form(other.format(second[1]), "free_text")
    assert a == str(first[0])
    assert (a == b) == (first[0] == second[0])


@given(FRACTIONS)
def test_every_spelling_of_a_number_agrees(value: Fraction) -> None:
    assert {normal_form(text, "free_text") for text in spellings(value)} == {str(value)}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("said", "form"), [("B", "b"), ("(B)", "b"), ("x = 5", "x=5"), ("50\\%", "50%")])
def test_replies_are_compared_by_their_final_answers(frame: str, said: str, form: str) -> None:
    if "####" not in frame:
        assert normal_form(frame.format(said), "free_text") == form


def test_texts_that_mark_no_answer_are_compared_as_a_whole() -> None:
    assert normal_form(f"{WHY}  {WHY} ${WHY}", "free_text") == f"{WHY} {WHY} ${WHY}".lower()
    assert normal_form("1e999999999", "free_text") == "1e999999999"


LONG = "The train leaves the town in the morning and comes back in the evening"


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        (f"{LONG}.\n\\boxed{{1/2}}", f"{WHY} So it is \\boxed{{0.5}}.", 1.0),
        (f"{LONG}.\n\\boxed{{1}}", f"{LONG}.\n\\boxed{{2}}", 0.0),
        (f"{LONG}. The answer is A.", f"{LONG}. The answer is B.", 0.0),
        (f"{LONG}.\nAnswer: 12", "12.0", 1.0),
        ("yes", "no", 0.0),
        ("yes", LONG, 0.0),
        ("yes", " ", None),
    ],
)
def test_likeness_goes_by_final_answers(static: Embedder, first: str, second: str, alike: float | None) -> None:
    assert likeness(first, second, static) == likeness(second, first, static) == alike


def test_texts_of_which_one_marks_no_answer_are_like_by_their_meaning(static: Embedder) -> None:
    near, far = f"{LONG} again", WHY
    for text in (LONG, f"{LONG}.\nAnswer: 12"):
        found = [likeness(text, other, static) for other in (near, far)]
        assert found[0] is not None
        assert found[1] is not None
        assert 0.0 <= found[1] < found[0] < 1.0
        assert likeness(text, near) == 0.0


def test_of_several_answers_only_texts_are_compared_by_their_meaning(static: Embedder) -> None:
    """Of short ones, of one that is none, and of a text with itself nothing is said here."""
    near = f"{LONG} again"
    given = [LONG, "12", None, near, WHY, LONG]
    found = text_likenesses(given, static)
    assert (found == found.T).all()
    assert not found[[1, 2]].any()
    assert not np.diag(found).any()
    assert found[0, 3] == likeness(LONG, near, static)
    assert found[0, 5] == 1.0
    assert 0.0 < found[0, 4] < found[0, 3] < 1.0


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
