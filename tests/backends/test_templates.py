"""A model's own template and tokenizer: the same prompt and the same tokens as the real engines make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.backends import ModelConfig
from pointsman.backends.templates import Own
from pointsman.domain import Json
from pointsman.errors import BackendRejected, ConfigError

DIGITS = Path(__file__).resolve().parents[2] / "backends" / "models" / "digits"
ASK: tuple[Json, ...] = ({"role": "user", "content": "3+4="},)


def own(**settings: Any) -> Own:
    given = {"url": "http://localhost:1/v1", "dialect": "lmstudio", **settings}
    return Own("m", ModelConfig.model_validate(given))


def written(folder: Path, text: str) -> Own:
    (folder / "own.jinja").write_text(text)
    return own(template=folder / "own.jinja")


@pytest.mark.parametrize("template", [DIGITS, DIGITS / "chat_template.jinja", DIGITS / "tokenizer_config.json"])
@pytest.mark.parametrize("thinking", [True, False])
async def test_the_prompt_and_its_tokens_are_the_engines(engine, template: Path, thinking: bool) -> None:
    """Of llama.cpp, which has the same template and vocabulary in its file; from any of the places where they are."""
    here, there = own(template=template, tokenizer=DIGITS), engine("digits")
    text = here.render(ASK, thinking=thinking)
    assert text == await there.render(ASK, thinking=thinking)
    assert text != here.render(ASK, thinking=not thinking)
    assert here.text(here.tokens(text)) == text
    assert len(here.tokens(text)) == await there.count_tokens(text)


@pytest.mark.parametrize("thinking", [True, False])
def test_the_prompt_is_that_of_transformers(thinking: bool) -> None:
    from transformers import AutoTokenizer

    told = AutoTokenizer.from_pretrained(str(DIGITS)).apply_chat_template(
        list(ASK), add_generation_prompt=True, tokenize=False, enable_thinking=thinking
    )
    assert own(template=DIGITS).render(ASK, thinking=thinking) == told


def test_control_tokens_count_as_text_where_they_are_to() -> None:
    """`special` off: what spells a control token is tokenised as the characters that it is."""
    here = own(tokenizer=DIGITS / "tokenizer.json")
    text = own(template=DIGITS).render(ASK, thinking=True)
    assert len(here.tokens(text, special=False)) != len(here.tokens(text))
    assert here.counts
    assert not here.renders


def test_templates_have_what_they_use_elsewhere(tmp_path: Path) -> None:
    """Loop controls, `generation`, JSON as it is, the special tokens' names, parts of text, arguments as objects."""
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": {"content": "<s>"}, "eos_token": "</s>"}))
    here = written(
        tmp_path,
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{{ m.tool_calls | tojson if m.tool_calls is defined }}"
        "{{ eos_token }}{% endfor %}{% if tools is defined %}tools{% endif %}",
    )
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "<b>"}]
    call = {"function": {"name": "f", "arguments": '{"x": "<ü>"}'}}
    messages: list[Json] = [
        {"role": "system", "content": "left out"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    told = '[{"function": {"name": "f", "arguments": {"x": "<ü>"}}}]'
    assert here.render(messages, thinking=True) == f"<s>a<b></s>{told}</s>"
    assert messages[1]["content"] is parts, "the caller's messages are left as they are"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ raise_exception('only one system message') }}", "only one system message"),
        ("{{ messages[0].content + [] }}", "refuses"),
        ("{{ ''.__class__.__mro__ }}", "refuses"),
        ("{{ messages.append(1) }}", "refuses"),
    ],
)
def test_what_a_template_refuses_or_may_not_do_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BackendRejected, match=said):
        written(tmp_path, text).render(ASK, thinking=True)


def test_images_are_not_read() -> None:
    with pytest.raises(BackendRejected, match="image_url"):
        own(template=DIGITS).render([{"role": "user", "content": [{"type": "image_url"}]}], thinking=True)


@pytest.mark.parametrize(
    ("name", "content", "field", "said"),
    [
        ("a.jinja", "{% for %}", "template", "no chat template"),
        ("a.jinja", None, "template", "cannot be read"),
        ("tokenizer_config.json", "{", "template", "not JSON"),
        ("tokenizer_config.json", "{}", "template", "holds no chat template"),
        ("tokenizer.json", None, "tokenizer", "no such file"),
    ],
)
def test_files_that_are_none_are_found_at_the_start(
    tmp_path: Path, name: str, content: str | None, field: str, said: str
) -> None:
    """With the setting's name, and the file's or the line's."""
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        own(**{field: tmp_path / name})
    assert caught.value.field == f"models.m.{field}"


def test_a_tokenizer_that_is_none_is_named_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="cannot be read"):
        own(tokenizer=tmp_path).tokens("x")
