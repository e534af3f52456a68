"""What a model runs on: told without running it, the same as long as nothing that bears on its answers changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pointsman.backends import Identity, ModelConfig, identify
from pointsman.backends.embedded import embedded_folder
from pointsman.errors import BackendUnavailable

LOADS = ("/v1/chat/completions", "/v1/completions", "/api/chat", "/api/generate", "/api/v1/chat")
"""What would make a server load a model."""


@asynccontextmanager
async def serving(answers: dict[str, Any]) -> AsyncIterator[str]:
    """A server with these answers by path."""

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.path not in LOADS
        found = answers.get(request.path)
        return web.json_response(found) if found is not None else web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    try:
        yield f"{str(server.make_url('/')).rstrip('/')}/v1"
    finally:
        await server.close()


def listing(*ids: str, **more: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": one, **more} for one in ids]}


async def at(answers: dict[str, Any], **settings: Any) -> Identity:
    async with serving(answers) as url:
        return await identify("m", ModelConfig.model_validate({"url": url, **settings}), url)


VLLM = {"/v1/models": listing("big", owned_by="vllm", root="Q/Q3-8B"), "/version": {"version": "0.32.0"}}
OLLAMA = {
    "/v1/models": listing("qwen3:latest", "phi", owned_by="library"),
    "/api/version": {"version": "0.33.0"},
    "/api/ps": {"models": [{"name": "qwen3:latest"}]},
    "/api/show": {"template": "{{ .Prompt }}", "capabilities": ["completion", "thinking"]},
}
LMSTUDIO = {
    "/v1/models": listing("qwen3-8b", owned_by="organization_owner"),
    "/api/v1/models": {"models": [{"key": "qwen3-8b", "loaded_instances": [{"id": "qwen3-8b"}]}]},
}
SWAP = {"/v1/models": listing("a", "b", owned_by="llama-swap"), "/running": {"running": [{"model": "a"}]}}
PROPS = {"default_generation_settings": {}, "build_info": "b1", "chat_template": "<think>", "model_path": "/m.gguf"}
LLAMACPP = {"/v1/models": listing("d", owned_by="llamacpp", meta={"n_params": 5, "size": 9}), "/props": PROPS}


async def test_it_tells_engine_and_version_and_is_the_same_on_another_port() -> None:
    first, second = await at(VLLM), await at(VLLM)
    assert first == second
    assert (first.engine, first.version, first.loaded) == ("vLLM", "0.32.0", None)


@pytest.mark.parametrize(
    ("answers", "path", "value"),
    [
        (VLLM, "/version", {"version": "0.33.0"}),
        (VLLM, "/v1/models", listing("big", "more", owned_by="vllm")),
        (VLLM, "/v1/models", listing("big", owned_by="vllm", root="Q/Q3-14B")),
        (OLLAMA, "/api/show", {"template": "other"}),
        (OLLAMA, "/api/version", {"version": "0.33.1"}),
        (LLAMACPP, "/props", {**PROPS, "chat_template": "other"}),
        (LLAMACPP, "/props", {**PROPS, "build_info": "b2"}),
        (LLAMACPP, "/v1/models", listing("d", owned_by="llamacpp", meta={"n_params": 6, "size": 9})),
    ],
)
async def test_another_version_list_of_models_or_template_is_another_engine(
    answers: dict[str, Any], path: str, value: Any
) -> None:
    assert (await at(answers)).fingerprint != (await at({**answers, path: value})).fingerprint


async def test_how_the_owner_has_it_spoken_to_counts_and_where_it_is_does_not() -> None:
    known = (await at(VLLM)).fingerprint
    assert (await at(VLLM, dialect="vllm")).fingerprint != known
    assert (await at(VLLM, budget="two-pass")).fingerprint != known
    assert (await at(VLLM, extra={"a": 1})).fingerprint != known
    assert (await at(VLLM, timeouts={"connect": 9}, parameters=8)).fingerprint == known
    swapped = (await at(OLLAMA, dialect="ollama")).fingerprint
    assert (await at(OLLAMA, dialect="ollama", load_s=3, second_price=1)).fingerprint == swapped


@pytest.mark.parametrize(
    ("answers", "model", "loaded"),
    [
        (OLLAMA, "qwen3", True),
        (OLLAMA, "qwen3:latest", True),
        (OLLAMA, None, True),
        (OLLAMA, "phi", False),
        (LMSTUDIO, "qwen3-8b", True),
        (LMSTUDIO, "unheard", None),
        (SWAP, "a", True),
        (SWAP, "b", False),
        (LLAMACPP, "d", None),
    ],
)
async def test_engines_that_swap_say_whether_a_model_is_in_memory(
    answers: dict[str, Any], model: str | None, loaded: bool | None
) -> None:
    assert (await at(answers, model=model)).loaded is loaded


async def test_what_is_loaded_does_not_make_another_engine_of_it() -> None:
    """Else nothing that was found would outlast the next swap."""
    gone = {**OLLAMA, "/api/ps": {"models": []}}
    assert (await at(gone)).fingerprint == (await at(OLLAMA)).fingerprint
    unloaded = {**LMSTUDIO, "/api/v1/models": {"models": [{"key": "qwen3-8b", "loaded_instances": []}]}}
    assert (await at(unloaded)).fingerprint == (await at(LMSTUDIO)).fingerprint
    assert (await at(unloaded)).loaded is False


async def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    shipped = embedded_folder("digits")
    assert shipped is not None
    for file in shipped.iterdir():
        if file.suffix in (".json", ".jinja", ".safetensors"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    config = ModelConfig(engine="transformers", path=tmp_path)
    before = await identify("m", config)
    assert (before.engine, before.loaded) == ("transformers", None)
    assert await identify("m", config) == before
    (tmp_path / "config.json").write_text("{}")
    assert (await identify("m", config)).fingerprint != before.fingerprint


async def test_a_server_that_is_down_is_an_error() -> None:
    with pytest.raises(BackendUnavailable):
        await identify("m", ModelConfig(url="http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1")


async def test_the_real_server_is_recognised(launched: Any, engine: Callable[..., Any]) -> None:
    endpoint, config = launched.endpoints["digits"], launched.configs["digits"]
    told = await identify("digits", config, endpoint.url, endpoint.api_key)
    assert told.engine == "llama.cpp server"
    assert told.version
    assert told == await identify("digits", config, endpoint.url, endpoint.api_key)


async def test_a_provider_is_asked_nothing() -> None:
    """Neither at its own address nor at another one: nothing answers at this one."""
    url = "http://127.0.0.1:9/v1"
    config = ModelConfig.model_validate({"engine": "hosted", "model": "anthropic/some", "url": url})
    told = await identify("m", config, url, "key")
    assert (told.engine, told.loaded) == ("hosted", None)
    other = ModelConfig.model_validate({"engine": "hosted", "model": "anthropic/other"})
    assert (await identify("m", other)).fingerprint != told.fingerprint
