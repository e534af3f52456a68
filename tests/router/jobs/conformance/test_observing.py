"""One call and all that could be seen of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEngine, finished, says
from seeing import seen

from pointsman.backends import Text, Thought, TokenLogprob, ToolCallDelta
from pointsman.domain import Call, Enforcement, Finish, Usage
from pointsman.errors import BackendRejected, BackendTimeout
from pointsman.router.jobs.conformance.observing import Observed, observe, recounted

CALL = Call(thinking_budget=64)


async def test_everything_that_came_is_there() -> None:
    tool = [ToolCallDelta(0, "1", "f", '{"a"'), ToolCallDelta(0, arguments=": 1}")]
    script = [Thought("hm", 1), Text("7", 1, (TokenLogprob("7", -0.1),)), *tool, finished(Finish.TOOL_CALLS, thought=1)]
    one = await observe(ScriptedEngine("m", script), CALL)
    assert (one.thought, one.text, one.logprobs, one.error) == ("hm", "7", 1, None)
    assert one.tools[0]["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert (one.finish, one.enforced, one.model) == (Finish.TOOL_CALLS, Enforcement.NATIVE, "served-name")
    assert len(one.arrivals) == 4
    assert list(one.arrivals) == sorted(one.arrivals)
    assert one.arrivals[-1] <= one.total_ms


@pytest.mark.parametrize(
    ("error", "refused"),
    [(BackendRejected("no", backend="m"), True), (BackendTimeout("late", backend="m"), False)],
)
async def test_what_fails_is_seen_with_what_came_before(error: Exception, refused: bool) -> None:
    one = await observe(ScriptedEngine("m", [Text("half", 1), error]), CALL)
    assert (one.text, one.error, one.refused) == ("half", str(error), refused)
    assert not one.empty
    assert await recounted(ScriptedEngine("m"), one) == one


async def test_a_stream_without_an_end_is_a_failure() -> None:
    assert (await observe(ScriptedEngine("m", [Text("7", 1)]), CALL)).error == "the stream had no end"


async def test_texts_are_recounted_where_that_can_be_had() -> None:
    class Uncounting(ScriptedEngine):
        async def count_tokens(self, text: str) -> int:
            raise BackendRejected("cannot count", backend="m")

    engine = ScriptedEngine("m", says("seven", thought="hm"))
    one = await recounted(engine, await observe(engine, CALL))
    assert (one.thought_tokens, one.text_tokens) == (2, 5)
    blind = await recounted(Uncounting("m"), one)
    assert (blind.thought_tokens, blind.text_tokens) == (None, None)


@given(st.text(max_size=40), st.integers(0, 400), st.booleans())
def test_tokens_are_hidden_only_where_they_cannot_have_been_in_the_text(text: str, billed: int, counted: bool) -> None:
    """Without a tokenizer a text may have as many tokens as bytes, but no more."""
    known = len(text) if counted else None
    one = Observed(CALL, text=text, usage=Usage(9, 0, 0, billed), text_tokens=known, error=None)
    most = len(text) * 5 // 4 if counted else len(text.encode("utf-8", "surrogatepass"))
    assert (one.hidden > 0) == (billed - most > 4)
    assert one.thought_spent == one.hidden


def test_a_tool_calls_tokens_are_not_hidden() -> None:
    called = seen(0, 90, text="", tools=({"function": {"name": "f", "arguments": "{}"}},))
    assert called.hidden == 0
