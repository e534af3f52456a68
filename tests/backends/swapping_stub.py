"""An Ollama that has several models and holds one of them at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from ollama_stub import OllamaStub


class SwappingStub(OllamaStub):
    """The server. holds: the model in memory; order: those that were loaded, in order; looked: set when it is asked
    what is in memory. While `free` is not set a load does not end; `loading` is set when one waits for that."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names
        self.holds: str | None = None
        self.order: list[str] = []
        self.free, self.loading, self.looked = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.free.set()

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body = await super()._body(request)
        self.name = body["model"] if body["model"] in self.names else ""
        if request.path in ("/api/chat", "/api/generate") and self.name != self.holds:
            name, self.holds = self.name, None
            self.loading.set()
            await self.free.wait()
            self.holds = name
            self.order.append(name)
        return body

    async def _ps(self, _: web.Request) -> web.Response:
        self.looked.set()
        running = [] if self.holds is None else [{"name": self.holds, "model": self.holds, "context_length": 4096}]
        return web.json_response({"models": running})
