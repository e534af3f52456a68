"""Comments while nothing else is sent: they go on until the context is left, and never come after it."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.api.keep_alive import KeepAlive


async def test_it_is_sent_again_and_again_until_the_context_is_left() -> None:
    sent, enough = 0, asyncio.Event()

    async def send() -> None:
        nonlocal sent
        sent += 1
        if sent == 3:
            enough.set()

    async with KeepAlive(0.001, send):
        await enough.wait()
    before = sent
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
    assert sent == before >= 3, "nothing is left that could send"


async def test_what_is_being_sent_is_sent_to_its_end_first() -> None:
    begun, slow, ended = asyncio.Event(), asyncio.Event(), False

    async def send() -> None:
        nonlocal ended
        begun.set()
        await slow.wait()
        ended = True

    async with KeepAlive(0.001, send):
        await begun.wait()
        asyncio.get_running_loop().call_soon(slow.set)
    assert ended


async def test_nothing_is_sent_where_it_is_turned_off() -> None:
    async def send() -> None:
        raise AssertionError

    async with KeepAlive(0, send):
        assert len(asyncio.all_tasks()) == 1


async def test_who_is_cancelled_meanwhile_is_and_leaves_nothing_behind() -> None:
    async def send() -> None:
        return

    async def work() -> None:
        async with KeepAlive(60, send):
            waiting.set()
            await asyncio.Event().wait()

    waiting = asyncio.Event()
    task = asyncio.create_task(work())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
