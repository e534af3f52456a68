"""A call as the body of a request, in a dialect's spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..domain import Call, Json, Sampling
from .dialects import Dialect, at_path, merged
from .facts import Facts
from .switching import switch

# Fields that a call's `extra` may not set: they are ours to keep, or they would break the reading of the reply.
_OURS = frozenset(
    ("model", "messages", "prompt", "stream", "stream_options", "n", "n_predict", "max_tokens", "max_completion_tokens")
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one request may do. thinking: switched on or off, None where the model has no switch; budget: native
    thinking budget, in the engine's way of counting; limit: tokens of the whole reply; stop: sent to the engine;
    nonempty: forbid an empty answer."""

    thinking: bool | None = None
    budget: int | None = None
    limit: int | None = None
    stop: tuple[str, ...] = ()
    nonempty: bool = False


def with_system(call: Call, system: str | None) -> Call:
    """The call with this system text where its messages bring none."""
    messages = call.messages
    if not system or not messages or any(one.get("role") in ("system", "developer") for one in messages):
        return call
    return replace(call, messages=({"role": "system", "content": system}, *messages))


def chat_body(call: Call, dialect: Dialect, facts: Facts, terms: Terms) -> Json:
    """The body of a chat completion, prefixes included as the dialect goes on from them."""
    messages, extra = [dict(message) for message in call.messages], {}
    if call.answer_prefix or call.thought_prefix:
        closed = bool(call.answer_prefix) or call.thinking_budget == 0
        last: Json = {"role": "assistant", "content": call.answer_prefix}
        if call.thought_prefix:
            last["reasoning_content"] = call.thought_prefix
        messages.append(last)
        extra = dialect.continue_answer if closed else dialect.continue_thought
    chat: Json = {"model": facts.model, "messages": messages, "stream": True}
    if terms.limit is not None:
        chat[dialect.limit] = terms.limit
    if call.response_format is not None:
        chat["response_format"] = call.response_format
    if call.tools:
        chat["tools"] = list(call.tools)
        if call.tool_choice is not None:
            chat["tool_choice"] = call.tool_choice
    if call.logprobs is not None and (dialect.logprobs_with_tools or not call.tools):
        chat["logprobs"], chat["top_logprobs"] = True, call.logprobs
    fields = {} if terms.thinking is None else switch(dialect, facts.family, thinking=terms.thinking)
    return merged(_kept(call.extra), dialect.always, _shared(call, dialect, terms), fields, extra, chat)


def raw_body(call: Call, dialect: Dialect, facts: Facts, terms: Terms, prompt: str | Sequence[int]) -> Json:
    """The body of a raw completion of `prompt`."""
    raw: Json = {"model": facts.model, "prompt": prompt if isinstance(prompt, str) else list(prompt), "stream": True}
    if terms.limit is not None:
        raw["max_tokens"] = terms.limit  # the old endpoint's only name for it
    if call.response_format is not None and "response_format" not in dialect.warnings:  # known there to do nothing
        raw |= _raw_schema(call.response_format, dialect)
    if dialect.markers_field:
        raw[dialect.markers_field] = [facts.markers.start, facts.markers.end]
    if call.logprobs is not None:
        raw["logprobs"] = max(1, call.logprobs)
    return merged(_kept(call.extra), dialect.always, dialect.raw_always, _shared(call, dialect, terms), raw)


def unheeded(call: Call, dialect: Dialect) -> tuple[str, ...]:
    """Sentences on what the engine is known not to do of this call."""
    known, told = dialect.warnings, list[str]()
    forced = isinstance(call.tool_choice, dict) or call.tool_choice == "required"
    for key, asked in (
        ("forced_tool", forced),
        ("tools_with_grammar", bool(call.tools) and call.grammar is not None),
        ("logprobs", call.logprobs is not None),
        ("response_format", call.response_format is not None),
    ):
        if asked and key in known:
            told.append(known[key])
    if call.grammar is not None and dialect.grammar is None:
        told.append(f"{dialect.title} takes no grammar: the answer is not bound")
    if call.logprobs is not None and call.tools and not dialect.logprobs_with_tools:
        told.append(f"{dialect.title} gives no log-probabilities together with tools")
    lost = [name for name in ("top_k", "min_p", "repetition_penalty") if name not in dialect.sampling]
    lost = [name for name in lost if getattr(call.sampling, name) is not None]
    if lost:
        told.append(f"{dialect.title} does not know {', '.join(lost)}: not sent")
    return tuple(told)


def _shared(call: Call, dialect: Dialect, terms: Terms) -> Json:
    """What chat and raw requests have in common."""
    body = _sampling(call.sampling, dialect)
    if terms.stop:
        body["stop"] = list(terms.stop)
    parts: list[Json] = [body]
    if call.grammar is not None and dialect.grammar:
        parts.append(at_path(dialect.grammar, call.grammar))
    elif terms.nonempty and dialect.nonempty and call.response_format is None:
        parts.append(dialect.nonempty)
    if terms.budget is not None and dialect.budget:
        parts.append(at_path(dialect.budget.field, terms.budget))
    return merged(*parts)


def _raw_schema(response_format: Json, dialect: Dialect) -> Json:
    """OpenAI's response format for a raw call."""
    if dialect.raw_schema is None:
        return {"response_format": response_format}
    if response_format.get("type") == "json_object":
        return {dialect.raw_schema: {"type": "object"}}
    wrapped: Json = response_format.get("json_schema") or {}
    return {dialect.raw_schema: wrapped["schema"]} if "schema" in wrapped else {}


def _sampling(sampling: Sampling, dialect: Dialect) -> Json:
    body: dict[str, Any] = {}
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed"):
        body[name] = getattr(sampling, name)
    for name, spelled in dialect.sampling.items():
        body[spelled] = getattr(sampling, name)
    return {name: value for name, value in body.items() if value is not None}


def _kept(extra: Json) -> Json:
    return {key: value for key, value in extra.items() if key not in _OURS}
