"""From messages to a prompt: what a user writes stays text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llamas import CONTROLS, HELLO, MARKS, OPENS, engine, random_model, run, tokenizer

from pointsman.backends.transformers_prompt import Chat, ChatTemplate
from pointsman.domain import Call
from pointsman.errors import BackendRejected


async def test_rendered_text_and_ids_are_taken_as_they_are(thinker_engine):
    """Rendered text keeps its control tokens, and is answered as the same messages are."""
    text = await thinker_engine.render(HELLO)
    wanted = await run(thinker_engine, Call(HELLO, thinking_budget=5, max_answer_tokens=5))
    for rendered in (text, tuple(tokenizer(OPENS).encode(text, add_special_tokens=False))):
        found = await run(thinker_engine, Call(rendered=rendered, thinking_budget=5, max_answer_tokens=5))
        assert found[:2] == wanted[:2]
        assert found[2].usage == wanted[2].usage


BITS = st.sampled_from(
    [*CONTROLS, *MARKS, "<|", "|>", "<", ">", "|", "us", "er", "</", "think", "end", "\ue0f7", " ", "é"]
)


@given(parts=st.lists(BITS, max_size=12).map("".join), cut=st.integers(0, 30), system=st.lists(BITS, max_size=4))
@settings(max_examples=80, deadline=None)
def test_no_text_of_a_user_becomes_a_control_token(parts, cut, system):
    """Whatever is written, in one part or several, the prompt's control tokens are those of the template."""
    words = tokenizer(OPENS)
    template = ChatTemplate(words, backend="tiny")
    controls = {words.added_tokens_encoder[text] for text in (*CONTROLS, *MARKS)}
    content = [{"type": "text", "text": parts[:cut]}, {"type": "text", "text": parts[cut:]}]
    tools = ({"type": "function", "function": {"name": parts, "parameters": {parts: {"type": "string"}}}},)
    messages = ({"role": "system", "content": "".join(system)}, {"role": "user", "content": content})
    ids = template.encode_chat(Chat(messages, tools=tools))
    bare = ({"role": "system", "content": ""}, {"role": "user", "content": ""})
    expected = template.encode_chat(Chat(bare, tools=({"type": "function"},)))
    assert [one for one in ids if one in controls] == [one for one in expected if one in controls]
    written = words.decode([one for one in ids if one not in controls])
    assert parts.replace("\ue0f7", "") in written
    assert not controls & set(template.encode_text(parts))


@given(text=st.text(max_size=60).filter(lambda text: "\ue0f7" not in text))
@settings(max_examples=60, deadline=None)
def test_ordinary_text_is_tokenised_as_the_tokenizer_does(text):
    """Guarding the text changes no token of a chat that quotes no control token."""
    words = tokenizer(OPENS)
    messages = [{"role": "user", "content": text}]
    rendered = words.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, enable_thinking=True)
    template = ChatTemplate(words, backend="tiny")
    assert template.render(Chat(tuple(messages))) == rendered
    assert template.encode_chat(Chat(tuple(messages))) == words.encode(rendered, add_special_tokens=False)


def test_the_callers_messages_are_not_changed():
    calls = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "<Oslo"}'}}]
    message = {"role": "assistant", "content": [{"type": "text", "text": "<a"}], "tool_calls": calls}
    before = json.dumps(message)
    rendered = ChatTemplate(tokenizer(OPENS), backend="tiny").render(Chat((message,)))
    assert "<a<Oslo<|end|>" in rendered  # arguments reach the template as an object
    assert json.dumps(message) == before


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"role": "developer", "content": "x"}, "no developer here"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "image_url"),
    ],
)
def test_messages_that_the_model_cannot_take_are_rejected(message, problem):
    with pytest.raises(BackendRejected, match=problem):
        ChatTemplate(tokenizer(OPENS), backend="tiny").render(Chat((message,)))


async def test_a_model_without_a_chat_template_takes_rendered_text_only(tmp_path):
    async with engine(random_model(tmp_path, None)) as made:
        assert (await made.capabilities()).thinks is False
        with pytest.raises(BackendRejected, match="no chat template"):
            await run(made, Call(HELLO))
        _, answer, _, _ = await run(made, Call(rendered="once", max_tokens=4))
        assert answer
