"""Short answers without their wrapping."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers.forms import short_form
from pointsman.classifiers.numerals import LONGEST

PIECES = ["\\frac", "\\dfrac", "{", "}", "(", ")", "[", "]", "\\left", "\\right", "\\text{", "\\,", "\\!", "\\", "{,}",
          "$", "**", "*", "`", '"', "'", ".", ",", " ", "  ", "1", "12", "000", "a", "b", "x", "word", "-", "\u2212",
          "+", "/", "^", "e", "%", "\\%", "=", "\\times", "\u00d7", "10^", "~", "\u201c", "\u201d",
          "\u0661"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join) | st.text(max_size=30).map(str.lower)


@given(TEXTS)
def test_a_form_is_its_own_and_never_empty(text: str) -> None:
    form = short_form(text)
    assert short_form(form) == form
    assert form or not text


@given(st.fractions(max_denominator=10**6))
def test_a_number_is_written_in_lowest_terms(value: Fraction) -> None:
    above, below = 3 * value.numerator, 3 * value.denominator
    for spelt in (str(value), f"{above}/{below}", f"$\\dfrac{{{above}}}{{{below}}}$", f"**{above} / {below}**."):
        assert short_form(spelt) == str(value)


SAME = [
    ["1000", "1,000", "1000.0", "$1000$", "$1,000", "\\$1,000", "1\\,000", "1{,}000", "1,\\!000", "+1000", "1e3",
     "10^3", "10^{3}", "1 \\times 10^3", "1\u00d710^{3}", "1 x 10^3", "\\(1000\\)", "\\[ 1000 \\]", "`1000`", "01000"],
    ["1/2", "0.5", ".5", "\\frac{1}{2}", "\\frac12", "\\dfrac{1}{2}", "\\tfrac12", "$\\frac{2}{4}$", "5e-1", "1 / 2"],
    ["-3/4", "\u22123/4", "-0.75", "- 0.75", "-\\frac{3}{4}", "\\frac{-3}{4}"],
    ["0", "-0", "0.00", "0/7"],
    ["50%", "50 %", "50\\%", "50.0%", "$50\\%$"],
    ["b", "(b)", "[b]", "b)", "b.", "**b**", "**b.**", "(b).", "\\text{b}", "\\text{(b)}", "\\mathrm{b}", '"b"', "`b`"],
    ["x=5+y", "x = 5 + y", "$x = 5+y$", "x=5\\, + y."],
    ["(1, 2)", "(1,2)", "\\left( 1 , 2 \\right)", "( 1, 2 )"],
    ["{1, 2}", "\\{1, 2\\}", "\\left\\{1,2\\right\\}"],
    ["1200 m", "1,200 m", "1,200\\text{ m}", "1200~m"],
    ["new york", "new york.", "**new york**", "**new** york", '"new york"', "\u201cnew york\u201d", "\\text{new york}"],
    ["2\\pi", "$2\\pi$"],
]  # fmt: skip


@pytest.mark.parametrize("spelt", SAME, ids=[group[0] for group in SAME])
def test_spellings_of_one_answer_agree(spelt: list[str]) -> None:
    assert {short_form(text) for text in spelt} == {spelt[0]}


def test_what_is_in_brackets_is_a_list_and_two_quotations_are_not_one() -> None:
    assert short_form("(1,200)") == "(1, 200)"
    assert short_form("'a' and 'b'") == "'a' and 'b'"


def test_different_answers_do_not() -> None:
    apart = [group[0] for group in SAME] + [
        "50", "1", "one", "12", "1 2", "1, 2", "1,2,3", "a", "(1, 200)", "(1200)", "1, 200", "11/2", "1 1/2", "2.5.1",
        "0.333...", "0.333", "x", "-x", "x=5", "5", "x^2", "x2", "f(x)", "yes", "no", "newyork", "new york city", "1/0",
        "[1, 2]", "1e999999999", "1e999999998", "5 kg", "a*", "c++", "c", "d. smith", "\\pi", "pi",
    ]  # fmt: skip
    for first, second in combinations(apart, 2):
        assert short_form(first) != short_form(second), (first, second)


@pytest.mark.parametrize("text", ["$", "**", ".", "...", "\\(\\)", "\\,", "$$$$", "\\text{}"])
def test_a_text_of_wrapping_alone_stays(text: str) -> None:
    assert short_form(text)


@pytest.mark.parametrize("piece", PIECES)
def test_no_answer_takes_long(piece: str) -> None:
    start = time.process_time()
    for frame in ("{}", "1{}", "{}1"):
        short_form(frame.format(piece * LONGEST)[:LONGEST])
    short_form(piece * 10**6)
    assert time.process_time() - start < 0.5
