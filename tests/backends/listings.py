"""Small real servers that list their models, and say of themselves what each engine says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

VLLM_BUDGET = "thinking_token_budget is set but reasoning_config is not configured. Please set --reasoning-config"
VLLM_TOOLS = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


@dataclass
class Listing:
    """What a server answers, by path: a JSON value, or (status, JSON value or text); `POST /path` for posts, which may
    be a function of the body."""

    answers: Mapping[str, Any]
    key: str | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The answer for one request."""
        body = await request.json() if request.method == "POST" else None
        path = request.path if request.method == "GET" else f"POST {request.path}"
        self.asked.append((path, body))
        self.keys.append(request.headers.get("Authorization"))
        if self.key is not None and self.keys[-1] != f"Bearer {self.key}":
            return web.json_response({"error": "no key"}, status=401)
        answer = self.answers.get(path, (404, {"error": "not found"}))
        answer = answer(body) if callable(answer) else answer
        status, value = answer if isinstance(answer, tuple) else (200, answer)
        if isinstance(value, str):
            return web.Response(status=status, text=value)
        return web.json_response(value, status=status)


@asynccontextmanager
async def serving(listing: Listing) -> AsyncIterator[str]:
    """The server's address while it runs."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", listing.handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


@contextmanager
def running(*listings: Listing) -> Iterator[list[str]]:
    """The servers' addresses while they run in a thread of their own, for tests of what has its own event loop."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> list[str]:
        return [await stack.enter_async_context(serving(listing)) for listing in listings]

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def models(*rows: Any) -> dict[str, Any]:
    """A list of models as OpenAI's API has it."""
    return {"object": "list", "data": [{"object": "model", **row} for row in rows]}


def vllm(model: str = "Qwen/Qwen3-8B", *, parser: bool = False, tools: bool = False, **more: Any) -> Listing:
    """vLLM, started with a reasoning parser or tools or without; it makes one token of nothing."""

    def chat(body: Any) -> Any:
        if "thinking_token_budget" in body and not parser:
            return 400, {"error": {"message": VLLM_BUDGET, "code": 400}}
        if "tools" in body and not tools:
            return 400, {"error": {"message": VLLM_TOOLS, "code": 400}}
        return {"choices": [{"message": {"content": "1"}, "finish_reason": "length"}]}

    row = {"id": model, "root": model, "owned_by": "vllm", "max_model_len": 32768}
    answers = {"/v1/models": models(row), "/version": {"version": "0.32.0"}, "POST /v1/chat/completions": chat}
    return Listing(answers, **more)


def sglang(model: str = "Qwen/Qwen3-8B", **flags: Any) -> Listing:
    """SGLang, whose /server_info tells its settings."""
    settings = {"reasoning_parser": None, "tool_call_parser": None, "enable_strict_thinking": False}
    info = {"version": "0.5.23", "tokenizer_path": model, "enable_cache_report": False, **settings, **flags}
    row = {"id": model, "root": model, "owned_by": "sglang", "max_model_len": 40960}
    return Listing({"/v1/models": models(row), "/server_info": info})


def ollama(*names: str) -> Listing:
    """Ollama with these models: gpt-oss always thinks, qwen3 can be told not to, names with embed do not write text,
    others do not think."""

    def show(body: Any) -> Any:
        name = body["model"]
        if "embed" in name:
            return {"capabilities": ["embedding"]}
        able = ["completion", "tools", *(["thinking"] if name.startswith(("qwen3", "gpt-oss")) else [])]
        fixed = {"thinking": {"values": ["low", "medium", "high"]}} if name.startswith("gpt-oss") else {}
        return {"capabilities": able, "model_info": {"x.context_length": 8192}, **fixed}

    rows = [{"id": name, "owned_by": "library"} for name in names]
    answers = {"/v1/models": models(*rows), "/api/version": {"version": "0.33.0"}, "/api/ps": {"models": []}}
    return Listing({**answers, "POST /api/show": show})


def llamacpp(*, metrics: bool = False, caps: bool = True) -> Listing:
    """A llama.cpp server with a template that thinks; an old build does not tell what its template can."""
    props = {
        "default_generation_settings": {"n_ctx": 4096},
        "build_info": "b7000-abc",
        "model_path": "/m/Qwen3-4B-Q4_K_M.gguf",
        "chat_template": "{% if enable_thinking %}<think>{% endif %}",
        **({"chat_template_caps": {"supports_tools": True}} if caps else {}),
    }
    row = {"id": "/m/Qwen3-4B-Q4_K_M.gguf", "owned_by": "llamacpp", "meta": {"n_params": 4_022_468_096, "n_ctx": 16384}}
    off = (501, {"error": {"code": 501, "message": "This server does not support metrics endpoint."}})
    return Listing({"/v1/models": models(row), "/props": props, "/metrics": "llamacpp:x 1" if metrics else off})


def lmstudio(name: str = "qwen/qwen3.5-9b") -> Listing:
    """LM Studio, which answers 200 to what it does not know."""
    own = {"type": "llm", "key": name, "params_string": "9B", "max_context_length": 262144, "loaded_instances": []}
    return Listing(
        {
            "/v1/models": models({"id": name, "owned_by": "organization_owner"}),
            "/api/v1/models": {"models": [own]},
        }
    )
