"""Checks: what counts as the answer, and what as right."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.router.jobs.checks import KINDS, Checked, Kind, check, final, normal, number

WORDS = st.text(string.ascii_letters + string.digits + "äöß -", min_size=1, max_size=30).filter(lambda t: t.strip(" -"))
NUMBERS = st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: round(x, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [None, "", " \n"])
def test_no_answer_is_wrong(kind: Kind, text: str | None) -> None:
    wanted = {"number": 0, "json_schema": {}}.get(kind, "")
    assert check(kind, wanted, text) == Checked(0.0, None)


@given(
    WORDS,
    st.sampled_from(
        ["{}", " {}.\n", "**{}**", '"{}"', "\\boxed{{{}}}", "So:\nThe answer is {}.", "<answer>{}</answer>"]
    ),
)
def test_the_same_text_is_right_however_it_is_wrapped(wanted: str, frame: str) -> None:
    """Case, blanks and punctuation at the ends say nothing."""
    found = check("exact", wanted, frame.format(wanted.swapcase() if wanted.isascii() else wanted))
    assert found == Checked(1.0, normal(wanted))


@given(WORDS, WORDS)
def test_another_text_is_wrong(wanted: str, other: str) -> None:
    assert check("exact", wanted, other).correct == float(normal(wanted) in (normal(other), normal(final(other))))


@given(
    NUMBERS,
    st.sampled_from(["{}", "It is {} apples", "1 + 1 = {}", "Answer: {}", "\\boxed{{{}}}", "2, 3 and then {}."]),
)
def test_a_number_is_the_last_of_the_answer(wanted: float, frame: str) -> None:
    for shape in ("{:.3f}", "{:,.3f}", "{!r}"):
        assert check("number", wanted, frame.format(shape.format(wanted))).correct == 1.0


@given(NUMBERS, st.floats(0, 10), st.floats(-20, 20))
def test_a_number_may_be_off_by_the_tolerance_and_not_more(wanted: float, tolerance: float, off: float) -> None:
    given_ = float(f"{wanted + off:.6f}")
    right = check("number", wanted, f"{given_:.6f}", tolerance).correct
    assert right == float(abs(given_ - wanted) <= tolerance)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3/4", 0.75), ("-7", -7), ("\u22127", -7), ("1,234,567", 1234567), ("1, 2", 2), (".5", 0.5), ("2e3", 2000),
     ("x1", None), ("none", None), ("1/0", None), ("3.", 3), ("$5.20", 5.2), ("10-3", 3), ("v1.2.3", None)],
)  # fmt: skip
def test_numbers_in_texts(text: str, value: float | None) -> None:
    assert number(text) == value


@given(
    st.sampled_from("ABCDEFGHIJ"),
    st.sampled_from(["{}", "({})", "{}.", "{}) because", "The answer is ({}).", "Answer: {}", "\\boxed{{{}}}"]),
)
def test_a_choice_is_its_letter(letter: str, frame: str) -> None:
    assert check("choice", letter, frame.format(letter)) == Checked(1.0, letter)
    assert check("choice", "K", frame.format(letter)) == Checked(0.0, letter)


@pytest.mark.parametrize(
    ("text", "letter"), [("A dog, so B", "B"), ("I think it is C", "C"), ("b", "B"), ("nothing", None)]
)
def test_words_are_no_letters(text: str, letter: str | None) -> None:
    assert check("choice", "Z", text).answer == letter


@pytest.mark.parametrize(
    ("wanted", "text", "right"),
    [
        ("1/2", "The answer is $\\frac{1}{2}$", 1.0),
        ("1/2", "\\boxed{0.5}", 1.0),
        ("x^2+2*x+1", "$(x+1)^2$", 1.0),
        ("2", "3", 0.0),
        ("\\sqrt{8}", "$2\\sqrt{2}$", 1.0),
    ],
)
def test_formulae_are_compared_as_mathematics(wanted: str, text: str, right: float) -> None:
    assert check("mathematics", wanted, text).correct == right


def test_an_expression_is_searched_for() -> None:
    assert check("regex", r"\b(?:yes|ja)\b", "Well, yes.") == Checked(1.0, "yes")
    assert check("regex", r"^no$", "Well, yes.").correct == 0.0


@pytest.mark.parametrize(
    ("text", "right"),
    [('{"a": 1}', 1.0), ('Here:\n```json\n{"a": 1}\n```', 1.0), ('{"a": "1"}', 0.0), ("{}", 0.0), ("a: 1", 0.0)],
)
def test_json_is_checked_by_its_schema(text: str, right: float) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    assert check("json_schema", schema, text).correct == right


@given(st.text(max_size=300))
def test_any_text_can_be_checked(text: str) -> None:
    """Whatever a model writes, the quick checks come to a result."""
    for kind, wanted in (("exact", "x"), ("number", 1), ("choice", "A")):
        assert check(kind, wanted, text).correct in (0.0, 1.0)  # type: ignore[arg-type]
