"""What the ways in share: the router, the server's settings, whether the engines are open, who is being answered."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeAlias

from ..backends import Endpoint, Health
from ..errors import BackendUnavailable, PointsmanError
from ..router import Router
from .config import ServerConfig

log = logging.getLogger(__name__)

Endpoints: TypeAlias = Awaitable[Mapping[str, Endpoint]]
"""Where the servers run that Pointsman launches, once they do."""

HEALTH_S = 2.0
"""How long an engine may take to say that it is well."""
WAIT_S = 10.0
"""How long servers that are down at the start are waited for before the proxy is ready without them."""
STOP_S = 2.0
"""How long requests that were cancelled at shutdown have to write their record."""
CHECKS_S = 15.0
"""How long until it is looked whether `pointsman check` has found anything new."""
RETRY_S = 1.0
"""How long until servers that were down at the start are asked again what their models can do."""


class Service:
    """One router behind HTTP, for the life of the application. failed: told when the engines can never be opened."""

    def __init__(
        self,
        router: Router,
        config: ServerConfig,
        endpoints: Endpoints | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self.router, self.config, self._endpoints, self._failed = router, config, endpoints, failed
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._open, self._opened_at = False, math.inf
        self._was_ready = False
        self._problem = "starting"
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to open the engines; until they are open, requests for answers are told to come back."""
        self._opening = asyncio.create_task(self._open_engines())

    async def stop(self) -> None:
        """Close the engines, write what is queued. The server has ended all requests or cancelled them before."""
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._idle.wait()
        await self.router.aclose()

    @contextmanager
    def answering(self) -> Generator[None]:
        """Round everything in which a model works for a request: the store is not closed under it."""
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    def require_engines(self) -> None:
        """Raises BackendUnavailable until the engines are open."""
        if not self._open:
            raise BackendUnavailable(f"not ready: {self._problem}", backend="pointsman", retry_after=1)

    async def health(self) -> dict[str, Health]:
        """Every engine's own word, asked at the same time. Empty until they are open."""
        names = list(self.router.engines) if self._open else []
        told = await asyncio.gather(*(self._healthy(name) for name in names))
        return dict(zip(names, told, strict=True))

    def is_ready(self, health: Mapping[str, Health]) -> bool:
        """Whether answers can be given. At the start all engines must be well, or WAIT_S have passed; from then on one
        is enough, so that one dead server does not take the others out of service."""
        well = [h.ready for h in health.values()]
        waited = time.monotonic() - self._opened_at > WAIT_S
        self._was_ready = self._was_ready or (self._open and (all(well) or waited))
        return self._was_ready and any(well)

    @property
    def problem(self) -> str | None:
        """Why the engines are not open; None: they are."""
        return None if self._open else self._problem

    async def _healthy(self, name: str) -> Health:
        try:
            async with asyncio.timeout(HEALTH_S):
                return await self.router.engines[name].health()
        except TimeoutError:
            return Health(ready=False, detail=f"no answer in {HEALTH_S:.0f} s")

    async def _open_engines(self) -> None:
        self._problem = "the model servers are starting"
        endpoints: Mapping[str, Endpoint] = await self._endpoints if self._endpoints is not None else {}
        try:
            told = await self.router.open_engines(endpoints)
        except Exception as error:
            ours = not isinstance(error, PointsmanError)  # a fault of ours comes with its traceback
            log.error("the engines cannot be opened: %s", error, exc_info=ours)
            self._problem = f"the engines cannot be opened: {error}"
            self._failed()
            return
        self._open, self._opened_at = True, time.monotonic()
        while not told:
            await asyncio.sleep(RETRY_S)
            told = await self.router.learn_capabilities()
        while True:
            await asyncio.sleep(CHECKS_S)
            await self.router.learn_checks()
