"""Noticing that the client has gone while its request still runs, so that the generation it paid for stops."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

from ..errors import BackendUnavailable


class ClientGone(Exception):
    """The client closed its connection before the answer was whole."""


class WhileConnected:
    """An asynchronous context whose body is cancelled when the client leaves; then ClientGone comes out of it. A body
    cancelled from outside, which only a server that stops does, ends in BackendUnavailable, so that it can be told.

    receive: the request's ASGI channel, its body read to the end. The body runs in the caller's own task (as with
    asyncio.timeout), because a generator that another task goes on with breaks the time limits inside it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    async def __aenter__(self) -> WhileConnected:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watcher.cancel()
        if self._gone and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise ClientGone from error
        if kind is asyncio.CancelledError:
            raise BackendUnavailable("the server is shutting down", backend="pointsman", retry_after=1) from error

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()
