"""A caller who says that the last answer was wrong."""

from __future__ import annotations

import pytest

from pointsman.domain import Query
from pointsman.router.conversation import LONGEST, complains


def after_an_answer(text: str) -> Query:
    return Query(
        messages=(
            {"role": "user", "content": "What is 17 * 23?"},
            {"role": "assistant", "content": "381"},
            {"role": "user", "content": text},
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        "Wrong, try again",
        "wrong.",
        "No, that's wrong.",
        "that is incorrect",
        "That's not right",
        "Your answer is wrong!",
        "This isn't correct.",
        "Sorry, but it is still wrong",
        "Please think again.",
        "Hm. Try harder.",
        "I think that\u2019s incorrect",
    ],
)
def test_a_complaint_is_understood(text: str) -> None:
    assert complains(after_an_answer(text))


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, that is right.",
        "And what is 18 * 23?",
        "What is wrong with this sentence: He go home?",
        "Which of these statements is false?",
        "Write a story in which the king has to admit a mistake.",
        "",
        "Wrong. " + "Here is a long letter to be corrected. " * (LONGEST // 30),
    ],
)
def test_other_messages_are_none(text: str) -> None:
    assert not complains(after_an_answer(text))


def test_without_an_answer_before_it_nothing_is_complained_about() -> None:
    assert not complains(Query(messages=({"role": "user", "content": "Wrong, try again"},)))
    assert not complains(
        Query(messages=({"role": "system", "content": "Wrong."}, {"role": "user", "content": "try again"}))
    )


def test_text_in_parts_is_read_too() -> None:
    query = after_an_answer("x")
    parts = ({"role": "user", "content": [{"type": "text", "text": "that is wrong"}]},)
    assert complains(Query(messages=(*query.messages[:2], *parts)))
