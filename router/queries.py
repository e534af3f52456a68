"""What Python callers give (a string, messages, a Query) as a Query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import orjson

from ..domain import Json, Query
from ..errors import BadRequest

Askable: TypeAlias = str | Sequence[Mapping[str, Any]] | Query
"""A question, a conversation in OpenAI's chat form, or a ready Query."""

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def as_query(
    given: Askable, *, tools: Sequence[Json] = (), response_format: Json | None = None, max_tokens: int | None = None
) -> Query:
    """The Query that was meant. Raises BadRequest naming the field."""
    if isinstance(given, Query):
        return check_query(given)
    messages = ({"role": "user", "content": given},) if isinstance(given, str) else _objects(given, "messages")
    if response_format is not None and not _is_object(response_format):
        raise BadRequest("response_format must be an object.", field="response_format")
    return check_query(
        Query(
            messages=messages,
            tools=_objects(tools, "tools"),
            response_format=response_format,
            max_tokens=max_tokens,
        )
    )


def _objects(given: object, field: str) -> tuple[Json, ...]:
    """Copies of the objects in a list. Raises BadRequest naming the field, whatever else was given."""
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise BadRequest(f"{field} must be a list of objects, not {given!r:.50}.", field=field)
    for i, one in enumerate(cast("Sequence[object]", given)):
        if not _is_object(one):
            raise BadRequest(f"{field}[{i}] must be an object, not {one!r:.50}.", field=f"{field}[{i}]")
    return tuple(dict(one) for one in cast("Sequence[Mapping[str, Any]]", given))


def check_query(query: Query) -> Query:
    """The query itself where it makes sense. Raises BadRequest naming the field."""
    if not query.messages:
        raise BadRequest("messages must have at least one message.", field="messages")
    for i, message in enumerate(query.messages):
        _check_message(f"messages[{i}]", message)
    if not any(_says_something(message) for message in query.messages):
        raise BadRequest("messages are all empty.", field="messages")
    if query.max_tokens is not None and not (is_count(query.max_tokens) and query.max_tokens >= 1):
        raise BadRequest(f"max_tokens must be a whole number, 1 or more, not {query.max_tokens!r}.", field="max_tokens")
    sent = {"messages": query.messages, "tools": query.tools, "tool_choice": query.tool_choice}
    for field, value in {**query.extra, **sent, "response_format": query.response_format, "stop": query.stop}.items():
        _check_json(field, value)
    return query


def _check_message(field: str, message: Mapping[str, Any]) -> None:
    """Raises BadRequest where a message is none."""
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls")
    if role not in ROLES:
        raise BadRequest(f"{field}.role is {role!r}; allowed: {', '.join(ROLES)}.", field=f"{field}.role")
    if content is None and not calls and role != "assistant":
        raise BadRequest(f"{field}.content is missing.", field=f"{field}.content")
    if content is not None and not isinstance(content, (str, list)):
        raise BadRequest(f"{field}.content must be text or a list of parts.", field=f"{field}.content")
    for part in _objects(cast("object", content), f"{field}.content") if isinstance(content, list) else ():
        if not isinstance(part.get("text", ""), str):
            raise BadRequest(f"{field}.content has a part whose text is none.", field=f"{field}.content")
    for call in _objects(calls, f"{field}.tool_calls") if calls is not None else ():
        if not _is_object(call.get("function", {})):
            raise BadRequest(f"{field}.tool_calls has a call whose function is no object.", field=f"{field}.tool_calls")


def _check_json(field: str, value: object) -> None:
    """Raises BadRequest for what can be neither sent nor kept: half a character (a lone surrogate), a value that JSON
    has not, nesting beyond what is read (some 250 levels, a few less than orjson's 254: it is sent inside a body)."""
    try:
        orjson.dumps([[[[value]]]])
    except TypeError as error:  # orjson.JSONEncodeError is one
        raise BadRequest(f"{field} cannot be sent as JSON: {error}.", field=field) from None


def is_number(value: object) -> bool:
    """Whether a value is a number and no truth value: Python callers are checked by nobody else."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether a value is a whole number and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _says_something(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return bool(message.get("tool_calls")) or (bool(content.strip()) if isinstance(content, str) else bool(content))
