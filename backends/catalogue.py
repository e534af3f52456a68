"""The catalogue of modes that only change what is sent, and how one becomes a call.

The rows are in `modes.yaml`; owners add their own (`load_modes`). Modes that loop (votes, early exit) are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from ..domain import Call, Json, Query, Route, Sampling
from ..errors import BadRequest
from .rows import Where, Wrong, checked_row, read_rows, wrong_in
from .sampling import UNADVISED, Advice, merged, read_sampling

_FILE = Path(__file__).with_name("modes.yaml")
_SYSTEM_ROLES = ("system", "developer")
_UNSAID = Sampling()


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange that shows the model how to work."""

    user: str
    assistant: str


@dataclass(frozen=True, slots=True)
class Mode:
    """A row of the catalogue: how a model is asked to reason. `think`: whether it may think, up to its route's budget;
    the texts are empty where the mode adds nothing; `sampling` holds where the caller does not say."""

    name: str
    about: str
    source: str
    think: bool
    system: str = ""
    user_suffix: str = ""
    prefill: str = ""
    examples: tuple[Example, ...] = ()
    sampling: Sampling = _UNSAID


def load_modes(extra: Mapping[str, Any] | None = None, *, where: str = "modes") -> Mapping[str, Mode]:
    """The catalogue, with the owner's rows added (an owner's row replaces a shipped one of the same name).

    extra: rows by name as `modes.yaml` has them, already parsed; `where` is what errors call their place. Raises
    ConfigError naming the field and what is allowed."""
    shipped = read_modes(_FILE.read_text(encoding="utf-8"), _FILE.name)
    added = _rows(dict(extra or {}), lambda _mode, _field: where)
    return MappingProxyType({**shipped, **added})


def read_modes(text: str, file: str) -> dict[str, Mode]:
    """Modes by name from YAML text. Raises ConfigError with `file:line` and the field that is wrong."""
    rows, where = read_rows(text, file, "modes")
    return _rows(rows, where)


def mode(name: str, modes: Mapping[str, Mode] | None = None) -> Mode:
    """The mode of this name, from `modes` or else `MODES`. Raises BadRequest listing the known ones."""
    known = MODES if modes is None else modes
    if name not in known:
        raise BadRequest(f"Unknown mode {name!r}. Known: {', '.join(known)}.", field="mode", code="mode_not_found")
    return known[name]


def prepare(query: Query, route: Route, modes: Mapping[str, Mode] | None = None, advice: Advice = UNADVISED) -> Call:
    """The call that puts a query to a route in its mode. Pure; the caller's messages are not changed.

    The mode's system text follows the caller's own; its sampling holds only where the caller says nothing, and what is
    advised for the route's model (`advised.py`) only where neither does; a mode that does not think has a thinking
    budget of 0, whatever the route's. Raises BadRequest for an unknown mode."""
    row = mode(route.mode, modes)
    budget = route.thinking_budget if row.think else 0
    return Call(
        messages=_messages(query.messages, row),
        thinking_budget=budget,
        answer_prefix=row.prefill,
        max_tokens=query.max_tokens,
        stop=query.stop,
        sampling=merged(query.sampling, row.sampling, advice.at(budget)),
        logprobs=query.logprobs,
        response_format=query.response_format,
        tools=query.tools,
        tool_choice=query.tool_choice,
        extra=dict(query.extra),
    )


def _messages(messages: tuple[Json, ...], row: Mode) -> tuple[Json, ...]:
    """The caller's messages with the mode's texts and examples, as new dicts where anything changes."""
    told = [*messages]
    if row.user_suffix:
        last = max((at for at, message in enumerate(told) if message.get("role") == "user"), default=None)
        if last is not None:
            told[last] = _with_text(told[last], row.user_suffix)
    if row.system:
        if told and told[0].get("role") in _SYSTEM_ROLES:
            told[0] = _with_text(told[0], row.system)
        else:
            told.insert(0, {"role": "system", "content": row.system})
    shown = [
        {"role": role, "content": text}
        for example in row.examples
        for role, text in (("user", example.user), ("assistant", example.assistant))
    ]
    after = next((at for at, message in enumerate(told) if message.get("role") not in _SYSTEM_ROLES), len(told))
    return (*told[:after], *shown, *told[after:])


def _with_text(message: Json, text: str) -> Json:
    """The message with the text after its own, whether its content is a string or a list of parts."""
    content = cast("object", message.get("content"))
    if isinstance(content, list):
        return {**message, "content": [*cast("list[Json]", content), {"type": "text", "text": text}]}
    return {**message, "content": f"{content}\n\n{text}" if content else text}


def _rows(data: dict[str, object], where: Where) -> dict[str, Mode]:
    return {str(name): _row(str(name), row, where) for name, row in data.items()}


def _row(name: str, data: object, where: Where) -> Mode:
    """One checked row. Raises ConfigError."""
    known = tuple(one.name for one in fields(Mode) if one.name != "name")
    row = checked_row(name, data, where, known, ("about", "source", "think"))
    return Mode(name=name, **{field: _value(name, field, value, where) for field, value in row.items()})


def _value(name: str, field: str, value: object, where: Where) -> Any:
    """One checked field's value, as `Mode` keeps it. Raises ConfigError."""
    wrong = wrong_in(name, field, where)
    if field == "think":
        if not isinstance(value, bool):
            raise wrong("must be true or false", "")
        return value
    if field == "examples":
        return _examples(value, wrong)
    if field == "sampling":
        return read_sampling(value, wrong)
    if not isinstance(value, str):
        raise wrong("must be text", "")
    return value


def _examples(value: object, wrong: Wrong) -> tuple[Example, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise wrong("must be a list of exchanges {user, assistant}", "")
    for at, one in enumerate(cast("Sequence[object]", value)):
        texts = cast("dict[str, object]", one if isinstance(one, dict) else {})
        if set(texts) != {"user", "assistant"} or not all(isinstance(text, str) for text in texts.values()):
            raise wrong("must be an exchange of two texts, {user, assistant}", f"[{at}]")
    return tuple(Example(**one) for one in cast("Sequence[dict[str, str]]", value))


MODES: Mapping[str, Mode] = load_modes()
"""The shipped catalogue."""
