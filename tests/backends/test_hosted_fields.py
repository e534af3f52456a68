"""The table of what providers call thinking, and what a wish comes to in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.hosted_fields import STEPS, EffortField, spelling_of, spellings

ROWS = [(row.name, row) for row in spellings()]


def at(body: Any, path: str) -> Any:
    for key in path.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("anthropic/claude-3-5-haiku-latest", "Claude before 3.7"),
        ("anthropic/claude-3-7-sonnet-latest", "Claude 3.7 to 4.5"),
        ("anthropic/claude-sonnet-4-20250514", "Claude 3.7 to 4.5"),
        ("anthropic/claude-sonnet-4-5", "Claude 3.7 to 4.5"),
        ("anthropic/claude-opus-4-6", "Claude 4.6"),
        ("anthropic/claude-opus-4-7", "Claude 4.7 and later"),
        ("anthropic/claude-sonnet-5", "Claude 4.7 and later"),
        ("anthropic/claude-haiku-5-5", "Claude 4.7 and later"),
        ("anthropic/claude-opus-5-5", "Claude that always thinks"),
        ("openai/gpt-4o-mini", "OpenAI that does not think"),
        ("openai/gpt-5", "OpenAI GPT-5"),
        ("openai/gpt-5-mini-2025-08-07", "OpenAI GPT-5"),
        ("openai/gpt-5.1", "OpenAI that can be off"),
        ("openai/gpt-5.4-nano", "OpenAI that can be off"),
        ("openai/o4-mini", "OpenAI that always thinks"),
        ("gemini/gemini-2.5-pro", "Gemini 2.5 Pro"),
        ("gemini/gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite"),
        ("gemini/gemini-2.5-flash", "Gemini 2.5 Flash"),
        ("gemini/gemini-3-flash-preview", "Gemini 3 Flash"),
        ("gemini/gemini-3-pro-preview", "Gemini 3 and later"),
        ("deepseek/deepseek-chat", "DeepSeek"),
        ("deepseek/deepseek-reasoner", "DeepSeek's reasoner"),
        ("openrouter/openai/gpt-oss-120b", "OpenRouter, models that always think"),
        ("openrouter/anthropic/claude-sonnet-4.5", "OpenRouter, Claude"),
        ("openrouter/qwen/qwen3-32b", "OpenRouter"),
        ("mistral/magistral-medium-latest", "Magistral"),
        ("mistral/mistral-small-latest", "Mistral that can think"),
        ("Mistral/Mistral-Small-Latest", "Mistral that can think"),
        ("mistral/mistral-small-2409", ""),
        ("groq/llama-3.3-70b", ""),
        ("bedrock/anthropic.claude-sonnet-4-5", ""),
    ],
)
def test_a_model_is_found_by_its_name(model: str, row: str) -> None:
    assert spelling_of(model).name == row


def test_of_an_unknown_provider_nothing_is_claimed() -> None:
    row = spelling_of("groq/llama-3.3-70b")
    assert (row.thinks, row.switchable, row.off_problem(), row.budget_problem(1)) == (None, None, None, None)
    assert (row.thinking(100), row.prefill, row.logprobs) == ({}, None, None)


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_row_names_its_source_and_its_fields_make_sense(name: str, row: Any) -> None:
    re.compile(row.match)
    assert row.source
    assert not (row.budget and row.effort)
    if row.effort:
        assert [STEPS[word] for word in row.effort.words] == sorted(STEPS[word] for word in row.effort.words)
        assert row.effort.usual in (None, *row.effort.words)
    if row.thinks is False:
        assert not any((row.switch_off, row.switch_on, row.budget, row.effort, row.loop))


@pytest.mark.parametrize(("name", "row"), [(name, row) for name, row in ROWS if row.budget])
def test_a_number_arrives_as_the_number_and_off_never_carries_one(name: str, row: Any) -> None:
    for budget in (row.budget.min, row.budget.min + 7, 20_000):
        assert at(row.thinking(budget), row.budget.field) == budget
    assert at(row.thinking(None, least=True), row.budget.field) == row.budget.min
    assert at(row.switch_off or {}, row.budget.field) in (None, 0)


@pytest.mark.parametrize(("name", "row"), [(name, row) for name, row in ROWS if row.effort])
def test_a_budget_becomes_a_word_of_the_row_and_more_tokens_never_a_lesser_one(name: str, row: Any) -> None:
    words = [at(row.thinking(budget), row.effort.field) for budget in range(1, 40_000, 97)]
    assert set(words) <= set(row.effort.words)
    places = [row.effort.words.index(word) for word in words]
    assert places == sorted(places)
    assert at(row.thinking(None, least=True), row.effort.field) == row.effort.words[0]
    assert at(row.thinking(None, word="high"), row.effort.field) == "high"
    assert at(row.thinking(None), row.effort.field) == row.effort.usual


@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, unique=True), st.integers(1, 100_000))
def test_the_nearest_word_is_the_greatest_that_the_budget_reaches(words: list[str], budget: int) -> None:
    ordered = tuple(sorted(words, key=STEPS.__getitem__))
    reached = [word for word in ordered if STEPS[word] <= budget]
    assert EffortField("f", ordered).nearest(budget) == (reached[-1] if reached else ordered[0])


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("openai/gpt-5", "effort minimal"),
        ("openai/o3", "effort low"),
        ("gemini/gemini-2.5-pro", "a budget of 128 tokens"),
        ("gemini/gemini-3-pro-preview", "effort low"),
        ("deepseek/deepseek-reasoner", "its own length"),
        ("anthropic/claude-opus-5-5", "effort low"),
    ],
)
def test_what_cannot_be_off_says_so_and_what_its_least_is(model: str, least: str) -> None:
    problem = spelling_of(model).off_problem()
    assert problem is not None
    assert f"`least` ({least}" in problem


@pytest.mark.parametrize(
    "model", ["anthropic/claude-sonnet-4-5", "openai/gpt-5.1", "openai/gpt-4o", "mistral/mistral-small"]
)
def test_what_can_be_off_or_never_thinks_has_no_such_problem(model: str) -> None:
    assert spelling_of(model).off_problem() is None


@pytest.mark.parametrize(
    ("model", "budget", "problem"),
    [
        ("anthropic/claude-sonnet-4-5", 1023, "under 1024 tokens.*or 0, which is off"),
        ("anthropic/claude-sonnet-4-5", 1024, None),
        ("gemini/gemini-2.5-pro", 127, "under 128 tokens.*the mode `least`"),
        ("gemini/gemini-2.5-pro", 32769, "over 32768 tokens"),
        ("gemini/gemini-2.5-flash", 1, None),
        ("openai/gpt-5", 1, None),
    ],
)
def test_a_budget_that_the_provider_would_refuse_is_told_in_a_sentence(
    model: str, budget: int, problem: str | None
) -> None:
    told = spelling_of(model).budget_problem(budget)
    assert (told is None) == (problem is None)
    assert problem is None or re.search(problem, told or "")
