"""What training reads of the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pointsman.domain import Attempt, Finish, Metric, Observation, Outcome, Purpose, Query, Source, Usage, Verdict
from pointsman.store import Record, Store, StoreConfig, history, open_store
from pointsman.store.texts import text_hash

MakeRecord = Callable[..., Record]
MakeAttempt = Callable[..., Attempt]
MakeOutcome = Callable[..., Outcome]


def logged(store: Store, *records: Record, **how: object) -> list[Observation]:
    for record in records:
        assert store.put(record)
    return list(store.observations(**how))


def test_an_answered_attempt_with_its_label_is_an_observation(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    asked = text_hash("3+4=")
    assert logged(store, make_record(outcomes=(make_outcome(),))) == [
        Observation(
            query_id=asked,
            group=asked,
            route="small",
            correct=1.0,
            input_tokens=10,
            output_tokens=8,
            text="3+4=",
            answer="7",
            sample=0,
            weight=1.0,
            features=(0.5, 2.0),
            embedding=(0.25, -1.0, 3.0),
            model="digits",
            mode="direct",
            thought_tokens=5,
        )
    ]


def test_only_the_answer_that_the_caller_got_takes_the_label(
    store: Store, make_record: MakeRecord, make_attempt: MakeAttempt, make_outcome: MakeOutcome
) -> None:
    """What was escalated from, and probes, carry none: nobody said anything of them."""
    tried = (
        make_attempt(route="probe", purpose=Purpose.PROBE),
        make_attempt(route="small", usage=Usage(10, 0, 0, 2)),
        make_attempt(route="full", usage=Usage(10, 0, 90, 3)),
    )
    found = logged(store, make_record(attempts=tried, evidence=tried[:1], outcomes=(make_outcome(value=0.0),)))
    assert [(each.route, each.correct, each.output_tokens) for each in found] == [("small", None, 2), ("full", 0.0, 93)]
    assert [each.mode for each in found] == ["direct", None], "the decision's route tells its own mode only"


@pytest.mark.parametrize(
    "failure",
    [
        {"error": "refused", "finish": Finish.ERROR},
        {"error": "broken stream", "finish": Finish.STOP},
        {"finish": Finish.ERROR},
        {"finish": Finish.CANCELLED},
    ],
)
def test_an_outage_is_no_wrong_answer(
    store: Store,
    make_record: MakeRecord,
    make_attempt: MakeAttempt,
    make_outcome: MakeOutcome,
    failure: dict[str, object],
) -> None:
    """Whatever was said of a decision whose last attempt failed is said of no answer, an earlier one's included."""
    said = make_outcome(value=Verdict.FAILED, metric=Metric.VERDICT)
    alone = make_record("a", attempts=(make_attempt(**failure),), outcomes=(replace(said, decision_id="a"),))
    after = make_record(
        "b", attempts=(make_attempt(), make_attempt(**failure)), outcomes=(replace(said, decision_id="b"),)
    )
    saved = make_record(
        "c", attempts=(make_attempt(**failure), make_attempt()), outcomes=(make_outcome("c", value=1.0),)
    )
    assert [each.correct for each in logged(store, alone)] == []
    assert [each.correct for each in logged(store, after)] == [None]
    assert [each.correct for each in logged(store, saved)] == [None, 1.0]


def test_a_decision_that_its_caller_ran_teaches_whether_it_was_right(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """Nothing was run here, so nothing is known of tokens; without a statement there is nothing to learn."""
    told = make_record("a", attempts=(), evidence=(), outcomes=(make_outcome("a", 0.0, source=Source.JUDGE),))
    (found,) = logged(store, told, make_record("b", attempts=(), evidence=()))
    assert (found.route, found.model, found.thinking_budget) == ("small", "digits", 0)
    assert (found.correct, found.weight) == (0.0, 0.5)
    assert (found.input_tokens, found.output_tokens, found.answer) == (None, None, None)
    assert (found.text, found.features) == ("3+4=", (0.5, 2.0))


def test_an_answer_that_ran_out_of_tokens_can_be_wrong(
    store: Store, make_record: MakeRecord, make_attempt: MakeAttempt, make_outcome: MakeOutcome
) -> None:
    cut = make_record(attempts=(make_attempt(finish=Finish.LENGTH),), outcomes=(make_outcome(value=0.0),))
    assert [each.correct for each in logged(store, cut)] == [0.0]


def test_of_evidence_that_was_cut_the_length_is_not_known(
    store: Store, make_record: MakeRecord, make_attempt: MakeAttempt
) -> None:
    """It is at least what was bought; the caller's own answer, cut by the caller's own limit, is as long as it is."""
    cut = make_attempt(finish=Finish.LENGTH)
    evidence, answer = logged(store, make_record(attempts=(cut, cut)))
    assert (evidence.output_tokens, evidence.input_tokens) == (None, 10)
    assert answer.output_tokens == 8


def test_statements_are_weighed_by_who_made_them(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    judged = make_outcome("a", 1.0, source=Source.JUDGE)
    both = (replace(judged, decision_id="b"), make_outcome("b", 0.0, source=Source.HUMAN))
    found = logged(store, make_record("a", outcomes=(judged,)), make_record("b", outcomes=both), make_record("c"))
    assert [(each.correct, each.weight) for each in found] == [(1.0, 0.5), (0.0, 1.0), (None, 1.0)]


def test_a_decision_under_observe_counts_for_the_route_that_answered(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    record = make_record(outcomes=(make_outcome(),))
    observed = replace(record, decision=replace(record.decision, observed="full"))
    assert [(each.route, each.correct) for each in logged(store, observed)] == [("small", 1.0)]


def test_the_same_question_again_is_another_sample(store: Store, make_record: MakeRecord, moment: datetime) -> None:
    asked = [
        make_record(f"d{n}", said, created_at=moment + timedelta(minutes=n))
        for n, said in enumerate(["3+4=", "3 + 4 =", " 3+4= ", "3+4="])
    ]
    assert [each.sample for each in logged(store, *asked)] == [0, 0, 1, 2]


def test_a_question_that_was_given_a_group_is_in_it_whenever_it_is_asked(
    store: Store, make_record: MakeRecord, moment: datetime
) -> None:
    """Before and after, by whoever asks; the last group counts, and outside of `since` too. Others are their own."""

    def asked(name: str, minutes: int, said: str = "3+4=", group: str | None = None) -> Record:
        record = make_record(name, said, created_at=moment + timedelta(minutes=minutes))
        return replace(record, query=replace(record.query, group=group))

    records = (asked("a", 0), asked("b", 1, group="z"), asked("c", 2, group="sums"), asked("d", 3, "5-1="))
    other = text_hash("5-1=")
    assert [each.group for each in logged(store, *records)] == ["sums"] * 3 + [other]
    late = store.observations(moment + timedelta(minutes=3))
    assert [each.group for each in late] == [other]
    assert store.put(asked("e", 4, " 3+4=  "))
    late = store.observations(moment + timedelta(minutes=4))
    assert [each.group for each in late] == ["sums"]


def test_since_is_the_first_moment_that_counts(store: Store, make_record: MakeRecord, moment: datetime) -> None:
    made = [make_record(f"d{n}", str(n), created_at=moment + timedelta(hours=n)) for n in range(3)]
    assert [each.text for each in logged(store, *made, since=moment + timedelta(hours=1))] == ["1", "2"]


def test_what_is_learnt_from_is_the_callers_choice(store: Store, make_record: MakeRecord) -> None:
    def turns(query: Query) -> str:
        return f"{len(query.messages)} turn"

    assert [each.text for each in logged(store, make_record(), text_of=turns)] == ["1 turn"]


def test_vectors_of_another_encoder_are_left_out(store: Store, make_record: MakeRecord) -> None:
    found = logged(store, make_record(), make_record("d2", "?", encoder="static-2"), encoder="static-2")
    assert [(each.embedding is None, each.features is None) for each in found] == [(True, True), (False, False)]


def test_without_texts_there_are_the_hash_and_the_vectors(
    url: str, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    with open_store(StoreConfig(url=url, keep_text=False)) as store:
        store.upgrade()
        (found,) = logged(store, make_record(outcomes=(make_outcome(),)))
    assert (found.text, found.answer) == (None, None)
    assert (found.query_id, found.correct) == (text_hash("3+4="), 1.0)
    assert found.embedding == (0.25, -1.0, 3.0)


def test_every_page_is_read(store: Store, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PAGE", 3)
    assert len(logged(store, *[make_record(f"d{n}", str(n)) for n in range(9)])) == 9


def test_what_an_answers_own_probabilities_say_comes_with_it(
    store: Store, make_record: MakeRecord, make_attempt: MakeAttempt
) -> None:
    """Each attempt's with its own observation, evidence's too; none where none were given."""
    signs = {"first_probability": 0.75, "mean_probability": 0.5}
    tried = make_attempt(route="small", signs=signs), make_attempt(route="full")
    found = logged(store, make_record(attempts=tried, evidence=tried[:1]), make_record("asked", attempts=()))
    assert [(each.route, each.signs) for each in found] == [("small", signs), ("full", {})]


def test_a_thought_that_was_gone_on_with_is_as_long_as_if_one_route_had_thought_it(
    store: Store, make_record: MakeRecord, make_attempt: MakeAttempt
) -> None:
    """What it kept is its thought to whoever learns how long the route's answers are, and no part of the question."""
    tried = (
        make_attempt(route="budgeted", usage=Usage(10, 0, 19, 1), thinking_budget=17),
        make_attempt(route="full", usage=Usage(27, 26, 23, 2), kept=17),
    )
    found = logged(store, make_record(attempts=tried, evidence=tried[:1]))
    told = [(each.input_tokens, each.output_tokens, each.thought_tokens) for each in found]
    assert told == [(10, 20, 19), (10, 42, 40)]


def test_what_probes_cost_stands_with_the_answer_that_they_were_about(
    store: Store, make_record: MakeRecord, make_attempt: MakeAttempt
) -> None:
    """Those of another route's answer are that one's."""
    tried = (
        make_attempt(route="small", purpose=Purpose.PROBE, cost=0.25),
        make_attempt(route="small", purpose=Purpose.PROBE, cost=0.5),
        make_attempt(route="small", usage=Usage(10, 0, 0, 2)),
        make_attempt(route="full", usage=Usage(10, 0, 90, 3)),
    )
    found = logged(store, make_record(attempts=tried, evidence=tried[:3]))
    assert [(each.route, each.probe_cost) for each in found] == [("small", 0.75), ("full", 0.0)]


def test_an_answer_that_was_cut_off_has_no_text_to_compare(
    store: Store, make_record: MakeRecord, make_attempt: MakeAttempt
) -> None:
    """As while serving, where it is unread evidence."""
    (found,) = logged(store, make_record(attempts=(make_attempt(finish=Finish.LENGTH, answer="The answer is"),)))
    assert found.answer is None
    assert found.output_tokens is not None
