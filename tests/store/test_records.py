"""Records without their texts, and the calls in them that were paid for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Attempt, Outcome
from pointsman.store import Record, paid, query_hash, redacted
from pointsman.store.records import TEXT_NOT_KEPT, Entry


def test_a_redacted_record_keeps_numbers_names_and_the_hash(
    make_record: Callable[..., Record], make_attempt: Callable[..., Attempt]
) -> None:
    record = make_record(attempts=(make_attempt(error="no", warnings=("w",)), make_attempt()))
    record = replace(record, query=replace(record.query, group="sums"))
    bare = redacted(record)
    assert (bare.query.messages, bare.query.group) == ((), "sums")
    assert bare.query_hash == query_hash(record.query)
    assert [(a.answer, a.error, a.warnings) for a in bare.attempts] == [(None, TEXT_NOT_KEPT, ()), (None, None, ())]
    assert [a.usage for a in bare.attempts] == [a.usage for a in record.attempts]
    assert (bare.decision, bare.features, bare.encoder) == (record.decision, record.features, record.encoder)
    assert redacted(bare) == bare
    assert redacted(bare).query_hash == bare.query_hash, "the hash of the text that is gone stays"


@given(evidence=st.lists(st.integers(0, 3)), attempts=st.lists(st.integers(0, 3)))
def test_every_call_is_paid_once_and_keeps_its_places(
    make_record: Callable[..., Record], make_attempt: Callable[..., Attempt], evidence: list[int], attempts: list[int]
) -> None:
    """Small numbers stand for calls: those on both sides are the same call."""
    calls = [make_attempt(cost=float(n)) for n in range(4)]
    record = make_record(evidence=tuple(calls[n] for n in evidence), attempts=tuple(calls[n] for n in attempts))
    found = paid(record.decision, record.attempts)
    shared = sum(min(evidence.count(n), attempts.count(n)) for n in range(4))
    assert len(found) == len(evidence) + len(attempts) - shared
    for call in found:
        if call.evidence_position is not None:
            assert call.attempt == record.decision.evidence[call.evidence_position]
        if call.position is not None:
            assert call.attempt == record.attempts[call.position]
    assert sorted(c.position for c in found if c.position is not None) == list(range(len(attempts)))


def test_an_entrys_statements_begin_with_its_records(
    make_record: Callable[..., Record], make_outcome: Callable[..., Outcome]
) -> None:
    first, second = make_outcome(), make_outcome(value=0.0)
    entry = Entry("d1", make_record(outcomes=(first,)), (second,))
    assert entry.statements == (first, second)
    assert entry.items == 2
    assert Entry("d1", None, (second,)).statements == (second,)
