"""What a call comes to for a model in this process: the prompt's token ids, and how many tokens may follow, by kind.

Who opens the thought is read from the rendered prompt, not from the model's family: a template may open it, close an
empty one, or leave it to the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ..domain import Call
from ..errors import BackendRejected
from .budget import allot_call
from .transformers_prompt import Chat, ChatTemplate

_ARGUMENTS = "chat_template_kwargs"


@dataclass(frozen=True, slots=True)
class Plan:
    """A call as token ids and limits, all in tokens.

    opened: a thought is open at the prompt's end; may_open: the model may open one. thought: the most tokens of new
    thought, its marks apart; answer: of the answer alone (None: no limit of its own); total: of everything new.
    resumable: what is cut at the total will be gone on with, so nothing of it is kept for an answer."""

    prompt: tuple[int, ...]
    opened: bool
    may_open: bool
    thought: int
    answer: int | None
    total: int
    warnings: tuple[str, ...] = ()
    resumable: bool = False


def plan(call: Call, template: ChatTemplate, *, context: int, reserve: int, backend: str) -> Plan:
    """The call's plan for a model of this `context`. Raises BackendRejected where the prompt does not fit.

    The thought is cut early enough that the answer keeps its reserve of the limit, and of the context; not so where the
    call will be gone on with, which takes room after its limit."""
    warnings = [*_unenforced(call, template)]
    arguments = _arguments(call)
    off = call.thinking_budget == 0 or bool(call.answer_prefix) or False in _switches(arguments)
    if template.marks is not None and not off:
        ids = _thinking_prompt(call, template)
        limit = _limit(call, len(ids), context, backend)
        opened = template.is_open(ids)
        goes_on = _goes_on(call, len(ids) + limit, context)
        shares = allot_call(replace(call, resumable=goes_on), limit, reserve, closing=1 if opened else 2)
        warnings += [shares.warning] if shares.warning else []
        if not shares.off:
            thought, told = limit if shares.thought is None else shares.thought, tuple(warnings)
            return Plan(tuple(ids), opened, not opened, thought, call.max_answer_tokens, limit, told, goes_on)
    ids = _closed_prompt(call, template)
    limit = _limit(call, len(ids), context, backend)
    goes_on = _goes_on(call, len(ids) + limit, context)
    return Plan(tuple(ids), False, False, 0, call.max_answer_tokens, limit, tuple(warnings), goes_on)


def _base(call: Call, template: ChatTemplate, *, thinking: bool) -> list[int]:
    """Token ids of the call's messages, or of its rendered text."""
    if isinstance(call.rendered, str):
        return template.encode_rendered(call.rendered)
    if call.rendered is not None:
        return list(call.rendered)
    tools = () if call.tool_choice == "none" else call.tools
    return template.encode_chat(Chat(call.messages, thinking, tools, _arguments(call)))


def _thinking_prompt(call: Call, template: ChatTemplate) -> list[int]:
    """The prompt of a call that thinks, going on from its thought prefix."""
    ids = _base(call, template, thinking=True)
    if not call.thought_prefix or template.marks is None:
        return ids
    mark = () if template.is_open(ids) else (template.marks.open,)
    return [*ids, *mark, *template.encode_text(call.thought_prefix)]


def _closed_prompt(call: Call, template: ChatTemplate) -> list[int]:
    """The prompt of a call that answers: its thought off, or closed after the thought prefix."""
    marks = template.marks
    if marks is not None and call.thought_prefix:
        ids = _thinking_prompt(call, template)
    else:
        ids = _base(call, template, thinking=False)
        if marks is not None and call.rendered is None and not template.switchable and not template.is_open(ids):
            ids.append(marks.open)  # no switch and the model opens: an empty thought is what is left to say
    if marks is not None and template.is_open(ids):
        ids += [marks.close, *template.encode_rendered(template.after_close)]
    return ids + (template.encode_text(call.answer_prefix) if call.answer_prefix else [])


def _limit(call: Call, used: int, context: int, backend: str) -> int:
    """How many tokens may follow a prompt of `used` tokens. Raises BackendRejected where there is no room."""
    room = context - used
    if room < 1:
        problem = f"The prompt has {used} tokens; the model's context of {context} leaves no room for an answer."
        raise BackendRejected(problem, backend=backend, status=400)
    return room if call.max_tokens is None else max(1, min(call.max_tokens, room))


def _goes_on(call: Call, used: int, context: int) -> bool:
    """Whether a call that is cut after `used` tokens, its prompt included, can be gone on with."""
    return call.resumable and used < context


def _arguments(call: Call) -> Mapping[str, Any]:
    found = call.extra.get(_ARGUMENTS)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _switches(arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    return arguments.get("enable_thinking"), arguments.get("thinking")


def _unenforced(call: Call, template: ChatTemplate) -> Iterator[str]:
    """What the call asks for that a plain sampling loop cannot give."""
    if call.response_format and call.response_format.get("type") != "text":
        yield "response_format is not enforced by this engine"
    if call.grammar:
        yield "the grammar is not enforced by this engine"
    if call.tools and call.rendered is None:
        if not template.takes_tools:
            yield "the chat template takes no tools: they were left out"
        elif call.tool_choice != "none":
            yield "tool calls are not parsed by this engine: they come as text"
    if call.tool_choice not in (None, "auto", "none"):
        yield "tool_choice is not enforced by this engine"
    if call.thought_prefix and template.marks is None:
        yield "the model has no marks of thought: the thought prefix was left out"
    if other := sorted(set(call.extra) - {_ARGUMENTS}):
        yield f"ignored by this engine: {', '.join(other)}"
