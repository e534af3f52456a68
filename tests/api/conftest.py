"""Real servers for the API's tests: the proxy under uvicorn on a free port, the embedded models under their llama.cpp
servers, and a small OpenAI-shaped server that fails on demand."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as Path_

from pointsman.api.app import create_app
from pointsman.api.config import load_server
from pointsman.backends import Endpoint, Supervisor
from pointsman.router import Router

PATIENCE_S = 20.0


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Wait until something holds; its value."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        pause.wait(0.02)
    return found


class Served(uvicorn.Server):
    """An application served from a thread of its own, on a free port."""

    def __init__(self, app: Any, port: int = 0) -> None:
        config = uvicorn.Config(
            app, port=port, http="httptools", ws="none", lifespan="on", log_config=None, timeout_graceful_shutdown=3
        )
        super().__init__(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)

    def __enter__(self) -> Served:
        self._thread.start()
        until(lambda: self.started or not self._thread.is_alive(), "the server listens")
        self.base = f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close every connection and the port."""
        self.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class Proxy:
    """A served router, and clients for it."""

    def __init__(self, base: str, router: Router, http: httpx.Client) -> None:
        self.base, self.router, self.http = base, router, http

    def ask(self, content: str = "3+4*2", model: str = "auto", **fields: Any) -> httpx.Response:
        """One chat completion, not streamed unless asked for."""
        body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 24, **fields}
        return self.http.post("/v1/chat/completions", json=body)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)


@contextmanager
def proxied(
    endpoints: Mapping[str, Endpoint],
    server: dict[str, Any] | None = None,
    path: Path | None = None,
    ready: bool = True,
    **settings: Any,
) -> Iterator[Proxy]:
    """A proxy of these settings; waited for until it is ready, if wanted."""

    async def known() -> Mapping[str, Endpoint]:
        return endpoints

    router = Router.from_config(path, **settings)
    app = create_app(router, load_server(server or {}, environ={})[0], known())
    with Served(app) as server_, httpx.Client(base_url=server_.base, timeout=60) as http:
        until(lambda: http.get("/ready").status_code == 200 or not ready, "the proxy is ready")
        yield Proxy(server_.base, router, http)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Endpoint]]:
    """The embedded models, served for the whole run."""
    from pointsman.router.build import launched, present_models
    from pointsman.router.config import load

    settings, _ = load(environ={})
    with Supervisor(tmp_path_factory.mktemp("engines")) as supervisor:
        yield supervisor.start(launched(present_models(settings)[0]))


@pytest.fixture(scope="session")
def proxy(engines: Mapping[str, Endpoint], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The default configuration on the embedded models."""
    with proxied(engines, home=tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, unmodified."""
    with openai.OpenAI(base_url=f"{proxy.base}/v1", api_key="none", max_retries=0, timeout=60) as made:
        yield made


class Upstream(Served):
    """An OpenAI-shaped server. The model's name says what it does; it keeps what it was sent and who left."""

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.left = threading.Event()
        self._held: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        chat = Path_("/v1/chat/completions", self._chat, methods=["POST"])
        super().__init__(Starlette(routes=[Path_("/v1/models", self._models), chat]), port)

    def hold(self) -> None:
        """The kinds that wait will wait until they are released."""
        self._held = asyncio.Event()

    def release(self) -> None:
        """What waits goes on."""
        assert self._held is not None
        until(lambda: self._loop, "something has come")
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._held.set)

    async def _wait(self) -> None:
        assert self._held is not None
        try:
            await self._held.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "good", "object": "model"}]})

    async def _chat(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.bodies.append(body)
        kind, self._loop = body["model"], asyncio.get_running_loop()
        if kind == "late-broken":
            await self._wait()
            return JSONResponse({"error": {"message": "out of memory"}}, 500)
        if kind == "refuses":
            return JSONResponse({"error": {"message": "no such colour"}}, 400)
        if kind == "locked":
            return JSONResponse({"error": {"message": "bad key"}}, 401)
        if kind == "busy":
            return JSONResponse({"error": {"message": "too many"}}, 429, {"Retry-After": "7"})
        if kind == "broken":
            return JSONResponse({"error": {"message": "out of memory"}}, 500)
        play = self._waiting if kind in ("late", "muses") else self._stream
        return StreamingResponse(play(kind), media_type="text/event-stream")

    async def _waiting(self, kind: str) -> AsyncIterator[bytes]:
        """What comes only when it is released, but for the beginning of a thought."""
        if kind == "muses":
            yield _chunk({"reasoning_content": "let me "})
        await self._wait()
        if kind == "muses":
            yield _chunk({"reasoning_content": "see"})
        yield _chunk({"content": "yes" if kind == "muses" else "at last"})
        yield _end("stop", {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13})

    async def _stream(self, kind: str) -> AsyncIterator[bytes]:
        yield _chunk({"role": "assistant", "content": ""})
        if kind == "endless":
            try:
                while True:
                    yield _chunk({"content": "on and "})
                    await asyncio.sleep(0.01)
            finally:
                self.left.set()
        elif kind == "silent":
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        elif kind == "cut":
            yield _chunk({"content": "half an ans"})
        elif kind == "empty":
            yield _end("length")
        elif kind == "tools":
            for delta in _TOOL_DELTAS:
                yield _chunk({"tool_calls": [delta]})
            yield _end("tool_calls")
        elif kind == "thinker":
            yield _chunk({"reasoning_content": "let me "})
            yield _chunk({"reasoning_content": "see"})
            yield _chunk({"content": "yes"})
            yield _end("stop", {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13})
        else:
            yield _chunk({"content": "Grüße"}, [{"token": "Grüße", "logprob": -0.5, "top_logprobs": []}])
            yield _end("stop", {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10})


_TOOL_DELTAS: list[dict[str, Any]] = [
    {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"city":'}},
    {"index": 1, "id": "c2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    {"index": 0, "function": {"arguments": ' "Bern"}'}},
]


def _chunk(delta: dict[str, Any], logprobs: list[Any] | None = None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n".encode()


def _end(finish: str, usage: dict[str, int] | None = None) -> bytes:
    last = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
    told = f"data: {json.dumps(last)}\n\n".encode() if usage else b""
    return _chunk({}, finish=finish) + told + b"data: [DONE]\n\n"


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The server that fails on demand."""
    with Upstream() as made:
        yield made


@pytest.fixture
def make_upstream() -> type[Upstream]:
    """`with make_upstream() as other`: one more, to be stopped."""
    return Upstream


def stub_settings(base: str, *kinds: str, urls: Mapping[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    """Settings with one model and one direct route for each behaviour, cheapest first; the first is the safe route.
    urls: other servers for some of them."""
    models = {
        kind: {
            "engine": "openai",
            "url": f"{(urls or {}).get(kind, base)}/v1",
            "model": kind,
            "parameters": i + 1.0,
            "context": 4096,
        }
        for i, kind in enumerate(kinds)
    }
    routes = {f"r-{kind}": {"model": kind, "mode": "direct", "thinking_budget": 0} for kind in kinds}
    return {"models": models, "routes": routes, "safe_route": f"r-{kinds[0]}", **settings}


@pytest.fixture
def stubbed(upstream: Upstream, tmp_path: Path) -> Callable[..., Any]:
    """`with stubbed("broken", "good") as proxy`: a proxy over routes that behave so."""
    upstream.left.clear()
    upstream.bodies.clear()
    empty = tmp_path / "empty.yaml"
    empty.write_text("")

    def make(*kinds: str, server: dict[str, Any] | None = None, ready: bool = True, **settings: Any) -> Any:
        settings = {"home": tmp_path / "home"} | settings
        return proxied({}, server, empty, ready, **stub_settings(upstream.base, *kinds, **settings))

    return make


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """`wait_until(condition, what, seconds)`: wait until something holds."""
    return until


@pytest.fixture
def make_proxy(engines: Mapping[str, Endpoint], tmp_path: Path) -> Callable[..., Any]:
    """`with make_proxy(**settings) as proxy`: a proxy of its own on the embedded models."""

    def make(server: dict[str, Any] | None = None, **settings: Any) -> Any:
        return proxied(engines, server, **{"home": tmp_path / "home"} | settings)

    return make


@pytest.fixture
def stub(upstream: Upstream) -> Callable[..., dict[str, Any]]:
    """`stub("good", …)`: settings with routes that behave so."""
    return lambda *kinds, **settings: stub_settings(upstream.base, *kinds, **settings)
