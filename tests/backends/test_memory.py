"""Which models are in memory, on servers that swap them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from ollama_stub import OllamaStub

from pointsman.backends import Engine, ModelConfig, Swapping, create, in_memory, sharing
from pointsman.errors import BackendError


class Answers:
    """A server of these JSON answers by path; the number of times that each was asked for."""

    def __init__(self) -> None:
        self.replies: dict[str, Any] = {}
        self.asked: list[str] = []
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._reply)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    async def _reply(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        found = self.replies.get(request.path)
        return web.Response(status=404) if found is None else web.json_response(found)


@pytest.fixture
async def server() -> AsyncIterator[Answers]:
    answers = Answers()
    runner = await answers.start()
    yield answers
    await runner.cleanup()


def engine(name: str, url: str, dialect: str, model: str | None = None) -> Engine:
    return create(name, ModelConfig.model_validate({"url": url, "dialect": dialect, "model": model}))


async def told(*engines: Engine) -> dict[str, bool]:
    assert all(isinstance(one, Swapping) for one in engines)
    try:
        return await in_memory(engines)  # type: ignore[arg-type]
    finally:
        for one in engines:
            await one.aclose()


async def test_llama_swap_tells_which_of_its_models_are_ready(server: Answers) -> None:
    """One that still starts is not there yet; what it does not list under this name, an alias, is not judged."""
    server.replies = {
        "/v1/models": {"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}]},
        "/running": {"running": [{"model": "a", "state": "ready"}, {"model": "b", "state": "starting"}]},
    }
    engines = [engine(name, server.url, "llamaswap", name) for name in ("a", "b", "c", "alias")]
    assert await told(*engines) == {"a": True, "b": False, "c": False}
    assert server.asked.count("/running") == 1


async def test_llama_swap_behind_a_proxy_that_passes_on_v1_alone_tells_nothing(server: Answers) -> None:
    server.replies = {"/v1/models": {"data": [{"id": "a"}]}}
    with pytest.raises(BackendError):
        await told(engine("a", server.url, "llamaswap", "a"))


@pytest.mark.parametrize("rows", [[1, 2], {"a": 1}, [{"model": None}], [{}]])
async def test_what_cannot_be_read_names_no_model(server: Answers, rows: Any) -> None:
    server.replies = {"/v1/models": {"data": [{"id": "a"}]}, "/running": {"running": rows}}
    assert await told(engine("a", server.url, "llamaswap", "a")) == {"a": False}


async def test_lm_studio_is_asked_by_key_or_instance(server: Answers) -> None:
    loaded = {"key": "maker/one", "type": "llm", "loaded_instances": [{"id": "mine"}]}
    rows = [loaded, {"key": "two", "type": "llm", "loaded_instances": []}]
    server.replies = {"/api/v1/models": {"models": rows}, "/v1/models": {"data": [{"id": "maker/one"}]}}
    engines = [engine(name, server.url, "lmstudio", name) for name in ("maker/one", "mine", "two")]
    assert await told(*engines) == {"maker/one": True, "mine": True, "two": False}


async def test_ollama_is_asked_without_loading_anything() -> None:
    stub = OllamaStub()
    await stub.start()
    try:
        assert await told(engine("x", stub.url, "ollama")) == {"x": False}
        assert stub.loads == 0
        stub.loaded = 4096
        assert await told(engine("x", stub.url, "ollama", stub.name)) == {"x": True}
    finally:
        await stub.stop()


async def test_ollama_goes_by_the_tag_that_nobody_writes(server: Answers) -> None:
    able = {"capabilities": ["completion"]}
    server.replies = {"/api/ps": {"models": [{"name": "qwen3:latest"}]}, "/api/show": able}
    engines = [engine(name, server.url, "ollama", name) for name in ("qwen3", "qwen3:latest", "qwen3:8b")]
    assert await told(*engines) == {"qwen3": True, "qwen3:latest": True, "qwen3:8b": False}


def test_models_of_one_server_are_found_together() -> None:
    """By its address, however it is written; engines that hold one model for good are not among them."""
    given = {
        "a": {"url": "http://localhost:11434/v1", "dialect": "ollama"},
        "b": {"url": "http://127.0.0.1:11434", "dialect": "ollama"},
        "c": {"url": "http://127.0.0.1:1234/v1", "dialect": "lmstudio"},
        "d": {"url": "http://127.0.0.1:8000/v1", "dialect": "vllm"},
    }
    models = {name: ModelConfig.model_validate(values) for name, values in given.items()}
    assert sharing(models) == (("a", "b"), ("c",))


@pytest.mark.parametrize("field", ["load_s", "second_price"])
def test_what_only_swapping_servers_need_is_refused_elsewhere(field: str) -> None:
    for dialect in ("ollama", "lmstudio", "llamaswap"):
        ModelConfig.model_validate({"url": "http://x/v1", "dialect": dialect, field: 3.0})
    with pytest.raises(ValueError, match=f"{field} does nothing for a model on vLLM"):
        ModelConfig.model_validate({"url": "http://x/v1", "dialect": "vllm", field: 3.0})
    with pytest.raises(ValueError, match=f"{field} does nothing"):
        ModelConfig.model_validate(
            {"engine": "hosted", "model": "ollama/x", "url": "http://x", "dialect": "ollama", field: 3.0}
        )
