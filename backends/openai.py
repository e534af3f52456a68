"""Any OpenAI-compatible server as an Engine: its dialect spells the call, and budgets are kept as well as it allows.

Requests to the server are always streamed, also for callers that do not stream: only so can a thought be counted and
cut while it comes, and some servers repeat a prefix in a reply that is not streamed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Literal

from ..domain import Call, Capabilities, Enforcement, Json
from ..errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable
from .bodies import unheeded, with_system
from .budget import SLACK, Allotment, allot_call, two_pass, watched
from .config import EnginesConfig, ModelConfig
from .dialects import Dialect
from .engine import Event, Finished, Health, ModelInfo
from .exchange import Exchange
from .facts import Facts, listed_models
from .families import family_of, markers_of, thinking_of
from .family_rows import Family
from .forced_tools import Forced, called, forced
from .foreign import readable
from .guard import Guard, Guarded
from .prompts import Prompts
from .restoring import restored
from .switching import switched, with_line
from .templates import Own
from .transport import Target, Transport
from .wire import HttpWire, MakeWire


@dataclass(frozen=True, slots=True)
class _Plan:
    """A call as it will be run: its tokens shared out, how its budget is kept, what to warn of in any case. native,
    limit: whether the server's own budget was trusted, and the name of the limit, when it was planned. joint: what
    its texts were broken up with (guard.py). forced: that it must call a function."""

    call: Call
    facts: Facts
    allotment: Allotment
    way: Enforcement
    native: bool
    limit: str
    warnings: tuple[str, ...]
    joint: str
    forced: Forced | None


class OpenAIEngine:
    """One model on an OpenAI-compatible server. Implements Engine (engine.py)."""

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        dialect: Dialect,
        target: Target,
        limits: EnginesConfig | None = None,
        families: Sequence[Family] | None = None,
        wire: MakeWire = HttpWire,
    ) -> None:
        self._name, self._config, self._families, self._wire = name, config, families, wire
        self._limits = limits or EnginesConfig()
        self._transport, self._own = Transport(target, config.timeouts), Own(name, config)
        self._speak(dialect)
        self._facts: Facts | None = None
        self._guard: Guard | None = None
        self._forces = False
        """Whether the server has said that it cannot make the model call a function."""
        self._native = config.budget == "auto"
        """Whether to trust the server's own budget; false once it refused or overran one."""

    @property
    def name(self) -> str:
        """The model's name in the configuration."""
        return self._name

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """See Engine.stream."""
        plan = await self._planned(call)
        begun = False
        try:
            async with aclosing(self._run(plan)) as events:
                async for event in events:
                    begun = True
                    yield self._concluded(event, plan) if isinstance(event, Finished) else event
            return
        except BackendRejected as error:
            if begun or not self._learns(error, plan):
                raise
        async with aclosing(self.stream(call)) as events:
            async for event in events:
                yield event

    async def render(self, messages: Sequence[Json], *, thinking: bool = True) -> str:
        """See Engine.render."""
        return await self._prompts.text(await self.facts(), messages, thinking=thinking)

    async def count_tokens(self, text: str) -> int:
        """See Engine.count_tokens."""
        return len(await self._prompts.tokens((await self.facts()).model, text))

    async def capabilities(self) -> Capabilities:
        """See Engine.capabilities. Raises BackendError."""
        facts = await self.facts()
        if facts.context is None:
            listed = {info.id: info.context for info in await self.models()}
            self._facts = facts = replace(facts, context=listed.get(facts.model))
        goes_on = facts.continues == "chat" or (facts.continues == "raw" and self._dialect.raw_markers)
        off = facts.switchable or facts.closes if facts.switchable is not None else None
        return Capabilities(facts.context, facts.tools, facts.images, facts.thinks, off, goes_on)

    async def health(self) -> Health:
        """See Engine.health."""
        try:
            await self._transport.ping(self._dialect.health or "models")
        except BackendError as error:
            return Health(False, error.problem)
        return Health(True, self._dialect.title)

    async def models(self) -> tuple[ModelInfo, ...]:
        """See Engine.models."""
        reply = await self._transport.get("models")
        with readable(self._name):
            return listed_models(reply)

    async def aclose(self) -> None:
        """See Engine.aclose."""
        await self._exchange.aclose()
        await self._transport.aclose()

    async def facts(self) -> Facts:
        """What is known of the model; asked of the server once. Raises BackendError."""
        if self._facts is None:
            with readable(self._name):
                self._facts = await self._learnt()
        return self._facts

    def _speak(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._prompts = self._prompts_of(dialect)
        self._exchange = Exchange(self._name, dialect, self._wire(dialect, self._transport), self._prompts)

    def _prompts_of(self, dialect: Dialect) -> Prompts:
        return Prompts(dialect, self._transport, self._own)

    def _learns(self, error: BackendRejected, plan: _Plan) -> bool:
        """Whether a refusal tells how the server wants to be spoken to, so that asking again makes sense: also where
        a call beside this one has learnt it since this one was planned."""
        refusal = self._dialect.budget and self._dialect.budget.refusal
        if plan.native and refusal and refusal in error.problem:
            self._native = False
            return True
        unforced = self._dialect.forced_tool_refusal
        if (
            plan.forced is None
            and unforced
            and unforced in error.problem
            and plan.call.tool_choice not in (None, "auto")
        ):
            self._forces = True
            return True
        if plan.limit == "max_tokens" and "max_completion_tokens" in error.problem:
            if self._dialect.limit == plan.limit:
                self._speak(replace(self._dialect, limit="max_completion_tokens"))
            return True
        return False

    async def _learnt(self) -> Facts:
        config, model, context = self._config, self._config.model, self._config.context
        if model is None:
            models = await self.models()
            if not models:
                raise BackendUnavailable("lists no model: set `model`", backend=self._name)
            model, context = models[0].id, context or models[0].context
        elif context is None and self._dialect.continues == "raw":
            with suppress(BackendError):  # raw calls want a limit, which the context sets
                context = {info.id: info.context for info in await self.models()}.get(model)
        named, family = thinking_of((model,), table=self._families), family_of((model,), self._families)
        thinks = named.thinks if config.thinks is None else config.thinks
        switchable = named.switchable if self._dialect.switch_off is not None else None
        return Facts(
            model,
            context,
            thinks,
            switchable,
            family=family,
            markers=markers_of(family),
            continues=self._continues_by,
        )

    @property
    def _continues_by(self) -> Literal["chat", "raw"] | None:
        """How thoughts and answers are gone on with, as far as is known without asking."""
        return self._dialect.continues or ("raw" if self._own.renders else None)

    async def _planned(self, call: Call) -> _Plan:
        """What is needed before the call itself, within its deadline."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(None if call.deadline_ms is None else call.deadline_ms / 1e3):
                facts = await self._known(call)
                guarded = await self._guarded(_least(self._completed(call), facts), facts)
                allotment = await self._allotted(guarded.call, facts)
        except TimeoutError as error:
            raise BackendTimeout(f"not finished in {call.deadline_ms:.0f} ms", backend=self._name) from error
        bound = forced(guarded.call, self._dialect, ignored=self._forces)
        call = bound.call if bound else guarded.call
        if facts.thinks is not False:
            told = switched(call.messages, facts.family, thinking=not allotment.off)
            call = replace(call, messages=told)
        if call.deadline_ms is not None:
            call = replace(call, deadline_ms=max(1.0, call.deadline_ms - (time.monotonic() - started) * 1e3))
        told = (*([allotment.warning] if allotment.warning else []), *guarded.warnings, *unheeded(call, self._dialect))
        way = self._way(call, facts, allotment)
        return _Plan(call, facts, allotment, way, self._native, self._dialect.limit, told, guarded.joint, bound)

    async def _known(self, call: Call) -> Facts:
        """What is known of the model, and must be for this call."""
        return await self.facts()

    async def _guarded(self, call: Call, facts: Facts) -> Guarded:
        """The call with what would switch the model broken up in its texts."""
        if not self._config.guard:
            return Guarded(call)
        if self._guard is None:
            self._guard = Guard(facts.family, facts.markers)
        await self._look(self._guard, call, facts)
        return self._guard.guarded(call)

    async def _look(self, guard: Guard, call: Call, facts: Facts) -> None:
        """Ask the model's tokenizer about what the guard cannot tell, where the server can say."""

    def _completed(self, call: Call) -> Call:
        """The call with what the configuration adds: system text where the messages bring none, further fields."""
        asked = with_system(call, self._config.system)
        return replace(asked, extra={**self._config.extra, **call.extra})

    async def _allotted(self, call: Call, facts: Facts) -> Allotment:
        """The call's tokens, shared between thought and answer."""
        total, most = call.max_tokens, call.max_answer_tokens
        if total is None and self._dialect.limit_required:
            total = await self._most(call, facts)
        if facts.thinks is False or call.answer_prefix:
            allotment = Allotment(0, total, off=True)
        else:
            allotment = allot_call(call, total, self._limits.reserve, closing=facts.closing)
        if most is None or allotment.thought is None:
            return allotment
        bound = most if allotment.off else allotment.thought + SLACK + most
        return replace(allotment, total=bound if total is None else min(total, bound))

    async def _most(self, call: Call, facts: Facts) -> int:
        """The limit of a call that sets none, where the dialect needs one."""
        return self._limits.max_tokens

    def _way(self, call: Call, facts: Facts, allotment: Allotment) -> Enforcement:
        """How this call's budget will be kept; NATIVE also where there is nothing to keep, NONE where the limit bounds
        thought and answer together and nothing can divide it."""
        budget, raw = self._dialect.budget, call.rendered is not None
        if allotment.off and facts.closes and not call.tools:
            return Enforcement.TWO_PASS
        if allotment.off or allotment.thought is None:
            return Enforcement.NATIVE
        if self._native and budget is not None and (budget.raw or not raw):
            return Enforcement.NATIVE
        if self._config.budget != "prompt" and _continues(call, facts):
            return Enforcement.TWO_PASS
        if call.thinking_budget is not None:
            return Enforcement.PROMPT
        return Enforcement.NATIVE if _continues(call, facts) else Enforcement.NONE

    def _run(self, plan: _Plan) -> AsyncGenerator[Event, None]:
        """The events of the call, what was broken up in it made whole again."""
        events = self._kept(plan)
        if plan.forced is not None:
            events = called(events, plan.forced.name)
        if not plan.joint:
            return events
        return restored(events, plan.joint, as_json=plan.call.response_format is not None)

    def _kept(self, plan: _Plan) -> AsyncGenerator[Event, None]:
        """The events of the call, its budget kept in the plan's way."""
        call, facts, allotment = plan.call, plan.facts, plan.allotment

        def once(one: Call) -> AsyncGenerator[Event, None]:
            return self._exchange.once(one, facts)

        if allotment.off:
            return once(replace(call, thinking_budget=0, max_tokens=allotment.total))
        if plan.way is Enforcement.TWO_PASS:
            return two_pass(once, call, allotment)
        if plan.way is Enforcement.PROMPT:
            asked = with_line(call.messages, f"Think for at most {allotment.thought} tokens, then answer.")
            return once(replace(call, messages=asked, thinking_budget=None, max_tokens=allotment.total))
        if _continues(call, facts):
            return watched(once, call, allotment)
        return once(replace(call, thinking_budget=allotment.thought, max_tokens=allotment.total))

    def _concluded(self, done: Finished, plan: _Plan) -> Finished:
        """The last event with the truth on how the budget was kept."""
        budget, used = plan.allotment.thought, done.usage.thought
        kept = done.enforced if plan.way is Enforcement.NATIVE else plan.way
        told = [*plan.warnings, *done.warnings]
        title = self._dialect.title
        if plan.allotment.off:
            if used > 0 and plan.facts.thinks is not False:
                kept = Enforcement.NONE
                told.append(f"thinking was to be off, but {title} went on thinking")
        elif plan.way is Enforcement.NONE:
            kept = Enforcement.NONE if used > 0 else Enforcement.NATIVE
            if budget is not None and used > budget:
                told.append(f"{title} bounds no thought: it took more than its share of the limit from the answer")
        elif plan.way is Enforcement.PROMPT:
            told.append(f"{title} keeps no thinking budget: it was only asked to")
        elif plan.way is Enforcement.NATIVE and kept is Enforcement.TWO_PASS:
            if budget is not None and used > budget:
                self._native = False
                told.append(f"{title} ignored the thinking budget: the thought was cut")
        elif budget is not None and used > budget + SLACK and plan.call.thinking_budget is not None:
            kept = Enforcement.NONE
            told.append(f"{title} ignored the thinking budget")
        return replace(done, enforced=kept, warnings=tuple(dict.fromkeys(told)))


def _continues(call: Call, facts: Facts) -> bool:
    """Whether a closed thought of this call can be answered by a second request."""
    if call.rendered is not None or facts.continues == "chat":
        return True
    return facts.continues == "raw" and not call.tools  # raw text comes back with its tool calls unread


def _least(call: Call, facts: Facts) -> Call:
    """The call with its family's lowest word of effort, where that is asked for and there is one."""
    if not call.least or facts.family is None or facts.family.least is None:
        return call
    return replace(call, extra={"reasoning_effort": facts.family.least, **call.extra})
