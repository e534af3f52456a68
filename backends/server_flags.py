"""The flags that a server lacks for what Pointsman wants of it: thoughts apart, budgets kept, tools called.

Which parser is whose is data (`server_flags.yaml`). A flag is named where its absence was seen, or cannot be seen from
outside, and it is said which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeAlias, cast

import yaml

from ..domain import Json
from .families import families
from .family_rows import Family

Started: TypeAlias = Mapping[str, str | None]
"""How a server was started, as far as it tells, by flag: its value ("" for a bare one), None where the flag is absent.
A flag that is not here cannot be seen."""


@dataclass(frozen=True, slots=True)
class Flag:
    """words: to add to the server's command line; effect: what they bring, one sentence; seen: whether their absence
    was seen, or cannot be."""

    words: str
    effect: str
    seen: bool


@dataclass(frozen=True, slots=True)
class Wanting:
    """flags: to start the server with; remarks: what no flag changes."""

    flags: tuple[Flag, ...] = ()
    remarks: tuple[str, ...] = ()


def wanting(dialect: str, family: str | None, started: Started) -> Wanting:
    """What a server that speaks `dialect` lacks for a model of this family (a name of families.yaml; None: unknown)."""
    known = next((row for row in families() if row.name == family), None)
    reader = {"vllm": _vllm, "sglang": _sglang, "llamacpp": _llamacpp, "tensorrt": _tensorrt}.get(dialect)
    if reader is not None:
        return reader(known, started)
    if dialect == "llamaswap":
        return Wanting(
            remarks=("The flags are those of the servers that llama-swap starts; behind it they are not seen.",)
        )
    return Wanting()


def parser(dialect: str, family: Family | None, kind: str) -> str | None:
    """The name of a family's parser on an engine; kind: "reasoning" or "tools"."""
    if family is None:
        return None
    rows = cast("Mapping[str, Mapping[str, str]]", tables()[dialect]["families"])
    return rows.get(family.name, {}).get(kind)


@cache
def tables() -> Mapping[str, Json]:
    """server_flags.yaml, by engine."""
    text = files(__name__.rpartition(".")[0]).joinpath("server_flags.yaml").read_text("utf-8")
    return cast("Mapping[str, Json]", yaml.safe_load(text))


def _vllm(family: Family | None, started: Started) -> Wanting:
    flags: list[Flag] = []
    if family is not None and family.thinks and _lacks("--reasoning-parser", started):
        flags += _vllm_thinking(family, "--reasoning-parser" in started)
    tools = parser("vllm", family, "tools")
    if tools is not None and _lacks("--enable-auto-tool-choice", started):
        words = f"--enable-auto-tool-choice --tool-call-parser {tools}"
        flags.append(
            Flag(words, "Tools: without it a query with tools is refused.", "--enable-auto-tool-choice" in started)
        )
    effect = "Says how much of a prompt was cached; without it every token of a prompt is charged in full."
    flags.append(Flag("--enable-prompt-tokens-details", effect, False))
    return Wanting(tuple(flags))


def _vllm_thinking(family: Family, seen: bool) -> list[Flag]:
    """How vLLM learns where a thought ends. Without a parser of the family's, its markers do for budgets."""
    name = parser("vllm", family, "reasoning")
    markers = None
    if family.open is not None and family.close is not None:
        told = {"reasoning_start_str": family.open, "reasoning_end_str": family.close}
        markers = f"--reasoning-config {_quoted(json.dumps(told))}"
    if name is None:
        if markers is None:
            return []
        effect = "vLLM has no parser for this family; with its markers it keeps thinking budgets by itself."
        return [Flag(markers, effect, seen)]
    effect = "Thoughts come apart and counted, and vLLM keeps budgets by itself; without it Pointsman needs two passes."
    flags = [Flag(f"--reasoning-parser {name}", effect, seen)]
    if name in tables()["vllm"]["markerless"] and markers is not None:
        flags.append(Flag(markers, f"Markers for budgets: the parser {name} names none to vLLM.", seen))
    return flags


def _sglang(family: Family | None, started: Started) -> Wanting:
    flags: list[Flag] = []
    remarks: list[str] = []
    if family is not None and family.thinks:
        running = started.get("--reasoning-parser")
        name = running or parser("sglang", family, "reasoning")
        if name is not None and running is None:
            effect = "Thoughts come apart and counted."
            flags.append(Flag(f"--reasoning-parser {name}", effect, "--reasoning-parser" in started))
        if name == "auto":
            name = parser("sglang", family, "reasoning")
        if name in tables()["sglang"]["enforcing"]:
            if _lacks("--enable-strict-thinking", started):
                effect = "SGLang keeps budgets by itself; without it it ignores them, and Pointsman watches and cuts."
                flags.append(Flag("--enable-strict-thinking", effect, "--enable-strict-thinking" in started))
        else:
            whose = f"the parser {name}" if name else "this family"
            remarks.append(
                f"With {whose} SGLang keeps no budget, not even with --enable-strict-thinking: Pointsman watches the "
                "thought and cuts it."
            )
    tools = parser("sglang", family, "tools")
    if tools is not None and _lacks("--tool-call-parser", started):
        effect = "Tools: without it a call comes as text."
        flags.append(Flag(f"--tool-call-parser {tools}", effect, "--tool-call-parser" in started))
    if _lacks("--enable-cache-report", started):
        effect = "Says how much of a prompt was cached; without it every token of a prompt is charged in full."
        flags.append(Flag("--enable-cache-report", effect, "--enable-cache-report" in started))
    return Wanting(tuple(flags), tuple(remarks))


def _llamacpp(_family: Family | None, started: Started) -> Wanting:
    flags: list[Flag] = []
    if _lacks("--jinja", started):
        effect = "The model's own template, which the thinking switch and tools need; newer builds do it unasked."
        flags.append(Flag("--jinja", effect, "--jinja" in started))
    if started.get("--metrics", "") is None:
        flags.append(Flag("--metrics", "Optional: figures of load for your monitoring; Pointsman does without.", True))
    return Wanting(tuple(flags))


def _tensorrt(family: Family | None, started: Started) -> Wanting:
    name = parser("tensorrt", family, "reasoning")
    if name is None or not _lacks("--reasoning_parser", started):
        return Wanting()
    effect = "Thoughts come apart, and budgets are kept."
    return Wanting((Flag(f"--reasoning_parser {name}", effect, "--reasoning_parser" in started),))


def _lacks(flag: str, started: Started) -> bool:
    """Whether a flag is absent, or may be."""
    return started.get(flag) is None


def _quoted(text: str) -> str:
    """One word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"
