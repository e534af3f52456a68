"""Decisions without answers, reading them back, and saying how they turned out, from the moment of the answer on."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api.errors import ErrorBody
from pointsman.api.responses import DecisionBody, ReceiptBody, RecordBody

UNKNOWN = "dec_00000000000000000000000000000000"


def decided(proxy: Any, **fields: Any) -> str:
    """The id of a fresh answer's decision."""
    return proxy.ask(**{"model": "small"} | fields).headers["x-pointsman-decision-id"]


def test_a_decision_runs_no_model_and_says_all_that_it_knows(proxy: Any) -> None:
    response = proxy.post("/v1/route", {"query": "3+4*2", "model": "auto:full"})
    decision = DecisionBody.model_validate(response.json())
    assert response.status_code == 200
    assert (decision.route.name, decision.route.thinking_budget) == ("full", None)
    assert decision.propensity == 1
    assert response.headers["x-pointsman-decision-id"] == decision.id
    record = RecordBody.model_validate(proxy.get(f"/v1/decisions/{decision.id}").json())
    assert record.attempts == []


def test_a_decision_takes_messages_and_the_same_wishes(proxy: Any) -> None:
    messages = [{"role": "user", "content": "3+4*2"}]
    body = proxy.post("/v1/route", {"messages": messages, "model": "digits(9)", "objective": "quality=0.9"}).json()
    assert body["route"]["thinking_budget"] == 9
    assert body["objective"] == {"kind": "quality", "value": 0.9}
    same = proxy.post("/v1/route", {"messages": messages, "model": "digits", "thinking_budget": 9}).json()
    assert same["route"] == body["route"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"query": "x", "messages": [{"role": "user", "content": "x"}]}, "messages"),
        ({"query": "x", "stream": True}, "stream"),
        ({"query": "  "}, "messages"),
        ({"query": "x", "model": "gpt-9"}, "model"),
    ],
)
def test_a_decision_on_nothing_or_on_nonsense_is_refused(proxy: Any, body: dict[str, Any], param: str) -> None:
    response = proxy.post("/v1/route", body)
    assert response.status_code in (400, 404)
    assert ErrorBody.model_validate(response.json()).error.param == param


def test_an_answers_decision_can_be_read_at_once_without_its_texts(proxy: Any) -> None:
    answer = proxy.ask("what is 7-2", model="full")
    record_id = answer.headers["x-pointsman-decision-id"]
    raw = proxy.get(f"/v1/decisions/{record_id}")
    record = RecordBody.model_validate(raw.json())
    (attempt,) = record.attempts
    usage = answer.json()["usage"]
    assert (attempt.route, attempt.model, attempt.error) == ("full", "digits", None)
    assert attempt.usage.thought + attempt.usage.answer == usage["completion_tokens"]
    assert attempt.usage.prompt == usage["prompt_tokens"]
    assert attempt.enforced == answer.headers["x-pointsman-thinking-enforced"]
    price, priced = attempt.price, attempt.usage
    cost = (priced.prompt - priced.cached) * price.input + (priced.thought + priced.answer) * price.output
    assert attempt.cost == pytest.approx(cost / 1e6)
    assert "what is 7-2" not in raw.text


def test_a_decision_reads_the_same_queued_and_written(proxy: Any) -> None:
    record_id = decided(proxy)
    queued = proxy.get(f"/v1/decisions/{record_id}").json()
    assert proxy.router.store.flush()
    written = proxy.get(f"/v1/decisions/{record_id}").json()
    assert written == queued


def test_a_streams_decision_is_recorded_too(proxy: Any) -> None:
    record = RecordBody.model_validate(proxy.get(f"/v1/decisions/{decided(proxy, stream=True)}").json())
    assert record.attempts[-1].finish in ("stop", "length")


def test_feedback_is_taken_at_once_and_a_repeat_only_once(proxy: Any) -> None:
    record_id = decided(proxy)
    word = {"decision_id": record_id, "metric": "correct", "value": 1, "source": "human"}
    first, again = proxy.post("/v1/feedback", word), proxy.post("/v1/feedback", word)
    assert (first.status_code, again.status_code) == (201, 200)
    assert ReceiptBody.model_validate(first.json()).accepted
    assert ReceiptBody.model_validate(again.json()).duplicate
    outcomes = proxy.get(f"/v1/decisions/{record_id}").json()["outcomes"]
    assert [(o["metric"], o["value"], o["source"]) for o in outcomes] == [("correct", 1, "human")]


def test_the_same_key_is_taken_once_whatever_it_says_and_after_writing(proxy: Any) -> None:
    record_id = decided(proxy)
    word = {"decision_id": record_id, "metric": "score", "value": 0.5, "source": "check", "idempotency_key": "k1"}
    assert proxy.post("/v1/feedback", word).status_code == 201
    assert proxy.router.store.flush()
    assert proxy.post("/v1/feedback", {**word, "value": 0.6}).status_code == 200
    assert len(proxy.get(f"/v1/decisions/{record_id}").json()["outcomes"]) == 1


@pytest.mark.parametrize("value", ["good_fit", "underpowered", "overprovisioned", "failed"])
def test_the_words_of_a_verdict_are_taken(proxy: Any, value: str) -> None:
    """With their metric or without: the word says it."""
    for metric in ({"metric": "verdict"}, {}):
        record_id = decided(proxy)
        word = {"decision_id": record_id, "value": value, "source": "user", **metric}
        assert proxy.post("/v1/feedback", word).status_code == 201
        assert proxy.get(f"/v1/decisions/{record_id}").json()["outcomes"][0]["metric"] == "verdict"


def test_true_and_false_are_one_and_nothing(proxy: Any) -> None:
    record_id = decided(proxy)
    assert proxy.post("/v1/feedback", {"decision_id": record_id, "value": True}).status_code == 201
    assert proxy.get(f"/v1/decisions/{record_id}").json()["outcomes"][0]["value"] == 1


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"value": 2}, "value"),
        ({"value": 0.5}, "value"),
        ({"metric": "score", "value": -0.1}, "value"),
        ({"metric": "score", "value": "high"}, "value"),
        ({"metric": "verdict", "value": "superb"}, "value"),
        ({"metric": "speed"}, "metric"),
        ({"source": "oracle"}, "source"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"decision": "x"}, "decision"),
    ],
)
def test_wrong_feedback_is_named(proxy: Any, change: dict[str, Any], param: str) -> None:
    word = {"decision_id": decided(proxy), "metric": "correct", "value": 1, "source": "human"} | change
    response = proxy.post("/v1/feedback", word)
    assert response.status_code == 400
    assert ErrorBody.model_validate(response.json()).error.param == param


def test_an_unknown_decision_is_not_found(proxy: Any) -> None:
    read = proxy.get(f"/v1/decisions/{UNKNOWN}")
    said = proxy.post("/v1/feedback", {"decision_id": UNKNOWN, "value": 1})
    for response in (read, said):
        assert response.status_code == 404
        assert UNKNOWN in ErrorBody.model_validate(response.json()).error.message
