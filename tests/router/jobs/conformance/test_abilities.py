"""Fields, counts, tools, schemas, streams: what follows from what was seen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeing import failed, seen

from pointsman.domain import Call, Usage
from pointsman.router.jobs.conformance import abilities
from pointsman.router.jobs.conformance.findings import Ruling

KEPT, BROKEN, NOT_SHOWN, NOT_POSSIBLE = Ruling.KEPT, Ruling.BROKEN, Ruling.NOT_SHOWN, Ruling.NOT_POSSIBLE


def test_where_the_thought_comes_back() -> None:
    assert abilities.apart([seen(9), seen(0)]).ruling is KEPT
    assert abilities.apart([seen(9), seen(9, text="<think>a</think>7")]).ruling is BROKEN
    assert abilities.apart([seen(90, shown=False)]).ruling is NOT_POSSIBLE
    assert abilities.apart([seen(0)]).ruling is NOT_SHOWN
    assert abilities.apart([]).sentence == "The model does not think."
    assert abilities.apart([failed("is down")]).sentence == "Every call failed: is down"


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 5_000), st.integers(1, 5_000))
def test_counts_hold_within_two_tokens_or_a_hundredth(thought: int, told: int, answer: int, read: int) -> None:
    one = seen(thought, answer, usage=Usage(9, 0, told, answer), text="a", text_tokens=read, thought_tokens=thought)
    fine = abs(told - thought) <= max(2, thought / 100) and abs(answer - read) <= max(2, read / 100)
    found = abilities.counts([one])
    assert found.ruling is (KEPT if fine else BROKEN)
    assert found.figures["difference"] == max(abs(told - thought), abs(answer - read))


def test_what_cannot_be_recounted_is_not_countable() -> None:
    assert abilities.counts([seen(text_tokens=None)]).ruling is Ruling.NOT_COUNTABLE
    guessed = seen(warnings=("the server told no usage: the prompt's tokens are estimated",))
    assert abilities.counts([guessed]).ruling is Ruling.NOT_COUNTABLE


def test_going_on_is_neither_repeating_nor_silence() -> None:
    answer = Call(answer_prefix="forty-")
    assert abilities.prefill([]).ruling is NOT_POSSIBLE
    assert abilities.prefill([seen(call=answer, text="two")]).ruling is KEPT
    assert abilities.prefill([seen(call=answer, text="forty-two")]).ruling is BROKEN
    assert abilities.prefill([seen(call=answer, text="")]).ruling is BROKEN
    assert abilities.prefill([replace(seen(call=Call(thought_prefix="first")), thought="first, then")]).ruling is BROKEN
    assert abilities.prefill([failed("400")]).ruling is NOT_POSSIBLE


def called(arguments: str) -> Any:
    return seen(text="", tools=({"function": {"name": "f", "arguments": arguments}},))


def test_a_tools_arguments_are_json_and_complete() -> None:
    assert abilities.tools(None, ("harbour",)).ruling is NOT_POSSIBLE
    assert abilities.tools(failed("is down"), ("harbour",)).ruling is NOT_POSSIBLE
    assert abilities.tools(seen(), ("harbour",)).ruling is NOT_SHOWN
    assert abilities.tools(called('{"harbour": "Skagen"}'), ("harbour",)).ruling is KEPT
    for wrong in ("", "{", "[]", "null", '{"port": 1}', '{"harbour": "Ska'):
        assert abilities.tools(called(wrong), ("harbour",)).ruling is BROKEN


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3))
def test_only_the_asked_object_is_of_the_schema(value: Any) -> None:
    wanted = KEPT if type(value) is int else BROKEN
    assert abilities.schema(seen(text=json.dumps({"answer": value})), "answer").ruling is wanted
    assert abilities.schema(seen(text=json.dumps(value)), "answer").ruling is BROKEN
    assert abilities.schema(seen(text=json.dumps({"answer": 1, "more": value})), "answer").ruling is BROKEN


def test_a_schema_that_binds_the_thought_or_is_refused_or_is_known_to_be_ignored() -> None:
    text = '{"answer": 7}'
    assert abilities.schema(seen(5, text=text), "answer").sentence == "It binds the answer, and the thought is free."
    assert abilities.schema(replace(seen(5, text=text), thought=text), "answer").ruling is BROKEN
    assert abilities.schema(failed("no", refused=True), "answer").ruling is NOT_POSSIBLE
    warned = seen(text="7", warnings=("transformers serve ignores response_format",))
    assert abilities.schema(warned, "answer").sentence == "Transformers serve ignores response_format."


def test_logprobs_come_or_do_not() -> None:
    assert abilities.logprobs(seen(logprobs=3)).ruling is KEPT
    assert abilities.logprobs(seen()).ruling is NOT_POSSIBLE
    assert abilities.logprobs(failed()).ruling is NOT_POSSIBLE


@pytest.mark.parametrize(
    ("arrivals", "total", "tokens", "ruling"),
    [
        ((100.0, 500.0, 1_900.0), 2_000.0, 60, KEPT),
        ((1_900.0,), 2_000.0, 60, BROKEN),
        ((1_900.0, 1_901.0, 1_902.0), 2_000.0, 60, BROKEN),
        ((9.0, 9.1), 10.0, 60, KEPT),  # too quick for a proxy to have held it back
        ((9.0,), 10.0, 2, NOT_SHOWN),
    ],
)
def test_replies_come_as_they_are_made(arrivals: Any, total: float, tokens: int, ruling: Ruling) -> None:
    one = seen(tokens - 1, 1, arrivals=arrivals, total_ms=total)
    assert abilities.streaming([one, seen(0, 1, arrivals=(1.0,))]).ruling is ruling


TIMES = st.floats(0, 60_000)


@given(TIMES, TIMES, TIMES)
def test_cancelling_is_judged_only_where_there_was_enough_to_wait_for(
    whole: float, following: float, alone: float
) -> None:
    found = abilities.cancelling(whole, following, alone)
    if whole - alone < abilities.SLOW_MS:
        assert found.ruling is NOT_SHOWN
    else:
        assert found.ruling is (KEPT if following <= (whole + alone) / 2 + 1e-6 else BROKEN)


def test_a_call_that_fails_after_others_were_left_is_a_server_that_is_not_free() -> None:
    assert abilities.cancelling(1, 1, 1, error="busy").ruling is BROKEN


@given(st.lists(st.tuples(st.sampled_from([0, 16, 64]), st.integers(0, 200)), min_size=1, max_size=8))
def test_calls_at_once_have_each_their_own_budget(drawn: list[tuple[int, int]]) -> None:
    """One that got its neighbour's is found."""
    found = abilities.parallel([seen(thought, 3, budget=budget) for budget, thought in drawn])
    wrong = any(thought > (budget + 32 if budget else 0) for budget, thought in drawn)
    assert (found.ruling, found.promise) == (BROKEN if wrong else KEPT, True)


def test_calls_at_once_are_all_answered() -> None:
    assert "1 of 2 calls at once failed: busy" in abilities.parallel([seen(), failed("busy")]).sentence
    assert abilities.parallel([seen(), seen(text="")]).ruling is BROKEN


@pytest.mark.parametrize(
    ("asked", "told", "ruling"),
    [
        ("qwen3", "qwen3", KEPT),
        ("qwen3", "Qwen3:latest", KEPT),
        ("Qwen/Qwen3-8B", "qwen3-8b", KEPT),
        ("gpt-4o", "gpt-4o-2024-08-06", KEPT),
        ("qwen3", "llama-3", BROKEN),
        (None, "first", KEPT),
        (None, "third", BROKEN),
    ],
)
def test_the_name_that_it_answers_under(asked: str | None, told: str, ruling: Ruling) -> None:
    found = abilities.name(asked, ("first", "second"), [replace(seen(), model=told)])
    assert (found.ruling, found.promise) == (ruling, False)
    assert told in found.sentence
