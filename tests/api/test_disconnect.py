"""The watch on the client: leaving ends the work, staying changes nothing, and a server that stops is told apart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pointsman.api.disconnect import ClientGone, WhileConnected
from pointsman.errors import BackendUnavailable


class Connection:
    """An ASGI channel that can be hung up."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.ended.wait()
        return {"type": "http.disconnect"}


async def test_a_client_that_stays_gets_its_work_done() -> None:
    async with WhileConnected(Connection().receive):
        await asyncio.sleep(0)
        done = True
    assert done


async def test_a_client_that_leaves_ends_the_work_and_its_task_lives_on() -> None:
    connection = Connection()
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        async with WhileConnected(connection.receive):
            asyncio.get_running_loop().call_soon(connection.ended.set)
            try:
                await asyncio.Event().wait()
            finally:
                cleaned = True

    with pytest.raises(ClientGone):
        await work()
    assert cleaned
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_an_error_of_the_work_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with WhileConnected(Connection().receive):
            raise ZeroDivisionError


async def test_a_server_that_stops_tells_the_client_to_come_back() -> None:
    async def work() -> None:
        async with WhileConnected(Connection().receive):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(BackendUnavailable, match="shutting down") as raised:
        await task
    assert raised.value.retry_after == 1


async def test_time_limits_inside_still_work() -> None:
    async def work() -> None:
        async with WhileConnected(Connection().receive), asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
