"""What callers give as a query, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.domain import Query
from pointsman.errors import BadRequest
from pointsman.router.queries import as_query


def test_a_string_is_a_users_message() -> None:
    assert as_query("hello") == Query(messages=({"role": "user", "content": "hello"},))


def test_messages_are_copied_not_kept() -> None:
    given: list[dict[str, Any]] = [{"role": "user", "content": "a"}]
    query = as_query(given)
    given[0]["content"] = "b"
    assert query.messages[0]["content"] == "a"


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([{"role": "user", "content": "  "}], "messages"),
        ([{"role": "robot", "content": "x"}], "messages[0].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": "x"}, {"role": "user"}], "messages[1].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
    ],
)
def test_bad_messages_are_refused_by_field(messages: list[dict[str, Any]], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        as_query(messages)
    assert caught.value.field == field


def test_an_assistants_tool_call_needs_no_content() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert as_query([{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call]}])


def test_a_limit_below_one_token_is_refused() -> None:
    with pytest.raises(BadRequest, match="max_tokens"):
        as_query("x", max_tokens=0)
