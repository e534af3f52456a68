"""Statements: reading, refusing, telling repeats, making labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Metric, Outcome, Source, Verdict
from pointsman.errors import BadRequest
from pointsman.store import check_outcome, is_repeat, label, parse_outcome
from pointsman.store.outcomes import IMPORT_WEIGHT, JUDGE_WEIGHT, WEIGHTS, Label

Make = Callable[..., Outcome]


def test_every_source_has_its_weight() -> None:
    assert set(WEIGHTS) == set(Source)
    assert (WEIGHTS[Source.CHECK], JUDGE_WEIGHT, IMPORT_WEIGHT) == (1.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("metric", "value", "read"),
    [
        ("correct", 1, 1.0),
        ("correct", True, 1.0),
        ("score", 0.25, 0.25),
        ("verdict", "underpowered", Verdict.UNDERPOWERED),
        (None, "good_fit", Verdict.GOOD_FIT),
    ],
)
def test_what_a_caller_may_write_is_read(metric: str | None, value: object, read: object) -> None:
    parsed = parse_outcome(decision_id="d", metric=metric, value=value)
    assert parsed.value == read
    assert parsed.metric == (metric or "verdict")
    assert parsed.source is Source.USER
    assert parsed.created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"value": math.nan}, "value", "must be 0 or 1"),
        ({"value": 0.5}, "value", "must be 0 or 1"),
        ({"value": 2}, "value", "must be 0 or 1"),
        ({"value": "1"}, "value", "must be 0 or 1"),
        ({"value": None}, "value", "must be 0 or 1"),
        ({"value": "good_fit"}, "value", "must be 0 or 1"),
        ({"metric": "score", "value": 1.01}, "value", "from 0 to 1"),
        ({"metric": "score", "value": -math.inf}, "value", "from 0 to 1"),
        ({"metric": "verdict", "value": 1}, "value", "good_fit, underpowered, overprovisioned, failed"),
        ({"metric": "verdict", "value": "fine"}, "value", "good_fit"),
        ({"metric": None, "value": "fine"}, "value", "good_fit"),
        ({"metric": None, "value": 1}, "metric", "correct, score, verdict"),
        ({"metric": "accuracy"}, "metric", "correct, score, verdict"),
        ({"source": "dog"}, "source", "human, user, check, judge, import"),
        ({"source": ["user"]}, "source", "human"),
        ({"decision_id": ""}, "decision_id", "1 to 200"),
        ({"decision_id": "x" * 201}, "decision_id", "1 to 200"),
        ({"decision_id": 7}, "decision_id", "1 to 200"),
        ({"idempotency_key": "a\x00b"}, "idempotency_key", "printable"),
        ({"idempotency_key": ""}, "idempotency_key", "1 to 200"),
        ({"created_at": datetime(2030, 1, 1)}, "created_at", "zone"),
    ],
)
def test_what_a_caller_may_not_write_is_refused_by_field(changes: dict[str, Any], field: str, says: str) -> None:
    given_ = {"decision_id": "d", "metric": "correct", "value": 1} | changes
    with pytest.raises(BadRequest, match=says) as caught:
        parse_outcome(**given_)
    assert caught.value.field == field


def test_an_outcome_made_by_hand_is_checked_too(make_outcome: Make) -> None:
    check_outcome(make_outcome())
    with pytest.raises(BadRequest) as caught:
        check_outcome(make_outcome(value=math.nan))
    assert caught.value.field == "value"


def test_the_same_key_is_taken_once_whatever_it_says(make_outcome: Make) -> None:
    first = make_outcome(value=1.0, idempotency_key="k")
    assert is_repeat(make_outcome(value=0.0, minutes=9, source=Source.JUDGE, idempotency_key="k"), [first])
    assert not is_repeat(make_outcome(value=1.0, idempotency_key="other"), [first])


def test_without_a_key_only_the_latest_of_source_and_metric_can_be_repeated(make_outcome: Make) -> None:
    """A mind changed and changed back is three statements; another source's or metric's word is none of its repeats."""
    right, wrong = make_outcome(value=1.0), make_outcome(value=0.0, minutes=1)
    assert is_repeat(make_outcome(value=1.0, minutes=5), [right])
    assert not is_repeat(make_outcome(value=1.0, minutes=5), [right, wrong])
    assert not is_repeat(make_outcome(value=1.0, source=Source.CHECK), [right])
    assert not is_repeat(make_outcome(value=1.0, metric=Metric.SCORE), [right])
    assert not is_repeat(right, [])
    assert is_repeat(right, [right, wrong]), "the very same statement, written again"


@pytest.mark.parametrize(
    ("verdict", "correct"),
    [
        (Verdict.GOOD_FIT, 1.0),
        (Verdict.OVERPROVISIONED, 1.0),
        (Verdict.UNDERPOWERED, 0.0),
        (Verdict.FAILED, 0.0),
    ],
)
def test_a_verdict_says_whether_it_was_right(make_outcome: Make, verdict: Verdict, correct: float) -> None:
    assert label([make_outcome(value=verdict, metric=Metric.VERDICT)]) == Label(correct, 1.0)


def test_people_and_checks_go_before_judges_and_imports_and_the_latest_of_them_wins(make_outcome: Make) -> None:
    judged = make_outcome(value=1.0, minutes=60, source=Source.JUDGE)
    imported = make_outcome(value=0.25, minutes=30, source=Source.IMPORT, metric=Metric.SCORE)
    checked = make_outcome(value=0.0, minutes=5, source=Source.CHECK)
    human = make_outcome(value=1.0, minutes=2, source=Source.HUMAN)
    assert label([]) is None
    assert label([imported]) == Label(0.25, 1.0)
    assert label([judged, imported]) == Label(1.0, 0.5)
    assert label([judged, checked, human, imported]) == Label(0.0, 1.0)
    assert label([human, replace(human, value=0.0)]) == Label(0.0, 1.0), "of two at the same time the later to arrive"


@given(st.lists(st.tuples(st.sampled_from(Source), st.integers(0, 5), st.sampled_from([0.0, 1.0])), min_size=1))
def test_a_label_is_one_of_the_strongest_sources_values(said: list[tuple[Source, int, float]]) -> None:
    strong = {Source.HUMAN, Source.USER, Source.CHECK}
    statements = [
        Outcome("d", Metric.CORRECT, value, source, datetime(2030, 1, 1, minute, tzinfo=UTC))
        for source, minute, value in said
    ]
    counted = [s for s in statements if s.source in strong] or statements
    found = label(statements)
    assert found is not None
    newest = max(s.created_at for s in counted)
    assert found.correct in {s.value for s in counted if s.created_at == newest}
