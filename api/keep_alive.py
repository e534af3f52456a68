"""Comments in an event stream, sent while nothing else is, so that nobody on the way gives it up for dead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType

COMMENT = b": pointsman is thinking\n\n"
"""A line that begins with a colon is a comment to whoever reads event streams (WHATWG HTML, 9.2.6)."""


class KeepAlive:
    """An asynchronous context in which `send` is called whenever so many seconds have passed (0: never).

    It is called in a task of its own, and never once the context has been left: a call that has begun by then is waited
    for, so that what follows does not come between its bytes."""

    def __init__(self, every_s: float, send: Callable[[], Awaitable[None]]) -> None:
        self._every_s, self._send = every_s, send
        self._left = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> KeepAlive:
        if self._every_s > 0:
            self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._left.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._left.wait()
                return
            await self._send()
