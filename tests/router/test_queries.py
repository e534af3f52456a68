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
        (["3+4"], "messages[0]"),
        ({"role": "user", "content": "x"}, "messages"),
        ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "messages[0].content"),
        ([{"role": "assistant", "tool_calls": "zzz"}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": ["z"]}], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": [{"function": "f"}]}], "messages[0].tool_calls"),
        ([{"role": "user", "content": "half a letter: \ud83d"}], "messages"),
        ([{"role": "user", "content": "x", "name": object()}], "messages"),
        (None, "messages"),
        (7, "messages"),
    ],
)
def test_bad_messages_are_refused_by_field(messages: Any, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        as_query(messages)
    assert caught.value.field == field


def test_an_assistants_tool_call_needs_no_content() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert as_query([{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call]}])


def nested(levels: int) -> Any:
    """Objects in each other."""
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_nesting_that_cannot_be_sent_is_refused_by_field() -> None:
    """Wherever it is; what can be sent passes."""
    message = {"role": "user", "content": "x"}
    for field, query in (
        ("tools", Query((message,), tools=(nested(300),))),
        ("metadata", Query((message,), extra={"metadata": nested(300)})),
        ("messages", Query(({**message, "more": nested(300)},))),
    ):
        with pytest.raises(BadRequest, match="cannot be sent") as caught:
            as_query(query)
        assert caught.value.field == field
    assert as_query(Query((message,), extra={"metadata": nested(200)}))


@pytest.mark.parametrize("limit", [0, 8.5, "8", True])
def test_a_limit_that_is_no_number_of_tokens_is_refused(limit: Any) -> None:
    with pytest.raises(BadRequest, match="max_tokens"):
        as_query("x", max_tokens=limit)


@pytest.mark.parametrize(
    ("given", "field"),
    [({"tools": "x"}, "tools"), ({"tools": ["f"]}, "tools[0]"), ({"response_format": "json"}, "response_format")],
)
def test_wrong_demands_are_refused_by_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        as_query("x", **given)
    assert caught.value.field == field
