"""An engine whose calls are timed, for models on servers that swap them: how long the first token took, whether the
model had to be loaded for it, how fast the answer came."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from ..backends import Engine, Event, Finished, Health, ModelInfo
from ..domain import Call, Capabilities, Json
from .loaded import Loaded


class Timed:
    """The engine itself but for that. Implements Engine (backends/engine.py)."""

    def __init__(self, engine: Engine, loaded: Loaded) -> None:
        self._engine, self._loaded = engine, loaded

    @property
    def name(self) -> str:
        """See Engine.name."""
        return self._engine.name

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """See Engine.stream."""
        loaded, began, first = self._loaded, time.perf_counter(), None
        cold = loaded.begins(self.name)
        try:
            async with aclosing(self._engine.stream(call)) as events:
                async for event in events:
                    if first is None:
                        first = time.perf_counter()
                        loaded.came(self.name, first - began, cold)
                    elif isinstance(event, Finished):
                        loaded.wrote(self.name, event.usage.output, time.perf_counter() - first)
                    yield event
        finally:
            if first is None:
                loaded.left(self.name)

    async def render(self, messages: Sequence[Json], *, thinking: bool = True) -> str:
        """See Engine.render."""
        return await self._engine.render(messages, thinking=thinking)

    async def count_tokens(self, text: str) -> int:
        """See Engine.count_tokens."""
        return await self._engine.count_tokens(text)

    async def capabilities(self) -> Capabilities:
        """See Engine.capabilities."""
        return await self._engine.capabilities()

    async def health(self) -> Health:
        """See Engine.health."""
        return await self._engine.health()

    async def models(self) -> tuple[ModelInfo, ...]:
        """See Engine.models."""
        return await self._engine.models()

    async def aclose(self) -> None:
        """See Engine.aclose."""
        await self._engine.aclose()
