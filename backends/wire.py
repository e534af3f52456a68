"""How the chunks of a reply come: over HTTP as server-sent events, or in whatever way an engine has of its own.

Whatever it is, it takes a body as OpenAI's streaming API has it and gives chunks of that shape, so that one reader
(deltas.py) serves them all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol, TypeAlias

import orjson

from ..domain import Json
from ..errors import BackendUnavailable
from .dialects import Dialect
from .transport import Transport


class Wire(Protocol):
    """The way to one server's replies."""

    def chunks(self, path: str, body: Json, deadline_ms: float | None) -> AsyncGenerator[Json, None]:
        """The chunks of a streamed reply to `body` at `path` (`chat/completions`, or `completions` for raw text), as
        OpenAI's API has them. Closing the generator cancels the generation. Raises BackendError."""
        ...

    async def aclose(self) -> None:
        """Give back what it holds of its own."""
        ...


MakeWire: TypeAlias = Callable[[Dialect, Transport], Wire]
"""How an engine comes by its wire."""


class HttpWire:
    """OpenAI's own way: a POST that is answered with events, each of them JSON, the last `[DONE]`. Implements Wire."""

    def __init__(self, dialect: Dialect, transport: Transport) -> None:
        self._dialect, self._transport = dialect, transport

    async def chunks(self, path: str, body: Json, deadline_ms: float | None) -> AsyncGenerator[Json, None]:
        """See Wire.chunks."""
        backend, over = self._transport.target.backend, False
        async with aclosing(self._transport.stream(path, body, deadline_ms)) as events:
            async for event in events:
                over = over or event.data == "[DONE]"
                if over and not self._dialect.reuse_after_stream:
                    return
                if over:  # read to the end: only so can the connection be used again
                    continue
                try:
                    chunk = orjson.loads(event.data)
                except orjson.JSONDecodeError as error:
                    raise BackendUnavailable("sent an event that is not JSON", backend=backend) from error
                if not isinstance(chunk, dict):
                    raise BackendUnavailable("sent an event that is no object", backend=backend)
                yield chunk

    async def aclose(self) -> None:
        """Nothing: the connections are the transport's."""
