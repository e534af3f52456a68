"""How a model's thinking is turned off or on at one engine: by its dialect's switch, its family's own, or by closing
the thought in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..domain import Json
from .dialects import Dialect, merged
from .family_rows import Family, Switching

_ARGUMENTS = "chat_template_kwargs"


def switch(dialect: Dialect, family: Family | None, *, thinking: bool) -> Json:
    """The fields of a request that turn thinking on or off: the dialect's, and the arguments that the family's template
    takes instead, where the dialect passes any on."""
    fields = dialect.switch_on if thinking else dialect.switch_off or {}
    arguments = arguments_of(family, thinking=thinking)
    passes = _ARGUMENTS in {**(dialect.switch_off or {}), **dialect.switch_on}
    return merged(fields, {_ARGUMENTS: arguments}) if arguments and passes else fields


def arguments_of(family: Family | None, *, thinking: bool) -> Json:
    """The arguments of its own by which a family's chat template turns thinking on or off."""
    said = _said(family, thinking=thinking)
    return {} if said is None else dict(said.arguments)


def switched(messages: Sequence[Json], family: Family | None, *, thinking: bool) -> tuple[Json, ...]:
    """The messages with the line of system text that turns the family's thinking on or off, where it takes one."""
    said = _said(family, thinking=thinking)
    return tuple(messages) if said is None or not said.system else with_line(messages, said.system)


def with_line(messages: Sequence[Json], line: str) -> tuple[Json, ...]:
    """The messages with one more line of system text, after the caller's own."""
    told = [*messages]
    if told and told[0].get("role") in ("system", "developer"):
        content = cast("object", told[0].get("content"))
        if isinstance(content, list):
            more = [*cast("list[Json]", content), {"type": "text", "text": f"\n{line}"}]
        else:
            more = f"{content}\n{line}" if content else line
        told[0] = {**told[0], "content": more}
    else:
        told.insert(0, {"role": "system", "content": line})
    return tuple(told)


def _said(family: Family | None, *, thinking: bool) -> Switching | None:
    return None if family is None else family.switched_on if thinking else family.switched_off
