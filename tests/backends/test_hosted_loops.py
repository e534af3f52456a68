"""What is kept of a thought that led to tool calls."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.hosted_loops import Loops


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def call(name: str) -> dict[str, Any]:
    return {"index": 0, "id": name, "function": {"name": "f", "arguments": ""}}


def turn(name: str, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{"id": name}], **fields}


def thought(text: str, **fields: Any) -> dict[str, Any]:
    return delta(reasoning_content=text, thinking_blocks=[{"type": "thinking", "thinking": text, **fields}])


@given(st.lists(st.text(min_size=1), min_size=1, max_size=9), st.integers(1, 3))
def test_a_signed_thought_comes_back_whole_however_it_was_cut(pieces: list[str], blocks: int) -> None:
    loops = Loops()
    heard = loops.listen()
    for number in range(blocks):
        for piece in pieces:
            heard.hear(thought(piece))
        heard.hear(thought("", signature=f"s{number}"))
    heard.hear(delta(tool_calls=[call("a")]))
    heard.keep()
    (whole,) = loops.restored([turn("a")])
    text = "".join(pieces)
    signed = [{"type": "thinking", "thinking": text, "signature": f"s{number}"} for number in range(blocks)]
    assert whole["thinking_blocks"] == signed
    assert whole["reasoning_content"] == text * blocks
    assert whole["tool_calls"] == [{"id": "a"}]


def test_a_redacted_block_is_kept_as_it_came() -> None:
    loops = Loops()
    heard = loops.listen()
    heard.hear(delta(thinking_blocks=[{"type": "redacted_thinking", "data": "xyz", "index": 0}]))
    heard.hear(delta(tool_calls=[call("a")]))
    heard.keep()
    assert loops.restored([turn("a")])[0]["thinking_blocks"] == [{"type": "redacted_thinking", "data": "xyz"}]


def test_an_unsigned_thought_is_kept_as_text_alone() -> None:
    loops = Loops()
    heard = loops.listen()
    heard.hear(thought("so"))
    heard.hear(delta(tool_calls=[call("a")]))
    heard.keep()
    (whole,) = loops.restored([turn("a")])
    assert ("thinking_blocks" in whole, whole["reasoning_content"]) == (False, "so")


def test_what_the_caller_sends_itself_is_left_alone_and_so_is_all_else() -> None:
    loops = Loops()
    loops.remember(["a"], {"reasoning_content": "so", "thinking_blocks": [{"type": "thinking", "signature": "s"}]})
    messages = [
        {"role": "user", "content": "?"},
        turn("a", thinking_blocks=[{"type": "thinking", "signature": "t"}]),
        turn("a", reasoning_content="mine"),
        turn("unknown"),
        {"role": "assistant", "content": "an answer"},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]
    restored = loops.restored(messages)
    assert [one for place, one in enumerate(restored) if place != 2] == messages[:2] + messages[3:]
    assert restored[2]["reasoning_content"] == "mine"


def test_a_reply_without_calls_is_not_kept() -> None:
    loops = Loops()
    heard = loops.listen()
    heard.hear(thought("so", signature="s"))
    heard.keep()
    assert loops.restored([turn("a")]) == (turn("a"),)


def test_only_the_latest_are_kept() -> None:
    loops = Loops(kept=2)
    for name in ("a", "b", "c"):
        loops.remember([name], {"reasoning_content": name})
    kept = [message.get("reasoning_content") for message in loops.restored([turn("a"), turn("b"), turn("c")])]
    assert kept == [None, "b", "c"]
