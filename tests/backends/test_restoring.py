"""Broken spellings come back whole, however a reply is cut."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

import injections
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.engine import Continuation, Event, Finished, Text, Timings, TokenLogprob, ToolCallDelta
from pointsman.backends.guard import Guard
from pointsman.backends.markers import USUAL
from pointsman.backends.restoring import Restorer, restored
from pointsman.domain import Call, Enforcement, Finish, Usage

JOINT = "\u2060"
DONE = Finished(Finish.STOP, Usage(), Timings(1.0), Enforcement.NATIVE, "m", Continuation("<\u2060/think>", ended=True))


async def given_events(events: Iterable[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


async def out(*events: Event, as_json: bool = False) -> list[Event]:
    return [event async for event in restored(given_events(events), JOINT, as_json=as_json)]


@given(injections.texts(None), st.lists(st.integers(0, 400)))
def test_any_text_comes_back_byte_for_byte_in_any_pieces(text: str, cuts: list[int]) -> None:
    made = Guard(None, USUAL).guarded(Call(({"role": "user", "content": text},)))
    restorer = Restorer(made.joint or JOINT)
    sent = made.call.messages[0]["content"]
    assert "".join([*map(restorer.feed, injections.pieces(sent, cuts)), restorer.flush()]) == text


@given(injections.texts(None), st.booleans(), st.booleans(), st.lists(st.integers(0, 800)))
def test_json_comes_back_with_its_escapes_read(text: str, ascii_only: bool, slashes: bool, cuts: list[int]) -> None:
    """What the arguments say is what the caller wrote, whichever way the model escapes it."""
    made = Guard(None, USUAL).guarded(Call(({"role": "user", "content": text},)))
    written = json.dumps({"text": made.call.messages[0]["content"]}, ensure_ascii=ascii_only)
    written = written.replace("/", "\\/") if slashes else written
    restorer = Restorer(made.joint or JOINT, as_json=True)
    back = "".join([*map(restorer.feed, injections.pieces(written, cuts)), restorer.flush()])
    assert json.loads(back) == {"text": text}


async def test_plain_text_never_waits_and_tokens_without_text_go_with_the_next() -> None:
    events = await out(Text("a", 1), Text(" <", 1), Text("\u2060", 1), Text("/think>", 2), DONE)
    assert events[:-1] == [Text("a", 1), Text(" <", 1), Text("/think>", 3)]


async def test_json_waits_for_no_more_than_an_escape() -> None:
    events = await out(Text("<\\", 1), Text("u2060/t", 1), Text('\\"', 1), Text("\\\\u2060", 1), DONE, as_json=True)
    assert events[:-1] == [Text("<", 1), Text("/t", 1), Text('\\"', 1), Text("\\\\u2060", 1)]


async def test_logprobs_come_with_the_text_of_their_tokens() -> None:
    named = [TokenLogprob(token, -1.0) for token in ("\u2060", "/think>")]
    events = await out(Text("\u2060", 1, (named[0],)), Text("/think>", 1, (named[1],)), DONE)
    assert events[0] == Text("/think>", 2, (replace(named[0], token=""), named[1]))


async def test_each_tool_call_has_its_own_text() -> None:
    events = await out(
        ToolCallDelta(0, "a", "f", '{"x": "<'),
        ToolCallDelta(1, "b", "g", '{"y": "'),
        ToolCallDelta(0, arguments='\\u2060/think>"}'),
        ToolCallDelta(1, arguments='/\u2060think"}'),
        DONE,
    )
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    whole = ["".join(one.arguments for one in calls if one.index == index) for index in (0, 1)]
    assert [json.loads(one) for one in whole] == [{"x": "</think>"}, {"y": "/think"}]
    assert [(one.id, one.name) for one in calls if one.id] == [("a", "f"), ("b", "g")]


async def test_an_answer_that_is_json_may_write_escapes_and_another_may_not() -> None:
    spelled = Text("<\\u2060/think>", 3)
    assert (await out(spelled, DONE, as_json=True))[0] == Text("</think>", 3)
    assert (await out(spelled, DONE))[0] == spelled, "text that speaks of an escape is not touched"


async def test_what_is_kept_to_go_on_from_is_whole_again() -> None:
    (done,) = await out(DONE)
    assert isinstance(done, Finished)
    assert done.continuation == Continuation("</think>", ended=True)
