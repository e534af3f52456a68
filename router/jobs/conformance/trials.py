"""Which calls a check makes. Each is put together as any caller's would be: what is checked is what is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ....backends import RESERVE, SLACK, UNADVISED, Advice, Mode, prepare
from ....domain import Call, Capabilities, Json, Purpose, Query, Route
from ....errors import BadRequest
from ...modes import loop_of
from ...pricing import expected_cost
from .observing import Observed
from .questions import budgets, questions

MOST_THOUGHT = 4_096
"""Tokens of thought after which a check stops: longer budgets are not shown."""
ROOM = 64
"""Tokens that a limit leaves over budget and reserve."""
OPEN_ANSWER = 512
"""The most tokens of an answer without thought: enough to see reasoning that was moved into it."""
TIGHT = 48
"""A limit that a thought alone would use up."""
AT_ONCE = 8
"""Calls that are made at the same time."""
CALL_MS = 180_000.0
"""The time limit of one call."""
PROMPT = 120
"""About how many tokens one prompt has, for the estimate of the cost."""

TOOL: Json = {
    "type": "function",
    "function": {
        "name": "next_boat",
        "description": "Tells when the next boat leaves a harbour.",
        "parameters": {
            "type": "object",
            "properties": {"harbour": {"type": "string", "description": "the harbour's name"}},
            "required": ["harbour"],
        },
    },
}
ARGUMENT = "harbour"
KEY = "answer"
SCHEMA: Json = {
    "type": "json_schema",
    "json_schema": {
        "name": "reply",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {KEY: {"type": "integer"}},
            "required": [KEY],
            "additionalProperties": False,
        },
    },
}
_BOAT = "When does the next boat leave the harbour of Skagen? Look it up with the tool."
_LEGS = "How many legs do three spiders have together?"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to check, and its routes that were asked for. asked: the name that its server is asked by, as far as it
    is configured; able: what its engine says of it; listed: the models that its server lists."""

    model: str
    routes: tuple[Route, ...]
    modes: Mapping[str, Mode]
    able: Capabilities
    advice: Advice = UNADVISED
    digits: bool = False
    asked: str | None = None
    listed: tuple[str, ...] = ()

    @property
    def thinks(self) -> bool:
        """Whether it may think, so that thoughts are asked for."""
        return self.able.thinks is not False

    @property
    def can_be_off(self) -> bool:
        """Whether it is worth asking for an answer without thought."""
        return self.able.switchable is not False or any(route.thinking_budget == 0 for route in self.routes)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a check costs at most: calls, tokens, and currency at the routes' prices."""

    calls: int
    input_tokens: int
    output_tokens: int
    cost: float


class Trials:
    """The calls for one model on `n` questions, the hardest last."""

    def __init__(self, subject: Subject, n: int) -> None:
        self.subject = subject
        self.questions = questions(n, digits=subject.digits)
        own = [route.thinking_budget for route in subject.routes if route.thinking_budget]
        self.budgets = budgets(digits=subject.digits) if subject.thinks else ()
        largest = max([*self.budgets, *(b for b in own if b <= MOST_THOUGHT)], default=0)
        self._most_free = largest + SLACK + RESERVE + ROOM

    def thinking(self) -> list[Call]:
        """Every question with thinking on and no budget."""
        return [self._model(q, None) for q in self.questions] if self.subject.thinks else []

    def without(self) -> list[Call]:
        """Every question with thinking off."""
        return [self._model(q, 0) for q in self.questions] if self.subject.can_be_off else []

    def bounded(self) -> list[tuple[int, Call, Call]]:
        """The hardest questions with each budget: the budget, the call with it, the call without."""
        hardest = self.questions[-2:]
        return [(b, self._model(q, b), self._model(q, None)) for b in self.budgets for q in hardest]

    def tight(self) -> Call:
        """The hardest question with a limit that a thought alone would use up."""
        budget = None if self.subject.thinks else 0
        return replace(self._model(self.questions[-1], budget), max_tokens=TIGHT)

    def of(self, route: Route) -> list[Call]:
        """Every question by this route; of a mode that loops, one of its calls. Raises BadRequest (mode)."""
        return [self._by(route, question) for question in self.questions]

    def of_bounded(self, route: Route) -> list[tuple[int, Call, Call]]:
        """The same for a budget that can be checked, each beside the call without it. Raises BadRequest."""
        budget = route.thinking_budget
        if not budget or budget > MOST_THOUGHT or not self.subject.thinks:
            return []
        free = replace(route, thinking_budget=None)
        return [(budget, self._by(route, question), self._by(free, question)) for question in self.questions]

    def logprobs(self) -> Call:
        """An easy question, its tokens' probabilities asked for."""
        return replace(self.alone(), logprobs=2)

    def alone(self) -> Call:
        """The easiest question, answered as shortly as can be."""
        call = self._model(self.questions[0], self._budgets_at_once()[0])
        return replace(call, max_tokens=min(call.max_tokens or ROOM, ROOM)) if call.thinking_budget == 0 else call

    def tool(self) -> Call | None:
        """A question that wants a tool, some thought allowed; None where the model takes none."""
        return None if self.subject.able.tools is False else self._bound(_BOAT, tools=(TOOL,))

    def schema(self) -> Call:
        """A question whose answer must be JSON, some thought allowed."""
        return self._bound("3+4" if self.subject.digits else _LEGS, response_format=SCHEMA)

    def at_once(self) -> list[Call]:
        """Calls for the same moment, neighbours with different budgets."""
        cycle = self._budgets_at_once()
        hardest = self.questions[-1]
        return [self._model(hardest, cycle[i % len(cycle)]) for i in range(AT_ONCE)]

    def begun(self, free: Sequence[Observed]) -> list[Call]:
        """Calls that go on from the middle of replies that there are; none where the engine cannot."""
        if self.subject.able.continues is not True:
            return []
        calls = list[Call]()
        for seen in free:
            if seen.error is not None:
                continue
            base = replace(seen.call, max_tokens=RESERVE + ROOM, thinking_budget=seen.call.thinking_budget)
            if len(answer := seen.text.strip()) and not any(call.answer_prefix for call in calls):
                calls.append(replace(base, answer_prefix=answer[: max(1, len(answer) // 2)]))
            if len(seen.thought) > ROOM and not any(call.thought_prefix for call in calls):
                calls.append(replace(base, thought_prefix=seen.thought[: len(seen.thought) // 2]))
        return calls

    def all(self) -> Iterator[Call]:
        """Every call that does not depend on what came of another."""
        yield from self.without()
        yield from self.thinking()
        for _, bounded, free in self.bounded():
            yield from (bounded, free)
        yield self.tight()
        for route in self.subject.routes:
            try:
                yield from self.of(route)
                for _, bounded, free in self.of_bounded(route):
                    yield from (bounded, free)
            except BadRequest:
                continue
        tool = self.tool()
        yield from (self.logprobs(), self.schema(), *([tool] if tool else []))

    def estimate(self) -> Estimate:
        """What all of it costs at most."""
        single = distinct(self.all())
        most = [call.max_tokens or 0 for call in (*single, *self.at_once(), *self.at_once())]
        most += [RESERVE + ROOM, RESERVE + ROOM, OPEN_ANSWER, OPEN_ANSWER]  # what was begun; before and after leaving
        dearest = max((route.price for route in self.subject.routes), key=lambda price: price.output)
        read, made = PROMPT * len(most), sum(most)
        return Estimate(len(most), read, made, expected_cost(dearest, read, made))

    def _budgets_at_once(self) -> list[int]:
        off = (0,) if self.subject.can_be_off or not self.budgets else ()
        return [*off, *self.budgets]

    def _bound(self, text: str, **demands: Any) -> Call:
        """A question with demands on its answer, some thought allowed where the model thinks."""
        budget = self.budgets[len(self.budgets) // 2] if self.budgets else 0
        call = self._model(text, budget, **demands)
        return replace(call, max_tokens=self._fitting(budget + RESERVE + 4 * ROOM))

    def _model(self, text: str, budget: int | None, **demands: Any) -> Call:
        """A question to the model itself, nothing added."""
        mode = "direct" if budget == 0 else "think"
        route = replace(self.subject.routes[0], name=self.subject.model, mode=mode, thinking_budget=budget)
        return self._by(route, text, **demands)

    def _most(self, budget: int) -> int:
        """A limit with room for the answer, and for reasoning that was moved into it."""
        if budget == 0:
            return OPEN_ANSWER if self.subject.thinks else 2 * ROOM
        return min(budget, MOST_THOUGHT) + RESERVE + ROOM

    def _by(self, route: Route, text: str, **demands: Any) -> Call:
        if loop_of(route.mode) is not None:  # each of its calls is as in mode think (live.py)
            route = replace(route, mode="think")
        query = Query(messages=({"role": "user", "content": text},), **demands)
        call = prepare(query, route, self.subject.modes, self.subject.advice)
        budget = call.thinking_budget
        most = self._most_free if budget is None else self._most(budget)
        return replace(call, purpose=Purpose.CHECK, max_tokens=self._fitting(most), deadline_ms=CALL_MS)

    def _fitting(self, most: int) -> int:
        """The limit, but for what the context cannot hold beside a prompt: some engines refuse such a call."""
        context = self.subject.able.context
        return most if context is None else min(most, max(ROOM, context - PROMPT))


def distinct(calls: Iterable[Call]) -> list[Call]:
    """The calls, each once."""
    found = list[Call]()
    for call in calls:
        if call not in found:
            found.append(call)
    return found
