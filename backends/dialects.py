"""How engines spell what a call asks for: the rows of dialects.yaml as frozen values.

Thinking budgets, the switch that turns thinking off, prefills, counts and logprobs have another name on every engine,
and most engines ignore a wrong name without a word. A dialect is data; the code that reads it is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias, cast

import yaml

from ..domain import Json
from ..errors import ConfigError

Counts: TypeAlias = Literal["timings", "usage", "chunks"]


@dataclass(frozen=True, slots=True)
class Budget:
    """A native thinking budget. field: dotted path in the request's body; counts_prefix: tokens of a thought that is
    gone on with count too; raw: it also acts on raw completions; refusal: words of the 400 by which the server says
    that it cannot enforce one."""

    field: str
    counts_prefix: bool = False
    raw: bool = False
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A side endpoint of the server. path: from the server's root; reply: the field of the reply that is wanted; takes:
    the field where the text or tokens go; send: fields that always go along."""

    path: str
    reply: str
    takes: str | None = None
    send: Json = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Dialect:
    """One engine's spellings. Bodies are merged into the request's (deep).

    limit: name of the field for thought + answer; limit_required: never send a call without it.
    switch_off, switch_on: what turns thinking off or on; None for off: no switch is known.
    budget: the native thinking budget. always, raw_always: sent with every chat or raw call.
    counts: where the tokens of a chunk are told: llama.cpp's cumulative timings, cumulative usage, or nowhere (one
    token a chunk is assumed). reasoning: fields that a thought comes in. markers_field: raw calls list the markers
    there so that they come back as text; raw_schema: field of a raw call for a bare JSON schema, where it does not read
    `response_format`. nonempty: forbids an empty answer.
    continues: how an open thought or an answer is gone on with: by a last assistant message (`chat`, with
    continue_thought or continue_answer), by the rendered text on /completions (`raw`), or not at all. raw_markers: raw
    text shows where a thought ends, if the markers are control tokens; else an open thought cannot be gone on with.
    parses: replies to chats keep the thought apart in any case; where they may not, show_markers is sent, so that
    markers that are control tokens come back.
    forced_tool_refusal: words of the 400 by which the server says that it cannot make the model call a function.
    sampling: our names to the engine's for what OpenAI's schema lacks. grammar: dotted path for a grammar.
    warnings: sentences by what the engine ignores. reuse_after_stream: a connection may be used again after a
    stream. swaps: the server loads the model that is asked for, and another one may have to go for it. health, render,
    tokenize, detokenize: see Service."""

    name: str
    title: str
    limit: str = "max_tokens"
    limit_required: bool = False
    switch_off: Json | None = None
    switch_on: Json = field(default_factory=dict[str, Any])
    budget: Budget | None = None
    always: Json = field(default_factory=lambda: {"stream_options": {"include_usage": True}})
    raw_always: Json = field(default_factory=dict[str, Any])
    counts: Counts = "chunks"
    reasoning: tuple[str, ...] = ("reasoning_content", "reasoning", "thinking")
    markers_field: str | None = None
    raw_schema: str | None = None
    nonempty: Json | None = None
    continues: Literal["chat", "raw"] | None = None
    raw_markers: bool = True
    parses: bool = False
    show_markers: Json = field(default_factory=dict[str, Any])
    forced_tool_refusal: str | None = None
    continue_thought: Json = field(default_factory=dict[str, Any])
    continue_answer: Json = field(default_factory=dict[str, Any])
    sampling: dict[str, str] = field(default_factory=dict[str, str])
    grammar: str | None = None
    logprobs_with_tools: bool = True
    warnings: dict[str, str] = field(default_factory=dict[str, str])
    reuse_after_stream: bool = True
    swaps: bool = False
    health: str | None = None
    render: Service | None = None
    tokenize: Service | None = None
    detokenize: Service | None = None


_NESTED = {"budget": Budget, "render": Service, "tokenize": Service, "detokenize": Service}


@cache
def dialects() -> dict[str, Dialect]:
    """Every dialect of dialects.yaml by name."""
    text = files(__name__.rpartition(".")[0]).joinpath("dialects.yaml").read_text("utf-8")
    rows = cast("dict[str, Json]", yaml.safe_load(text))
    return {name: _dialect(name, row) for name, row in rows.items()}


def dialect(name: str) -> Dialect:
    """The dialect of this name. Raises ConfigError listing the known ones."""
    known = dialects()
    if name not in known:
        raise ConfigError(f"unknown dialect {name!r}; known: {', '.join(known)}", field="dialect")
    return known[name]


def _dialect(name: str, row: Json) -> Dialect:
    values: Json = {key: _NESTED[key](**value) if key in _NESTED else value for key, value in row.items()}
    if "reasoning" in values:
        values["reasoning"] = tuple(values["reasoning"])
    values["always"] = merged({"stream_options": {"include_usage": True}}, row.get("always") or {})
    return Dialect(name=name, **values)


def merged(*bodies: Json) -> Json:
    """One body from several: objects are merged, of other values the last wins."""
    result: Json = {}
    for body in bodies:
        for key, value in body.items():
            mine = result.get(key)
            if isinstance(mine, dict) and isinstance(value, dict):
                result[key] = merged(cast("Json", mine), cast("Json", value))
            else:
                result[key] = value
    return result


def at_path(path: str, value: Any) -> Json:
    """The body that holds `value` at a dotted path: `at_path("a.b", 1)` is `{"a": {"b": 1}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return cast("Json", value)
