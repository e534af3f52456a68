"""Tools that must be called, on engines that do not enforce it: the answer is bound to a schema of the call.

The model is told of its functions in the system text, thinks as it may, and then can write nothing but a call's JSON,
which reaches the caller as a tool call. Nothing is claimed of engines that leave the choice to the model.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

from ..domain import Call, Finish, Json
from .dialects import Dialect
from .engine import Event, Finished, Text, ToolCallDelta
from .switching import with_line


@dataclass(frozen=True, slots=True)
class Forced:
    """A call that must call a function, bound to do so. name: of the function, None where there are several, whose call
    then tells its name itself."""

    call: Call
    name: str | None


def forced(call: Call, dialect: Dialect, *, ignored: bool = False) -> Forced | None:
    """The call bound by a schema; None where no function must be called, where the engine sees to it itself (by its
    dialect, unless this server was found not to: ignored), or where it takes no schema."""
    ignored = (ignored or "forced_tool" in dialect.warnings) and "response_format" not in dialect.warnings
    if not ignored or call.rendered is not None or call.response_format or call.grammar:
        return None
    tools = _demanded(call)
    if not tools:
        return None
    functions = [cast("Json", tool["function"]) for tool in tools]
    name = str(functions[0]["name"]) if len(functions) == 1 else None
    schema = _parameters(functions[0]) if name else _any_of(functions)
    bound = replace(
        call,
        messages=with_line(call.messages, _told(functions)),
        tools=(),
        tool_choice=None,
        stop=(),  # half a call is none
        response_format={"type": "json_schema", "json_schema": {"name": "call", "strict": True, "schema": schema}},
    )
    return Forced(bound, name)


async def called(events: AsyncGenerator[Event, None], name: str | None) -> AsyncGenerator[Event, None]:
    """The events of a bound call, its answer as a tool call. The arguments of the one function (name) come as they are
    made; where the call tells which of several it is, in one piece. An answer that was cut before that is known stays
    text."""
    identity, begun, whole = f"call_{secrets.token_hex(12)}", False, list[Text]()
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Text) and name is None:
                whole.append(event)
            elif isinstance(event, Text):
                yield ToolCallDelta(0, None if begun else identity, None if begun else name, event.text)
                begun = True
            elif isinstance(event, Finished):
                if (made := _call_in("".join(one.text for one in whole))) is not None:
                    yield ToolCallDelta(0, identity, *made)
                    begun = True
                elif whole:
                    yield Text("".join(one.text for one in whole), sum(one.tokens for one in whole))
                over = begun and event.finish is Finish.STOP
                yield replace(event, finish=Finish.TOOL_CALLS) if over else event
            else:
                yield event


def _demanded(call: Call) -> list[Json]:
    """The functions one of which must be called; none where that is left to the model."""
    known = {name: tool for tool in call.tools if isinstance(name := _function(tool).get("name"), str)}
    if isinstance(call.tool_choice, dict):
        wanted = _function(call.tool_choice).get("name")
        return [known[wanted]] if isinstance(wanted, str) and wanted in known else []
    return list(known.values()) if call.tool_choice == "required" else []


def _function(holder: Json) -> Json:
    """The function of a tool or of a choice; an empty one where there is none."""
    found = cast("object", holder.get("function"))
    return cast("Json", found) if isinstance(found, dict) else {}


def _parameters(function: Json) -> Json:
    return cast("Json", function.get("parameters") or {"type": "object", "properties": {}})


def _any_of(functions: list[Json]) -> Json:
    """The schema of a call of one of several functions; what each calls its own definitions goes to the root, where
    references are read from, under a name of its own."""
    kinds, definitions = list[Json](), dict[str, Any]()
    for place, function in enumerate(functions):
        own: Json = _moved(_parameters(function), f"{place}.")
        for name in ("$defs", "definitions"):
            found = cast("Json", own.pop(name, None) or {})
            definitions |= {f"{place}.{key}": one for key, one in found.items()}
        properties: Json = {"name": {"const": function["name"]}, "arguments": own}
        kinds.append({"type": "object", "properties": properties, "required": ["name", "arguments"], **_CLOSED})
    return {"anyOf": kinds, **({"$defs": definitions} if definitions else {})}


_CLOSED: Json = {"additionalProperties": False}
_DEFINED = re.compile(r"^#/(?:\$defs|definitions)/")


def _moved(schema: Any, prefix: str) -> Any:
    """A schema whose references to its own definitions name them with this prefix, among those of the root."""
    if isinstance(schema, list):
        return [_moved(one, prefix) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    made: Json = {key: _moved(inner, prefix) for key, inner in cast("Json", schema).items()}
    if isinstance(reference := made.get("$ref"), str):
        made["$ref"] = _DEFINED.sub(f"#/$defs/{prefix}", reference)
    return made


def _told(functions: list[Json]) -> str:
    """What the model is told of its functions."""
    if len(functions) == 1:
        asked = f"Answer with the arguments for a call of the function {functions[0]['name']}, as one JSON object."
    else:
        asked = 'Answer with a call of one of these functions, as one JSON object: {"name": …, "arguments": {…}}.'
    return "\n".join([asked, *(json.dumps(one, ensure_ascii=False) for one in functions)])


def _call_in(text: str) -> tuple[str, str] | None:
    """The function's name and its arguments' JSON."""
    try:
        said: Any = json.loads(text)
        return str(said["name"]), json.dumps(said["arguments"], ensure_ascii=False)
    except (ValueError, KeyError, TypeError):
        return None
