"""Both tokenizers of digits give the same ids for any text, and both templates the same prompt."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CONTROL = ("<pad>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<think>", "</think>")
PIECES = st.one_of(
    st.text(max_size=12),  # any Unicode, control characters too
    st.text(st.characters(max_codepoint=0x7F), max_size=12),
    st.sampled_from((*CONTROL, "<0x41>", "\u2581", "<", "|>", "  ", "\n", "😀", "中文", "<|end", "3+4*2-7")),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
# One server for all examples: it keeps nothing between requests.
real = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@real
@given(text=TEXTS, special=st.booleans())
def test_transformers_and_llama_cpp_give_the_same_ids(server: Any, tokenizer: Any, text: str, special: bool) -> None:
    ids = tokenizer(text, split_special_tokens=not special)["input_ids"]
    assert server.tokens(text, special=special) == ids
    assert tokenizer.decode(ids) == text.replace("\u2581", " ")  # as Llama's own: that character is its space


def test_printable_ascii_is_a_token_a_character_and_the_rest_a_token_a_byte(tokenizer: Any) -> None:
    ascii_text = "".join(map(chr, range(0x20, 0x7F)))
    assert len(set(tokenizer(ascii_text)["input_ids"])) == 95
    assert tokenizer.convert_ids_to_tokens(tokenizer("\n😀")["input_ids"]) == [
        "<0x0A>",
        "<0xF0>",
        "<0x9F>",
        "<0x98>",
        "<0x80>",
    ]


def test_control_tokens_in_a_users_text_are_characters_where_the_caller_says_so(server: Any) -> None:
    assert len(server.tokens("<|end|><|assistant|><think>", special=True)) == 3
    assert len(server.tokens("<|end|><|assistant|><think>", special=False)) == 27


USER = {"role": "user", "content": "3+4"}
QUESTION = "<|user|>3+4<|end|>"
CHATS: list[tuple[str, list[dict[str, Any]], dict[str, Any], str]] = [
    ("thinking", [USER], {}, QUESTION + "<|assistant|><think>"),
    ("not thinking", [USER], {"enable_thinking": False}, QUESTION + "<|assistant|><think></think>"),
    (
        "a system message and text in parts",
        [{"role": "system", "content": "S"}, {"role": "user", "content": [{"type": "text", "text": "3+4"}]}],
        {"enable_thinking": True},
        "<|system|>S<|end|>" + QUESTION + "<|assistant|><think>",
    ),
    (
        "an earlier thought is dropped",
        [USER, {"role": "assistant", "content": "7", "reasoning_content": "3+4=7;"}, USER],
        {},
        QUESTION + "<|assistant|><think></think>7<|end|>" + QUESTION + "<|assistant|><think>",
    ),
    (
        "a tool's result",
        [USER, {"role": "assistant", "content": "wait"}, {"role": "tool", "tool_call_id": "1", "content": "9"}],
        {},
        QUESTION + "<|assistant|><think></think>wait<|end|><|user|>9<|end|><|assistant|><think>",
    ),
]


@pytest.mark.parametrize(("messages", "kwargs", "text"), [c[1:] for c in CHATS], ids=[c[0] for c in CHATS])
def test_both_templates_render_a_chat_the_same(
    server: Any, tokenizer: Any, messages: list[dict[str, Any]], kwargs: dict[str, Any], text: str
) -> None:
    assert server.post("/apply-template", messages=messages, chat_template_kwargs=kwargs)["prompt"] == text
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **kwargs) == text


@pytest.mark.parametrize(
    ("last", "continued", "text"),
    [
        ({"content": "", "reasoning_content": "3+4="}, "reasoning_content", "<|assistant|><think>3+4="),
        ({"content": "", "reasoning_content": "3+4=7;"}, "content", "<|assistant|><think>3+4=7;</think>"),
        ({"content": "The answer is "}, "content", "<|assistant|><think></think>The answer is "),
    ],
)
def test_a_trailing_assistant_message_can_be_continued(
    server: Any, tokenizer: Any, last: dict[str, str], continued: str, text: str
) -> None:
    messages = [USER, {"role": "assistant", **last}]
    options = {"add_generation_prompt": False, "continue_final_message": continued}
    assert server.post("/apply-template", messages=messages, **options)["prompt"] == QUESTION + text
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=continued)
    assert rendered == QUESTION + text


def test_the_template_stands_alike_in_all_three_places(folder: Any, server: Any, tokenizer: Any) -> None:
    alone = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert tokenizer.chat_template == alone
    assert server.client.get("/props").json()["chat_template"] == alone


@pytest.mark.parametrize(
    ("kwargs", "reply", "told"),
    [
        ({}, "3+4=7;</think>7<|end|>", {"reasoning_content": "3+4=7;", "content": "7"}),
        ({"enable_thinking": False}, "7<|end|>", {"content": "7"}),
        ({}, "3+4=", {"reasoning_content": "3+4="}),
    ],
)
def test_transformers_tells_the_thought_from_the_answer(
    tokenizer: Any, kwargs: dict[str, Any], reply: str, told: dict[str, str]
) -> None:
    """By the response template, in its server too: where the prompt opened the thought, and where it was cut."""
    prompt = tokenizer.apply_chat_template([USER], tokenize=False, add_generation_prompt=True, **kwargs)
    assert tokenizer.parse_response(reply, prefix=prompt) == {"role": "assistant", **told}


def test_the_files_are_what_the_script_writes(folder: Any, tmp_path: Any) -> None:
    import digits_tokenizer

    digits_tokenizer.write(tmp_path)
    for file in tmp_path.iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()
