"""Guessing how long a prompt is before an engine counts it."""

from __future__ import annotations

import pytest

from pointsman.domain import Query
from pointsman.router.token_counts import TokenCounts, guess


def query(text: str) -> Query:
    return Query(messages=({"role": "user", "content": text},))


def test_four_characters_are_a_token() -> None:
    assert guess(query("x" * 400)) == pytest.approx(100, abs=5)


def test_parts_tools_and_tool_calls_count() -> None:
    parts = Query(messages=({"role": "user", "content": [{"type": "text", "text": "x" * 400}]},))
    assert guess(parts) == pytest.approx(100, abs=5)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"description": "y" * 400}}}
    assert guess(Query(messages=parts.messages, tools=(tool,))) > 190
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": "z" * 400}}]}
    assert guess(Query(messages=(call,))) > 90


def test_the_engines_counts_correct_the_guess() -> None:
    counts = TokenCounts()
    asked = query("x" * 400)
    assert counts.prompt_tokens("m", asked) == guess(asked)
    for _ in range(200):
        counts.learn("m", asked, 300)
    assert counts.prompt_tokens("m", asked) == pytest.approx(300, rel=0.01)
    assert counts.prompt_tokens("other", asked) == guess(asked)


def test_no_count_teaches_nothing() -> None:
    counts = TokenCounts()
    counts.learn("m", query("abc"), 0)
    assert counts.prompt_tokens("m", query("abc")) == guess(query("abc"))


def test_a_templates_own_words_are_a_constant() -> None:
    """A greeting of 10 guessed characters that counts 31 tokens does not make a long text twelve times as long."""
    counts = TokenCounts()
    counts.learn("m", query("hi"), 31)
    assert counts.prompt_tokens("m", query("hi")) == pytest.approx(31, abs=1)
    assert counts.prompt_tokens("m", query("x" * 8000)) == pytest.approx(2030, rel=0.05)


def test_a_script_of_many_tokens_is_a_share() -> None:
    """A long text that counts twice its guess says nothing of a short one."""
    counts = TokenCounts()
    for _ in range(5):
        counts.learn("m", query("x" * 8000), 4004)
    assert counts.prompt_tokens("m", query("x" * 8000)) == pytest.approx(4004, rel=0.05)
    assert counts.prompt_tokens("m", query("hi")) < 30
    counts.learn("m", query("x" * 8000), 10**9)
    assert counts.prompt_tokens("m", query("x" * 8000)) < 20_000_000


def test_pictures_teach_nothing() -> None:
    counts = TokenCounts()
    shown = {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]}
    counts.learn("m", Query(messages=(shown,)), 1500)
    assert counts.prompt_tokens("m", query("abc")) == guess(query("abc"))
