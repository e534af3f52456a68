"""A decision's headers: what each says, what is left out, and that any text survives as one ASCII line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pointsman.api.headers import budget_word, decision_headers, header_text
from pointsman.domain import Decision, Enforcement, Objective, Price, Route

DECISION = Decision(
    id="dec_1",
    created_at=datetime(2030, 1, 1, tzinfo=UTC),
    route=Route("small", "digits", "direct", 0, Price(0.1, 0.0, 1.0)),
    reason="likeliest to be right (91%)",
    objective=Objective(),
    policy="expected-utility-1",
    confidence=0.91234,
    artifact="a1b2",
    overhead_ms=0.4567,
)


def test_all_that_is_known_of_an_answer_is_told() -> None:
    headers = decision_headers(DECISION, attempts=2, enforced=Enforcement.TWO_PASS, warnings=("a", "b"))
    assert headers == {
        "x-pointsman-decision-id": "dec_1",
        "x-pointsman-route": "small",
        "x-pointsman-mode": "direct",
        "x-pointsman-thinking-budget": "off",
        "x-pointsman-thinking-enforced": "two-pass",
        "x-pointsman-confidence": "0.9123",
        "x-pointsman-reason": "likeliest to be right (91%)",
        "x-pointsman-overhead-ms": "0.457",
        "x-pointsman-attempts": "2",
        "x-pointsman-warnings": "a; b",
        "x-pointsman-policy": "expected-utility-1; artifact=a1b2",
    }


def test_what_is_not_known_is_left_out_rather_than_guessed() -> None:
    headers = decision_headers(replace(DECISION, confidence=None, artifact=None))
    absent = {"thinking-enforced", "confidence", "attempts", "warnings"}
    assert not {f"x-pointsman-{name}" for name in absent} & set(headers)
    assert headers["x-pointsman-policy"] == "expected-utility-1; artifact=none"


def test_a_budget_is_a_number_off_or_unlimited() -> None:
    assert [budget_word(budget) for budget in (None, 0, 1, 2048)] == ["unlimited", "off", "1", "2048"]


@given(st.text(alphabet=st.characters(codec=None), max_size=700))
def test_any_text_is_one_readable_line_of_ascii(text: str) -> None:
    """No header can be split or smuggled in, whatever a reason or a route's name holds."""
    told = header_text(text)
    assert told.isascii()
    assert told == "" or told.isprintable()
    assert len(told) <= 500


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=400))
def test_plain_text_is_told_as_it_is(text: str) -> None:
    assert header_text(text) == text.strip()
