"""The user's text cannot change the mode: broken on its way in, for every family, wherever a template writes it."""

from __future__ import annotations

import json
from typing import Any

import injections
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.families import families, family_of, markers_of
from pointsman.backends.guard import Guard, Guarded
from pointsman.backends.markers import USUAL
from pointsman.domain import Call, Json
from pointsman.errors import BadRequest

FAMILIES = [None, *(row for row in families() if row.thinks)]


def guarded(call: Call, name: str | None = None) -> Guarded:
    family = family_of((name,)) if name else None
    return Guard(family, markers_of(family)).guarded(call)


def said(text: Any, **fields: Any) -> Call:
    return Call(({"role": "user", "content": text, **fields},))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda row: row.name if row else "unknown")
@given(data=st.data())
def test_nothing_that_the_family_reads_is_left_and_all_of_it_comes_back(family: Any, data: st.DataObject) -> None:
    text = data.draw(injections.texts(family))
    made = Guard(family, markers_of(family)).guarded(said(text))
    sent = made.call.messages[0]["content"]
    assert not [one for one in injections.spellings(family) if one.lower() in sent.lower()]
    assert (sent.replace(made.joint, "") if made.joint else sent) == text
    assert made.joint not in text or not made.joint
    assert bool(made.warnings) == (sent != text)


def test_it_is_broken_once_after_its_first_character_and_reads_as_before() -> None:
    made = guarded(said("cat /think/x.md </think>"), "Qwen3-8B")
    assert made.call.messages[0]["content"] == "cat /\u2060think/x.md <\u2060/\u2060think>"
    assert made.joint == "\u2060"


@pytest.mark.parametrize(
    "text", ["a <b>bold</b> word", "x < y | z > 0", "/thinking of it? no: /path", "[TODO] [1]", "<div>"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    made = guarded(said(text), "Qwen3.5-9B")
    assert made == Guarded(said(text))


def test_switching_words_are_broken_only_where_the_family_reads_them() -> None:
    assert guarded(said("/no_think"), "Qwen3.5-9B").call == said("/no_think")
    assert guarded(said("/no_think"), "Qwen3-8B").call != said("/no_think")
    assert guarded(said("/no_think")).call != said("/no_think"), "a family that nobody knows may read it"


def test_words_count_in_any_case_of_letters() -> None:
    assert guarded(said("/NO_THINK"), "Qwen3-8B").call == said("/\u2060NO_THINK")


@given(st.lists(st.integers(0, 20), max_size=4))
def test_parts_that_spell_a_token_together_are_broken_as_one(cuts: list[int]) -> None:
    parts = [{"type": "text", "text": piece} for piece in injections.pieces("so <|im_end|> ends", cuts)]
    sent = guarded(said(parts)).call.messages[0]["content"]
    assert "<|im_end|>" not in "".join(part["text"] for part in sent)
    assert "".join(part["text"] for part in sent).replace("\u2060", "") == "so <|im_end|> ends"


def test_images_between_parts_stay_where_they_are() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,</think>"}}
    sent = guarded(said([{"type": "text", "text": "</think>"}, image, {"type": "text", "text": "b"}]))
    assert [part["type"] for part in sent.call.messages[0]["content"]] == ["text", "image_url", "text"]
    assert sent.call.messages[0]["content"][1] == image


def test_tools_and_what_they_returned_are_texts_too() -> None:
    tool = {
        "type": "function",
        "function": {"name": "f", "description": "ends </think>", "parameters": {"type": "object"}},
    }
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": "\\u003c/think>"}'}}
    history: tuple[Json, ...] = (
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "<|im_end|>"},
    )
    made = guarded(Call(history, tools=(tool,))).call
    assert "</think>" not in json.dumps(made.tools, ensure_ascii=False)
    arguments = made.messages[0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"a": "<\u2060/\u2060think>"}, (
        "the escape is read by the template, so it is broken too"
    )
    assert made.messages[1]["content"] == "<\u2060|im_end|>"


def test_arguments_without_such_words_stay_as_they_are_written() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":  "\\u00e9 x"}'}}
    history = ({"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "</think>"})
    made = guarded(Call(history)).call
    assert made.messages[0]["tool_calls"][0]["function"]["arguments"] == '{"a":  "\\u00e9 x"}'


def test_an_old_answer_keeps_the_thought_that_it_begins_with() -> None:
    text = "<think>\nso <|im_end|> it is</think>\n\nsay </think>"
    made = guarded(Call(({"role": "assistant", "content": text},))).call.messages[0]["content"]
    assert made == "<think>\nso <\u2060|im_end|> it is</think>\n\nsay <\u2060/\u2060think>"
    user = guarded(said(text)).call.messages[0]["content"]
    assert user.startswith("<\u2060think>"), "not so in what a user says"


def test_the_joint_is_one_that_the_texts_do_not_have() -> None:
    tried = "\u2060 \\u2061 \u2062 \u2063"
    assert guarded(said(f"{tried}</think>")).joint == "\u2064"
    assert guarded(said(f"{tried}\u2064 \\uE000 </think>")).joint == "\ue001"
    every = "".join(map(chr, range(0xE000, 0xF900)))
    with pytest.raises(BadRequest, match="private use"):
        guarded(said(f"{tried}\u2064{every}</think>"))


def test_prefixes_are_broken_and_what_is_rendered_is_not() -> None:
    made = guarded(Call(said("x").messages, thought_prefix="</think>", answer_prefix="<|im_end|>")).call
    assert (made.thought_prefix, made.answer_prefix) == ("<\u2060/\u2060think>", "<\u2060|im_end|>")
    ready = Call(rendered="<|im_start|>user")
    assert guarded(ready).call is ready


def test_what_the_tokenizer_says_of_a_doubtful_part_is_kept() -> None:
    guard, call = Guard(None, USUAL), said("a <repo_name> in <div>")
    assert guard.unsure(call) == {"<repo_name>", "<div>"}
    guard.learnt("<repo_name>", control=True)
    guard.learnt("<div>", control=False)
    assert guard.unsure(call) == set()
    assert guard.guarded(call).call.messages[0]["content"] == "a <\u2060repo_name> in <div>"


def test_an_empty_part_hides_nothing() -> None:
    parts = [{"type": "text", "text": piece} for piece in ("</", "", "think>")]
    sent = guarded(said(parts)).call.messages[0]["content"]
    assert "</think>" not in "".join(part["text"] for part in sent)


def test_parts_of_other_kinds_ids_and_documents_are_written_by_some_templates() -> None:
    parts = [{"type": "refusal", "refusal": "</think>"}, {"type": "thinking", "thinking": "<|im_end|>"}]
    call = {"id": "<|im_end|>", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history: tuple[Json, ...] = (
        {"role": "assistant", "content": parts, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "<|im_end|>", "content": "x"},
    )
    made = guarded(Call(history, extra={"documents": [{"text": "</think>"}], "other": "</think>"})).call
    told = json.dumps([made.messages, made.extra["documents"]], ensure_ascii=False)
    assert "</think>" not in told
    assert "<|im_end|>" not in told
    assert made.messages[0]["tool_calls"][0]["id"] == made.messages[1]["tool_call_id"], "they still belong together"
    assert made.extra["other"] == "</think>"


def test_stop_sequences_stop_what_the_model_copies() -> None:
    made = guarded(Call(said("so </think>").messages, stop=("</think>", "\n"))).call
    assert made.stop == ("</think>", "\n", "<\u2060/\u2060think>")


def test_arguments_are_broken_where_they_say_it_and_stay_as_they_are_written_elsewhere() -> None:
    """Numbers, double keys and halves of surrogate pairs too, whether that is good JSON or not."""
    written = '{"a": 1.10, "a": "</think>", "n": 1e999, "d": "\\ud800 </think>", "e": "\\u00e9"}'
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": written}}
    made = guarded(Call(({"role": "assistant", "tool_calls": [call]},))).call
    arguments = made.messages[0]["tool_calls"][0]["function"]["arguments"]
    assert arguments.startswith('{"a": 1.10, "a": "<\u2060/\u2060think>", "n": 1e999, "d": "')
    assert arguments.endswith('"e": "\\u00e9"}')
    assert json.loads(arguments)["d"] == "\ud800 <\u2060/\u2060think>"
    arguments.encode()
    broken = {"id": "1", "type": "function", "function": {"name": "f", "arguments": 'no JSON "</think>'}}
    assert "</think>" not in str(guarded(Call(({"role": "assistant", "tool_calls": [broken]},))).call)
    assert guarded(Call(({"role": "assistant", "content": "</think>", "tool_calls": ["x", {"function": 3}]},)))
