"""Which models are in memory, on servers that swap them, and what loading another one would cost now.

The servers are asked in the background; a decision reads what they said last. From the first call to a model that is
not there until its first token comes, the server counts as holding that model alone: who wants another one then would
have it swapped back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from ..backends import Swapping, in_memory
from ..domain import Route
from ..errors import BackendError
from .paces import Pace
from .swapping import TOKENS_S, Load, load_seconds, remembered

EVERY_S = 3.0
"""How often servers are asked."""
LOOK_S = 2.0
"""How long one may take to answer."""
STALE_S = 15.0
"""Seconds after which what a server said is not believed any more; then nothing is charged."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A model on a server that swaps. output: its price per token, in currency; load_s, second_price: the owner's word
    on them; parameters: in billions; None where not known."""

    engine: Swapping
    output: float
    load_s: float | None = None
    second_price: float | None = None
    parameters: float | None = None


class _Server:
    """One server: what it said, and what we know better."""

    def __init__(self, residents: Mapping[str, Resident]) -> None:
        self.residents = residents
        self.paces = {name: Pace() for name in residents}
        self.told: Mapping[str, bool] = {}
        self.told_at = -inf
        self.coming: str | None = None
        self.changes = 0
        self.forgone: Mapping[str, float] = {}
        self._second = max((r.second_price for r in residents.values() if r.second_price is not None), default=None)

    def holds(self, model: str, now: float) -> bool | None:
        """Whether the model is in memory; None: not known."""
        if self.coming is not None:
            return model == self.coming
        return self.told.get(model) if now - self.told_at < STALE_S else None

    def tells(self, told: Mapping[str, bool], now: float, changes: int) -> None:
        """The server's own word, when so many changes of ours were known; with more by now it is out of date. Where
        something else is in memory than before, what was forgone is no measure."""
        if changes != self.changes:
            return
        if told != self.told:
            self.forgone = {}
        self.told, self.told_at = told, now

    def load(self, model: str, now: float) -> Load:
        """What loading the model would cost."""
        resident, pace = self.residents[model], self.paces[model]
        seconds, guessed = load_seconds(pace.load_s, resident.load_s, resident.parameters)
        return Load(model, seconds, seconds * self._worth(model, now), self.forgone.get(model, 0.0), guessed)

    def _worth(self, model: str, now: float) -> float:
        """What a second is worth, in currency: what the models that are in memory would write meanwhile, the dearest of
        them; where none is, what this one would."""
        if self._second is not None:
            return self._second
        there = [name for name in self.residents if self.holds(name, now)] or [model]
        return max((self.paces[name].tokens_s or TOKENS_S) * self.residents[name].output for name in there)


class Loaded:
    """Servers by what is on them. clock: seconds."""

    def __init__(self, servers: Iterable[Mapping[str, Resident]], clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = [_Server(residents) for residents in servers]
        self._of = {name: server for server in self._servers for name in server.residents}
        self._clock = clock
        self._wake = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def models(self) -> Collection[str]:
        """The models that are on such servers."""
        return self._of.keys()

    # What decisions ask

    def loads(self, routes: Sequence[Route]) -> dict[str, Load]:
        """What would have to be loaded for which of these routes, by name. Waits for nothing."""
        now, found = self._clock(), dict[str, Load]()
        for route in routes:
            server = self._of.get(route.model)
            if server is not None and server.holds(route.model, now) is False:
                found[route.name] = server.load(route.model, now)
        return found

    def forgo(self, gained: Mapping[str, float]) -> None:
        """A query was decided for which this was left, by model (swapping.gains)."""
        for model, gain in gained.items():
            if (server := self._of.get(model)) is not None:
                server.forgone = remembered(server.forgone, {model: gain})

    # What calls tell

    def begins(self, model: str) -> bool | None:
        """A call goes to the model. True: it has the model loaded, and nothing else is being loaded; False: the model
        is there; None: neither can be told."""
        server = self._of[model]
        held, alone = server.holds(model, self._clock()), server.coming is None
        if held is not False:
            return None if held is None or not alone else False
        server.coming, server.forgone = model, {}
        server.changes += 1
        return True if alone else None

    def came(self, model: str, seconds: float, cold: bool | None) -> None:
        """Its first token came after so many seconds. cold: what `begins` said."""
        server = self._of[model]
        if cold is not None:
            server.paces[model].began(seconds, cold=cold)
        if server.coming == model:
            self._come(server, {name: name == model for name in server.residents}, self._clock())

    def wrote(self, model: str, tokens: int, seconds: float) -> None:
        """Its answer took so many seconds from the first token on."""
        self._of[model].paces[model].wrote(tokens, seconds)

    def left(self, model: str) -> None:
        """A call ended before anything came of it."""
        server = self._of[model]
        if server.coming == model:
            self._come(server, {}, -inf)

    def _come(self, server: _Server, told: Mapping[str, bool], told_at: float) -> None:
        """Nothing is being loaded any more; until the server tells, this is in memory."""
        server.coming, server.told, server.told_at = None, told, told_at
        server.changes += 1
        self._wake.set()

    # What servers tell

    async def start(self) -> None:
        """Look, and from now on again and again in the background, at once where a call has changed something."""
        await self.look()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
            self._watching = None

    async def look(self) -> None:
        """Ask every server once. One that does not answer keeps its last word until that is stale."""
        await asyncio.gather(*(self._look(server) for server in self._servers))

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._wake.wait()
            self._wake.clear()
            await self.look()

    async def _look(self, server: _Server) -> None:
        changes = server.changes
        with suppress(BackendError, TimeoutError):
            async with asyncio.timeout(LOOK_S):
                told = await in_memory([resident.engine for resident in server.residents.values()])
            server.tells(told, self._clock(), changes)
