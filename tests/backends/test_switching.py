"""Thinking off and on: by the dialect's switch, by the family's own, by a thought that is closed in the prompt."""

from __future__ import annotations

import pytest

from pointsman.backends.dialects import dialect
from pointsman.backends.families import families, family_of
from pointsman.backends.switching import arguments_of, switch, switched, with_line
from pointsman.domain import Call, Enforcement

ASK = ({"role": "user", "content": "What is one and one?"},)
CHAT, RAW = "/v1/chat/completions", "/v1/completions"


def test_a_family_with_a_switch_of_its_own_is_told_by_it_beside_the_dialects() -> None:
    seed = family_of(("Seed-OSS-36B-Instruct",))
    off = switch(dialect("vllm"), seed, thinking=False)
    assert off == {"chat_template_kwargs": {"enable_thinking": False, "thinking": False, "thinking_budget": 0}}
    assert switch(dialect("vllm"), seed, thinking=True)["chat_template_kwargs"]["thinking_budget"] == -1
    assert switch(dialect("ollama"), seed, thinking=False) == dialect("ollama").switch_off, "it passes no arguments on"
    assert switch(dialect("vllm"), None, thinking=False) == dialect("vllm").switch_off
    assert arguments_of(None, thinking=True) == {}


@pytest.mark.parametrize(("name", "off", "on"), [("NVIDIA-Nemotron-Nano-9B-v2", "/no_think", "/think")])
def test_a_family_that_reads_words_gets_them_in_the_system_text(name: str, off: str, on: str) -> None:
    family = family_of((name,))
    assert switched(ASK, family, thinking=False)[0] == {"role": "system", "content": off}
    own = ({"role": "system", "content": "Be kind."}, *ASK)
    assert switched(own, family, thinking=True)[0] == {"role": "system", "content": f"Be kind.\n{on}"}
    assert switched(own, family_of(("Qwen3-8B",)), thinking=True) == own


def test_a_line_goes_after_the_callers_system_text_in_either_form() -> None:
    assert with_line((), "x") == ({"role": "system", "content": "x"},)
    parts = [{"type": "text", "text": "a"}]
    (told,) = with_line(({"role": "developer", "content": parts},), "x")
    assert told["content"] == [*parts, {"type": "text", "text": "\nx"}]
    assert parts == [{"type": "text", "text": "a"}], "the caller's own stays as it is"


def test_whoever_is_switched_by_words_is_never_switched_by_the_users() -> None:
    """The words that we say are broken in what others say."""
    for row in families():
        for said in (row.switched_off, row.switched_on):
            if said is not None and said.system.startswith("/"):
                assert said.system in (row.soft or ()), row.name


async def test_words_are_said_to_the_model_by_what_the_call_may_think(stub, engine_at, collect) -> None:
    engine = engine_at(stub.url, dialect="vllm", model="NVIDIA-Nemotron-Nano-9B-v2")
    for budget in (0, 12):
        await collect(engine, Call(({"role": "user", "content": "so /think"},), thinking_budget=budget))
    told = [body["messages"][0]["content"] for body in stub.bodies(CHAT)]
    assert told == ["/no_think", "/think"]
    assert {body["messages"][1]["content"] for body in stub.bodies(CHAT)} == {"so /\u2060think"}


@pytest.mark.parametrize("opens", [True, False, None])
async def test_a_thought_that_cannot_be_switched_off_is_closed_in_the_prompt(stub, engine_at, collect, opens) -> None:
    """DeepSeek-R1 has no switch: its empty thought is written for it, and the answer generated from there."""
    stub.opens = opens
    engine = engine_at(stub.url, dialect="vllm", model="DeepSeek-R1-Distill-Qwen-7B")
    reply = await collect(engine, Call(ASK, thinking_budget=0))
    assert (reply.thought, reply.done.usage.thought, reply.done.enforced) == ("", 0, Enforcement.TWO_PASS)
    assert reply.answer
    assert stub.bodies(CHAT) == []
    prompt = "".join(map(chr, stub.bodies(RAW)[-1]["prompt"]))
    assert prompt.endswith("</think>\n\n")
    assert prompt.count("<think>") == prompt.count("</think>") == 1, "also where the template does it already"
    assert (await engine.capabilities()).switchable is True


async def test_with_tools_it_is_not_and_that_is_said(stub, engine_at, collect) -> None:
    """The raw text that a closed thought needs comes back with its tool calls unread."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    engine = engine_at(stub.url, dialect="vllm", model="DeepSeek-R1-Distill-Qwen-7B")
    reply = await collect(engine, Call(ASK, thinking_budget=0, tools=(tool,)))
    assert stub.bodies(RAW) == []
    assert (reply.done.enforced is Enforcement.NONE) == (reply.thought != "")


async def test_where_no_prompt_can_be_gone_on_with_nothing_is_claimed(stub, engine_at) -> None:
    engine = engine_at(stub.url, dialect="lmstudio", model="DeepSeek-R1-Distill-Qwen-7B")
    assert (await engine.capabilities()).switchable is False
