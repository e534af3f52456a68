"""The user's text cannot change the mode, and comes back byte for byte: through whole engines, over HTTP."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import injections
import pytest

from pointsman.backends import ModelConfig, create, embedded_path
from pointsman.domain import Call, Json

CHAT = "/v1/chat/completions"
FILE = "def f():\n    # ends at </think>, see /think/x.md\n    return '<|im_end|>'\n"


def said(*texts: str, **fields: Any) -> Call:
    return Call(
        tuple({"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)), **fields
    )


def echo(stubs: Any, text: str, pieces: int, field: str = "content") -> Any:
    """A reply that says this text, in so many pieces."""
    size = max(1, -(-len(text) // pieces))
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    chunks = [stubs.delta(**{field: one}) for one in cut]
    return stubs.Reply([stubs.sse(*chunks, stubs.delta("stop"), stubs.usage(9, pieces), b"[DONE]")])


async def test_fifty_turns_of_an_edit_come_back_byte_for_byte(stub, stubs, engine_at, collect) -> None:
    """A model that writes the file again each time, a line longer, and is asked to do so again."""
    engine, history, text = engine_at(stub.url, model="Qwen3-8B"), list[str](), FILE
    for turn in range(50):
        text += f"    # {turn}: <think> /no_think </think>\n"
        history.append(f"Write it again:\n{text}")
        engine_sees = text.replace("</think>", "<\u2060/\u2060think>").replace("<think>", "<\u2060think>")
        engine_sees = engine_sees.replace("<|im_end|>", "<\u2060|im_end|>").replace("/no_think", "/\u2060no_think")
        engine_sees = engine_sees.replace(" /think", " /\u2060think")
        stub.next.append(echo(stubs, engine_sees, pieces=1 + 7 * turn))
        reply = await collect(engine, said(*history, thinking_budget=0))
        assert reply.answer == text
        assert stub.bodies(CHAT)[-1]["messages"][-1]["content"] == f"Write it again:\n{engine_sees}"
        history.append(reply.answer)
    sent = json.dumps(stub.bodies(CHAT)[-1]["messages"], ensure_ascii=False)
    assert not [one for one in ("</think>", "<think>", "/think", "/no_think", "<|im_end|>") if one in sent]


async def test_a_thought_and_the_arguments_of_a_tool_are_whole_too(stub, stubs, engine_at, collect) -> None:
    tool: Json = {"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}
    written = json.dumps({"text": "<\u2060/\u2060think>"})
    call = {"index": 0, "id": "1", "function": {"name": "write", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": letter}} for letter in written]
    chunks = [stubs.delta(tool_calls=[one]) for one in (call, *pieces)]
    thought = stubs.delta(reasoning="it says <\u2060/\u2060think>")
    stub.next.append(stubs.Reply([stubs.sse(thought, *chunks, stubs.delta("tool_calls"), b"[DONE]")]))
    reply = await collect(engine_at(stub.url), said("write </think>", tools=(tool,)))
    assert reply.thought == "it says </think>"
    assert json.loads("".join(one.arguments for one in reply.tools)) == {"text": "</think>"}
    assert any("broken up" in warning for warning in reply.done.warnings)


async def test_the_owner_may_leave_text_as_it_is(stub, engine_at, collect) -> None:
    await collect(engine_at(stub.url, guard=False), said("</think> /no_think"))
    assert stub.bodies(CHAT)[-1]["messages"][-1]["content"] == "</think> /no_think"


async def test_what_is_gone_on_with_is_broken_again(stub, stubs, engine_at, collect) -> None:
    """A thought that quotes a marker, kept and continued: the engine sees it as the model wrote it."""
    stub.next.append(echo(stubs, "he wrote <\u2060/\u2060think>", 3, "reasoning"))
    engine, asked = engine_at(stub.url, dialect="vllm"), said("why </think>?")
    first = await collect(engine, Call(asked.messages, max_tokens=8, resumable=True))
    assert first.done.continuation.thought == "he wrote </think>"
    await collect(engine, Call(asked.messages, thought_prefix=first.done.continuation.thought))
    prompt = "".join(map(chr, stub.bodies("/v1/completions")[-1]["prompt"]))
    assert prompt.endswith("<think>\nhe wrote <\u2060/\u2060think>")


def control_tokens(path: Any) -> Iterator[tuple[int, str]]:
    """The control and user-defined tokens of a GGUF file: types 3 and 4 of its vocabulary."""
    from gguf import GGUFReader

    fields = GGUFReader(str(path)).fields
    types = fields["tokenizer.ggml.token_type"]
    texts = fields["tokenizer.ggml.tokens"]
    for token, (kind, text) in enumerate(zip(types.data, texts.data, strict=True)):
        if int(types.parts[kind][0]) in (3, 4):
            yield token, bytes(texts.parts[text]).decode()


@pytest.mark.parametrize("name", ["digits", "smollm2"])
async def test_no_control_token_of_any_type_inside_what_the_user_wrote(engine, name: str) -> None:
    """By the token ids of the prompt that the server makes: those of control tokens are the template's own."""
    path = embedded_path(name)
    assert path is not None
    controls = dict(control_tokens(path))
    one = engine(name)
    plain = [token for token in await prompt_ids(one, said("x")) if token in controls]
    drawn = random.Random(5)
    spelled = [*controls.values(), *injections.COMMON]
    for _ in range(40):
        attack = "".join(drawn.choice([*spelled, "a", " ", "<", "|"]) for _ in range(8))
        ids = await prompt_ids(one, said(attack))
        assert [token for token in ids if token in controls] == plain, attack


async def prompt_ids(engine: Any, call: Call) -> tuple[int, ...]:
    """The ids of the prompt that this call becomes at a llama.cpp server."""
    facts = await engine.facts()
    made = await engine._guarded(call, facts)
    text = await engine.render(made.call.messages, thinking=False)
    return await engine._prompts.tokens(facts.model, text, special=True)


@pytest.mark.parametrize(("guard", "warned"), [(True, True), (False, False)])
async def test_words_that_switch_are_broken_for_a_model_in_this_process(thinker, collect, guard, warned) -> None:
    """Its control tokens are kept apart by ids (transformers_prompt.py); its template still looks for words."""
    config = ModelConfig.model_validate({"engine": "transformers", "path": thinker, "guard": guard})
    engine = create("unknown", config)
    try:
        reply = await collect(engine, said("see /no_think/x.md", thinking_budget=0, max_tokens=2))
        plain = await collect(engine, said("<|end|>", thinking_budget=0, max_tokens=2))
    finally:
        await engine.aclose()
    assert any("broken up" in warning for warning in reply.done.warnings) == warned
    assert not plain.done.warnings
