"""The makers' recommended sampling, by model and mode, and how it reaches the server."""

from __future__ import annotations

import pytest

from pointsman.backends import ModelConfig, create, load_families, load_modes, prepare
from pointsman.backends.advised import advice, names_of
from pointsman.backends.sampling import UNADVISED
from pointsman.domain import Price, Query, Route, Sampling

URL = "http://127.0.0.1:1/v1"
THINK = Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0)
DIRECT = Sampling(temperature=0.7, top_p=0.8, top_k=20, min_p=0)
ASKED = Query(({"role": "user", "content": "3+4"},))


def config(**settings):
    return ModelConfig.model_validate({"url": URL, "model": "Qwen/Qwen3-8B", "dialect": "vllm", **settings})


def route(mode, budget=None):
    return Route("r", "q", mode, budget, Price(0.1, 0.0, 1.0))


def test_thinking_and_answering_at_once_have_their_own():
    told = advice("q", config())
    assert (told.think, told.direct) == (THINK, DIRECT)
    assert advice("Qwen3-8B", config(model=None)) == told
    assert advice("q", config(model="my-own")) == UNADVISED


def test_a_model_that_always_thinks_and_one_that_never_does_have_one_for_all_modes():
    for model, sampling in (("QwQ-32B", Sampling(temperature=0.6, top_p=0.95, min_p=0)),
                            ("Qwen3-4B-Instruct-2507", DIRECT)):  # fmt: skip
        told = advice("q", config(model=model))
        assert told.think == told.direct == sampling


def test_what_the_owner_decides_and_what_the_engine_does_not_know_is_not_recommended():
    """Nobody asked for it, so nobody is to be warned that it was not sent."""
    told = advice("q", config(extra={"temperature": 0, "top_k": 5}))
    assert told.think == Sampling(top_p=0.95, min_p=0)
    assert advice("q", config(dialect="openai")).think == Sampling(temperature=0.6, top_p=0.95)
    assert advice("q", config(dialect="llamacpp")).think == THINK


def test_an_owners_family_is_asked_first():
    row = {"match": "qwen", "thinks": True, "switch": "none", "source": "me", "sampling": {"think": {"top_k": 3}}}
    assert advice("q", config(), load_families({"Mine": row})).think == Sampling(top_k=3)


def test_a_model_goes_by_the_names_of_its_configuration(tmp_path):
    assert names_of("q", config()) == ("Qwen/Qwen3-8B", "q")
    assert names_of("q", ModelConfig(path=tmp_path / "Qwen3-8B.gguf")) == ("Qwen3-8B.gguf", "q")
    assert names_of("q", ModelConfig(embedded="digits")) == ("digits", "q")


@pytest.mark.parametrize(
    ("mode", "budget", "sampling"),
    [("think", None, THINK), ("think", 64, THINK), ("think", 0, DIRECT), ("direct", 64, DIRECT), ("solve", 0, DIRECT)],
)
def test_the_mode_and_the_budget_tell_which_is_sent(mode, budget, sampling):
    assert prepare(ASKED, route(mode, budget), None, advice("q", config())).sampling == sampling


def test_the_caller_wins_then_the_mode_then_the_family():
    row = {"about": "A.", "source": "S", "think": True, "sampling": {"temperature": 0.9, "top_p": 0.5}}
    modes, told = load_modes({"mine": row}), advice("q", config())
    query = Query(ASKED.messages, sampling=Sampling(temperature=0.0, seed=1))
    assert prepare(query, route("mine"), modes, told).sampling == Sampling(
        temperature=0.0, top_p=0.5, top_k=20, min_p=0, seed=1
    )
    assert prepare(query, route("think"), modes, told).sampling.temperature == 0.0
    assert prepare(ASKED, route("mine"), modes).sampling == Sampling(temperature=0.9, top_p=0.5)


async def test_what_is_sent_is_what_is_recommended_but_for_what_the_caller_says(stub, engine_at, collect):
    """And where the engine knows less, less is sent, without a warning."""
    zero = Query(ASKED.messages, sampling=Sampling(temperature=0.0))
    for query, dialect in ((ASKED, "vllm"), (zero, "vllm"), (ASKED, "openai")):
        told = advice("q", config(dialect=dialect))
        reply = await collect(engine_at(stub.url, dialect=dialect), prepare(query, route("direct", 0), None, told))
        assert not any("top_k" in warning for warning in reply.done.warnings)
    sent = [
        {name: body[name] for name in ("temperature", "top_p", "top_k", "min_p") if name in body}
        for body in stub.bodies("/v1/chat/completions")
    ]
    full = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0}
    assert sent == [full, full | {"temperature": 0.0}, {"temperature": 0.7, "top_p": 0.8}]


async def test_an_engine_knows_the_owners_families(stub):
    row = {"match": "stub", "thinks": True, "switch": "none", "source": "me"}
    for families, told in ((None, (None, None)), (load_families({"Mine": row}), (True, False))):
        engine = create("q", config(url=stub.url, model="stub"), families=families)
        able = await engine.capabilities()
        assert (able.thinks, able.switchable) == told
        await engine.aclose()
