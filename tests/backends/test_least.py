"""Whether a model can be off or takes a budget, told before it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pointsman.backends import ModelConfig, create
from pointsman.backends.families import load_families
from pointsman.backends.least import budget_problem
from pointsman.domain import Call

URL = "http://127.0.0.1:1/v1"


def problem(budget: int | None, **settings: Any) -> str | None:
    return budget_problem("m", ModelConfig.model_validate(settings), budget)


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("openai/gpt-oss-20b", "effort low"),
        ("MiniMaxAI/MiniMax-M2", "its own length, as it takes no lower"),
        ("zai-org/GLM-5.3", "effort low"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", "its own length"),
    ],
)
def test_a_local_family_that_cannot_be_off_says_what_its_least_is(model: str, least: str) -> None:
    told = problem(0, url=URL, model=model)
    assert told is not None
    assert f"`least` ({least}" in told
    assert "`families:`" in told
    assert (problem(None, url=URL, model=model), problem(512, url=URL, model=model)) == (None, None)


def test_an_empty_thought_is_off_where_the_engine_goes_on_from_a_text() -> None:
    r1 = {"url": URL, "model": "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"}
    assert problem(0, dialect="vllm", **r1) is None
    assert problem(0, **r1) is not None


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "HuggingFaceTB/SmolLM2-135M-Instruct", "never-heard-of"])
def test_one_that_can_be_off_or_is_not_known_has_no_problem(model: str) -> None:
    assert problem(0, url=URL, model=model) is None


def test_one_whose_thought_can_be_closed_in_the_prompt_has_none_where_the_engine_goes_on_from_one(
    tmp_path: Path,
) -> None:
    model = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
    assert problem(0, url=URL, model=model, dialect="vllm") is None
    assert "DeepSeek-R1" in (problem(0, url=URL, model=model, dialect="lmstudio") or "")


def test_the_owners_word_counts(tmp_path: Path) -> None:
    assert problem(0, url=URL, model="openai/gpt-oss-20b", thinks=False) is None
    row = {"match": "gpt-oss", "thinks": True, "switch": "thinking", "source": "mine"}
    config = ModelConfig.model_validate({"url": URL, "model": "openai/gpt-oss-20b"})
    assert budget_problem("m", config, 0, load_families({"Mine": row})) is None
    # in this process a thought is closed before it begins
    assert problem(0, engine="transformers", path=tmp_path / "gpt-oss-20b") is None


def test_a_providers_model_is_judged_by_its_own_table() -> None:
    hosted = {"engine": "hosted"}
    assert "cannot be turned off at OpenAI" in (problem(0, model="openai/gpt-5", **hosted) or "")
    assert "under 1024 tokens" in (problem(1000, model="anthropic/claude-sonnet-4-5", **hosted) or "")
    assert problem(0, model="anthropic/claude-sonnet-4-5", **hosted) is None
    behind = {**hosted, "url": URL, "dialect": "lmstudio"}  # a server of the owner's, by its family
    assert "gpt-oss" in (problem(0, model="openai/gpt-oss-20b", **behind) or "")


async def test_the_least_effort_of_a_family_is_sent_and_the_callers_own_word_wins(stub, collect) -> None:
    engine = create("m", ModelConfig.model_validate({"url": stub.url, "model": "gpt-oss-20b"}))
    asked = ({"role": "user", "content": "?"},)
    for call in (
        Call(asked, least=True),
        Call(asked),
        Call(asked, least=True, extra={"reasoning_effort": "medium"}),
    ):
        await collect(engine, call)
    await engine.aclose()
    sent = [body.get("reasoning_effort") for body in stub.bodies("/v1/chat/completions")]
    assert sent == ["low", None, "medium"]
