"""LiteLLM as no more than the way to a server of the owner's: the real llama.cpp, spoken to in its own dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pointsman.backends import Engine, ModelConfig, create
from pointsman.domain import Call, Enforcement, Sampling

pytestmark = [  # which LiteLLM itself silences at its import, where pytest does not put its own filters back
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance is deprecated"),
]
ASK = ({"role": "user", "content": "8+1*9-4+7*2-5"},)
GREEDY = Sampling(temperature=0)


@pytest.fixture
async def through(launched: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Engine]]:
    """Makes engines on the launched servers, by name, with LiteLLM in front."""
    made: list[Engine] = []

    def make(name: str, **settings: object) -> Engine:
        endpoint = launched.endpoints[name]
        monkeypatch.setenv("THE_KEY", endpoint.api_key or "none")
        given = {"engine": "hosted", "model": f"openai/{name}", "dialect": "llamacpp", "url": endpoint.url}
        config = ModelConfig.model_validate({**given, "api_key_env": "THE_KEY", **settings})
        made.append(create(name, config))
        return made[-1]

    yield make
    for engine in made:
        await engine.aclose()


async def test_answers_and_off_are_those_of_the_server_without_it(through, engine, collect: Any) -> None:
    for budget in (0, None):
        call = Call(ASK, thinking_budget=budget, sampling=GREEDY)
        here, direct = await collect(through("digits"), call), await collect(engine("digits"), call)
        assert (here.thought, here.answer) == (direct.thought, direct.answer)
        assert here.done.usage.output == direct.done.usage.output
        assert here.done.enforced is Enforcement.NATIVE
        assert (here.thought == "") is (budget == 0)


@pytest.mark.parametrize("budget", [1, 4, 8, 17])
async def test_a_budget_arrives_and_is_kept_by_the_engine_itself(through, collect: Any, budget: int) -> None:
    whole = await collect(through("digits"), Call(ASK, sampling=GREEDY))
    assert whole.done.usage.thought > 17 + 2  # else nothing would bind
    reply = await collect(through("digits"), Call(ASK, thinking_budget=budget, sampling=GREEDY))
    assert reply.done.enforced is Enforcement.NATIVE
    assert 0 < reply.done.usage.thought <= budget + 2
    assert reply.answer.strip()


async def test_two_passes_go_on_with_the_thought(through, collect: Any) -> None:
    reply = await collect(through("digits", budget="two-pass"), Call(ASK, thinking_budget=8, sampling=GREEDY))
    assert reply.done.enforced is Enforcement.TWO_PASS
    assert 0 < reply.done.usage.thought <= 8 + 2
    assert reply.answer.strip()


async def test_the_server_is_asked_for_what_only_it_knows(through, collect: Any) -> None:
    engine = through("digits")
    able = await engine.capabilities()
    assert (able.thinks, able.switchable) == (True, True)
    assert await engine.count_tokens("12") > 0
