"""Asking local ports and given addresses: real servers on free ports, and one that hangs."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from listings import Listing, lmstudio, ollama, serving, sglang, vllm

from pointsman.backends.ports import PORTS, Port, survey


def port_of(url: str) -> int:
    """The port of an address."""
    port = urlsplit(url).port
    assert port is not None
    return port


@pytest.fixture
def closed():
    """A port at which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_each_engine_has_its_port() -> None:
    """Each once; the defaults are in the engines' documentation."""
    numbers = [port.number for port in PORTS]
    assert sorted(numbers) == [1234, 8000, 8080, 9292, 9931, 11434, 30000]
    assert {p.number: p.engines for p in PORTS}[11434] == "Ollama"


async def test_what_answers_is_found_and_what_does_not_is_named(closed: int) -> None:
    """Servers in the order of what was asked, with their flags; a silent port with who is expected there."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(one)) for one in (vllm(), ollama("qwen3:8b"), lmstudio())]
        ports = [Port(port_of(url), "somebody") for url in urls[:2]] + [Port(closed, "SGLang")]
        found = await survey([f"{urls[2]}/v1"], ports)
    assert [server.found.dialect for server in found.servers] == ["lmstudio", "vllm", "ollama"]
    assert found.servers[1].started["--reasoning-parser"] is None
    (silent,) = found.silent
    assert (silent.url, silent.given, silent.engines) == (f"http://127.0.0.1:{closed}", False, "SGLang")
    assert "nothing answers" in silent.problem


async def test_a_key_goes_to_given_addresses_and_to_no_local_port() -> None:
    """Whatever listens on a local port must not be shown the owner's key."""
    far, near = vllm(key="secret"), sglang()
    async with serving(far) as far_url, serving(near) as near_url:
        found = await survey([far_url], [Port(port_of(near_url), "SGLang")], api_key="secret", key_env="KEY")
    assert [server.key_env for server in found.servers] == ["KEY", None]
    assert set(near.keys) == {None}
    assert "Bearer secret" in far.keys


async def test_a_server_that_wants_a_key_says_how_to_give_it() -> None:
    async with serving(vllm(key="secret")) as url:
        local = (await survey([], [Port(port_of(url), "vLLM")])).silent[0]
        given = (await survey([url], [])).silent[0]
        wrong = (await survey([url], [], api_key="no", key_env="KEY")).silent[0]
    assert f"wants a key: give http://127.0.0.1:{port_of(url)} and --key-env" in local.problem
    assert "wants a key: name the variable that holds it with --key-env" in given.problem
    assert given.given
    assert "refuses the key" in wrong.problem


@pytest.mark.parametrize("spelling", ["http://127.0.0.1:{}", "http://localhost:{}/v1/", "http://127.0.0.1:{}/v1"])
async def test_an_address_that_is_a_local_port_is_asked_once(spelling: str) -> None:
    async with serving(lmstudio()) as url:
        port = port_of(url)
        found = await survey([spelling.format(port), url], [Port(port, "LM Studio")])
    assert len(found.servers) == 1


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:99999", "http://[::1", ""])
async def test_an_address_that_is_none_is_a_finding_not_a_crash(url: str) -> None:
    found = await survey([url], [])
    assert [one.url for one in found.silent] == [url]
    assert found.silent[0].problem


async def test_all_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five servers that hang cost the time of one."""
    monkeypatch.setattr("pointsman.backends.discover._LIMIT_MS", 1_000)

    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with AsyncExitStack() as stack:
        ports = []
        for _ in range(5):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", hang)
            server = await stack.enter_async_context(TestServer(app))
            ports.append(Port(port_of(str(server.make_url("/"))), "hangs"))
        begun = time.monotonic()
        found = await survey([], ports)
        assert time.monotonic() - begun < 4.0
    assert len(found.silent) == 5


async def test_a_web_server_that_is_no_model_server_is_left_out() -> None:
    async with serving(Listing({"/": "<html>"})) as url:
        found = await survey([], [Port(port_of(url), "vLLM")])
    assert "no OpenAI-compatible server" in found.silent[0].problem
