"""Answers bought before committing: within which limits a call is evidence, and the call that goes on where it was cut.

Going on, the engine is given what it had said (`thought_prefix`, `answer_prefix`), so only the rest is generated, and
an engine that keeps prompts reads next to nothing again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..backends import RESERVE, suspect
from ..domain import Call, Json, Route, Usage
from .climb import Climb
from .signs import ALTERNATIVES


@dataclass(frozen=True, slots=True)
class Bought:
    """Limits of an answer that is bought before committing: tokens, thought included, and milliseconds. What is cut off
    is evidence all the same, and is gone on with if it is chosen; a call that takes longer has failed and cost what it
    cost.

    ask: the probes (probes.py) that are put about such an answer, each within the same time limit."""

    max_tokens: int = 1024
    deadline_ms: float = 30_000
    ask: tuple[str, ...] = ()

    def cap(self, climb: Climb | None) -> int:
        """Tokens after which an answer is cut: as when the ladder was learnt, if no less is allowed now."""
        learnt = climb.model.cap if climb is not None else None
        return min(self.max_tokens, learnt or self.max_tokens)

    def limited(self, call: Call, route: Route, climb: Climb, *, loops: bool = False) -> Call:
        """The call within these limits, with the probabilities of its tokens. It is cut early where it can be gone on
        with, and what the caller's own limit keeps for an answer is then still there. loops: it is that of a looping
        mode, which is several calls."""
        cap, most = self.cap(climb), call.max_tokens
        kept = 0 if most is None else min(RESERVE, (most + 1) // 2)
        room = most is None or cap + kept <= most
        early = not loops and route.name in climb.model.resumes and can_go_on(call, route) and room
        limit = cap if early else self.max_tokens
        return replace(
            call,
            max_tokens=min(limit, most or limit),
            resumable=early,
            deadline_ms=min(self.deadline_ms, call.deadline_ms or self.deadline_ms),
            logprobs=max(call.logprobs or 0, ALTERNATIVES),
        )


def can_go_on(call: Call, route: Route) -> bool:
    """Whether the answer to this call could be gone on with by a second one: the engine can, nothing binds the answer
    (no engine takes a grammar or a tool call up in the middle), and the prompt is text."""
    bound = call.response_format or call.grammar or call.tools
    return route.capabilities.continues is True and not bound and all(_is_text(one) for one in call.messages)


def rest_of(call: Call, thought: str, answer: str, used: Usage, *, ended: bool = False) -> Call | None:
    """The call that goes on where this one stopped, after that thought and answer; used: the tokens that they took;
    ended: whether the thought had come to its end though no answer had begun.

    None where a second call cannot: nothing was said yet, or what was said spells control tokens (a user can make a
    model say them), which as a prompt would be read as such. A thought that was still open stays within the rest of its
    budget."""
    if not (thought or answer).strip() or suspect(thought) or suspect(answer):
        return None
    closed = ended or bool(answer.strip())
    budget = call.thinking_budget
    if budget is not None:
        budget = max(0, budget - used.thought)
    return replace(
        call,
        thinking_budget=0 if closed else budget,
        thought_prefix=call.thought_prefix + thought,
        answer_prefix=call.answer_prefix + (answer if answer.strip() else ""),
        max_tokens=_left(call.max_tokens, used.output),
        max_answer_tokens=_left(call.max_answer_tokens, used.answer),
    )


def _is_text(message: Json) -> bool:
    content = message.get("content")
    return content is None or isinstance(content, str)


def _left(most: int | None, used: int) -> int | None:
    return None if most is None else max(1, most - used)
