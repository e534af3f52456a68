"""Checks in a process of their own, so that one that takes for ever (an expression that backtracks without end, a power
tower that is multiplied out) is stopped, and counts as wrong. `python -m pointsman.router.jobs.bounded` is that
process: it reads lines of JSON and answers each with a line."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import sys
from typing import Any

from .checks import BOUNDED, Checked, Kind, check

CHECK_S = 5.0
"""How long one check may take, in seconds."""
START_S = 60.0
"""How long a process may take to start, or to load what it needs for a kind, which is before its first check of it."""
MEMORY = 4 << 30
"""Bytes of address space that the process may have."""
_LINE = 16 * 1024 * 1024
_LOADS: dict[Kind, list[Any]] = {"mathematics": ["1", "$1$"], "regex": ["a", "a"], "json_schema": [{}, "1"]}
"""A check by which all is loaded that a kind needs."""


class Checker:
    """Checks answers, one at a time where they need to be bounded. Use it as an asynchronous context manager."""

    def __init__(self, seconds: float = CHECK_S) -> None:
        self._seconds = seconds
        self._process: asyncio.subprocess.Process | None = None
        self._loaded: set[Kind] = set()
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Checker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def check(self, kind: Kind, wanted: Any, text: str | None, tolerance: float | None = None) -> Checked:
        """Whether an answer is right; one whose check took too long or broke down is wrong."""
        if kind not in BOUNDED or text is None:
            return check(kind, wanted, text, tolerance)
        async with self._turn:
            try:
                said = await self._ask(kind, [wanted, text])
            except BaseException:  # cancelled in between: the process's next line would answer this question
                await self._stop()
                raise
        return Checked(*said) if said is not None else Checked(0.0, None)

    async def _ask(self, kind: Kind, about: list[Any]) -> tuple[float, str | None] | None:
        """What the process says; None where it took too long, for which it is ended, or the check broke down."""
        process = self._process or await self._start()
        if kind not in self._loaded:
            if await self._line(process, [kind, *_LOADS[kind]], START_S) is None:
                await self._stop()
                return None
            self._loaded.add(kind)
        line = await self._line(process, [kind, *about], self._seconds)
        if line is None:
            await self._stop()
        said = json.loads(line) if line else None
        return None if said is None else (float(said[0]), said[1])

    async def _start(self) -> asyncio.subprocess.Process:
        self._loaded.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
            start_new_session=True,  # a Ctrl-C at the terminal is ours to tell
        )
        return self._process

    async def _line(self, process: asyncio.subprocess.Process, asked: list[Any], limit: float) -> bytes | None:
        """The process's line to this one; None where it took too long or the process ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(limit):
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                await process.stdin.drain()
                return await process.stdout.readline() or None
        except (TimeoutError, ConnectionError):
            return None

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.communicate()  # to the end of its pipes, which are closed then


def main() -> None:
    """Answer every line with a line: [correct, answer], or null where the check broke down."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        kind, wanted, text = json.loads(line)
        faulthandler.dump_traceback_later(2 * START_S, exit=True)  # whoever should stop it may be gone
        try:
            found = check(kind, wanted, text)
        except Exception:  # noqa: BLE001 - foreign code on foreign text may raise anything; the answer is not right
            said = None
        else:
            said = [found.correct, found.answer]
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
