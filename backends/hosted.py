"""A model at a provider, through LiteLLM, as an Engine: OpenAI, Anthropic, Gemini, DeepSeek, OpenRouter, Mistral, and
whatever else LiteLLM names, of which nothing is claimed.

The table (hosted.yaml) says what is sent for a thought of so many tokens, of some effort, or none. No provider promises
to keep a budget, so a budget here is asked for and never called native; where the count tells that it was overrun, the
reply says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from ..domain import Call, Capabilities, Enforcement, Json
from ..errors import BackendRejected
from .bodies import with_system
from .budget import Allotment, allot_call
from .config import EnginesConfig, ModelConfig
from .dialects import Dialect, merged
from .engine import Event, Finished, Health, ModelInfo
from .facts import Facts
from .families import family_of, markers_of
from .family_rows import Family
from .guard import Guard, Guarded
from .hosted_fields import spelling_of
from .hosted_loops import Loops
from .hosted_prices import Listed, listed
from .hosted_wire import ARGUMENTS, HostedWire
from .markers import USUAL, Markers
from .openai import OpenAIEngine
from .sampling import NAMES, without
from .transport import Target, Transport

_NO_MARKERS = Markers("\ue000think", "\ue000/think")
"""Of models whose thoughts come apart from their text: whatever stands in it is text."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call as it is put to the provider. word: the effort that stands for its budget, None where the number goes."""

    call: Call
    told: tuple[str, ...]
    budget: int | None = None
    word: str | None = None


class HostedEngine(OpenAIEngine):
    """One model at a provider. Implements Engine (engine.py)."""

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        target: Target,
        limits: EnginesConfig | None = None,
        families: Sequence[Family] | None = None,
    ) -> None:
        assert config.model is not None  # the configuration demands it
        self._spelling, self._loops, self._listed = spelling_of(config.model), Loops(), Listed()
        row = self._spelling
        spoken = Dialect("hosted", row.title, limit_required=row.limited, sampling={"top_k": "top_k"})

        def wire(_dialect: Dialect, _transport: Transport) -> HostedWire:
            prefix = row.prefill == "prefix"
            return HostedWire(target, config, ours=True, loops=self._loops, counted=row.counted, prefix=prefix)

        super().__init__(name, config, spoken, target, limits, families, wire=wire)

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """See Engine.stream."""
        facts = await self.facts()
        asked = self._put(call, facts)
        async with aclosing(super().stream(asked.call)) as events:
            async for event in events:
                yield self._judged(event, asked) if isinstance(event, Finished) else event

    async def capabilities(self) -> Capabilities:
        """See Engine.capabilities."""
        facts = await self.facts()
        return Capabilities(facts.context, facts.tools, facts.images, facts.thinks, facts.switchable, continues=False)

    async def health(self) -> Health:
        """Always ready: providers are not asked, as some charge for it. A call that fails says why."""
        return Health(True, f"{self._spelling.title}, not asked")

    async def models(self) -> tuple[ModelInfo, ...]:
        """The one model; providers' lists are not asked for."""
        facts = await self.facts()
        return (ModelInfo(facts.model, facts.context),)

    async def _learnt(self) -> Facts:
        config, row = self._config, self._spelling
        assert config.model is not None
        self._listed = said = await asyncio.to_thread(listed, config.model)
        thinks = config.thinks if config.thinks is not None else row.thinks
        if thinks is None and said.reasons:
            thinks = True
        switchable = row.switch_off is not None if thinks and row.name else None
        model = config.model.partition("/")[2] or config.model
        if (family := family_of((model,), self._families)) is not None:
            self._guard = Guard(family, markers_of(family))
        marks = USUAL if row.inline else _NO_MARKERS
        context = config.context or said.context
        return Facts(model, context, thinks, switchable, said.tools, said.images, markers=marks)

    async def _guarded(self, call: Call, facts: Facts) -> Guarded:
        """The call made safe as the model's family demands; a provider's own models read no words as switches."""
        if self._guard is None and self._spelling.name:
            return Guarded(call)
        return await super()._guarded(call, facts)

    def _learns(self, error: BackendRejected, plan: Any) -> bool:
        return False  # LiteLLM knows how each provider wants to be spoken to

    async def _most(self, call: Call, facts: Facts) -> int:
        return self._limit()

    def _limit(self) -> int:
        """The limit of a call that sets none: ours, or the model's own where that is less."""
        return min(self._limits.max_tokens, self._listed.output or self._limits.max_tokens)

    def _completed(self, call: Call) -> Call:
        return with_system(call, self._config.system)  # its `extra` is LiteLLM's, which the wire gives it

    def _way(self, call: Call, facts: Facts, allotment: Allotment) -> Enforcement:
        if self._spelling.budget is None and self._spelling.effort is None:
            return super()._way(call, facts, allotment)
        return Enforcement.NATIVE if allotment.off or allotment.thought is None else Enforcement.NONE

    def _put(self, call: Call, facts: Facts) -> _Asked:
        """The call in the provider's spelling. Raises BackendRejected where the provider cannot do what it asks."""
        row = self._spelling
        self._check(call, facts)
        told = list[str]()
        extra, word = self._extra(call, told)
        total = call.max_tokens if call.max_tokens is not None or not row.limited else self._limit()
        call, budget = self._bounded(call, total, told)
        off = facts.thinks is False or call.thinking_budget == 0 or bool(call.answer_prefix)
        number = budget if row.budget is not None else call.thinking_budget
        if off:
            fields: Json = row.switch_off or {} if facts.thinks is not False else {}
        else:
            fields = row.thinking(number, least=call.least, word=word)
        messages = self._loops.restored(call.messages)
        call = replace(call, extra=merged(extra, fields), messages=messages, least=False)
        call = self._sampled(call, told, thinking=not off)
        if off or call.thinking_budget is None:
            return _Asked(call, tuple(told))
        stands = row.effort and (word or row.effort.nearest(call.thinking_budget))
        return _Asked(call, tuple(told), call.thinking_budget, stands or None)

    def _check(self, call: Call, facts: Facts) -> None:
        row, problem = self._spelling, None
        if call.rendered is not None or call.thought_prefix:
            problem = f"{row.title} takes no raw text: it cannot go on with a thought"
        elif call.answer_prefix and row.prefill is None:
            problem = f"{row.title} takes no beginning of an answer (prefill) for this model"
        elif call.thinking_budget == 0 and facts.thinks is not False:
            problem = row.off_problem()
        elif call.thinking_budget is not None:
            problem = row.budget_problem(call.thinking_budget)
        if problem is not None:
            raise BackendRejected(problem, backend=self.name, status=400)

    def _extra(self, call: Call, told: list[str]) -> tuple[Json, str | None]:
        """The caller's further fields that may go along, and the word of effort among them."""
        row, extra = self._spelling, {key: value for key, value in call.extra.items() if key in ARGUMENTS}
        lost = sorted(set(call.extra) - set(extra))
        word = extra.pop("reasoning_effort", None)
        if word is not None and not row.name:
            extra["reasoning_effort"], word = word, None
        elif word is not None and (row.effort is None or word not in row.effort.words):
            lost.append(f"reasoning_effort {word!r}")
            word = None
        if lost:
            told.append(f"not sent to {row.title}: {', '.join(lost)}")
        return extra, word

    def _bounded(self, call: Call, total: int | None, told: list[str]) -> tuple[Call, int | None]:
        """The call, and the number of tokens of thought to ask for: within the limit and what the provider takes."""
        row = self._spelling
        if row.budget is None or call.thinking_budget == 0 or call.answer_prefix:
            return call, None
        shared = allot_call(call, total, self._limits.reserve)
        wanted = 0 if shared.off else shared.thought
        if wanted is not None and wanted < row.budget.min:
            least = f"the {row.budget.min} tokens of thought that {row.title} takes at the least"
            if row.switch_off is not None:
                told.append(f"thinking is off: a limit of {total} tokens has no room for {least}")
                return replace(call, thinking_budget=0), None
            told.append(f"a limit of {total} tokens has little room beside {least}")
            return call, row.budget.min
        return call, wanted if wanted is None or row.budget.max is None else min(wanted, row.budget.max)

    def _sampled(self, call: Call, told: list[str], *, thinking: bool) -> Call:
        """The call without the sampling, and the log-probabilities, that the provider would refuse or ignore."""
        row = self._spelling
        refused = {*row.refuses, *(row.refuses_thinking if thinking else ())}
        lost = [name for name in NAMES if name in refused and getattr(call.sampling, name) is not None]
        call = replace(call, sampling=without(call.sampling, lost))
        if call.logprobs is not None and row.name and not row.logprobs:
            lost.append("logprobs")
            call = replace(call, logprobs=None)
        if lost:
            why = " while it thinks" if thinking and set(lost) <= set(row.refuses_thinking) else ""
            told.append(f"{row.title} does not heed {', '.join(lost)}{why}: not sent")
        return call

    def _judged(self, done: Finished, asked: _Asked) -> Finished:
        """The last event with what became of the budget, which was asked for and not enforced."""
        told = [*asked.told, *done.warnings]
        if asked.budget is None or not (self._spelling.budget or self._spelling.effort):
            return replace(done, warnings=tuple(dict.fromkeys(told)))
        title, used = self._spelling.title, done.usage.thought
        if asked.word is not None:
            told.append(f"{title} has no thinking budget: effort {asked.word} stands for {asked.budget} tokens")
        else:
            told.append(f"{title} takes a thinking budget as guidance, not as a limit")
        if used > asked.budget:
            told.append(f"the thought took {used} tokens, over its budget of {asked.budget}")
        return replace(done, enforced=Enforcement.PROMPT, warnings=tuple(dict.fromkeys(told)))
