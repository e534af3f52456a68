"""llama-swap's dialect: a proxy that passes on /v1 alone, as llama-swap does, in front of a real llama.cpp server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pointsman.domain import Call, Enforcement, Sampling

CHAINS = ("3+4*2-7", "9-5+8*3+1", "2*7+6-9*4+3", "6*3+5-2*8+9-1*4")


@pytest.fixture
async def swap(launched) -> AsyncIterator[tuple[str, list[str]]]:
    """Its address, and the paths that it was asked for."""
    behind, asked = launched.endpoints["digits"], []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if not request.path.startswith("/v1/"):
            return web.Response(status=404)
        url = behind.url.removesuffix("/v1") + request.path
        key = {"Authorization": f"Bearer {behind.api_key}", "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, url, data=await request.read(), headers=key) as found,
        ):
            reply = web.StreamResponse(status=found.status, headers={"Content-Type": found.headers["Content-Type"]})
            await reply.prepare(request)
            async for piece in found.content.iter_any():
                await reply.write(piece)
            return reply

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1")), asked


async def test_off_and_budgets_are_kept_through_it(swap, engine_at, collect) -> None:
    """Natively, by the server behind; nothing is asked for but what llama-swap passes on, and no answer is empty."""
    url, asked = swap
    engine = engine_at(url, dialect="llamaswap", model="digits", thinks=True)
    for chain in CHAINS:
        call = Call(({"role": "user", "content": chain},), sampling=Sampling(temperature=0), max_tokens=200)
        free = await collect(engine, call)
        assert free.done.usage.thought > 6  # so that the budget below binds
        for budget in (0, 4):
            kept = await collect(engine, Call(call.messages, sampling=call.sampling, thinking_budget=budget))
            assert kept.done.enforced is Enforcement.NATIVE
            assert kept.done.usage.thought <= (budget + 2 if budget else 0)
            assert kept.answer.strip()
    assert "/v1/chat/completions" in asked
    assert not [path for path in asked if path not in ("/v1/chat/completions", "/v1/models")]
