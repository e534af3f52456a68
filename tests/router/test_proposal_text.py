"""A proposal as a commented configuration: read back by the loader it is the proposal, whatever servers call their
models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.backends import Discovered, ModelInfo, load_modes
from pointsman.backends.ports import Server
from pointsman.domain import Capabilities
from pointsman.router.build import build_routes
from pointsman.router.config import load
from pointsman.router.proposal import propose
from pointsman.router.proposal_text import about, comment, lacking, price_of, scalar, written

URL = "http://127.0.0.1:8000/v1"
THINKS, ALWAYS, NEVER, UNKNOWN = (
    Capabilities(thinks=True, switchable=True),
    Capabilities(thinks=True, switchable=False),
    Capabilities(thinks=False),
    Capabilities(),
)


def server(
    *models: tuple[str, float | None, Capabilities],
    dialect: str = "vllm",
    version: str = "0.32",
    families: dict[str, str] | None = None,
    url: str = URL,
    **more: Any,
) -> Server:
    """A server with these models: id, parameters in billions, what each can do."""
    infos = tuple(ModelInfo(name, 32768, size) for name, size, _ in models)
    found = Discovered(url, dialect, version, infos, {name: able for name, _, able in models}, families or {})
    return Server(found, **more)


def text(*servers: Server) -> str:
    """The configuration for these servers."""
    return written(propose(servers), "Written by a test.")


def prose(configuration: str) -> str:
    """Its comments as running text."""
    lines = (line.strip() for line in configuration.splitlines())
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))


def test_what_is_written_is_what_was_proposed(tmp_path: Path) -> None:
    """The loader of configurations reads it, and the routes are built from it."""
    servers = [
        server(("Qwen/Qwen3-32B", 32, THINKS)),
        server(
            ("llama3.2:1b", 1.2, NEVER), ("gpt-oss:20b", 3.6, ALWAYS), dialect="ollama", url="http://127.0.0.1:1/v1"
        ),
    ]
    proposal = propose(servers)
    file = tmp_path / "pointsman.yaml"
    file.write_text(written(proposal, "Written by a test."), encoding="utf-8")
    read, _ = load(file, environ={})
    built = {route.name: route for route in build_routes(read, read.models, load_modes({}))}
    assert list(built) == [route.name for route in proposal.routes]
    for route in proposal.routes:
        model = next(one for one in proposal.models if one.name == route.model)
        price = built[route.name].price
        assert (price.input, price.output) == pytest.approx(price_of(model, route))
    assert read.safe_route == "qwen3-32b-full"
    assert str(read.models["llama3.2:1b"].url) == "http://127.0.0.1:1/v1"


def test_one_model_with_several_budgets_is_called_the_recommended_set_up() -> None:
    """With the reason for its budget, and where a better one comes from."""
    told = prose(text(server(("Qwen/Qwen3-8B", 8, THINKS))))
    assert "One model with several thinking budgets: on a single GPU this is the recommended set-up." in told
    assert "Thinks at most 1024 tokens: a round number" in told
    assert "`pointsman calibrate` measures several budgets and says which to fix." in told


def test_a_model_that_does_not_think_is_no_set_up_of_budgets() -> None:
    assert "recommended set-up" not in text(server(("m", 8, NEVER)))


def test_a_missing_route_is_explained_at_its_model() -> None:
    """No route with thinking off where it is always on, none within a budget where nothing cuts."""
    named = {"gpt-oss:20b": "gpt-oss-20b"}
    told = prose(text(server(("gpt-oss:20b", 3.6, ALWAYS), dialect="ollama", families=named)))
    assert "It always thinks: there is no route with thinking off. `mode: least`" in told
    assert "No text is known that ends its thoughts" in told
    assert "LM Studio keeps no thinking budget: there is no budgeted route." in prose(
        text(server(("m", 8, THINKS), dialect="lmstudio"))
    )
    told = prose(text(server(("m", 8, THINKS))))
    assert "always thinks" not in told
    assert "no budgeted route" not in told


def test_a_budget_that_rests_on_what_no_document_promises_says_so() -> None:
    """Ollama's own rendering of a prompt."""
    told = prose(text(server(("qwen3:8b", 8, THINKS), dialect="ollama")))
    assert "it is kept in two passes where Ollama shows its prompt, which no document promises" in told
    assert "`context: 16384` here is its num_ctx" in told


def test_flags_stand_unbroken_with_what_is_known_of_them() -> None:
    """One that a shell takes as it is, seen to be missing; one that cannot be seen."""
    absent = {"--reasoning-parser": None, "--enable-auto-tool-choice": ""}
    family = {"d": "DeepSeek V3.1"}
    lines = text(server(("d", 37, THINKS), families=family, started=absent)).splitlines()
    markers = """#     --reasoning-config '{"reasoning_start_str": "<think>", "reasoning_end_str": "</think>"}'"""
    assert "#     --reasoning-parser deepseek_v3" in lines
    assert markers in lines
    assert "seen to be missing" in lines[lines.index(markers) + 1]
    assert not any("--tool-call-parser" in line for line in lines)
    at = lines.index("#     --enable-prompt-tokens-details")
    assert "cannot be seen" in " ".join(lines[at : at + 3])


def test_a_server_with_several_models_is_told_of_a_flag_once() -> None:
    """vLLM lists the names of its adapters too."""
    both = {"a": "Qwen3 hybrid", "b": "Qwen3 hybrid"}
    ((_, needs),) = lacking(propose([server(("a", 8, THINKS), ("b", 8, THINKS), families=both)]))
    assert len({flag.words for flag in needs.flags}) == len(needs.flags)


def test_a_key_is_named_and_never_written() -> None:
    made = text(server(("m", 1, NEVER), key_env="MY_KEY"))
    assert yaml.safe_load(made)["models"]["m"]["api_key_env"] == "MY_KEY"


def test_a_short_context_says_why_its_budget_is_less() -> None:
    found = Discovered(URL, "vllm", "", (ModelInfo("m", 1024, 1),), {"m": THINKS})
    route = next(one for one in propose([Server(found)]).routes if one.kind == "budgeted")
    assert "Thinks at most 256 tokens: a quarter of its context." in about(route)


odd = st.text(st.characters(), min_size=1, max_size=40)
awkward = st.sampled_from(
    [
        *(
            "yes",
            "null",
            "~",
            "1e3",
            "0x10",
            "2026-01-01",
            "- a",
            "a: b",
            "# not",
            "!!python/object:x",
            "&a",
            "*a",
            "<<",
        ),
        *(
            "a\nroutes: {evil: 1}",
            "a\rb",
            "a\x85b",
            "a\u2028b",
            "\x1b[31m",
            "\ud800",
            '"',
            "'",
            "{a}",
            "[a]",
            "a,b",
            "?",
        ),
        *("a\n# b", "'\n  x: 1", "\t", " a ", "\U0001f600", "%", "@", "`", "|", ">", "=", "..."),
    ]
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(odd | awkward, st.none() | st.floats(0.001, 700), st.sampled_from([THINKS, ALWAYS, NEVER, UNKNOWN])),
        min_size=1,
        max_size=4,
        unique_by=lambda model: model[0],
    ),
    odd | awkward,
    st.sampled_from(["vllm", "openai", "llamacpp", "ollama", "sglang"]),
)
def test_whatever_a_server_says_the_file_reads_back_as_the_proposal(models: Any, version: str, dialect: str) -> None:
    """Names and versions are quoted in values and tamed in comments: nothing that a server says becomes a setting, and
    all that is written can be encoded."""
    found = server(*models, dialect=dialect, version=version)
    proposal = propose([found])
    made = written(proposal, "Written by a test.").encode("utf-8").decode("utf-8")
    assert yaml.safe_load(made) == proposal.settings | {"objective": {"quality": 0.98}}
    assert all(letter.isprintable() for line in made.splitlines() for letter in line)


@given(odd | awkward)
def test_a_scalar_is_one_line_that_reads_back(value: str) -> None:
    line = scalar({value: value})
    assert "\n" not in line
    assert yaml.safe_load(line) == {value: value}


@given(st.text(st.characters(), max_size=400), st.sampled_from(["", "  "]))
def test_a_comment_is_nothing_but_comment(value: str, indent: str) -> None:
    lines = comment(value, indent)
    assert all(line.startswith(f"{indent}# ") and line.isprintable() for line in lines)
    assert yaml.safe_load("\n".join(lines)) is None
