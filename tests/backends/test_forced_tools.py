"""Functions that must be called, where the engine does not see to it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from pointsman.backends.dialects import dialect
from pointsman.backends.engine import Event, Finished, Text, Thought, Timings, ToolCallDelta
from pointsman.backends.forced_tools import called, forced
from pointsman.domain import Call, Enforcement, Finish, Json, Usage

SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "integer"}}}
ADD: Json = {"type": "function", "function": {"name": "add", "description": "adds", "parameters": SCHEMA}}
STOP: Json = {"type": "function", "function": {"name": "stop"}}
NAMED: Json = {"type": "function", "function": {"name": "add"}}
ASK = ({"role": "user", "content": "?"},)
CALL = Call(ASK, tools=(ADD, STOP), tool_choice="required")
LLAMACPP = dialect("llamacpp")
DONE = Finished(Finish.STOP, Usage(), Timings(1.0), Enforcement.NATIVE, "m")


async def events(*given: Event) -> AsyncGenerator[Event, None]:
    for one in given:
        yield one


async def made(name: str | None, *given: Event) -> list[Event]:
    return [event async for event in called(events(*given), name)]


def test_a_named_function_binds_the_answer_to_its_parameters() -> None:
    found = forced(replace(CALL, tool_choice=NAMED), LLAMACPP)
    assert found is not None
    assert found.name == "add"
    assert (found.call.tools, found.call.tool_choice) == ((), None)
    assert found.call.response_format is not None
    assert found.call.response_format["json_schema"]["schema"] == SCHEMA
    system, user = found.call.messages
    assert user == ASK[0]
    assert "add" in system["content"]
    assert "adds" in system["content"], "the model is told what the function does"


def test_one_of_several_tells_its_own_name() -> None:
    found = forced(CALL, LLAMACPP)
    assert found is not None
    assert found.name is None
    assert found.call.response_format is not None
    kinds = found.call.response_format["json_schema"]["schema"]["anyOf"]
    assert [one["properties"]["name"]["const"] for one in kinds] == ["add", "stop"]
    assert kinds[1]["properties"]["arguments"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("call", "engine"),
    [
        (replace(CALL, tool_choice="auto"), "llamacpp"),
        (replace(CALL, tool_choice=None), "llamacpp"),
        (replace(CALL, tool_choice={"type": "function", "function": {"name": "other"}}), "llamacpp"),
        (replace(CALL, tools=()), "llamacpp"),
        (replace(CALL, response_format={"type": "json_object"}), "llamacpp"),
        (CALL, "vllm"),  # enforces it itself
        (CALL, "transformers_serve"),  # takes no schema
    ],
)
def test_what_is_left_to_the_model_or_the_engine_stays_as_it_is(call: Call, engine: str) -> None:
    assert forced(call, dialect(engine)) is None


async def test_the_arguments_of_one_function_come_as_they_are_made() -> None:
    came = await made("add", Thought("hm", 1), Text('{"a":', 2), Text("1}", 2), DONE)
    assert came[0] == Thought("hm", 1)
    first, second = came[1:3]
    assert isinstance(first, ToolCallDelta)
    assert (first.index, first.name, first.arguments) == (0, "add", '{"a":')
    assert first.id
    assert second == ToolCallDelta(0, arguments="1}")
    assert came[-1] == replace(DONE, finish=Finish.TOOL_CALLS)


async def test_of_several_the_call_comes_in_one_piece() -> None:
    came = await made(None, Text('{"name": "add", "argu', 4), Text('ments": {"a": 1}}', 4), DONE)
    (call, done) = came
    assert isinstance(call, ToolCallDelta)
    assert (call.name, json.loads(call.arguments)) == ("add", {"a": 1})
    assert done == replace(DONE, finish=Finish.TOOL_CALLS)


@pytest.mark.parametrize("text", ['{"name": "add", "argu', "[]", '{"name": "add"}'])
async def test_an_answer_that_was_cut_stays_text(text: str) -> None:
    cut = replace(DONE, finish=Finish.LENGTH)
    assert await made(None, Text(text, 4), cut) == [Text(text, 4), cut]
    assert (await made("add", Text('{"a":', 2), cut))[-1] == cut, "nobody takes half a call for a whole one"


async def test_a_server_that_says_it_cannot_is_spoken_to_by_a_schema_from_then_on(stub, engine_at, collect) -> None:
    """vLLM without --tool-call-parser: one refusal, then the answer is bound."""
    import stub as stubs

    refusal = {"error": {"message": 'tool_choice=function "add" requires --tool-call-parser to be set'}}
    stub.next.append(stubs.Reply([json.dumps(refusal).encode()], status=400))
    engine = engine_at(stub.url, dialect="vllm")
    for _ in range(2):
        reply = await collect(engine, replace(CALL, tool_choice=NAMED, thinking_budget=0))
        assert (reply.tools[0].name, reply.done.finish) == ("add", Finish.TOOL_CALLS)
    asked = stub.bodies("/v1/chat/completions")
    assert ["tools" in body for body in asked] == [True, False, False]
    assert asked[-1]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_definitions_of_several_functions_are_found_from_the_root() -> None:
    """As pydantic writes them; two functions may call different things the same."""
    place = {"$defs": {"P": {"type": "integer"}}, "type": "object", "properties": {"p": {"$ref": "#/$defs/P"}}}
    tools = tuple({"type": "function", "function": {"name": name, "parameters": place}} for name in ("a", "b"))
    found = forced(replace(CALL, tools=tools), LLAMACPP)
    assert found is not None
    assert found.call.response_format is not None
    schema = found.call.response_format["json_schema"]["schema"]
    assert schema["$defs"] == {"0.P": {"type": "integer"}, "1.P": {"type": "integer"}}
    references = [one["properties"]["arguments"]["properties"]["p"]["$ref"] for one in schema["anyOf"]]
    assert references == ["#/$defs/0.P", "#/$defs/1.P"]
    assert place["properties"] == {"p": {"$ref": "#/$defs/P"}}, "the caller's own stays as it is"


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([{"type": "custom", "custom": {"name": "x"}}], {"type": "custom", "custom": {"name": "x"}}),
        ([{"type": "web_search"}, ADD], {"type": "allowed_tools", "allowed_tools": {}}),
        ([ADD], {"type": "function", "function": "add"}),
        ([{"type": "web_search"}], "required"),
    ],
)
def test_choices_of_other_kinds_are_left_to_the_server(tools: list[Json], choice: Json | str) -> None:
    assert forced(replace(CALL, tools=tuple(tools), tool_choice=choice), LLAMACPP) is None


def test_no_stop_sequence_cuts_a_call() -> None:
    found = forced(replace(CALL, stop=("\n",)), LLAMACPP)
    assert found is not None
    assert found.call.stop == ()
