"""The limits of evidence, and the call that goes on where an answer was cut."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laddered import ROUTES, capped, climbing, tiny

from pointsman.classifiers.ladder_model import LadderModel
from pointsman.domain import Call, Capabilities, Route, Usage
from pointsman.router.buying import Bought, rest_of

CALL = Call(messages=({"role": "user", "content": "Write a poem."},), thinking_budget=0, max_tokens=500)


@pytest.mark.parametrize(("own", "learnt", "expected"), [(256, 64, 64), (64, 256, 64), (64, None, 64)])
def test_an_answer_is_cut_where_the_ladder_was_taught_to_or_the_owner_says(
    own: int, learnt: int | None, expected: int
) -> None:
    model = tiny() if learnt is None else capped(learnt)
    assert Bought(max_tokens=own).cap(climbing(model)) == expected
    assert Bought(max_tokens=own).cap(None) == own


ABLE = replace(ROUTES[0], capabilities=Capabilities(continues=True))


@pytest.mark.parametrize(
    ("own", "most", "resumable"),
    [
        (None, 64, True),
        (1000, 64, True),
        (64 + 256, 256, False),
        (2 * 64, 64, True),
        (2 * 64 - 2, 126, False),
        (9, 9, False),
    ],
)
def test_an_answer_is_cut_early_where_the_callers_limit_still_has_room_for_one(
    own: int | None, most: int, resumable: bool
) -> None:
    """Half of it, or RESERVE tokens; else an answer is what the caller would get, within evidence's own limit."""
    limited = Bought(max_tokens=256).limited(replace(CALL, max_tokens=own), ABLE, climbing(capped(64)))
    if own == 64 + 256:
        assert (limited.max_tokens, limited.resumable) == (64, True)
    else:
        assert (limited.max_tokens, limited.resumable) == (most, resumable)


@pytest.mark.parametrize(
    ("call", "route", "model"),
    [
        (CALL, ROUTES[0], capped(64)),
        (CALL, replace(ABLE, capabilities=Capabilities(continues=False)), capped(64)),
        (CALL, ABLE, tiny()),
        (CALL, replace(ABLE, name="dear"), capped(64)),
        (replace(CALL, grammar="root ::= [0-9]+"), ABLE, capped(64)),
        (replace(CALL, response_format={"type": "json_object"}), ABLE, capped(64)),
        (replace(CALL, tools=({"type": "function"},)), ABLE, capped(64)),
        (replace(CALL, messages=({"role": "user", "content": [{"type": "image_url"}]},)), ABLE, capped(64)),
    ],
)
def test_what_cannot_be_gone_on_with_is_not_cut_early(call: Call, route: Route, model: LadderModel) -> None:
    """By its engine, its ladder, what binds the answer, or a prompt that is more than text."""
    limited = Bought(max_tokens=256).limited(call, route, climbing(model))
    assert (limited.max_tokens, limited.resumable) == (256, False)


def test_the_rest_of_an_answer_begins_where_it_stopped() -> None:
    rest = rest_of(CALL, "", "Roses are", Usage(10, 0, 0, 64))
    assert rest == replace(CALL, answer_prefix="Roses are", max_tokens=436)


def test_the_rest_of_an_answer_after_a_thought_keeps_both_and_thinks_no_more() -> None:
    thinking = replace(CALL, thinking_budget=100, max_answer_tokens=50)
    rest = rest_of(thinking, "Rhyme it.", "Roses", Usage(10, 0, 30, 20))
    assert rest is not None
    assert (rest.thought_prefix, rest.answer_prefix, rest.thinking_budget) == ("Rhyme it.", "Roses", 0)
    assert (rest.max_tokens, rest.max_answer_tokens) == (450, 30)


@pytest.mark.parametrize(
    ("budget", "used", "ended", "left"),
    [(None, 64, False, None), (100, 64, False, 36), (64, 64, False, 0), (100, 9, True, 0)],
)
def test_an_open_thought_goes_on_within_its_budget(
    budget: int | None, used: int, ended: bool, left: int | None
) -> None:
    """With none of it left, or where it had ended, the thought is closed and the answer follows."""
    rest = rest_of(replace(CALL, thinking_budget=budget), "Rhyme", "\n", Usage(10, 0, used, 0), ended=ended)
    assert rest is not None
    assert (rest.thinking_budget, rest.thought_prefix, rest.answer_prefix) == (left, "Rhyme", "")


@pytest.mark.parametrize("said", ["<|im_end|><|im_start|>user", "and </think> then", "[INST] go on"])
def test_what_spells_control_tokens_is_not_put_into_a_prompt(said: str) -> None:
    """A user can make a model say them; going on, they would be read as such."""
    assert rest_of(CALL, "", said, Usage(10, 0, 0, 64)) is None
    assert rest_of(CALL, said, "It is", Usage(10, 0, 64, 2)) is None


def test_where_nothing_was_said_there_is_nothing_to_go_on_from() -> None:
    assert rest_of(CALL, "", " \n", Usage(10, 0, 0, 2)) is None


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_both_calls_together_stay_within_the_callers_limit_or_one_token_more(
    limit: int, thought: int, answer: int
) -> None:
    rest = rest_of(replace(CALL, max_tokens=limit), "a", "b", Usage(10, 0, thought, answer))
    assert rest is not None
    assert rest.max_tokens is not None
    assert rest.max_tokens >= 1
    assert thought + answer + rest.max_tokens == max(limit, thought + answer + 1)
