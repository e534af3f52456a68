"""The in-process engine as a whole: many calls, deadlines, closing, what it says of itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from tiny_llamas import ALWAYS, HELLO, LEAVES, OPENS, PLAIN, engine, holding, random_model, run

from pointsman.backends import ModelConfig, create
from pointsman.backends.transformers import TransformersEngine
from pointsman.domain import Call
from pointsman.errors import BackendTimeout, BackendUnavailable, ConfigError


async def test_closing_the_stream_stops_the_model_at_its_next_token(thinker):
    """After the consumer has left, at most the pass under way is finished, and the next call is served."""
    async with engine(thinker) as made, holding() as gate:
        stream = made.stream(Call(HELLO, thinking_budget=400))
        await anext(stream)
        gate.open.clear()
        await stream.aclose()
        left = gate.passes
        gate.open.set()
        _, answer, _, _ = await run(made, Call(HELLO, thinking_budget=0, max_tokens=3))
        assert answer.strip()
        assert gate.passes <= left + 1 + 3  # the pass that waited, if it did not yet count, and this call's own three


async def test_calls_of_one_engine_run_one_after_another(thinker):
    """Two calls at once do not mix: each gives what it gives alone."""
    async with engine(thinker) as made:
        calls = [
            Call(({"role": "user", "content": str(at)},), thinking_budget=6, max_answer_tokens=6) for at in range(3)
        ]
        alone = [(await run(made, call))[:2] for call in calls]
        together = await asyncio.gather(*(run(made, call) for call in calls))
        assert [one[:2] for one in together] == alone


async def test_the_deadline_ends_a_call_and_leaves_the_engine_working(thinker):
    """It holds while the model computes and while a call waits for another."""
    async with engine(thinker) as made, holding() as gate:
        await made.health()
        gate.open.clear()
        with pytest.raises(BackendTimeout, match="longer than 60 ms"):
            await run(made, Call(HELLO, deadline_ms=60))
        with pytest.raises(BackendTimeout):
            await run(made, Call(HELLO, deadline_ms=30))
        gate.open.set()
        _, answer, _, _ = await run(made, Call(HELLO, thinking_budget=0, max_tokens=2, deadline_ms=20_000))
        assert answer


async def test_a_closed_engine_refuses_and_ends_what_runs(thinker):
    made = TransformersEngine("tiny", thinker)
    stream = made.stream(Call(HELLO, thinking_budget=400))
    await anext(stream)
    await made.aclose()
    with pytest.raises(BackendUnavailable, match="closed"):
        async for _ in stream:
            pass
    with pytest.raises(BackendUnavailable, match="closed"):
        await run(made, Call(HELLO))
    assert not (await made.health()).ready


async def test_what_it_cannot_enforce_it_says(thinker_engine, plain):
    call = Call(
        HELLO,
        thinking_budget=0,
        max_tokens=2,
        response_format={"type": "json_object"},
        grammar="root ::= x",
        tools=({"type": "function", "function": {"name": "f"}},),
        tool_choice="required",
        extra={"user": "me", "chat_template_kwargs": {"mood": "good"}},
    )
    _, _, done, _ = await run(thinker_engine, call)
    for word in ("response_format", "grammar", "tool calls", "tool_choice", "ignored by this engine: user"):
        assert any(word in warning for warning in done.warnings), word
    assert len(done.warnings) == 5
    async with engine(plain) as made:
        _, _, done, _ = await run(made, Call(HELLO, thought_prefix="x", thinking_budget=5, max_tokens=2))
        assert "no marks of thought" in done.warnings[0]
        _, _, done, _ = await run(made, Call(HELLO, response_format={"type": "text"}, tool_choice="auto", max_tokens=2))
        assert done.warnings == ()


async def test_tools_reach_the_template_unless_they_are_not_to_be_used(thinker_engine):
    tools = ({"type": "function", "function": {"name": "weather"}},)
    _, _, bare, _ = await run(thinker_engine, Call(HELLO, thinking_budget=0, max_tokens=1))
    _, _, told, _ = await run(thinker_engine, Call(HELLO, thinking_budget=0, max_tokens=1, tools=tools))
    none = Call(HELLO, thinking_budget=0, max_tokens=1, tools=tools, tool_choice="none")
    _, _, kept, _ = await run(thinker_engine, none)
    assert told.usage.prompt > bare.usage.prompt == kept.usage.prompt


async def test_the_callers_own_switch_turns_thinking_off(thinker_engine):
    call = Call(HELLO, max_tokens=8, extra={"chat_template_kwargs": {"enable_thinking": False}})
    thought, _, done, _ = await run(thinker_engine, call)
    assert (thought, done.usage.thought) == ("", 0)


@pytest.mark.parametrize(
    ("template", "thinks", "switchable"),
    [(OPENS, True, True), (LEAVES, True, True), (ALWAYS, True, False), (PLAIN, False, None)],
)
async def test_capabilities_are_read_from_configuration_and_template(tmp_path, template, thinks, switchable):
    async with engine(random_model(tmp_path, template, context=321, marks=thinks)) as made:
        found = await made.capabilities()
        assert (found.context, found.tools, found.thinks, found.switchable) == (321, True, thinks, switchable)
        (model,) = await made.models()
        assert (model.id, model.context) == ("tiny", 321)
        assert 0.00005 < model.parameters < 0.001
        assert await made.count_tokens("12<|end|>") == 3
        health = await made.health()
        assert health.ready
        assert "transformers 5" in health.detail


async def test_a_damaged_model_is_unavailable_and_health_says_why(tmp_path):
    folder = random_model(tmp_path / "broken", OPENS)
    (folder / "model.safetensors").write_bytes(b"not weights")
    async with engine(folder) as made:
        with pytest.raises(BackendUnavailable, match="cannot be loaded"):
            await run(made, Call(HELLO))
        health = await made.health()
        assert not health.ready
        assert str(folder) in health.detail


def test_a_folder_without_a_model_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="no model in"):
        TransformersEngine("tiny", tmp_path)


def test_without_torch_the_error_names_the_extra_and_importing_loads_nothing(tmp_path):
    program = """
import sys
from pointsman.backends.transformers import TransformersEngine
from pointsman.errors import MissingExtra
assert not {"torch", "transformers"} & sys.modules.keys()
sys.modules["torch"] = None
try:
    TransformersEngine("tiny", sys.argv[1])
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "pip install 'pointsman[transformers]'" in done.stdout, done.stderr


async def test_the_configurations_settings_reach_the_engine(collect) -> None:
    """The shipped miniature in this process; its system text goes where a query brings none."""
    plain = ModelConfig(embedded="digits", engine="transformers", dtype="float32", device="cpu")
    briefed = plain.model_copy(update={"system": "Be brief."})
    prompts: list[int] = []
    for config in (plain, briefed):
        engine = create("here", config)
        try:
            reply = await collect(engine, Call(({"role": "user", "content": "3+4"},), thinking_budget=0))
        finally:
            await engine.aclose()
        prompts.append(reply.done.usage.prompt)
    assert prompts[1] > prompts[0]


async def test_a_number_type_that_torch_does_not_have_is_told(collect) -> None:
    engine = create("here", ModelConfig(embedded="digits", engine="transformers", dtype="float99"))
    with pytest.raises(BackendUnavailable):
        await collect(engine, Call(HELLO))
    await engine.aclose()
