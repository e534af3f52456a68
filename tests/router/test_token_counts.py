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
