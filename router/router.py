"""The router as Python callers hold it: decide, ask, feed back."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ..backends import (
    Endpoint,
    Engine,
    ModelConfig,
    Supervisor,
    Text,
    Thought,
    ToolCallDelta,
    advice,
    load_families,
    load_modes,
    running,
)
from ..classifiers import vectors_id
from ..domain import Decision, Json, Objective, Query, Route, Wish
from ..errors import BadRequest, StoreError
from ..store import CheckRow, Receipt, Record, Store, parse_outcome
from . import build
from .buying import Bought
from .certificates import Certificates
from .config import Settings
from .config import load as load_settings
from .live import Answered, Live, LiveEvent, collect
from .modes import mode_of
from .objectives import as_objective
from .queries import Askable, as_query
from .serving import Refresher
from .timed import Timed
from .wishes import check_budget, parse_model_name

log = logging.getLogger(__name__)

IDENTITY_S = 300.0
"""How long what an engine is, is taken as unchanged."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its text, the thought before it, tool calls in OpenAI's form, and how it came about."""

    text: str
    thought: str
    tool_calls: tuple[Json, ...]
    decision: Decision
    answered: Answered

    def __str__(self) -> str:
        return self.text


class Router:
    """Decides which route answers a query, runs it, and records what came of it.

    Deciding starts no model: engines are opened by `open_engines` or by the first `ask`. Use it as a context manager,
    or call `close`; it may be used from several threads and inside a running event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.models, self.missing = build.present_models(settings)
        self.modes, self.families = load_modes(settings.modes), load_families(settings.families)
        self.advice = {name: advice(name, model, self.families) for name, model in self.models.items()}
        self._configured = build.build_routes(settings, self.models, self.modes)
        self.routes: tuple[Route, ...] = self._configured
        self.decider = build.build_decider(settings, self.routes)
        self.store: Store = build.build_store(settings)
        self.engines: dict[str, Engine] = {}
        self.live = Live(
            self.decider,
            self.engines,
            self.modes,
            self.store.put,
            advice=self.advice,
            begin=self.store.begin,
            deadline_ms=settings.deadline_ms,
            bought=Bought(settings.evidence.max_tokens, settings.evidence.deadline_ms, tuple(settings.evidence.ask)),
            hand_over=settings.escalate.hand_over,
        )
        self._refresher = Refresher(self.decider, self.store)
        self._endpoints: Mapping[str, Endpoint] = {}
        self._checks: list[CheckRow] = []
        self._asked_at = -math.inf
        self._opening = threading.Lock()
        self._gate = asyncio.Lock()
        self._portal: BlockingPortal | None = None
        self._exit = ExitStack()

    @classmethod
    def from_config(cls, path: str | Path | None = None, **overrides: Any) -> Router:
        """A router of a YAML file (None: `POINTSMAN_CONFIG`, else the shipped default); overrides are settings by name.

        Raises ConfigError."""
        settings, _ = load_settings(Path(path) if path is not None else None, overrides)
        router = cls(settings)
        router.start()
        return router

    def start(self) -> None:
        """Bring the store up to date, then serve by what has been learnt. A store that cannot be used is one warning:
        records wait in its queue, and what ships serves."""
        down = False
        try:
            self.store.upgrade()
        except StoreError as error:
            log.warning("The store cannot be used, so nothing is remembered: %s", error)
            down = True
        self._refresher.start(down=down)

    # Deciding

    def wish(
        self,
        model: str = "auto",
        *,
        mode: str | None = None,
        thinking_budget: int | None = None,
        objective: Objective | str | float | None = None,
    ) -> Wish:
        """What the caller's words mean here. Raises UnknownModel, BadRequest."""
        names: dict[str, object] = {"model": model, "mode": "" if mode is None else mode}
        for field, given in names.items():
            if not isinstance(given, str):
                raise BadRequest(f"{field} must be a name, not {given!r:.50}.", field=field)
        wish = parse_model_name(model, {route.name for route in self.routes}, set(self.models))
        if thinking_budget is not None:
            wish = replace(wish, thinking_budget=check_budget(thinking_budget), unlimited=False)
        if mode is not None:
            wish = self._in_mode(wish, mode)
        if objective is not None:
            wish = replace(wish, objective=as_objective(objective))
        return wish

    def _in_mode(self, wish: Wish, mode: str) -> Wish:
        row = mode_of(mode, self.modes)
        budget = wish.thinking_budget if row.own_budget is None else row.budget(wish.thinking_budget)
        # A bare model name means its unlimited thought only where no mode says otherwise.
        unlimited = wish.unlimited and row.think is not False and budget is None
        return replace(wish, mode=row.name, mode_thinks=row.think, thinking_budget=budget, unlimited=unlimited)

    def decide(self, query: Query, wish: Wish | None = None) -> Decision:
        """The decision on the text alone, recorded."""
        decision, considered = self.decider.decide(query, wish)
        self.store.put(
            Record(
                decision,
                query,
                (),
                considered.features,
                considered.embedding,
                encoder=vectors_id(self.decider.embedder),
            )
        )
        return decision

    def route(
        self,
        query: Askable,
        *,
        model: str = "auto",
        tools: Sequence[Json] = (),
        response_format: Json | None = None,
        mode: str | None = None,
        thinking_budget: int | None = None,
        objective: Objective | str | float | None = None,
    ) -> Decision:
        """Which route should answer, and why. Runs no model. Raises BadRequest."""
        wish = self.wish(model, mode=mode, thinking_budget=thinking_budget, objective=objective)
        return self.decide(as_query(query, tools=tools, response_format=response_format), wish)

    # Answering

    def run(
        self,
        query: Query,
        wish: Wish | None = None,
        *,
        signs: bool = False,
        at_once: bool = False,
        decision_id: str = "",
    ) -> AsyncGenerator[LiveEvent, None]:
        """Decided, the answer's events, Answered (live.py says more). The engines must be open."""
        return self.live.run(query, wish, signs=signs, at_once=at_once, decision_id=decision_id)

    def ask(self, query: Askable, **wishes: Any) -> Answer:
        """Decide and run. Uses a running server's engines where there is one, else launches them for this process's
        life. Keywords as in `route`, and `max_tokens`. Raises BadRequest, BackendError, LaunchError."""
        return self.portal().call(partial(self._ask, query, **wishes))

    async def aask(self, query: Askable, **wishes: Any) -> Answer:
        """As `ask`, without holding up the caller's event loop: the engines live in a loop of their own."""
        return await asyncio.wrap_future(self.portal().start_task_soon(partial(self._ask, query, **wishes)))

    async def _ask(
        self,
        query: Askable,
        *,
        model: str = "auto",
        max_tokens: int | None = None,
        tools: Sequence[Json] = (),
        response_format: Json | None = None,
        **wishes: Any,
    ) -> Answer:
        wish = self.wish(model, **wishes)
        asked = as_query(query, tools=tools, response_format=response_format, max_tokens=max_tokens)
        async with self._gate:
            if not self.engines:
                await self.open_engines(await asyncio.to_thread(self.endpoints))
        events, answered = await collect(self.run(asked, wish))
        return _answer(events, answered)

    def portal(self) -> BlockingPortal:
        """The thread in which this router's engines live, for callers without an event loop of their own."""
        with self._opening:
            if self._portal is None:
                self._portal = self._exit.enter_context(start_blocking_portal())
                self._exit.callback(self._portal.call, self._close_engines)
            return self._portal

    def endpoints(self, models: Collection[str] | None = None) -> Mapping[str, Endpoint]:
        """Where those of these models (None: of all) run that we launch: a running server's engines, else servers
        started for this process."""
        wanted = build.launched(self._named(models))
        if not wanted:
            return {}
        if (shared := running(self.settings.home, wanted)) is not None:
            return shared
        outages = self.decider.outages
        supervisor = Supervisor(
            self.settings.home, shared=False, again=outages.answered, down=outages.down, progress=log.info
        )
        self._exit.callback(supervisor.stop)
        return supervisor.start(wanted)

    async def open_engines(self, endpoints: Mapping[str, Endpoint], models: Collection[str] | None = None) -> bool:
        """Open the way to these models (None: to all) and learn what each can do; whether all told
        (`learn_capabilities`). Raises ConfigError, MissingExtra."""
        opened = build.build_engines(self._named(models), endpoints, self.settings.engines, self.families)
        self.engines.update(opened)
        self._endpoints = {**self._endpoints, **endpoints}
        await self._follow(opened)
        told = await self.learn_capabilities()
        await self.learn_checks()
        return told

    async def _follow(self, opened: Mapping[str, Engine]) -> None:
        """Follow from now on which of these models are in memory, where their servers swap them."""
        if self.decider.loaded is not None:
            await self.decider.loaded.stop()
        self.decider.loaded = loaded = build.build_loaded(self.models, self.routes, opened)
        if loaded is not None:
            self.engines.update({name: Timed(opened[name], loaded) for name in loaded.models})
            await loaded.start()

    def _named(self, models: Collection[str] | None) -> dict[str, ModelConfig]:
        return {name: model for name, model in self.models.items() if models is None or name in models}

    async def learn_capabilities(self) -> bool:
        """Ask every model's server what it can do; whether all told. Those that were down can be asked again."""
        told = await build.ask_capabilities(self.engines)
        self._configured = build.with_capabilities(self._configured, told)
        self._offer()
        return len(told) == len(self.engines)

    async def learn_checks(self) -> None:
        """Look up what `pointsman check` found of these models, and whether each engine is still the one that it was
        found on. A store or a server that is down changes nothing but that it is not believed. Engines are asked where
        there is something to believe, once in IDENTITY_S."""
        try:
            rows = await asyncio.to_thread(self.store.checks)
        except StoreError:
            return
        now = time.monotonic()
        if rows == self._checks and now - self._asked_at < IDENTITY_S:
            return
        self._checks, self._asked_at = rows, now
        models = {row.model for row in rows} & self.engines.keys()
        identities = await build.ask_identities(self._named(models), self._endpoints)
        self.decider.certificates = Certificates.believed(rows, identities)
        for sentence in self._offer():
            log.warning("%s", sentence)

    def _offer(self) -> tuple[str, ...]:
        """Serve the configured routes from now on, each in its tier where a check allows it; else why not."""
        insisted = [name for name, route in self.settings.routes.items() if route.insist]
        self.routes, told = self.decider.certificates.offered(self._configured, insisted)
        self.decider.standing = replace(self.decider.standing, routes=self.routes)
        return told

    async def _close_engines(self) -> None:
        await self._follow({})
        for engine in self.engines.values():
            await engine.aclose()
        self.engines.clear()

    # Remembering

    def decision(self, decision_id: str) -> Record | None:
        """A decision with its attempts and outcomes, from the queue or the database; None: there is none."""
        return self.store.decision(decision_id)

    def feedback(
        self,
        decision: Decision | str,
        value: float | str,
        *,
        metric: str | None = None,
        source: str = "human",
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Say how a decision turned out: metric `correct` (0 or 1), `score` (0 to 1) or `verdict` (its word); left out,
        it is the verdict's for a word, else `correct`.

        Raises BadRequest (metric, value, source), NotFound."""
        stated = parse_outcome(
            decision_id=decision if isinstance(decision, str) else decision.id,
            value=value,
            metric=metric or (None if isinstance(value, str) else "correct"),
            source=source,
            idempotency_key=idempotency_key,
        )
        return self.store.put_outcome(stated)

    def close(self) -> None:
        """Write what is queued, stop what was started."""
        with ExitStack() as steps:  # the last one first, and each of them whatever becomes of the others
            steps.callback(self.store.close)
            steps.callback(self._exit.close)
            steps.callback(self._refresher.stop)
        self._portal = None

    async def aclose(self) -> None:
        """As `close`, for a router whose engines live in the caller's event loop."""
        await self._close_engines()
        self.close()

    def __enter__(self) -> Router:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = ", ".join(route.name for route in self.routes)
        return f"<Router {names}; artifact {self.decider.artifact or 'none'}>"


def _answer(events: Sequence[LiveEvent], answered: Answered) -> Answer:
    """The events of a run put together."""
    text = "".join(e.text for e in events if isinstance(e, Text))
    thought = "".join(e.text for e in events if isinstance(e, Thought))
    deltas = [e for e in events if isinstance(e, ToolCallDelta)]
    return Answer(text, thought, tool_calls(deltas), answered.decision, answered)


def tool_calls(deltas: Sequence[ToolCallDelta]) -> tuple[Json, ...]:
    """Tool calls in OpenAI's form out of their pieces."""
    calls: dict[int, Json] = {}
    for delta in deltas:
        call = calls.setdefault(delta.index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call["id"] = delta.id or call["id"]
        call["function"]["name"] = delta.name or call["function"]["name"]
        call["function"]["arguments"] += delta.arguments
    return tuple(calls[index] for index in sorted(calls))
