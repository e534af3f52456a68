"""Answers as server-sent events (WHATWG HTML, 9.2): the bytes of an event, and the response that sends a run of them.

FastAPI has server-sent events of its own (`EventSourceResponse`, 0.135 and later). They do not fit here: their headers
are fixed before the generator runs, ours carry the decision where it comes soon, and an error before anything was sent
is a plain JSON answer with its status; and every item would pass two memory streams and `jsonable_encoder`. Starlette's
StreamingResponse takes finished headers, but runs the generator in a task of its own: a time limit inside a generator
that one task began and another goes on with cancels the wrong one. So the response here runs the generator in the
request's own task, with the same watch on the client as answers that are not streamed; only the comments that keep a
silent stream alive come from another.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..errors import PointsmanError
from .disconnect import ClientGone, WhileConnected
from .errors import error_body
from .keep_alive import COMMENT, KeepAlive

log = logging.getLogger(__name__)

Event: TypeAlias = Any
"""Of the source: what only `begin` and the pieces look into."""

DONE = b"data: [DONE]\n\n"


def event(body: Any) -> bytes:
    """One event: JSON on one line (orjson writes no line breaks)."""
    return b"data: " + orjson.dumps(body) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a stream's first event decides: its headers, and its pieces from then on."""

    headers: Mapping[str, str]
    pieces: AsyncGenerator[bytes, None]


class EventStream(Response):
    """Sends a run of `source` for as long as the client listens.

    Waits for the source's first event, of which `begin` makes headers and pieces: an error before it is a JSON answer
    with its status. Where it takes longer than `keep_alive_s` (0: however long it takes), the stream is opened with the
    `early` headers, and comments keep it alive until then; from then on an error is an event. working: a context in
    which the source runs."""

    media_type = "text/event-stream"

    def __init__(
        self,
        source: AsyncGenerator[Event, None],
        begin: Callable[[Event], Begun],
        *,
        early: Mapping[str, str],
        keep_alive_s: float,
        working: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({})
        self._source, self._begin, self._early = source, begin, early
        self._keep_alive_s, self._working = keep_alive_s, working
        self._open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def comment() -> None:
            await self._start(send, self._early)
            await send({"type": "http.response.body", "body": COMMENT, "more_body": True})

        try:
            with self._working():
                async with WhileConnected(receive), aclosing(self._source):
                    async with KeepAlive(self._keep_alive_s, comment):
                        first = await anext(self._source)
                    begun = self._begin(first)
                    async with aclosing(begun.pieces):
                        await self._start(send, begun.headers)
                        async for piece in begun.pieces:
                            await send({"type": "http.response.body", "body": piece, "more_body": True})
            end = b""
        except ClientGone:
            return
        except Exception as error:
            if not self._open:
                raise  # an answer with its status (errors.py)
            if not isinstance(error, PointsmanError):  # what is ours may be that the server stops
                log.exception("a stream broke")
            end = event(error_body(error))
        await send({"type": "http.response.body", "body": end, "more_body": False})

    async def _start(self, send: Send, headers: Mapping[str, str]) -> None:
        """Send status and headers, if they are not sent yet."""
        if self._open:
            return
        self._open = True
        # no-cache: not to be kept on the way; x-accel-buffering: nginx must not hold it back
        self.init_headers({**headers, "cache-control": "no-cache", "x-accel-buffering": "no"})
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
