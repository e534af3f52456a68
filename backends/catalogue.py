"""The catalogue of modes that only change what is sent, and how one becomes a call.

The rows are in `modes.yaml`; owners add their own (`load_modes`). A row may take a number (mode_parameter.py). Modes
that loop (votes, early exit) are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from ..domain import Call, Json, Query, Route, Sampling
from ..errors import BadRequest, ConfigError
from .mode_parameter import Parameter, fill, placeholders, read_number, read_parameter, taken_apart
from .rows import Where, Wrong, checked_row, read_rows, wrong_in
from .sampling import UNADVISED, Advice, merged, read_sampling

_FILE = Path(__file__).with_name("modes.yaml")
_SYSTEM_ROLES = ("system", "developer")
_TEXTS = ("system", "user_suffix", "prefill")
_UNSAID = Sampling()


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange that shows the model how to work."""

    user: str
    assistant: str


@dataclass(frozen=True, slots=True)
class Mode:
    """A row of the catalogue: how a model is asked to reason. `think`: whether it may think, up to its route's budget;
    the texts are empty where the mode adds nothing; `sampling` holds where the caller does not say; `least`: with the
    lowest effort that the model knows. given: the value of
    the parameter, where the name that the row was asked for by told one, or its default."""

    name: str
    about: str
    source: str
    think: bool
    system: str = ""
    user_suffix: str = ""
    prefill: str = ""
    examples: tuple[Example, ...] = ()
    sampling: Sampling = _UNSAID
    least: bool = False
    parameter: Parameter | None = None
    given: int | None = None

    @property
    def own_budget(self) -> int | None:
        """The thinking budget that was asked for with the mode, as in think(512); None: none was."""
        return self.given if self.parameter is not None and self.parameter.budget else None

    def budget(self, budget: int | None) -> int | None:
        """The thinking budget of a route with this one: 0 where the mode does not think, the mode's own where there is
        one. Raises BadRequest where the two contradict each other."""
        if not self.think:
            return 0
        if self.own_budget is None:
            return budget
        if budget not in (None, self.own_budget):
            asked = "no thought" if budget == 0 else f"a thinking budget of {budget}"
            raise BadRequest(
                f"The mode {self.name}({self.given}) thinks up to {self.given} tokens, but {asked} is asked for: they "
                "contradict.",
                field="mode",
            )
        return self.own_budget


def _unplaced(_mode: str, _field: str | None) -> str:
    return "modes"


def load_modes(extra: Mapping[str, Any] | None = None, where: Where = _unplaced) -> Mapping[str, Mode]:
    """The catalogue, with the owner's rows added (an owner's row replaces a shipped one of the same name).

    extra: rows by name as `modes.yaml` has them, already parsed; `where` tells errors their place. Raises ConfigError
    naming the field and what is allowed."""
    shipped = read_modes(_FILE.read_text(encoding="utf-8"), _FILE.name)
    return MappingProxyType({**shipped, **_rows(dict(extra or {}), where)})


def read_modes(text: str, file: str) -> dict[str, Mode]:
    """Modes by name from YAML text. Raises ConfigError with `file:line` and the field that is wrong."""
    rows, where = read_rows(text, file, "modes")
    return _rows(rows, where)


def mode(name: str, modes: Mapping[str, Mode] | None = None) -> Mode:
    """The mode of this name, from `modes` or else `MODES`: `concise(60)`, or `concise` with its default. The row that
    comes back is named in full, `concise(60)` both times; but where the parameter is the thinking budget, or comes from
    the estimate unless it was given, by its own name alone.

    Raises BadRequest: an unknown mode (lists the known ones), a parameter that it does not have or cannot be."""
    known = MODES if modes is None else modes
    base, given = taken_apart(name)
    if base not in known:
        raise BadRequest(f"Unknown mode {name!r:.80}. Known: {', '.join(known)}.", field="mode", code="mode_not_found")
    row = known[base]
    if (parameter := row.parameter) is None:
        if given is not None:
            raise BadRequest(f"{name:.80}: the mode {base} takes no parameter; write {base}.", field="mode")
        return row
    if given is not None:
        value = read_number(base, given, parameter)
    else:
        value = None if parameter.estimated else parameter.default
    shown = base if value is None or parameter.budget else f"{base}({value})"
    return replace(row, name=shown, given=value)


def prepare(
    query: Query,
    route: Route,
    modes: Mapping[str, Mode] | None = None,
    advice: Advice = UNADVISED,
    expected: float | None = None,
) -> Call:
    """The call that puts a query to a route in its mode. Pure; the caller's messages are not changed.

    The mode's system text follows the caller's own; its sampling holds only where the caller says nothing, and what is
    advised for the route's model (`advised.py`) only where neither does; a mode that does not think has a thinking
    budget of 0, whatever the route's. expected: tokens that the answer is likely to take, as measured (None: unknown).
    Raises BadRequest for an unknown mode, or one whose budget is not the route's."""
    row = _filled(mode(route.mode, modes), expected)
    budget = row.budget(route.thinking_budget)
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
        least=row.least,
    )


def _filled(row: Mode, expected: float | None) -> Mode:
    """The row with its texts as the model gets them."""
    value = row.given
    if value is None and row.parameter is not None:
        value = row.parameter.value(expected)
    return replace(row, **{name: fill(getattr(row, name), row.parameter, value) for name in _TEXTS})


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
    known = tuple(one.name for one in fields(Mode) if one.name not in ("name", "given"))
    checked = checked_row(name, data, where, known, ("about", "source", "think"))
    if set(name) & set("()"):
        problem = "cannot have parentheses in its name: they hold a parameter"
        raise ConfigError(problem, field=name, where=where(name, None))
    row = Mode(name=name, **{field: _value(name, field, value, where) for field, value in checked.items()})
    _check_together(row, where)
    return row


def _check_together(row: Mode, where: Where) -> None:
    """Raises ConfigError where fields do not belong together, as texts and parameter."""
    if row.least and not row.think:
        raise wrong_in(row.name, "least", where)("is an effort of thought, but the mode does not think", "")
    parameter, wrong = row.parameter, wrong_in(row.name, "parameter", where)
    named = sum(placeholders(getattr(row, text), parameter, wrong_in(row.name, text, where)) for text in _TEXTS)
    if parameter is None:
        return
    if parameter.budget:
        if not row.think:
            raise wrong("sets a thinking budget, but the mode does not think: leave it out, or write think: true", "")
        if named:
            raise wrong("is the thinking budget, which a route need not have: no text can name it", "")
    elif not named:
        raise wrong(f"is never used: write {{{parameter.name}}} in one of {', '.join(_TEXTS)}, or leave it out", "")


def _value(name: str, field: str, value: object, where: Where) -> Any:
    """One checked field's value, as `Mode` keeps it. Raises ConfigError."""
    wrong = wrong_in(name, field, where)
    if field in ("think", "least"):
        if not isinstance(value, bool):
            raise wrong("must be true or false", "")
        return value
    if field == "examples":
        return _examples(value, wrong)
    if field == "parameter":
        return read_parameter(value, wrong)
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
