"""The configuration for a server that is already running."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.backends import Discovered, ModelInfo, load_modes
from pointsman.domain import Capabilities
from pointsman.errors import BadRequest
from pointsman.router.build import build_routes
from pointsman.router.config import Settings
from pointsman.router.upstream import MOST_MODELS, arrange

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


def routes(found: Discovered) -> dict[str, Any]:
    """The routes of the arranged configuration, built as a router builds them, cheapest first."""
    made = Settings(**arrange(found).settings)
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
    assert arrange(discovered(("Qwen/Qwen3-8B", 8, THINKS))).settings["safe_route"] == "full"


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


def test_several_models_give_routes_with_their_names_and_tiers_by_price() -> None:
    """The small model's cheapest route is small, the large one's dearest full, what lies between budgeted; the dearest
    is the safe one."""
    found = discovered(("Qwen/Qwen3-32B", 32, THINKS), ("meta/Llama-3-8B", 8, NEVER))
    built = routes(found)
    assert list(built) == ["llama-3-8b", "qwen3-32b-small", "qwen3-32b-budgeted", "qwen3-32b-full"]
    assert [route.tier for route in built.values()] == ["small", "budgeted", "budgeted", "full"]
    assert arrange(found).settings["safe_route"] == "qwen3-32b-full"


def test_where_one_size_cannot_be_told_every_route_costs_the_same_and_it_is_said() -> None:
    """Prices are not guessed for some: all routes get price 1, and the note names the model."""
    found = discovered(("mystery", None, NEVER), ("Qwen/Qwen3-8B", 8, NEVER))
    assert {route.price.output for route in routes(found).values()} == {1.0}
    assert any("The size of mystery cannot be told" in note for note in arrange(found).notes)


def test_what_is_not_known_to_think_is_said() -> None:
    """The note names the model, so that the owner can put it right."""
    assert any("Whether odd can think" in note for note in arrange(discovered(("odd", 8, UNKNOWN))).notes)


def test_a_short_context_has_a_smaller_budget() -> None:
    """A budget that fills the context would leave no answer."""
    assert routes(discovered(("m", 1, THINKS), context=1024))["budgeted"].thinking_budget == 256


def test_models_that_write_no_text_are_left_out() -> None:
    """An embedding model beside the others is no route."""
    made = arrange(discovered(("Qwen/Qwen3-8B", 8, NEVER), ("BAAI/bge-reranker", 1, NEVER), ("nomic-embed", 1, NEVER)))
    assert list(made.settings["models"]) == ["Qwen/Qwen3-8B"]


def test_a_catalogue_is_refused() -> None:
    """With hundreds of models the owner has to say which; the message says where."""
    with pytest.raises(BadRequest, match="under `models:`"):
        arrange(discovered(*((f"m{i}", 1, NEVER) for i in range(MOST_MODELS + 1))))


def test_the_key_is_named_and_never_written() -> None:
    """The configuration holds the variable's name."""
    made = arrange(discovered(("m", 1, NEVER)), key_env="POINTSMAN_UPSTREAM_API_KEY")
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
    st.sampled_from(["vllm", "openai", "llamacpp", "ollama"]),
)
def test_any_server_gives_a_configuration_that_holds(models: list[Any], dialect: str) -> None:
    """Whatever the ids, sizes and abilities: every model that writes text has a route (all, where none does by its
    name), names are distinct, each means one thing, the settings are valid, and the safe route is the dearest."""
    found = discovered(*models, dialect=dialect)
    made = arrange(found).settings
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
