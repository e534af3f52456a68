"""Answers as server-sent events (WHATWG HTML, 9.2): the bytes of an event, and the response that sends a run of them.

FastAPI has server-sent events of its own (`EventSourceResponse`, 0.135 and later). They do not fit here: their headers
are fixed before the generator runs, ours carry the decision, and an error before the decision is a plain JSON answer
with its status; and every item would pass two memory streams and `jsonable_encoder`. Starlette's StreamingResponse
takes finished headers, but runs the generator in a task of its own: a time limit inside a generator that one task began
and another goes on with cancels the wrong one. So the response here is those few lines, with the same watch on the
client as answers that are not streamed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..errors import PointsmanError
from .disconnect import ClientGone, WhileConnected
from .errors import error_body

DONE = b"data: [DONE]\n\n"


def event(body: Any) -> bytes:
    """One event: JSON on one line (orjson writes no line breaks)."""
    return b"data: " + orjson.dumps(body) + b"\n\n"


class EventStream(Response):
    """Sends `pieces` as they come, for as long as the client listens; then closes them and their `source`, which the
    caller has begun to read (a generator that was never started would not close what it reads from)."""

    media_type = "text/event-stream"

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], source: AsyncGenerator[Any, None], headers: Mapping[str, str]
    ) -> None:
        self.status_code = 200
        self.background = None
        # no-cache: not to be kept on the way; x-accel-buffering: nginx must not hold it back
        self.init_headers({**headers, "cache-control": "no-cache", "x-accel-buffering": "no"})
        self._pieces, self._source = pieces, source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with WhileConnected(receive), aclosing(self._source), aclosing(self._pieces):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async for piece in self._pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            end = b""
        except ClientGone:
            return
        except PointsmanError as error:  # cancelled at shutdown
            end = event(error_body(error))
        await send({"type": "http.response.body", "body": end, "more_body": False})
