"""What is proposed for servers that are already running."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.backends import Discovered, ModelInfo, load_modes
from pointsman.backends.dialects import dialects
from pointsman.backends.ports import Server
from pointsman.domain import Capabilities
from pointsman.errors import BadRequest
from pointsman.router.build import build_routes
from pointsman.router.config import Settings
from pointsman.router.proposal import MOST_MODELS, Proposal, propose

URL = "http://127.0.0.1:8000/v1"
THINKS, ALWAYS, NEVER, UNKNOWN = (
    Capabilities(thinks=True, switchable=True),
    Capabilities(thinks=True, switchable=False),
    Capabilities(thinks=False),
    Capabilities(),
)


def discovered(
    *models: tuple[str, float | None, Capabilities], dialect: str = "vllm", context: int = 32768
) -> Discovered:
    """A server with these models: id, parameters in billions, what each can do."""
    infos = tuple(ModelInfo(name, context, size) for name, size, _ in models)
    return Discovered(URL, dialect, "0.32", infos, {name: able for name, _, able in models})


def arranged(found: Discovered, *, key_env: str | None = None) -> Proposal:
    """The proposal for one server."""
    return propose([Server(found, key_env=key_env)])


def routes(found: Discovered) -> dict[str, Any]:
    """The proposed routes, built as a router builds them, cheapest first."""
    made = Settings(**arranged(found).settings)
    return {route.name: route for route in build_routes(made, made.models, load_modes({}))}


def test_a_model_that_thinks_and_can_be_told_not_to_gives_three_routes() -> None:
    """Small without thought, budgeted at 1,024 tokens, full at the model's own length; full is the safe one."""
    built = routes(discovered(("Qwen/Qwen3-8B", 8, THINKS)))
    assert {name: route.thinking_budget for name, route in built.items()} == {
        "small": 0,
        "budgeted": 1024,
        "full": None,
    }
    assert {name: route.tier for name, route in built.items()} == {name: name for name in built}
    assert built["small"].price.output == 8
    assert built["small"].price.assumed
    assert arranged(discovered(("Qwen/Qwen3-8B", 8, THINKS))).settings["safe_route"] == "full"


@pytest.mark.parametrize(
    ("able", "dialect", "expected"),
    [
        (ALWAYS, "vllm", ["budgeted", "full"]),
        (ALWAYS, "openai", ["full"]),
        (THINKS, "openai", ["small", "full"]),
        (NEVER, "vllm", ["Qwen/Qwen3-8B"]),
        (UNKNOWN, "vllm", ["Qwen/Qwen3-8B"]),
        (Capabilities(thinks=True), "vllm", ["budgeted", "full"]),
    ],
)
def test_only_what_the_server_can_keep_is_promised(able: Capabilities, dialect: str, expected: list[str]) -> None:
    """No route without thought where thought cannot be switched off, no budget where nothing can cut; a model that does
    not think, or of which nothing is known, is one route."""
    assert list(routes(discovered(("Qwen/Qwen3-8B", 8, able), dialect=dialect))) == expected


def test_several_models_give_routes_with_their_names_and_tiers_that_keep_their_word() -> None:
    """A separate small model is small; budgeted is what has a budget; full the dearest, which is the safe one; a large
    model without thought has no tier."""
    found = discovered(("Qwen/Qwen3-32B", 32, THINKS), ("meta/Llama-3-8B", 8, NEVER))
    built = routes(found)
    assert list(built) == ["llama-3-8b", "qwen3-32b-direct", "qwen3-32b-budgeted", "qwen3-32b-full"]
    assert [route.tier for route in built.values()] == ["small", None, "budgeted", "full"]
    assert arranged(found).settings["safe_route"] == "qwen3-32b-full"


def test_a_small_model_that_thinks_is_budgeted_before_it_is_full() -> None:
    """The thought of the smaller of two has no limit and is not the dearest: neither budgeted nor full."""
    built = routes(discovered(("big", 32, ALWAYS), ("tiny", 2, ALWAYS)))
    assert {name: route.tier for name, route in built.items()} == {
        "tiny-budgeted": "budgeted",
        "tiny-full": None,
        "big-budgeted": "budgeted",
        "big-full": "full",
    }


def test_only_engines_that_end_a_thought_have_a_budgeted_route() -> None:
    """By themselves or in two passes; where a family's thought is ended by no text, none but llama.cpp's."""
    assert dialects().keys() > {"lmstudio", "transformers_serve", "openai"}
    for name in dialects():
        found = discovered(("m", 8, THINKS), dialect=name)
        assert ("budgeted" in routes(found)) == (name not in ("lmstudio", "transformers_serve", "openai")), name
        found = replace(found, families={"m": "gpt-oss-20b"})
        assert ("budgeted" in routes(found)) == (name in ("llamacpp", "llamaswap")), name
        found = replace(found, families={"m": "QwQ"})  # of which the markers are not known, so the usual ones are taken
        assert ("budgeted" in routes(found)) == (name not in ("lmstudio", "transformers_serve", "openai")), name


# -- several servers -----------------------------------------------------------------------------------------------


def at(port: int, *models: tuple[str, float | None, Capabilities], dialect: str = "vllm") -> Server:
    """A server at a port."""
    return Server(replace(discovered(*models, dialect=dialect), url=f"http://127.0.0.1:{port}/v1"))


def test_two_servers_are_one_configuration() -> None:
    """Each model keeps its address; one that both list is told apart by its port."""
    made = propose([at(8000, ("Qwen/Qwen3-8B", 8, THINKS)), at(8001, ("Qwen/Qwen3-8B", 8, THINKS), ("x", 1, NEVER))])
    urls = {name: model["url"] for name, model in made.settings["models"].items()}
    assert urls == {
        "Qwen/Qwen3-8B": "http://127.0.0.1:8000/v1",
        "Qwen/Qwen3-8B-8001": "http://127.0.0.1:8001/v1",
        "x": "http://127.0.0.1:8001/v1",
    }
    parsed = Settings(**made.settings)
    assert {r.model for r in build_routes(parsed, parsed.models, load_modes({}))} == set(urls)


def test_given_parameters_win_and_give_prices() -> None:
    """With the one unknown size given, every route has its own price; a model that nobody lists is named."""
    servers = [at(8000, ("mystery", None, NEVER), ("Qwen/Qwen3-8B", 8, NEVER))]
    made = propose(servers, params={"mystery": 3})
    assert [model.parameters for model in made.models] == [3, 8]
    assert "price" not in made.settings["routes"]["mystery"]
    assert not any("cannot be told" in note for note in made.notes)
    with pytest.raises(BadRequest, match=r"no server lists a model 'misery'; listed: Qwen/Qwen3-8B, mystery"):
        propose(servers, params={"misery": 3})


def test_models_can_be_chosen_out_of_a_catalogue() -> None:
    """By id, however many there are; even one whose name says that it embeds."""
    many = at(11434, *((f"m{i}", 1, NEVER) for i in range(MOST_MODELS)), ("embedder", 1, NEVER), ("n", 1, NEVER))
    with pytest.raises(BadRequest, match="--model NAME"):
        propose([many])
    assert [model.info.id for model in propose([many], only=["m3", "embedder"]).models] == ["m3", "embedder"]
    with pytest.raises(BadRequest, match="no server lists a model 'nobody'"):
        propose([many], only=["nobody"])


@pytest.mark.parametrize(
    ("dialect", "count", "swaps"),
    [
        *(("ollama", 2, True), ("ollama", 1, False), ("lmstudio", 2, True), ("llamaswap", 2, True)),
        *(("llamacpp", 2, True), ("llamacpp", 1, False), ("vllm", 2, False)),
    ],
)
def test_engines_that_swap_say_so(dialect: str, count: int, swaps: bool) -> None:
    """Where there is more than one model to swap."""
    made = arranged(discovered(*((f"m{i}", 1, NEVER) for i in range(count)), dialect=dialect))
    assert any("each switch of model loads for seconds" in note for note in made.notes) == swaps


def test_where_one_size_cannot_be_told_every_route_costs_the_same_and_it_is_said() -> None:
    """Prices are not guessed for some: all routes get price 1, and the note names the model."""
    found = discovered(("mystery", None, NEVER), ("Qwen/Qwen3-8B", 8, NEVER))
    assert {route.price.output for route in routes(found).values()} == {1.0}
    assert any("The size of mystery cannot be told" in note for note in arranged(found).notes)


def test_what_is_not_known_to_think_is_said() -> None:
    """The note names the model, so that the owner can put it right."""
    assert any("Whether odd can think" in note for note in arranged(discovered(("odd", 8, UNKNOWN))).notes)


def test_a_short_context_has_a_smaller_budget() -> None:
    """A budget that fills the context would leave no answer."""
    assert routes(discovered(("m", 1, THINKS), context=1024))["budgeted"].thinking_budget == 256


def test_models_that_write_no_text_are_left_out() -> None:
    """An embedding model beside the others is no route."""
    made = arranged(discovered(("Qwen/Qwen3-8B", 8, NEVER), ("BAAI/bge-reranker", 1, NEVER), ("nomic-embed", 1, NEVER)))
    assert list(made.settings["models"]) == ["Qwen/Qwen3-8B"]


def test_a_catalogue_is_refused() -> None:
    """With hundreds of models the owner has to say which; the message says where."""
    with pytest.raises(BadRequest, match="under `models:`"):
        arranged(discovered(*((f"m{i}", 1, NEVER) for i in range(MOST_MODELS + 1))))


def test_the_key_is_named_and_never_written() -> None:
    """The configuration holds the variable's name."""
    made = arranged(discovered(("m", 1, NEVER)), key_env="POINTSMAN_UPSTREAM_API_KEY")
    assert made.settings["models"]["m"]["api_key_env"] == "POINTSMAN_UPSTREAM_API_KEY"


names = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters="/:.-()_"), min_size=1, max_size=20
)
NO_TEXT = ("embed", "rerank", "whisper", "tts", "moderation")
awkward = st.sampled_from(
    [
        "auto",
        "auto:small",
        "small",
        "full",
        "/models/a.gguf",
        "/other/a.gguf",
        "a",
        "A",
        "x/a",
        "a-small",
        "x/auto",
        "EMBED",
    ]
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(names | awkward, st.none() | st.floats(0.1, 700), st.sampled_from([THINKS, ALWAYS, NEVER, UNKNOWN])),
        min_size=1,
        max_size=6,
        unique_by=lambda model: model[0],
    ),
    st.sampled_from(["vllm", "openai", "llamacpp", "ollama", "llamaswap"]),
)
def test_any_server_gives_a_configuration_that_holds(models: list[Any], dialect: str) -> None:
    """Whatever the ids, sizes and abilities: every model that writes text has a route (all, where none does by its
    name), names are distinct, each means one thing, the settings are valid, and the safe route is the dearest."""
    found = discovered(*models, dialect=dialect)
    made = arranged(found).settings
    ids = [name for name, _, _ in models]
    writing = [name for name in ids if not any(kind in name.lower() for kind in NO_TEXT)] or ids
    assert sorted(m["model"] for m in made["models"].values()) == sorted(writing)
    parsed = Settings(**made)
    built = build_routes(parsed, parsed.models, load_modes({}))
    assert {route.model for route in built} == set(made["models"])
    for route in built:
        assert route.name not in made["models"] or route.model == route.name
        assert not route.name.startswith("auto")
    assert built[-1].price.output == next(r for r in built if r.name == made["safe_route"]).price.output
