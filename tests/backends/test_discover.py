"""Finding out what stands behind a URL: a real llama.cpp server, and small real HTTP servers that answer as the other
engines do."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pointsman.backends.dialects import dialects
from pointsman.backends.discover import discover
from pointsman.backends.embedded import embedded_path
from pointsman.backends.evidence import PATHS
from pointsman.domain import Capabilities
from pointsman.errors import BackendRejected, BackendTimeout, BackendUnavailable

SERVER = """
import os, sys, xllamacpp
wanted = xllamacpp.CommonParams()
wanted.model.path, wanted.port, wanted.n_parallel, wanted.n_ctx = sys.argv[1], 0, 2, 1024
wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
wanted.ui, wanted.model_alias, wanted.api_keys = False, {"chat"}, ["secret"]
server = xllamacpp.Server(wanted)
print(server.listening_address, flush=True)
os.read(0, 1)
os._exit(0)
"""


@pytest.fixture(scope="module")
def llamacpp():
    """A llama.cpp server with SmolLM2 that wants a key; it ends when its input is closed."""
    model = embedded_path("smollm2")
    assert model is not None
    command = [sys.executable, "-c", SERVER, str(model)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as child:
        try:
            yield child.stdout.readline().strip()
        finally:
            child.stdin.close()
            child.wait(20)


async def test_a_real_llamacpp_server_tells_its_model(llamacpp):
    """Context of one slot, counted parameters, and a template that does not think."""
    found = await discover(f"{llamacpp}/v1", "secret")
    assert (found.url, found.dialect) == (f"{llamacpp}/v1", "llamacpp")
    (model,) = found.models
    assert (model.id, model.context, model.owned_by) == ("chat", 512, "llamacpp")
    assert model.parameters == pytest.approx(0.1345, abs=0.001)
    able = found.capabilities["chat"]
    assert (able.thinks, able.switchable, able.images, able.context) == (False, None, False, 512)
    assert await discover(llamacpp, "secret") == found  # with or without /v1


async def test_a_key_that_is_missing_or_wrong_is_asked_for(llamacpp):
    with pytest.raises(
        BackendRejected, match=r"/v1: wants a key: set POINTSMAN_UPSTREAM_API_KEY \(HTTP 401\)"
    ) as caught:
        await discover(llamacpp)
    assert caught.value.status == 401
    with pytest.raises(BackendRejected, match="refuses the key"):
        await discover(llamacpp, "wrong")


# -- servers that answer as other engines do ------------------------------------------------------------------------


@asynccontextmanager
async def serving(answers: dict, unknown=(404, {"error": "not found"})):
    """A server with these answers by path: a JSON value, or (status, JSON value or text). POST bodies name a model."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        path = request.path
        if request.method == "POST":
            path += " " + (await request.json())["model"]
        asked.append(path)
        found = answers.get(path, unknown)
        status, value = found if isinstance(found, tuple) else (200, found)
        if isinstance(value, str):
            return web.Response(status=status, text=value, content_type="text/html")
        return web.json_response(value, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/")).rstrip("/"), asked
    finally:
        await server.close()


def listing(*rows: dict) -> dict:
    return {"object": "list", "data": [{"object": "model", **row} for row in rows]}


async def found_at(answers: dict, **options):
    async with serving(answers, **options) as (url, _):
        return await discover(url + "/v1")


async def test_vllm():
    row = {"id": "big", "root": "Qwen/Qwen3-30B-A3B", "owned_by": "vllm", "max_model_len": 32768}
    found = await found_at({"/v1/models": listing(row), "/version": {"version": "0.32.0"}})
    assert (found.dialect, found.version) == ("vllm", "0.32.0")
    assert (found.models[0].context, found.models[0].parameters) == (32768, 3)  # by `root`, the alias says nothing
    assert found.capabilities["big"] == Capabilities(context=32768, thinks=True, switchable=True)


async def test_vllm_behind_a_proxy_that_writes_its_own_owner():
    row = {"id": "m", "owned_by": "us", "max_model_len": 100}
    found = await found_at({"/v1/models": listing(row), "/version": {"version": "0.32.0"}})
    assert found.dialect == "vllm"


@pytest.mark.parametrize("path", ["/server_info", "/get_server_info"])
@pytest.mark.parametrize("owner", ["sglang", "somebody"])
async def test_sglang(path, owner):
    """By the owner in its list, or by its own endpoint, whose name has changed."""
    row = {"id": "openai/gpt-oss-20b", "owned_by": owner, "root": "openai/gpt-oss-20b", "max_model_len": 131072}
    info = {"version": "0.5.23", "tokenizer_path": "x", "model_path": "x"}
    found = await found_at({"/v1/models": listing(row), path: info})
    assert (found.dialect, found.version) == ("sglang", "0.5.23")
    assert found.models[0].parameters == 3.6
    assert found.capabilities[row["id"]] == Capabilities(context=131072, thinks=True, switchable=False)


async def test_llamacpp_shows_its_template():
    """A switch in the template counts, whatever the alias; parameters are active ones where the file's name tells."""
    template = "{% if enable_thinking %}<think>{% endif %}"
    props = {
        "default_generation_settings": {"n_ctx": 4096},
        "build_info": "b7000-abc",
        "model_path": "/m/Qwen3-30B-A3B-Q4_K_M.gguf",
        "chat_template": template,
        "chat_template_caps": {"supports_tools": True},
        "modalities": {"vision": True},
    }
    row = {
        "id": "x",
        "owned_by": "llamacpp",
        "meta": {"n_params": 30_532_122_624, "n_ctx": 16384, "n_ctx_train": 40960},
    }
    found = await found_at({"/v1/models": listing(row), "/props": props})
    assert (found.dialect, found.version) == ("llamacpp", "b7000-abc")
    assert (found.models[0].context, found.models[0].parameters) == (4096, 3)
    assert found.capabilities["x"] == Capabilities(4096, tools=True, images=True, thinks=True, switchable=True)


async def test_ollama_is_asked_about_each_model():
    """Thinking and tools by its own word; the loaded context before the longest; embedding models left out."""
    rows = [{"id": one, "owned_by": "library"} for one in ("qwen3:8b", "gpt-oss:20b", "llama3:latest", "nomic-embed")]
    answers = {
        "/v1/models": listing(*rows),
        "/api/version": {"version": "0.33.0"},
        "/api/ps": {"models": [{"name": "qwen3:8b", "context_length": 4096}]},
        "/api/show qwen3:8b": {
            "capabilities": ["completion", "tools", "thinking"],
            "model_info": {"general.parameter_count": 8_190_735_360, "qwen3.context_length": 40960},
        },
        "/api/show gpt-oss:20b": {
            "capabilities": ["completion", "tools", "thinking"],
            "thinking": {"values": ["low", "medium", "high"], "default": "medium"},
            "model_info": {"general.parameter_count": 20_914_757_184, "gptoss.context_length": 131072},
        },
        "/api/show llama3:latest": {"capabilities": ["completion"], "model_info": {"llama.context_length": 8192}},
        "/api/show nomic-embed": {"capabilities": ["embedding"]},
    }
    found = await found_at(answers)
    assert (found.dialect, found.version) == ("ollama", "0.33.0")
    assert [(model.id, model.context) for model in found.models] == [
        ("qwen3:8b", 4096),
        ("gpt-oss:20b", 131072),
        ("llama3:latest", 8192),
    ]
    assert [model.parameters for model in found.models] == [pytest.approx(8.19, abs=0.01), 3.6, None]
    able = found.capabilities
    assert (able["qwen3:8b"].thinks, able["qwen3:8b"].switchable, able["qwen3:8b"].tools) == (True, True, True)
    assert (able["gpt-oss:20b"].thinks, able["gpt-oss:20b"].switchable) == (True, False)
    assert (able["llama3:latest"].thinks, able["llama3:latest"].tools) == (False, False)


async def test_lmstudio():
    """It answers 200 with an error to what it does not know: that is no evidence of another engine."""
    rows = [{"id": one, "owned_by": "organization_owner"} for one in ("qwen/qwen3.5-9b", "text-embedding-nomic", "new")]
    own = [
        {
            "type": "llm",
            "key": "qwen/qwen3.5-9b",
            "params_string": "9B",
            "max_context_length": 262144,
            "loaded_instances": [{"id": "qwen/qwen3.5-9b", "config": {"context_length": 4096}}],
            "capabilities": {"vision": True, "trained_for_tool_use": True},
        },
        {"type": "embedding", "key": "text-embedding-nomic", "max_context_length": 2048},
    ]
    answers = {"/v1/models": listing(*rows), "/api/v1/models": {"models": own}}
    found = await found_at(answers, unknown=(200, {"error": "Unexpected endpoint or method. (GET /version)"}))
    assert (found.dialect, found.version) == ("lmstudio", "")
    assert [(model.id, model.context, model.parameters) for model in found.models] == [
        ("qwen/qwen3.5-9b", 4096, 9),
        ("new", None, None),
    ]
    assert found.capabilities["qwen/qwen3.5-9b"] == Capabilities(4096, True, True, True, True)


async def test_transformers_serve():
    paths = {"paths": {"/v1/chat/completions": {}, "/load_model": {}, "/health": {}}}
    row = {"id": "HuggingFaceTB/SmolLM3-3B", "owned_by": "HuggingFaceTB", "status": {"value": "loaded"}}
    found = await found_at({"/v1/models": listing(row), "/openapi.json": paths})
    assert found.dialect == "transformers_serve"
    assert found.models[0].parameters == 3
    assert found.capabilities[row["id"]].switchable is True


async def test_tensorrt():
    found = await found_at(
        {"/v1/models": listing({"id": "m", "owned_by": "tensorrt_llm"}), "/version": {"version": "1.3"}}
    )
    assert (found.dialect, found.version) == ("tensorrt", "1.3")


async def test_a_server_that_gives_nothing_away_is_plain_openai():
    """Nothing is guessed: no context, no size, no thinking; a /version alone is no evidence."""
    answers = {"/v1/models": listing({"id": "m", "owned_by": "us"}), "/version": {"version": "3"}, "/props": [1]}
    found = await found_at(answers)
    assert (found.dialect, found.version) == ("openai", "")
    assert (found.models[0].context, found.models[0].parameters) == (None, None)
    assert found.capabilities == {"m": Capabilities()}


def test_every_dialect_that_can_be_found_has_its_row():
    assert {"llamacpp", "vllm", "sglang", "ollama", "lmstudio", "tensorrt", "transformers_serve", "openai"} <= set(
        dialects()
    )


async def test_an_address_without_v1_is_tried_as_it_is_too():
    """DeepSeek's and others' list is at /models."""
    async with serving({"/api/models": listing({"id": "m"})}) as (url, _):
        assert (await discover(f"{url}/api/")).url == f"{url}/api"


# -- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            (404, {"detail": "Not Found"}),
            BackendRejected,
            "no OpenAI-compatible server: GET .*/v1/models gave HTTP 404",
        ),
        ("<html>hello</html>", BackendRejected, "no OpenAI-compatible server"),
        ({"hello": "you"}, BackendRejected, "no OpenAI-compatible server"),
        ([1, 2], BackendRejected, "no OpenAI-compatible server"),
        ({"object": "list", "data": []}, BackendUnavailable, "lists no model"),
        ({"object": "list", "data": None}, BackendUnavailable, "lists no model"),
        ((503, {"error": {"message": "Loading model"}}), BackendUnavailable, "HTTP 503: Loading model.*still loading"),
        ((403, {"error": "no"}), BackendRejected, "wants a key"),
    ],
)
async def test_what_cannot_be_used_is_said_in_a_sentence(answer, error, words):
    async with serving({"/v1/models": answer}) as (url, _):
        with pytest.raises(error, match=words):
            await discover(url)


async def test_only_embedding_models_are_no_models():
    answers = {
        "/v1/models": listing({"id": "e", "owned_by": "library"}),
        "/api/version": {"version": "0.33.0"},
        "/api/show e": {"capabilities": ["embedding"]},
    }
    with pytest.raises(BackendUnavailable, match="lists no model that generates text"):
        await found_at(answers)


async def test_a_refused_connection_asks_whether_the_server_runs():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(BackendUnavailable, match=f"127.0.0.1:{port}/v1: nothing answers .*Is the server running"):
            await discover(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost/v1", "nonsense"])
async def test_an_address_that_is_none_says_how_to_give_it(url):
    with pytest.raises(BackendRejected, match="is no address: give it as http://host:port/v1"):
        await discover(url)


async def test_a_server_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr("pointsman.backends.discover._LIMIT_MS", 600)

    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with TestServer(app) as server:
        with pytest.raises(BackendTimeout, match="did not answer within 1 s"):
            await discover(str(server.make_url("/v1")))


async def test_evidence_that_hangs_is_none(monkeypatch):
    monkeypatch.setattr("pointsman.backends.discover._LIMIT_MS", 600)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path != "/v1/models":
            await asyncio.Event().wait()
        return web.json_response(listing({"id": "m", "owned_by": "vllm", "max_model_len": 10}))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        found = await discover(str(server.make_url("/v1")))
        assert (found.dialect, found.version, found.models[0].context) == ("vllm", "", 10)


async def test_all_evidence_is_asked_for_at_once():
    """A server that hangs costs the time of one answer: none comes here before every question stands."""
    every = asyncio.Barrier(len(PATHS))

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/models":
            return web.json_response(listing({"id": "m", "owned_by": "vllm"}))
        await every.wait()
        return web.json_response({"version": "0.11"} if request.path == PATHS["version"] else None)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        assert (await discover(str(server.make_url("/v1")))).version == "0.11"


async def test_llama_swap_is_told_by_its_owner_and_families_by_name():
    """What stands behind it is told by its models' names alone; nothing is loaded to ask."""
    rows = [{"id": one, "owned_by": "llama-swap", "status": {"value": "unloaded"}} for one in ("Qwen3-8B", "odd")]
    async with serving({"/v1/models": listing(*rows)}) as (url, asked):
        found = await discover(url)
    assert (found.dialect, found.families) == ("llamaswap", {"Qwen3-8B": "Qwen3 hybrid"})
    assert found.capabilities["Qwen3-8B"].switchable
    assert not [path for path in asked if "completion" in path or "upstream" in path]


async def test_pointsman_itself_is_no_server_to_route_to():
    async with serving({"/v1/models": listing({"id": "auto", "owned_by": "pointsman"})}) as (url, _):
        with pytest.raises(BackendRejected, match="is Pointsman itself"):
            await discover(url)


async def test_the_hint_for_a_missing_key_is_the_callers():
    async with serving({"/v1/models": (401, {"error": "no"})}) as (url, _):
        with pytest.raises(BackendRejected, match="wants a key: use --key-env"):
            await discover(url, key_hint="use --key-env")
