"""Values to rows and back."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.domain import (
    Attempt,
    Capabilities,
    Decision,
    Enforcement,
    Estimate,
    Finish,
    Metric,
    Objective,
    ObjectiveKind,
    Outcome,
    Price,
    Purpose,
    Query,
    Route,
    Sampling,
    Source,
    Tier,
    Usage,
    Verdict,
)
from pointsman.store import Record, is_repeat, ledger, redacted
from pointsman.store.database import Database
from pointsman.store.records import Entry

any_text = st.text(st.characters(exclude_categories=()), max_size=8)
plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
names = plain_text.filter(bool)
numbers = st.floats(allow_nan=False, allow_infinity=False)
small_floats = st.floats(allow_nan=False, width=32)
counts = st.integers(0, 2**62)
vectors = st.none() | st.lists(small_floats, max_size=5).map(tuple)
moments = st.datetimes(
    min_value=datetime(1990, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=45))]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(any_text, json_values, max_size=3)
object_tuples = st.lists(objects, max_size=3).map(tuple)
texts = st.lists(any_text, max_size=3).map(tuple)

prices = st.builds(Price, numbers, numbers, numbers, st.booleans())
routes = st.builds(
    Route,
    name=names,
    model=names,
    mode=names,
    thinking_budget=st.none() | counts,
    price=prices,
    tier=st.none() | st.sampled_from(Tier),
    capabilities=st.builds(Capabilities, st.none() | counts, *[st.none() | st.booleans()] * 4),
)
estimates = st.builds(
    Estimate, names, *[numbers] * 7, st.none() | numbers, load_ms=st.none() | numbers, load_cost=numbers
)
attempts = st.builds(
    Attempt,
    route=names,
    model=names,
    purpose=st.sampled_from(Purpose),
    usage=st.builds(Usage, counts, counts, counts, counts),
    price=prices,
    cost=numbers,
    latency_ms=numbers,
    first_token_ms=st.none() | numbers,
    finish=st.sampled_from(Finish),
    enforced=st.sampled_from(Enforcement),
    thinking_budget=st.none() | counts,
    error=st.none() | plain_text,
    warnings=texts,
    answer=st.none() | plain_text,
    signs=st.dictionaries(any_text, numbers, max_size=3),
    kept=counts,
)
attempt_lists = st.lists(attempts, max_size=3)
queries = st.builds(
    Query,
    messages=object_tuples,
    tools=object_tuples,
    tool_choice=st.none() | any_text | objects,
    response_format=st.none() | objects,
    max_tokens=st.none() | counts,
    stop=texts,
    sampling=st.builds(Sampling, temperature=st.none() | numbers, top_k=st.none() | counts, seed=st.none() | counts),
    logprobs=st.none() | counts,
    extra=objects,
    group=st.none() | plain_text,
)
sayings = st.tuples(st.just(Metric.VERDICT), st.sampled_from(Verdict)) | st.tuples(
    st.sampled_from([Metric.CORRECT, Metric.SCORE]), st.floats(0, 1)
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any record; evidence and attempts may share calls, statements do not repeat."""
    decision_id = uuid.uuid4().hex
    shared, before, after = draw(attempt_lists), draw(attempt_lists), draw(attempt_lists)
    decision = Decision(
        id=decision_id,
        created_at=draw(moments),
        route=draw(routes),
        reason=draw(plain_text),
        objective=Objective(draw(st.sampled_from(ObjectiveKind)), draw(numbers)),
        policy=draw(plain_text),
        estimates=draw(st.dictionaries(any_text, estimates, max_size=3)),
        evidence=tuple(draw(st.permutations(before + shared))),
        propensity=draw(numbers),
        artifact=draw(st.none() | plain_text),
        confidence=draw(st.none() | numbers),
        observed=draw(st.none() | plain_text),
        overhead_ms=draw(numbers),
        warnings=draw(texts),
    )
    told: list[Outcome] = []
    for metric, value in draw(st.lists(sayings, max_size=4)):
        key = draw(st.none() | names)
        statement = Outcome(decision_id, metric, value, draw(st.sampled_from(Source)), draw(moments), key)
        if not is_repeat(statement, told):
            told.append(statement)
    return Record(
        decision=decision,
        query=draw(queries),
        attempts=tuple(shared + after),
        features=draw(vectors),
        embedding=draw(vectors),
        outcomes=tuple(told),
        encoder=draw(st.none() | plain_text),
    )


def through(database: Database, record: Record, *, keep_text: bool = True) -> Record:
    """What comes back of a record that was written."""
    with database.writing() as connection:
        ledger.write(connection, [Entry(record.decision.id, record)], keep_text=keep_text)
    with database.reading() as connection:
        read = ledger.read(connection, record.decision.id)
    assert read is not None
    return read


@settings(max_examples=30, deadline=None)
@given(record=records())
def test_a_record_comes_back_as_it_was(shared_database: Database, record: Record) -> None:
    assert through(shared_database, record) == record


@settings(max_examples=10, deadline=None)
@given(record=records())
def test_without_texts_exactly_the_redacted_record_comes_back(shared_database: Database, record: Record) -> None:
    read = through(shared_database, record, keep_text=False)
    assert read == redacted(record)
    assert read.query_hash == redacted(record).query_hash != ""


def test_what_no_database_holds_is_replaced(shared_database: Database, make_record: Callable[..., Record]) -> None:
    """NUL and lone surrogates in an answer become U+FFFD instead of losing the record; in messages they stay."""
    record = make_record("odd", "a\x00b\ud800c")
    odd = replace(record, attempts=(replace(record.attempts[0], answer="a\x00b\ud800c", error="x\x00"),))
    read = through(shared_database, odd)
    assert read.query == odd.query
    assert (read.attempts[0].answer, read.attempts[0].error) == ("a\ufffdb\ufffdc", "x\ufffd")


def test_not_a_number_stays_one(shared_database: Database, make_record: Callable[..., Record]) -> None:
    """SQLite writes NaN as NULL and JSON has no word for it; a record with one is kept all the same."""
    nan = math.nan
    record = make_record("nan")
    estimate = replace(record.decision.estimates["small"], p_correct=nan, cost=math.inf)
    decision = replace(record.decision, estimates={"small": estimate}, propensity=nan, confidence=nan)
    odd = replace(record, decision=decision, attempts=(replace(record.attempts[0], cost=nan, first_token_ms=nan),))
    signed = replace(odd.attempts[0], signs={"first_margin": nan, "mean_probability": 0.5})
    odd = replace(odd, attempts=(signed,))
    read = through(shared_database, odd)
    assert math.isnan(read.decision.propensity)
    assert math.isnan(read.decision.estimates["small"].p_correct)
    assert math.isnan(read.decision.estimates["small"].cost)
    assert math.isnan(read.attempts[0].cost)
    assert read.decision.confidence is None
    assert read.attempts[0].first_token_ms is None
    assert math.isnan(read.attempts[0].signs["first_margin"])
    assert read.attempts[0].signs["mean_probability"] == 0.5
