"""A server of two models that says what it holds, for tests of what is in memory: whole parts, no mocks."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from pointsman.domain import Price, Route
from pointsman.errors import BackendUnavailable
from pointsman.router.loaded import Loaded, Resident
from pointsman.router.swapping import Load


def route(name: str, model: str) -> Route:
    return Route(name, model, "direct", 0, Price(0.1, 0.0, 1.0))


ROUTES = (route("a", "a"), route("a2", "a"), route("b", "b"), route("other", "other"))


class Server:
    """What a server that swaps says. asked: set by being asked; waits: an answer is held back until it is set."""

    def __init__(self) -> None:
        self.holds: tuple[str, ...] | None = ()
        self.asked, self.waits = asyncio.Event(), asyncio.Event()
        self.waits.set()


class Told:
    """The engine of a model that is told by such a server. It is a whole Swapping, not a mock."""

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.server = name, server

    async def loaded(self) -> tuple[str, ...]:
        holds = self.server.holds
        self.server.asked.set()
        await self.server.waits.wait()
        if holds is None:
            raise BackendUnavailable("down", backend=self.name)
        return holds

    async def among(self, loaded: Collection[str]) -> bool | None:
        return None if self.name == "alias" else self.name in loaded


class World:
    """A server of a (1 a token) and b (3 a token, 10 s to load by the owner's word), and a clock."""

    def __init__(self, **changes: float) -> None:
        self.now = 0.0
        self.server = Server()
        a, b = Told("a", self.server), Told("b", self.server)
        residents = {"a": Resident(a, 1.0), "b": Resident(b, 3.0, **{"load_s": 10.0, **changes})}
        self.loaded = Loaded([residents], lambda: self.now)

    async def holding(self, *names: str) -> None:
        self.server.holds = names
        await self.loaded.look()

    def loads(self, routes: tuple[Route, ...] = ROUTES) -> dict[str, Load]:
        return self.loaded.loads(routes)
