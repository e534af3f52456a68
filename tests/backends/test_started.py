"""How servers were started, from small real servers that answer as the engines do."""

from __future__ import annotations

import pytest
from listings import Listing, llamacpp, ollama, serving, sglang, vllm

from pointsman.backends.discover import discover
from pointsman.backends.server_flags import Started
from pointsman.backends.started import started


async def flags_of(listing: Listing) -> Started:
    """What is told of this server."""
    async with serving(listing) as url:
        return await started(await discover(url))


@pytest.mark.parametrize("parser", [True, False])
@pytest.mark.parametrize("tools", [True, False])
async def test_vllm_refuses_what_it_was_not_started_for(parser: bool, tools: bool) -> None:
    """Two requests for one token each tell both."""
    listing = vllm(parser=parser, tools=tools)
    assert await flags_of(listing) == {
        "--reasoning-parser": "" if parser else None,
        "--enable-auto-tool-choice": "" if tools else None,
    }
    posts = [body for path, body in listing.asked if path.startswith("POST")]
    assert [body["max_completion_tokens"] for body in posts] == [1, 1]


@pytest.mark.parametrize(
    "answer", [(400, {"error": {"message": "the chat template is missing"}}), (500, {}), (429, {})]
)
async def test_a_refusal_for_another_reason_tells_nothing(answer: object) -> None:
    """Only the sentence that names the flag's matter does."""
    listing = vllm()
    listing.answers = {**listing.answers, "POST /v1/chat/completions": answer}
    assert await flags_of(listing) == {}


async def test_sglang_tells_its_settings() -> None:
    assert await flags_of(sglang(reasoning_parser="qwen3", enable_strict_thinking=True)) == {
        "--reasoning-parser": "qwen3",
        "--tool-call-parser": None,
        "--enable-strict-thinking": "",
        "--enable-cache-report": None,
    }


async def test_an_sglang_that_tells_nothing_is_not_said_to_lack_anything() -> None:
    listing = sglang()
    listing.answers = {"/v1/models": listing.answers["/v1/models"]}
    assert await flags_of(listing) == {}


async def test_llamacpp() -> None:
    """Its /metrics is 501 without the flag; an old build does not say whether it uses the model's template."""
    assert await flags_of(llamacpp()) == {"--metrics": None, "--jinja": ""}
    assert await flags_of(llamacpp(metrics=True, caps=False)) == {"--metrics": ""}


async def test_engines_that_swap_models_are_asked_for_no_token() -> None:
    """It would load one."""
    listing = ollama("qwen3:8b")
    assert await flags_of(listing) == {}
    assert not [path for path, _ in listing.asked if "completions" in path or "/api/chat" in path]
